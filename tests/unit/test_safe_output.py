"""What az prints for a command is safe in every format, and JSON and YAML still say the same."""

import io
import json
import logging
from collections import OrderedDict

import pytest
import yaml
from hypothesis import given
from knack.cli import CLI
from knack.util import CommandResultItem

from azext_acrprune.show.safe import SafeFormatter, SafeOutput
from tests.unit.test_spelling import DOCUMENTS, is_safe

COMMAND = '##vso[task.complete]\n::stop-commands::x\u202e\x1b[31m\r\x9b0m'
TEXT_FORMATS = ('json', 'jsonc', 'yaml', 'yamlc', 'tsv', 'table')


@pytest.fixture(scope='module')
def cli(tmp_path_factory) -> CLI:
    cli = CLI(cli_name='az', config_dir=str(tmp_path_factory.mktemp('az')))
    cli.output = SafeOutput(cli.output)
    return cli


def printed(cli: CLI, format_type: str, result, table=None, is_query_active: bool = False) -> str:
    answer = CommandResultItem(result, table_transformer=table, is_query_active=is_query_active)
    file = io.StringIO()
    cli.output.out(answer, formatter=cli.output.get_formatter(format_type), out_file=file)
    return file.getvalue()


def lines_are_safe(text: str) -> bool:
    return all(map(is_safe, text.replace('\t', ' ').split('\n')))


@given(DOCUMENTS)
def test_json_and_yaml_say_the_same(cli, document):
    for format_type, load in (('json', json.loads), ('yaml', yaml.safe_load)):
        text = printed(cli, format_type, [document])
        assert lines_are_safe(text)
        assert load(text) == [document]


@pytest.mark.parametrize('format_type', TEXT_FORMATS)
@pytest.mark.parametrize('is_query_active', [True, False])
def test_no_format_lets_a_command_through(cli, format_type, is_query_active):
    row = OrderedDict(name=COMMAND)
    text = printed(
        cli, format_type, [row], lambda rows: [OrderedDict(NAME=each['name']) for each in rows], is_query_active
    )
    assert lines_are_safe(text)
    assert 'task.complete' in text


def test_a_text_alone_is_safe_in_tsv(cli):
    assert printed(cli, 'tsv', COMMAND).count('\n') == 1


def test_colours_of_az_stay(cli, monkeypatch):
    monkeypatch.setattr(cli, 'enable_color', True)
    for format_type in ('jsonc', 'yamlc'):
        text = printed(cli, format_type, {'name': COMMAND})
        assert '\x1b[' in text
        assert '##' not in text and '::' not in text and '\x1b[31m\r' not in text


def test_a_line_of_the_log_is_one_line_whatever_it_names():
    record = logging.LogRecord('cli', logging.WARNING, '', 0, 'two\nlines: %s, %d', (COMMAND, 3), None)
    text = SafeFormatter(logging.Formatter('%(levelname)s: %(message)s')).format(record)
    assert text.count('\n') == 1
    assert text.startswith('WARNING: two\nlines: ') and text.endswith(', 3')
    assert lines_are_safe(text)


def test_an_error_with_its_trace_is_safe():
    try:
        raise ValueError(COMMAND)
    except ValueError as error:
        record = logging.LogRecord('cli', logging.ERROR, '', 0, 'failed', (), (ValueError, error, error.__traceback__))
    assert lines_are_safe(SafeFormatter(logging.Formatter()).format(record))
