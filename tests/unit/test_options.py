"""The records that commands make from the arguments of az."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path

import pytest

from azext_acrprune import _params
from azext_acrprune.custom import options
from azext_acrprune.custom.options import (
    DeleteOptions,
    PaceOptions,
    PinOptions,
    RegistryOptions,
    SelectOptions,
    SignInOptions,
    plain,
    read,
)
from azext_acrprune.policy.flags import Flags
from azext_acrprune.policy.rules import BY_UPDATE

NAMED = {'registry_name': 'contoso'}


class Text(str):
    """As az marks its defaults."""


class Number(int):
    """As az marks its defaults."""


def test_an_argument_that_is_missing_or_none_has_the_default_of_its_field():
    assert read(PaceOptions, {'concurrency': None, 'other': 1}) == PaceOptions()
    assert read(PaceOptions, {'concurrency': 4}) == PaceOptions(concurrency=4)


def test_an_argument_that_says_no_is_given():
    assert read(Flags, {'keep': 0, 'untagged': False, 'filter': []}) == Flags()


def test_values_are_plain():
    assert type(plain(Text('a'))) is str and type(plain(Number(3))) is int and plain(True) is True
    assert plain([Text('a'), Text('b')]) == ('a', 'b')
    assert type(read(PinOptions, {'pins': [Text('a')]}).pins[0]) is str


def test_a_record_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        read(SignInOptions, NAMED).password = 'x'


def test_the_password_is_not_in_the_text_of_a_record():
    record = RegistryOptions.of({**NAMED, 'username': 'ci', 'password': 'secret'})
    assert record.sign_in.password == 'secret' and 'secret' not in repr(record)


def test_a_command_names_the_registry_with_its_suffix():
    assert read(SignInOptions, NAMED).target == ['contoso']
    assert read(SignInOptions, {**NAMED, 'suffix': 'a1'}).target == ['contoso', '--suffix', 'a1']


def test_only_commands_that_have_limits_are_held_to_them():
    assert DeleteOptions.of(NAMED).limits is None
    assert DeleteOptions.of({**NAMED, 'max_deletions': None, 'max_percent': None}).limits == options.LimitOptions()


def test_flags_have_their_defaults_where_a_command_has_not_all_of_them():
    flags = SelectOptions.of({'ago': None, 'repository': ['a', 'b']}).flags
    assert (flags.ago, flags.age_by, flags.repository) == ('1d', BY_UPDATE, ('a', 'b'))


def test_every_option_that_commands_share_is_in_a_record():
    records = [each for each in vars(options).values() if is_dataclass(each)]
    known = {field.name for record in (*records, Flags) for field in fields(record)}
    of_the_output = set(_params._TABLE)
    assert {name for names in _params._SHARED.values() for name in names} - known == of_the_output


COMMANDS = sorted(Path(options.__file__).parent.glob('*.py'))


@pytest.mark.parametrize('path', COMMANDS, ids=lambda path: path.stem)
def test_a_command_makes_records_of_its_arguments_and_passes_nothing_else_on(path):
    tree = ast.parse(path.read_text())
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == 'kwargs']
    made = [node for call in ast.walk(tree) if _makes_a_record(call) for node in _arguments(call)]
    assert [node.lineno for node in used if node not in made] == []


def _makes_a_record(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return getattr(function, 'attr', None) == 'of' or getattr(function, 'id', None) == 'read'


def _arguments(call: ast.Call) -> Iterator[ast.AST]:
    for argument in call.args:
        yield from [argument, *(argument.values if isinstance(argument, ast.Dict) else ())]
