"""One command on several registries: each by itself, whatever becomes of the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from azure.cli.core.azclierror import ForbiddenError, ManualInterrupt

from azext_acrprune.custom.fleet import in_each, in_each_registry
from azext_acrprune.show.tables import plan_rows, result_rows

NAMES = [{'registry_name': name, 'suffix': None} for name in ('one', 'two', 'three')]


class Context:
    """As much of az as it takes to set an exit code."""

    def __init__(self):
        self.ends = []
        self.data = {}

    def register_event(self, _, handler):
        self.ends.append(handler)


def work(registry_name, **_):
    if registry_name == 'two':
        raise ForbiddenError('no access to two', recommendation='Ask for it.')
    return {
        'summary': {'manifestsDeleted': 2, 'tagsDeleted': 1, 'freedBytes': 1024},
        'impact': 'exact',
        'exitReason': 'done',
    }


def test_what_fails_in_one_leaves_the_others_alone_and_the_exit_code_is_1():
    context = Context()
    answer = in_each(SimpleNamespace(cli_ctx=context), {'registry_name': NAMES}, work)
    assert answer['summary'] == {
        'registries': 3,
        'failed': 1,
        'manifestsDeleted': 4,
        'tagsDeleted': 2,
        'freedBytes': 2048,
    }
    assert [(each['registry'], bool(each['result']), each['error']) for each in answer['registries']] == [
        ('one', True, None),
        ('two', False, 'no access to two'),
        ('three', True, None),
    ]
    assert answer['registries'][1]['advice'] == 'Ask for it.'
    with pytest.raises(SystemExit) as ended:
        context.ends[0]()
    assert ended.value.code == 1
    for rows in (plan_rows(answer), result_rows(answer)):
        assert [(row['REGISTRY'], row['MANIFESTS'], row['RESULT']) for row in rows] == [
            ('one', 2, 'done'),
            ('two', '', 'no access to two'),
            ('three', 2, 'done'),
            ('total', 4, '1 failed'),
        ]


def test_a_stop_ends_all_of_it():
    asked = []

    def stopped(registry_name, **_):
        asked.append(registry_name)
        raise ManualInterrupt('Interrupted before the work was done.')

    with pytest.raises(ManualInterrupt):
        in_each(SimpleNamespace(cli_ctx=Context()), {'registry_name': NAMES}, stopped)
    assert asked == ['one']


def test_one_registry_is_no_fleet():
    called = []

    @in_each_registry
    def command(cmd, registry_name, **kwargs):
        called.append((registry_name, kwargs))
        return {'summary': {}, 'exitReason': 'done'}

    cmd = SimpleNamespace(cli_ctx=Context())
    assert command(cmd, registry_name='one', suffix='a', ago='1d')['exitReason'] == 'done'
    assert len(command(cmd=cmd, registry_name=NAMES[:2], suffix=None, ago='1d')['registries']) == 2
    assert called == [
        ('one', {'suffix': 'a', 'ago': '1d'}),
        ('one', {'suffix': None, 'ago': '1d'}),
        ('two', {'suffix': None, 'ago': '1d'}),
    ]
