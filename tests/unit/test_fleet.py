"""One command on several registries: each by itself, whatever becomes of the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from azure.cli.core.azclierror import ForbiddenError, ManualInterrupt

from azext_acrprune.custom.fleet import in_each, in_each_registry
from azext_acrprune.custom.registries import Chosen
from azext_acrprune.show.tables import check_rows, plan_rows, result_rows
from azext_acrprune.show.usage_tables import usage_rows

NAMES = [Chosen(name) for name in ('one', 'two', 'three')]


class Context:
    """As much of az as it takes to set an exit code."""

    def __init__(self):
        self.ends = []
        self.data = {}

    def register_event(self, _, handler):
        self.ends.append(handler)


def answer_of(work, registries=NAMES, **arguments):
    """(answer, exit code) of a command on several registries."""
    context = Context()
    answer = in_each(SimpleNamespace(cli_ctx=context), registries, arguments, work)
    if not context.ends:
        return answer, 0
    with pytest.raises(SystemExit) as ended:
        context.ends[0]()
    return answer, ended.value.code


def work(registry_name, **_):
    if registry_name == 'two':
        raise ForbiddenError('no access to two', recommendation='Ask for it.')
    return {
        'summary': {'manifestsDeleted': 2, 'tagsDeleted': 1, 'freedBytes': 1024},
        'impact': 'exact',
        'exitReason': 'done',
    }


def test_what_fails_in_one_leaves_the_others_alone_and_the_exit_code_is_1():
    answer, code = answer_of(work)
    assert code == 1
    assert answer['summary'] == {
        'registries': 3,
        'failed': 1,
        'notBegun': 0,
        'impact': 'exact',
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
    for rows in (plan_rows(answer), result_rows(answer)):
        assert [(row['REGISTRY'], row['MANIFESTS'], row['RESULT']) for row in rows] == [
            ('two', '', 'no access to two'),
            ('one', 2, 'done'),
            ('three', 2, 'done'),
            ('total', 4, '1 failed'),
        ]


def test_the_error_at_the_end_has_the_advice_too_and_an_error_of_several_lines_is_one_line_of_a_table(caplog):
    def failing(registry_name, **_):
        raise ForbiddenError('no access:\nto any', recommendation='Ask for it.')

    answer, _ = answer_of(failing)
    assert 'one, two, three: no access: to any Ask for it.' in caplog.text
    assert plan_rows(answer)[0]['RESULT'] == 'no access: to any'


def test_a_mistake_of_ours_in_one_leaves_the_others_alone_too():
    def wrong(registry_name, **_):
        return {}['summary'] if registry_name == 'one' else work('three')

    answer, code = answer_of(wrong)
    assert code == 1 and "KeyError: 'summary'" in answer['registries'][0]['error']
    assert [bool(each['result']) for each in answer['registries']] == [False, True, True]


@pytest.mark.parametrize(
    'kinds, kind',
    [(['exact', 'upperBound', 'exact'], 'upperBound'), (['upperBound', 'lowerBound', 'exact'], 'unknown')],
)
def test_a_sum_is_as_exact_as_its_parts(kinds, kind):
    left = list(kinds)
    answer, _ = answer_of(lambda **_: {**work(''), 'impact': left.pop(0)})
    assert answer['summary']['impact'] == kind
    assert plan_rows(answer)[-1]['FREES'] == {'upperBound': 'at most 3.0 KiB', 'unknown': 'about 3.0 KiB'}[kind]


def test_the_money_of_all_is_one_sum_and_what_is_not_known_is_counted():
    costs = {'one': '1.2500', 'two': None, 'three': '10.0000'}

    def usage(registry_name, **_):
        cost = {'pricePerGiBDay': '0.003', 'currency': 'USD', 'perMonth': costs[registry_name]}
        summary = {'repositories': 1, 'manifests': 2, 'registryBytes': 2**30, 'unneededBytes': 2**20}
        return {'summary': summary, 'heldImpact': 'exact', 'cost': cost, 'exitReason': 'done'}

    answer, code = answer_of(usage)
    assert code == 0
    assert answer['summary']['cost'] == {
        'currency': 'USD',
        'daysPerMonth': 30,
        'perMonth': '11.2500',
        'savedPerMonth': None,
        'costsUnknown': 1,
    }
    rows = usage_rows(answer)
    assert [row['COST_A_MONTH'] for row in rows] == ['1.25 USD', '', '10.00 USD', '11.25 USD']
    assert rows[-1]['STORED'] == '3.0 GiB' and rows[0]['UNNEEDED'] == '1.0 MiB'


def test_a_registry_that_has_something_broken_stands_first():
    def check(registry_name, **_):
        broken = int(registry_name == 'three')
        summary = {'repositories': 1, 'manifests': 2, 'findings': broken, 'broken': broken}
        return {'summary': summary, 'exitReason': 'broken' if broken else 'done'}

    answer, code = answer_of(check)
    assert code == 1 and answer['exitReason'] == 'broken'
    assert [(row['REGISTRY'], row['BROKEN'], row['RESULT']) for row in check_rows(answer)] == [
        ('three', 1, 'broken'),
        ('one', 0, 'done'),
        ('two', 0, 'done'),
        ('total', 1, '0 failed'),
    ]


def test_a_stop_before_anything_was_done_ends_all_of_it():
    asked = []

    def stopped(registry_name, **_):
        asked.append(registry_name)
        raise ManualInterrupt('Interrupted before the work was done.')

    with pytest.raises(ManualInterrupt):
        answer_of(stopped)
    assert asked == ['one']


@pytest.mark.parametrize('raises', [True, False])
def test_after_a_stop_nothing_is_begun_and_the_answer_has_what_was_done(raises):
    asked = []

    def stopped(registry_name, **_):
        asked.append(registry_name)
        if registry_name == 'two' and raises:
            raise ManualInterrupt('Interrupted before the work was done.')
        return {**work('one'), 'exitReason': 'interrupted' if registry_name == 'two' else 'done'}

    answer, code = answer_of(stopped)
    assert asked == ['one', 'two'] and code == 1 and answer['exitReason'] == 'interrupted'
    first, second, third = answer['registries']
    assert first['result']['exitReason'] == 'done'
    assert (second['error'] is not None) is raises
    assert third['error'] == 'Not begun, because the command was interrupted.'
    assert (answer['summary']['failed'], answer['summary']['notBegun']) == (int(raises), 1)
    assert plan_rows(answer)[-1]['RESULT'] == f'{int(raises)} failed, 1 not begun'


def test_each_has_its_share_of_what_is_left_of_the_time_limit():
    given = []
    answer_of(lambda time_limit, **_: given.append(time_limit) or work(''), time_limit=300_000)
    assert [round(each, -3) for each in given] == [100_000, 150_000, 300_000]


def test_what_is_not_begun_in_time_is_no_failure(monkeypatch):
    now = [0.0]
    monkeypatch.setattr('time.monotonic', lambda: now[0])

    def takes_all_of_it(time_limit, **_):
        now[0] += 3 * time_limit
        return {**work(''), 'exitReason': 'timeLimit'}

    answer, code = answer_of(takes_all_of_it, time_limit=300)
    assert code == 0 and answer['exitReason'] == 'timeLimit'
    assert [each['error'] for each in answer['registries']] == [
        None,
        *['Not begun, because the time limit was reached.'] * 2,
    ]
    assert (answer['summary']['failed'], answer['summary']['notBegun']) == (0, 2)


def test_what_fails_alike_in_many_registries_is_said_once(caplog):
    def fails(registry_name, **_):
        raise ForbiddenError('Give --yes.')

    _, code = answer_of(fails, [Chosen(f'r{number}') for number in range(7)])
    assert code == 1
    assert [each.message for each in caplog.records if each.levelname == 'ERROR'] == [
        'r0, r1, r2, r3, r4 and 2 more: Give --yes. Not all was done in every registry: "registries" says what.'
    ]


def test_each_is_asked_in_its_own_subscription_and_resource_group():
    cmd, seen = SimpleNamespace(cli_ctx=Context()), []
    cmd.cli_ctx.data['subscription_id'] = 'mine'

    def note(registry_name, resource_group_name=None, **_):
        seen.append((registry_name, resource_group_name, cmd.cli_ctx.data['subscription_id']))
        return work('')

    far = Chosen('far', resource_group_name='there', subscription='other')
    in_each(cmd, [Chosen('near'), far], {'resource_group_name': 'here'}, note)
    assert seen == [('near', 'here', 'mine'), ('far', 'there', 'other')]
    assert cmd.cli_ctx.data['subscription_id'] == 'mine'


def test_one_registry_is_no_fleet():
    called = []

    @in_each_registry
    def command(cmd, registry_name, **kwargs):
        called.append((registry_name, kwargs))
        return {'summary': {}, 'exitReason': 'done'}

    cmd = SimpleNamespace(cli_ctx=Context())
    others = {'all_registries': False, 'tag': None, 'query_graph': None, 'ago': '1d'}
    assert command(cmd, registry_name='one', suffix='a', region=None, **others)['exitReason'] == 'done'
    named = [{'registry_name': name, 'suffix': None, 'region': None} for name in ('one', 'two')]
    assert len(command(cmd=cmd, registry_name=named, suffix=None, **others)['registries']) == 2
    assert called == [
        ('one', {'suffix': 'a', 'region': None, 'ago': '1d'}),
        ('one', {'suffix': None, 'region': None, 'ago': '1d'}),
        ('two', {'suffix': None, 'region': None, 'ago': '1d'}),
    ]
