"""The commands in what az printed, and what az's own parser says of them.

A user pastes them. So each has to be whole: a command that there is, with options that it has and values for them.
"""

from __future__ import annotations

import importlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr
from functools import cache
from itertools import takewhile
from typing import Any

from azure.cli.core.mock import DummyCli

from azext_acrprune import COMMAND_LOADER_CLS as Ours

_QUOTED = re.compile(r"(?<!\w)'(?=az [a-z])")
_LINE = re.compile(r'^\s*(?:undo\s+)?(az [a-z][a-z-]* .*)$')
_CONTINUED = re.compile(r' \\\n\s*')
_QUOTE_IN_QUOTES = "'\"'\"'"
_MENTION = re.compile(r"(?:`|(?<!\w)')(az [a-z][^`'\n]*)[`']")
_OPTION = re.compile(r'--?[a-z][a-z-]*')
_WORD = re.compile(r'[a-z][a-z0-9-]*')
_OF_EVERY_COMMAND = {'--help', '-h', '--output', '-o', '--query', '--subscription', '--only-show-errors', '--debug'}
_IN_NO_MODULE = ('login', 'containerapp')
"""`az login` takes nothing here; the other is an extension, which az offers to install."""
_MODULES = {'aks': 'acs', 'account': 'profile', 'rest': 'util'}
"""The modules of az that are not called like their commands."""


def printed_commands(text: str) -> Iterator[str]:
    """Each command in quotes, in a string of a JSON document, or on a line of its own."""
    try:
        yield from _in_document(json.loads(text))
        return
    except ValueError:
        pass
    text = _CONTINUED.sub(' ', text)
    for line in text.splitlines():
        alone = _LINE.match(line)
        if alone:
            yield alone[1].strip()
        else:
            yield from (_to_the_quote(line[match.end() :]) for match in _QUOTED.finditer(line))


def mentions(text: str) -> Iterator[str]:
    """What a text has in quotes or backticks that begins as a command of az does: it speaks of it at least."""
    yield from (match[1] for match in _MENTION.finditer(' '.join(text.split())))


def unknown_in(mention: str) -> str | None:
    """What in a mention is neither a command or group of az nor an option of the command; None where all is known.

    What a command needs may be missing: for what can be pasted there is `wrong_with`.
    """
    _, *words = mention.split()
    if words[0] in _IN_NO_MODULE:
        return None
    name = ' '.join(takewhile(_WORD.fullmatch, words)).removesuffix(' show-schema')  # below each command of ours
    main = _loader(words[0])
    if name in main.command_table:
        main.load_arguments(name)
        arguments = main.command_table[name].arguments.values()
        known = {str(option) for each in arguments for option in each.options_list or ()} | _OF_EVERY_COMMAND
    else:
        known = {'-h'} if name in main.command_group_table else set()
        if not known:
            return f'there is no such command: {mention}'
    unknown = {word.partition('=')[0] for word in words if _OPTION.match(word)} - known
    return f'it has no {min(unknown)}: {mention}' if unknown else None


def _in_document(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _in_document(each)
    elif isinstance(value, str):
        yield from [value] if value.startswith('az acr ') and ' -' in value else ()
        yield from (_to_the_quote(value[match.end() :]) for match in _QUOTED.finditer(value))


def _to_the_quote(text: str) -> str:
    """The text before the quote that ends it; a quote where a word begins is one of the command itself."""
    end = 0
    while end < len(text) and text[end] != "'":
        end = _after_quoted(text, end + 1) if text[end : end + 2] == " '" else end + 1
    return text[:end]


def _after_quoted(text: str, start: int) -> int:
    """Where a word in quotes ends, which has a quote of its own as shlex writes it."""
    end = text.find("'", start + 1)
    while end >= 0 and text[end : end + 5] == _QUOTE_IN_QUOTES:
        end = text.find("'", end + 5)
    return len(text) if end < 0 else end + 1


def hold_to_parser(text: str) -> None:
    """Raise AssertionError where az printed a command in a text that az itself does not take."""
    for command in printed_commands(text):
        assert wrong_with(command) is None, f'az prints a command that cannot be pasted: {wrong_with(command)}'


def wrong_with(command: str) -> str | None:
    """What az's parser has against a command, None where it is whole."""
    words = shlex.split(command)
    if words[1] in _IN_NO_MODULE:
        return None
    name = _name_of(words[1:])
    if name is None:
        return f'there is no such command: {command}'
    if name.startswith('acr manifest ') and not {'-n', '--name'} & set(words):  # its parser has nobody name one
        return f'it names no repository: {command}'
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            _parser(name).parse_args(words[1:])
    except SystemExit:
        return f'az does not take it: {command} {said.getvalue()}'
    return None


def _name_of(words: list[str]) -> str | None:
    """The longest beginning of the words that is a command."""
    table = _loader(words[0]).command_table
    names = (' '.join(words[:length]) for length in range(len(words), 0, -1))
    return next((name for name in names if name in table), None)


@cache
def _loader(module: str) -> Any:
    """The command table of one module of az; that of `acr` has ours too."""
    cli = DummyCli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, commands_loader_cls=cli.commands_loader_cls, parser_cls=cli.parser_cls, help_cls=cli.help_cls
    )
    main = cli.invocation.commands_loader
    found = importlib.import_module(f'azure.cli.command_modules.{_MODULES.get(module, module)}').COMMAND_LOADER_CLS
    for loader_class in (found, *([Ours] if module == 'acr' else [])):
        loader = loader_class(cli_ctx=cli)
        loader.skip_applicability = True
        table = loader.load_command_table(None)
        main.command_table.update(table)
        main.command_group_table.update(loader.command_group_table)
        main.cmd_to_loader_map.update(dict.fromkeys(table, [loader]))
    return main


@cache
def _parser(name: str) -> Any:
    """az's parser of one command."""
    main = _loader(name.split()[0])
    main.command_name = name
    main.load_arguments(name)
    vars(main.command_table[name]).setdefault('command_source', None)  # some commands of az lack it
    parser = main.cli_ctx.parser_cls(cli_ctx=main.cli_ctx, prog='az', parents=[main.cli_ctx.invocation._global_parser])
    one = type('One', (), {'command_table': {name: main.command_table[name]}})()
    one.command_group_table = main.command_group_table
    one.cli_ctx = main.cli_ctx
    parser.load_command_table(one)
    return parser
