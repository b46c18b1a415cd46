"""Arguments become values, or errors that say what to write instead."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from argcomplete.completers import FilesCompleter
from azure.cli.core.azclierror import InvalidArgumentValueError
from azure.cli.core.mock import DummyCli

from azext_acrprune import AcrPruneCommandsLoader
from azext_acrprune._place_validators import refuse_empty_names
from azext_acrprune._validators import (
    validate_images,
    validate_keep,
    validate_max_rate,
    validate_repository,
    validate_time_limit,
    validate_whole_repository,
)


@pytest.mark.parametrize('given, a_minute', [(None, None), ('600/min', 600), ('1/min', 1), ('10/s', 600)])
def test_a_rate_is_calls_a_minute(given, a_minute):
    namespace = SimpleNamespace(max_rate=given)
    validate_max_rate(namespace)
    assert namespace.max_rate == a_minute


@pytest.mark.parametrize('given', ['', '600', '0/s', '-1/s', '1.5/s', '600/h', 'fast', '10 /s', '١/s', '9' * 10 + '/s'])
def test_what_is_no_rate_is_refused_with_an_example(given):
    with pytest.raises(InvalidArgumentValueError) as raised:
        validate_max_rate(SimpleNamespace(max_rate=given))
    assert '600/min' in str(raised.value.recommendations)


@pytest.mark.parametrize('given', ['soon', '', '0', '-1m', '1w'])
def test_an_error_about_a_time_limit_offers_nothing_that_is_refused(given):
    with pytest.raises(InvalidArgumentValueError) as raised:
        validate_time_limit(SimpleNamespace(time_limit=given))
    offered = re.findall(r'[0-9][0-9dhms]*', f'{raised.value} {raised.value.recommendations}'.replace(f"'{given}'", ''))
    assert '45m' in offered
    for text in offered:
        validate_time_limit(SimpleNamespace(time_limit=text))


@pytest.mark.parametrize('image', ['team/app:v1', 'team/app@sha256:012c17e4ec1b', 'team/**:pr-*'])
def test_an_image_where_repositories_are_asked_for_is_told_what_to_give_instead(image):
    with pytest.raises(InvalidArgumentValueError) as raised:
        validate_repository(SimpleNamespace(repository=['web/*', image]))
    given = re.search("Give '(.+?)'", str(raised.value.recommendations))[1]
    validate_repository(SimpleNamespace(repository=[given]))


@pytest.mark.parametrize('host', ['localhost:45111', 'contoso.azurecr.io', 'contoso-a1b2.azurecr.io'])
def test_a_name_with_its_registry_before_it_is_told_to_leave_that_out(host):
    said = f"begins with the name of a registry; leave out '{host}/'"
    with pytest.raises(InvalidArgumentValueError, match=said):
        validate_images(SimpleNamespace(images=[f'{host}/team/api:v1']))
    with pytest.raises(InvalidArgumentValueError, match=said):
        validate_repository(SimpleNamespace(repository=[f'{host}/team/api']))
    with pytest.raises(InvalidArgumentValueError, match=said):
        validate_whole_repository(SimpleNamespace(name=f'{host}/team/api'))


@pytest.mark.parametrize('name', ['keep', 'keep_semver', 'keep_untagged'])
def test_a_negative_number_is_told_of_the_option_that_has_it(name):
    with pytest.raises(InvalidArgumentValueError, match=f'^--{name.replace("_", "-")}:'):
        validate_keep(SimpleNamespace(**{name: -1}))


def test_every_option_that_completes_the_names_of_files_is_refused_when_it_names_nothing():
    for arguments in arguments_of_commands():
        for name, argument in arguments.items():
            if isinstance(argument.type.settings.get('completer'), FilesCompleter):
                with pytest.raises(InvalidArgumentValueError, match='nothing is named'):
                    refuse_empty_names(arguments, SimpleNamespace(**{name: ''}))


def arguments_of_commands():
    """The arguments of each of our commands, by their names."""
    cli = DummyCli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, commands_loader_cls=cli.commands_loader_cls, parser_cls=cli.parser_cls, help_cls=cli.help_cls
    )
    main = cli.invocation.commands_loader
    loader = AcrPruneCommandsLoader(cli)
    loader.skip_applicability = True
    main.command_table.update(loader.load_command_table([]))
    main.cmd_to_loader_map.update(dict.fromkeys(main.command_table, [loader]))
    for command in main.command_table:
        main.command_name = command
        main.load_arguments(command)
        yield main.command_table[command].arguments
