"""The examples in README, docs/ and help, as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from knack.help_files import helps

import azext_acrprune._help  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]

_BLOCK = re.compile(r'^```sh\n(.*?)^```', re.M | re.S)
_PIPED = re.compile(r' \| (?=(?:[^"]*"[^"]*")*[^"]*$)')
"""A pipe, and none in a text in quotes."""
_CONTINUED = re.compile(r'\\\n\s*')

NEEDS_AZURE = ('--pins-from', '--workspace', 'azure-blob:', '--soft-deleted', '--all-registries', '--query-graph')
NEEDS_AZURE += ('prune schedule',)
"""What no local registry answers by itself: other services of Azure."""


@dataclass(frozen=True)
class Example:
    """One command line. `source` is the program whose output it reads, `target` the file that its own goes to."""

    text: str
    arguments: tuple[str, ...]
    source: str = ''
    target: str = ''

    @property
    def needs_azure(self) -> bool:
        return any(word in self.text for word in NEEDS_AZURE)

    @property
    def command(self) -> str:
        """`plan`, or `history show`."""
        words = []
        for word in self.arguments[2:]:
            if word.startswith('-'):
                break
            words.append(word)
        return ' '.join(words)


def shell_lines() -> Iterator[tuple[Path, str]]:
    """(document, line) of every shell block, without comments and with continued lines joined."""
    for document in DOCUMENTS:
        for block in _BLOCK.findall(document.read_text(encoding='utf-8')):
            for line in _CONTINUED.sub(' ', block).splitlines():
                plain = re.sub(r'(?:^|\s+)#\s.*$', '', line).strip()
                if plain:
                    yield document, plain


def examples() -> list[Example]:
    """Every example that runs `az acr prune`, once."""
    texts = [line for _, line in shell_lines()]
    for name, text in helps.items():
        if name.startswith('acr prune'):
            texts += [each['text'].strip() for each in yaml.safe_load(text).get('examples', ())]
    return [_parsed(text) for text in dict.fromkeys(texts) if 'az acr prune' in text]


def pipelines() -> dict[str, object]:
    """The YAML of each pipeline in docs/pipelines.md, by the heading that it stands below."""
    text = (ROOT / 'docs' / 'pipelines.md').read_text(encoding='utf-8')
    parts = re.findall(r'^## (.+)\n((?:(?!^## )[\s\S])+)', text, re.M)
    blocks = {heading: re.findall(r'^```yaml\n(.*?)^```', part, re.M | re.S) for heading, part in parts}
    return {heading: yaml.safe_load(block) for heading, found in blocks.items() for block in found}


def scripts(value: object) -> Iterator[str]:
    """Every script in the YAML of a pipeline, in the order of the file."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from scripts(each)
    elif isinstance(value, str) and re.search(r'^\S* ?az ', value, re.M):
        yield value


def commands_in(script: str, placeholders: Mapping[str, str]) -> list[Example]:
    """What a script runs of `az acr prune`, with values in place of what the pipeline puts in."""
    for placeholder, value in placeholders.items():
        script = script.replace(placeholder, value)
    lines = _CONTINUED.sub(' ', script).splitlines()
    return [_parsed(line[line.index('az acr prune') :]) for line in lines if 'az acr prune' in line]


def _parsed(text: str) -> Example:
    *sources, own = _PIPED.split(text)
    before = ' | '.join(sources)
    own, _, target = own.partition(' > ')
    program, *arguments = shlex.split(own)
    assert program == 'az', text
    return Example(text, tuple(arguments), before, target.strip())
