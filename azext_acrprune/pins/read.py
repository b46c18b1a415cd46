"""The bytes of a file -> who pins what in it. Never raises: what cannot be read is a problem in the answer.

The name of the file says what it is, or else its beginning. Whatever is not understood is searched as text, line by
line, which finds too much rather than too little.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath

from ..spelling import printable
from .documents import found_in_document
from .pinned import Found, Problem, found_in, merged
from .references import RegistryNames, find_references
from .syntax import Event, json_events, yaml_events
from .templates import bicep_values, dockerfile_values, filled_in, terraform_values

MAX_BYTES = 100 * 1024 * 1024
"""Of one file, or of standard input. A list of all pods of a large cluster has half of that."""

STANDARD_INPUT = '<stdin>'

_BOMS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF32_LE, 'utf-32-le'),
    (codecs.BOM_UTF32_BE, 'utf-32-be'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)
_CONTROLS = bytes(set(range(32)) - set(b'\t\n\r\f\x1b\x1a\x0b\x08'))
_SAMPLE = 4096
_YAML_START = re.compile(r'(?:^|\n)(?:---|%YAML|apiVersion:|kind:|services:|images:|name:|version:|on:)')
_JSON_SUFFIXES = ('.json', '.jsonc', '.json5', '.sarif', '.webmanifest')
_YAML_SUFFIXES = ('.yaml', '.yml')
_DOCKERFILE = re.compile(r'(?:.*\.)?(?:dockerfile|containerfile)(?:\..*)?\Z', re.IGNORECASE)
_FRONTEND = re.compile(r'\s*#\s*syntax\s*=', re.IGNORECASE)  # no comment: a build pulls this image first
_FROM = re.compile(r'\s*FROM\s+(?:--\S+\s+)*(\S+)', re.IGNORECASE)

_TEXTS: Mapping[str, tuple[Callable[[str], dict[str, str]], tuple[str, ...]]] = {
    '.tf': (terraform_values, ('#', '//')),
    '.tfvars': (terraform_values, ('#', '//')),
    '.hcl': (terraform_values, ('#', '//')),
    '.bicep': (bicep_values, ('//',)),
    '.bicepparam': (bicep_values, ('//',)),
}
"""How the values of a language are found, and what begins its comments."""


def read_pins(data: bytes, source: str, names: RegistryNames) -> Found:
    """What a file pins; `source` is its path, or STANDARD_INPUT."""
    if len(data) > MAX_BYTES:
        return Found(problems=(Problem(f'it is larger than {MAX_BYTES // 2**20} MiB and was not read', source),))
    text = _decoded(data)
    if text is None:
        found = _lines(data.decode('latin-1').split('\n'), source, names)
        return Found(
            tuple(replace(pin, line=0) for pin in found.pins),
            (Problem('it is not text; only what looks like an image was found in it', source),),
        )
    text = text.replace('\r\n', '\n').replace('\r', '\n')
    everything = []
    for events in _syntaxes(text, source):
        found, wrong = found_in_document(events(text), source, names)
        if wrong is None:
            return found
        problem = Problem(f'{printable(str(wrong))}; it was searched as text', source, wrong.line)
        everything = [found, Found(problems=(problem,))]
    return merged((*everything, _text(text, source, names)))


def _decoded(data: bytes) -> str | None:
    """The text, in whatever encoding editors and shells write; None for what is no text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, 'replace')
    unmarked = _without_mark(data[:_SAMPLE])
    if unmarked:
        return data.decode(unmarked, 'replace')
    if data.translate(None, _CONTROLS) != data:
        return None
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError:
        return data.decode('latin-1')  # references are plain ASCII in all of its relatives


def _without_mark(sample: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of plain text is zero there."""
    half = len(sample) // 2
    if half >= 4 and sample[1::2].count(0) > 0.7 * half and not sample[::2].count(0):
        return 'utf-16-le'
    if half >= 4 and sample[::2].count(0) > 0.7 * half and not sample[1::2].count(0):
        return 'utf-16-be'
    return None


def _syntaxes(text: str, source: str) -> list[Callable[[str], Iterator[Event]]]:
    """What to read a file as, one after the other until one fits; nothing for what is neither YAML nor JSON."""
    suffix = PurePath(source).suffix.lower()
    start = text[:_SAMPLE].lstrip()
    if suffix in _YAML_SUFFIXES:
        return [json_events, yaml_events] if start.startswith(('{', '[')) else [yaml_events]
    if suffix in _JSON_SUFFIXES or source == STANDARD_INPUT and start.startswith('['):
        return [json_events]
    if suffix in _TEXTS or _DOCKERFILE.match(PurePath(source).name):
        return []
    if start.startswith('{') and not start.startswith('{{'):
        return [json_events]
    return [yaml_events] if _YAML_START.search(text, 0, _SAMPLE) else []


def _text(text: str, source: str, names: RegistryNames) -> Found:
    """What the lines of a text say, with the values that the text itself gives."""
    lines = text.split('\n')
    if _DOCKERFILE.match(PurePath(source).name):
        values = dockerfile_values(text)
        lines = [
            '' if line.lstrip().startswith('#') and not _FRONTEND.match(line) else filled_in(line, values)
            for line in lines
        ]
        return merged((_lines(lines, source, names), _bases(lines, source, names)))
    find_values, comments = _TEXTS.get(PurePath(source).suffix.lower(), (lambda _: {}, ('#',)))
    values = find_values(text)
    return _lines(
        ['' if line.lstrip().startswith(comments) else filled_in(line, values) for line in lines], source, names
    )


def _bases(lines: list[str], source: str, names: RegistryNames) -> Found:
    """The images that a Dockerfile builds on: without a tag they are `latest` for certain."""
    found = [(match.group(1), number) for number, line in enumerate(lines, 1) for match in [_FROM.match(line)] if match]
    return merged(found_in(find_references(image, names), source, number) for image, number in found)


def _lines(lines: list[str], source: str, names: RegistryNames) -> Found:
    return merged(
        found_in(find_references(line, names), source, number) for number, line in enumerate(lines, 1) if '/' in line
    )
