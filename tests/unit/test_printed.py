"""Every command in a message of the source is whole: az's own parser takes it. So is each that a test has az print."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import azext_acrprune
from tests.registry.printed import mentions, printed_commands, unknown_in, wrong_with

_PLACEHOLDER = re.compile(r'\{target\}|\{0\.\w+\}|%s')
_SOURCE = Path(azext_acrprune.__file__).parent


@cache
def strings() -> dict[Path, list[str]]:
    """The strings of each file of the source that may speak of a command."""
    read = {path: path.read_text(encoding='utf-8') for path in sorted(_SOURCE.rglob('*.py'))}
    return {path: list(texts(ast.parse(text))) for path, text in read.items() if 'az ' in text}


def texts(tree: ast.AST) -> Iterator[str]:
    """Each string, with X in place of what is put in, but no docstrings."""
    parts = {id(each) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for each in ast.walk(node)}
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield ''.join(str(part.value) if isinstance(part, ast.Constant) else 'X' for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | documentation:
            yield node.value


def commands() -> list[tuple[str, str]]:
    """(file, command) of each command in quotes, with names in place of placeholders."""
    found = {}
    for path, every in strings().items():
        for text in every:
            plain = _PLACEHOLDER.sub('X', text).replace('--name X X', '--name X --image X') if "'az " in text else ''
            found.update({(path.name, command): None for command in printed_commands(plain)})
    return list(found)


COMMANDS = commands()


def test_there_are_many():
    assert len(COMMANDS) > 20


@pytest.mark.parametrize('file, command', COMMANDS)
def test_a_command_in_a_message_is_whole(file, command):
    assert wrong_with(command) is None


def spoken_of() -> list[tuple[str, str]]:
    """(file, mention) of each command that the source or a document speaks of; what changed may have had others."""
    pages = [*_SOURCE.parent.glob('docs/*.md'), _SOURCE.parent / 'README.md', *_SOURCE.rglob('*.html')]
    said = {path: [path.read_text(encoding='utf-8')] for path in [*pages, *_SOURCE.rglob('*.yaml')]}
    said |= strings()
    found = {
        (path.name, mention): None
        for path, every in sorted(said.items())
        for text in every
        for mention in mentions(_PLACEHOLDER.sub('X', text))
    }
    return list(found)


MENTIONS = spoken_of()


def test_many_are_spoken_of():
    assert len(MENTIONS) > 60


@pytest.mark.parametrize('file, mention', MENTIONS)
def test_a_command_that_is_spoken_of_is_there_with_its_options(file, mention):
    assert unknown_in(mention) is None


@pytest.mark.parametrize('mention', ['az acr prune plann', 'az acr prune plan --outt F', 'az acr prun', 'az acr -r x'])
def test_what_is_there_under_another_name_is_unknown(mention):
    assert unknown_in(mention)


@pytest.mark.parametrize(
    'text, found',
    [
        ("See 'az acr prune history list'. Or not.", ['az acr prune history list']),
        ("with 'az acr prune archive show --archive 'my dir'' says", ["az acr prune archive show --archive 'my dir'"]),
        ('{"undo": {"command": "az acr prune undo -r x"}, "run": "az acr prune undo"}', ['az acr prune undo -r x']),
        ('undo    az acr prune undo \\\n          -r x', ['az acr prune undo -r x']),
    ],
)
def test_commands_are_found_in_messages_documents_and_tables(text, found):
    assert [' '.join(command.split()) for command in printed_commands(text)] == found


@pytest.mark.parametrize(
    'command', ['az acr prune cache clear', 'az acr prune plan -r x --out', 'az acr prun plan -r x']
)
def test_a_command_that_lacks_something_is_wrong(command):
    assert wrong_with(command)


def test_a_name_with_odd_letters_is_one_word():
    name = "team/it's odd"
    command = f'az acr prune archive show --archive {shlex.quote(name)}'
    assert list(printed_commands(f"'{command}' shows it")) == [command]
