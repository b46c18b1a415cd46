"""The bytes of a file -> who pins what in it. Never raises: what cannot be read is a problem in the answer.

The name of the file says what it is, or else its look. Whatever is not understood is searched as text, line by line,
which finds too much rather than too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePath

from ..spelling import printable
from .code import read_code
from .collector import Collector
from .documents import read_events
from .encodings import encoding_of
from .in_pieces import words_of
from .intrinsics import uses_intrinsics, without_intrinsics
from .languages import (
    BATCH_SUFFIXES,
    CODE,
    CODE_NAMES,
    DIRECTIVE_SUFFIXES,
    DOCKERFILE,
    DOCKERFILE_STYLE,
    EARTHFILE_STYLE,
    JSON_SUFFIXES,
    LINES,
    SETTINGS,
    TEMPLATE_STYLE,
    TEMPLATE_SUFFIXES,
    USES_NOTHING,
    XML_SUFFIXES,
    YAML_SUFFIXES,
)
from .lines import PLAIN, Style, read_lines
from .loops import note_loops, note_set
from .pinned import NOT_LISTED, Found, Problem, found_in, merged
from .preparing import (
    OF_SCIENCE,
    with_aliases,
    with_attributes,
    with_directives,
    with_escapes,
    with_expressions,
    with_loops,
    with_quotes,
    without_blocks,
    without_inner_quotes,
)
from .references import RegistryNames, find_references
from .scopes import DOCUMENTS, Scope
from .syntax import BadSyntax, Event, json_events, json_events_of_lists, template_events, xml_events, yaml_events

MAX_FILE_BYTES = 100 * 1024 * 1024
"""The largest file, or standard input, that is read. A list of all pods of a large cluster has half of that."""

STANDARD_INPUT = '<stdin>'

Events = Callable[[str], Iterator[Event]]

_CONTROLS = bytes(set(range(32)) - set(b'\t\n\r\f\x1b\x1a\x0b\x08'))
_ARCHIVES = (b'\x1f\x8b', b'PK\x03\x04')
_ARCHIVE_SUFFIXES = ('.tgz', '.gz', '.zip')
_SAMPLE = 4096
_MOST_CODE = 4 * 1024 * 1024
"""Longer texts in code are searched line by line: nobody writes so much by hand."""

_MOST_PATIENCE = 8 * 1024 * 1024
_SCRIPTS_WITH_BLOCKS = ('.ps1', '.psm1', '.psd1')
_MAKEFILES = ('makefile', 'gnumakefile', 'justfile')
_PLAIN_SUFFIXES = ('.txt', '.out', '.text')
"""Nobody calls YAML so: where it is none, it only looked like it."""

_DEEPEST_INSIDE = 3
_SHORTEST_INSIDE = 4

_YAML_LINE = re.compile(r'\s*(?:- )*["\']?[A-Za-z_$.][\w ./$-]{0,80}["\']?:(?:\s|\Z)|\s*-(?:\s|\Z)|\s*#|---|%YAML')
_KEY_LINE = re.compile(r'\s*(?:- )*["\']?[A-Za-z_$.][\w ./$-]{0,80}["\']?:(?:\s|\Z)')
_UNQUOTED_DIRECTIVE = re.compile(r'^[ ]*(?:- )?(?:[\w."\'-]{1,80}:[ ]+)?\{\{(?!\{)', re.MULTILINE)
_STARTS_SECTION = re.compile(r'\[[A-Za-z][\w. -]{0,80}\][ \t]*\n')
_TEMPLATE_LINE = re.compile(r'\s*\{[{%#]')


def decoded(data: bytes) -> str | None:
    """The text, in whatever encoding editors and shells write; None for what is no text."""
    known = encoding_of(data)
    if known:
        encoding, mark = known
        return data[mark:].decode(encoding, 'replace')
    if data.translate(None, _CONTROLS) != data:
        return None
    try:
        return data.decode('utf-8')
    except UnicodeDecodeError:
        return data.decode('latin-1')  # references are plain ASCII in all of its relatives


def read_pins(data: bytes, source: str, names: RegistryNames, beside: Scope | None = None) -> Found:
    """What a file pins; `source` is its path, or STANDARD_INPUT, `beside` has the values of files that belong to it."""
    if len(data) > MAX_FILE_BYTES:
        return Found(problems=(Problem(f'it is larger than {MAX_FILE_BYTES // 2**20} MiB and was not read', source),))
    text = decoded(data)
    if text is None:
        return _binary(data, source, names)
    if '\r' in text:
        text = text.replace('\r\n', '\n').replace('\r', '\n')
    try:
        reader = _File(source, names, beside)
        reader.read(text)
        found = reader.collector.found()
        if reader.collector.explains or len(text) > _MOST_CODE:
            return found
        return replace(found, words=(words_of(text, source, names, found.pins),))
    except RecursionError:
        found = merged(
            found_in(find_references(line, names), source, number) for number, line in enumerate(text.split('\n'), 1)
        )
        problem = Problem('it is nested too deeply; only what looks like an image was found in it', source)
        return merged((found, Found(problems=(problem,))))


def read_document(text: str, source: str, names: RegistryNames, is_json: bool) -> Found:
    """What a document of a live system pins; a text that is not what it should be is a problem."""
    reader = _File(source, names, None)
    problem = reader.read_events(text, json_events if is_json else yaml_events)
    found = reader.collector.found()
    return merged((found, Found(problems=(Problem(str(problem), source, problem.line),)))) if problem else found


def _binary(data: bytes, source: str, names: RegistryNames) -> Found:
    """What looks like an image in bytes that are no text; an archive that does not name the registry may hide some."""
    text = data.decode('latin-1')
    if not any(host in text.lower() for host in names.hosts):
        if data.startswith(_ARCHIVES) and source.lower().endswith(_ARCHIVE_SUFFIXES):
            return Found(problems=(Problem('it is an archive, and nothing in it was read', source, 0, NOT_LISTED),))
        return Found()
    found = merged(found_in(find_references(line, names), source) for line in text.split('\n') if '/' in line)
    return Found(
        tuple(replace(pin, line=0) for pin in found.pins),
        (Problem('it is not text; only what looks like an image was found in it', source),),
    )


class _File:
    """Reads one file, and the documents inside of its texts."""

    def __init__(self, source: str, names: RegistryNames, beside: Scope | None) -> None:
        self.collector = Collector(source, names)
        self._source = source
        self._beside = beside
        self._depth = 0

    def read(self, text: str) -> None:
        self.collector.patient = len(text) <= _MOST_PATIENCE
        path = PurePath(self._source)
        suffix, name = path.suffix.lower(), path.name.lower()
        for host in self.collector.names.hosts:  # Enroot and Pyxis: `myreg.azurecr.io#team/app:1`
            text = text.replace(f'{host}#', f'{host}/') if f'{host}#' in text else text
        if len(text) <= _MOST_CODE:
            text = without_inner_quotes(text)
        if suffix in DIRECTIVE_SUFFIXES:
            text = with_directives(text)
        elif suffix in OF_SCIENCE:
            text = OF_SCIENCE[suffix](text)
        elif suffix in BATCH_SUFFIXES:
            text = with_loops(text)
        elif suffix in ('.bicep', '.bicepparam'):
            text = with_aliases(text, self._beside)
        if len(text) <= _MOST_CODE:
            loops = Scope(self._beside)
            note_loops(text, loops)
            note_set(text, loops)
            self.collector.bases = self._beside.bases if self._beside else ()
            self._beside = self.collector.around = Scope(loops, children={DOCUMENTS: []})
        self.collector.explains = USES_NOTHING.match(name) is not None
        if DOCKERFILE.match(name):
            self._lines(text, EARTHFILE_STYLE if name.startswith('earthfile') else DOCKERFILE_STYLE)
        elif suffix in CODE or name in CODE_NAMES or name.startswith('jenkinsfile'):
            self._code(with_quotes(text), CODE.get(suffix) or CODE_NAMES.get(name, ('//',)))
        elif name in _MAKEFILES:
            self._lines(text, PLAIN)
        elif suffix in _SCRIPTS_WITH_BLOCKS:
            self._powershell(text)
        elif suffix in LINES:
            self._lines(with_attributes(text) if suffix == '.adoc' else text, LINES[suffix])
        elif suffix in JSON_SUFFIXES:
            self._try_json(text)
        elif suffix in YAML_SUFFIXES:
            self._try_yaml(text)
        elif suffix in XML_SUFFIXES and text.lstrip()[:1] == '<':
            self._events(text, xml_events)
        else:
            self._by_look(text, suffix)

    def _by_look(self, text: str, suffix: str) -> None:
        start = text[:_SAMPLE].lstrip()
        if start.startswith(('{', '[')) and not start.startswith(('{{', '{%', '{#')) and _is_json(start):
            self._try_json(text)
        elif start.startswith('<?xml'):
            self._events(text, xml_events)
        elif suffix in TEMPLATE_SUFFIXES and looks_like_yaml(text, 0.4):
            self._template(text)
        elif suffix not in ('.sh', '.bash', '.zsh', '.mk', '.env') and looks_like_yaml(text):
            self._try_yaml(text, is_guess=suffix in _PLAIN_SUFFIXES)
        else:
            self._lines(text, TEMPLATE_STYLE if suffix in TEMPLATE_SUFFIXES else PLAIN)

    def _try_json(self, text: str) -> None:
        problem = self.read_events(text, json_events)
        if problem and self._source.endswith('.json5'):  # with keys without quotes
            self._restart()
            self._code(text, ('//',))
        elif problem:
            self._searched(text, problem)

    def _try_yaml(self, text: str, is_guess: bool = False) -> None:
        text = with_expressions(text)
        if '{{' in text and _UNQUOTED_DIRECTIVE.search(text):  # YAML takes it for a mapping of a mapping
            self._template(text)
            return
        if text[:_SAMPLE].lstrip().startswith(('{', '[')):
            if self.read_events(text, json_events) is None:
                return
            self._restart()
        problem = self.read_events(text, yaml_events)
        if problem and '{{' in text or problem and '{%' in text:
            self._restart()
            self._template(text)
        elif problem and is_guess:
            self._restart()
            self._lines(text, Style(assigns=False))
        elif problem:
            self._searched(text, problem)

    def _restart(self) -> None:
        """Forget what was found: the file is read again as something else."""
        around = self.collector.around
        explains, bases = self.collector.explains, self.collector.bases
        self.collector = Collector(self._source, self.collector.names)
        self.collector.around, self.collector.explains, self.collector.bases = around, explains, bases

    def _template(self, text: str) -> None:
        """YAML with the directives of Helm or Jinja; what is no YAML without them either is read line by line."""
        problem = self.read_events(text, template_events)
        if problem:
            read_lines(text, self.collector, self.inside, TEMPLATE_STYLE, self._beside)

    def _events(self, text: str, events: Events) -> None:
        problem = self.read_events(text, events)
        if problem:
            self._searched(text, problem)

    def read_events(self, text: str, events: Events) -> BadSyntax | None:
        if events is json_events and not self.collector.patient:
            events = json_events_of_lists
        computed = self.collector.patient and uses_intrinsics(text)
        stream = without_intrinsics(events(text)) if computed else events(text)
        try:
            read_events(stream, self.collector, self.inside, outer=self._beside)
        except BadSyntax as error:
            return error
        return None

    def _searched(self, text: str, problem: BadSyntax) -> None:
        message = f'{printable(str(problem))}; it was searched as text'
        self.collector.say(Problem(message, self._source, problem.line))
        read_lines(with_escapes(text), self.collector, self.inside, Style(assigns=False), self._beside)

    def _code(self, text: str, comments: tuple[str, ...]) -> None:
        text = with_escapes(text)
        if len(text) > _MOST_CODE:
            self._lines(text, PLAIN)
        else:
            read_code(text, self.collector, self.inside, comments, self._beside)

    def _powershell(self, text: str) -> None:
        """Read it as code and as lines: code has tables and arrays in brackets, lines have commands without quotes."""
        text = without_blocks(text)
        names = read_code(text, self.collector, self.inside, ('#',), self._beside)
        read_lines(text, self.collector, self.inside, Style(('#',), ('`',)), names)

    def _lines(self, text: str, style: Style) -> None:
        read_lines(with_escapes(text), self.collector, self.inside, style, self._beside)

    def inside(self, text: str, line: int, scope: Scope) -> bool:
        """Read a document that stands as a text inside of another; False where it is none."""
        if self._depth >= _DEEPEST_INSIDE or len(text) < _SHORTEST_INSIDE:
            return False
        self._depth += 1
        try:
            return self._inside(text, line, scope)
        finally:
            self._depth -= 1

    def _inside(self, text: str, line: int, scope: Scope) -> bool:
        start = text.lstrip()
        if start.startswith(('{', '[')) and not start.startswith('{{') and not _STARTS_SECTION.match(start):
            return _is_json(start) and self._inner(text, line, scope, json_events)
        if '\n' not in text:
            return ' --' in text and self._script(text, line, scope)
        if looks_like_yaml(text, 0.9) and self._inner(text, line, scope, yaml_events):
            return True
        return ('=' in text or '--' in text) and self._script(text, line, scope)

    def _script(self, text: str, line: int, scope: Scope) -> bool:
        style = SETTINGS if _STARTS_SECTION.match(text.lstrip()) else PLAIN
        read_lines(with_escapes(text), self.collector, self.inside, style, scope, line)
        return True

    def _inner(self, text: str, line: int, scope: Scope, events: Events) -> bool:
        moved = (event._replace(line=event.line + line - 1) for event in events(text))
        try:
            read_events(list(moved), self.collector, self.inside, scope)
        except BadSyntax:
            return False
        return True


def looks_like_yaml(text: str, share: float = 0.6) -> bool:
    """Whether most lines of the beginning are keys and items, and at least one is a key."""
    lines = [line for line in text[:_SAMPLE].split('\n')[:60] if line.strip()]
    lines = [line for line in lines if not _TEMPLATE_LINE.match(line)]
    if not any(_KEY_LINE.match(line) for line in lines):
        return False
    indented = 0
    good = 0
    for line in lines:
        if _YAML_LINE.match(line):
            good += 1
        elif line[:1] in ' \t' and good:  # inside of a block, most likely
            indented += 1
    return good + indented / 2 >= share * len(lines) and good > 0


def _is_json(start: str) -> bool:
    return re.match(r'[{\[]\s*(?:["{\[}\]/]|-?\d|true|false|null)', start) is not None


def read_scopes(text: str, source: str, names: RegistryNames) -> tuple[Scope, ...]:
    """What the documents of a file say, for files that take values from it."""
    text = text.replace('\r\n', '\n').replace('\r', '\n')
    try:
        reader = _File(source, names, None)
        reader.read(text)
    except RecursionError:
        return ()
    around = reader.collector.around
    return tuple(around.children.get(DOCUMENTS, ())) if around else ()
