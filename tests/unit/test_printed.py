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
def strings(path: Path) -> list[str]:
    """What a file says: the strings of a module, or a document as a whole."""
    text = path.read_text(encoding='utf-8')
    return list(texts(ast.parse(text))) if path.suffix == '.py' else [text]


def texts(tree: ast.AST) -> Iterator[str]:
    """Each string, with X in place of what is put in, but no docstrings."""
    parts = {id(each) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for each in ast.walk(node)}
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield ''.join(str(part.value) if isinstance(part, ast.Constant) else 'X' for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | documentation:
            yield node.value


MODULES = [path for path in sorted(_SOURCE.rglob('*.py')) if "'az " in path.read_text(encoding='utf-8')]
PAGES = [*sorted(_SOURCE.parent.glob('docs/*.md')), _SOURCE.parent / 'README.md']
FILES = [path for end in ('html', 'yaml', 'py') for path in sorted(_SOURCE.rglob(f'*.{end}'))]
SPEAKING = [*PAGES, *(path for path in FILES if re.search("[`']az [a-z]", path.read_text(encoding='utf-8')))]


def name(path: Path) -> str:
    return path.relative_to(_SOURCE.parent).as_posix()


def commands(path: Path) -> dict[str, None]:
    """Each command in quotes in a module, with names in place of placeholders."""
    plain = [
        _PLACEHOLDER.sub('X', text).replace('--name X X', '--name X --image X')
        for text in strings(path)
        if "'az " in text
    ]
    return dict.fromkeys(command for text in plain for command in printed_commands(text))


def test_there_are_many():
    assert len({command for path in MODULES for command in commands(path)}) > 40


@pytest.mark.parametrize('path', MODULES, ids=name)
def test_a_command_in_a_message_is_whole(path):
    assert [wrong for command in commands(path) if (wrong := wrong_with(command))] == []


def spoken_of(path: Path) -> dict[str, None]:
    """Each command that a file speaks of; where a comment tells what changed, it may have had others."""
    return dict.fromkeys(mention for text in strings(path) for mention in mentions(_PLACEHOLDER.sub('X', text)))


def test_many_are_spoken_of():
    assert len({mention for path in SPEAKING for mention in spoken_of(path)}) > 60


@pytest.mark.parametrize('path', SPEAKING, ids=name)
def test_a_command_that_is_spoken_of_is_there_with_its_options(path):
    assert [unknown for mention in spoken_of(path) if (unknown := unknown_in(mention))] == []


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
