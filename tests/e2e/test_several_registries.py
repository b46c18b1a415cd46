"""Several registries in one command, in the real az."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.registry.arm import OTHER_SUBSCRIPTION
from tests.registry.auth import SUBSCRIPTION
from tests.registry.faults import Fault
from tests.registry.server import LocalRegistry

from .images import telling
from .test_archive import PRUNE


@pytest.fixture
def fleet(registry) -> Iterator[Callable[..., LocalRegistry]]:
    """Makes another registry with a name, which the resource manager of the test's registry knows too."""
    with ExitStack() as stack:
        yield lambda name, **more: registry.join(name, stack.enter_context(LocalRegistry(beside=registry)), **more)


POLICY = """version: 1
rules: [{name: untagged, match: {tagged: false}, when: {olderThan: 20d}, do: delete}]
registries: {'*2': {rules: {untagged: {when: {olderThan: 90d}}}}}
"""
TWO = ('-r', 'localhost', 'nosuchregistry')


def test_one_registry_that_cannot_be_reached_leaves_the_other_one_alone(az, registry, now):
    telling(registry.storage, now)
    az.signed_in()
    run = az(*PRUNE, 'untagged', *TWO, '--yes')
    assert run.code == 1 and 'nosuchregistry' in run.err and 'Traceback' not in run.err
    done, failed = run.json['registries']
    assert done['result']['summary']['manifestsDeleted'] == 3 and done['error'] is None
    assert failed['registry'] == 'nosuchregistry' and failed['result'] is None and failed['error']
    assert run.json['summary']['failed'] == 1 and run.json['summary']['manifestsDeleted'] == 3
    history = az(*PRUNE, 'history', 'list', *TWO, check=True).json
    assert [run['registry'] for run in history] == [registry.login_server]


def test_what_is_of_one_registry_is_refused_for_several(az):
    for more in (('--out', 'plan.json'), ('--detailed-exit-code',), ('-u', 'a', '-p', 'b'), ('--pins', '-')):
        run = az(*PRUNE, 'plan', *TWO, *more)
        assert run.code == 1 and 'is for one registry, and several' in run.err, run.err
    assert 'is named twice' in az(*PRUNE, 'plan', '-r', 'localhost', 'localhost').err


def test_what_azure_lists_is_asked_by_tag_and_by_query_each_in_its_subscription(az, registry, fleet, now, tmp_path):
    for name, more in (
        ('prod1', {'tags': {'env': 'prod', 'team': 'a'}}),
        ('prod2', {'tags': {'Env': 'prod'}, 'group': 'far', 'subscription': OTHER_SUBSCRIPTION}),
        ('test1', {'tags': {'env': 'test', 'team': 'a'}, 'group': 'other'}),
    ):
        telling(fleet(name, **more).storage, now)
    az.signed_in()

    policy = tmp_path / 'fleet.yaml'
    policy.write_text(POLICY)

    def asked(*arguments):
        return az(
            *PRUNE, 'plan', *arguments, '--query', 'registries[].[registry, result.summary.manifestsToDelete]'
        ).json

    assert asked('--all-registries', '-g', 'other', '--tag', 'env=test', 'team') == [['test1', 3]]
    query = "resources | where type =~ 'microsoft.containerregistry/registries' and name startswith 'prod'"
    pins = ('--pins-from', 'webapps')
    registry.resources.at['/providers/Microsoft.Web/sites'] = []
    assert asked('--query-graph', query, '--policy', str(policy), *pins) == [['prod1', 3], ['prod2', 0]]
    assert subscriptions_of_apps(registry) == {SUBSCRIPTION}
    registry.forget()
    assert asked('--query-graph', query, '--subscription', OTHER_SUBSCRIPTION, *pins) == [['prod2', 3]]
    assert subscriptions_of_apps(registry) == {OTHER_SUBSCRIPTION}


def subscriptions_of_apps(registry):
    """Which subscriptions were asked for web apps."""
    return {path.split('/')[2] for _, path, _ in registry.requests if '/Microsoft.Web/' in path}


def test_what_finds_nothing_or_something_else_is_an_error_that_says_what(az, registry):
    run = az(*PRUNE, 'plan', '--query-graph', 'resources')
    assert run.code == 1 and "'az login'" in run.err
    az.signed_in()
    run = az(*PRUNE, 'plan', '--all-registries', '--tag', 'env=test')
    assert run.code == 3 and 'No registry is found' in run.err
    run = az(*PRUNE, 'plan', '--query-graph', 'resources | nonsense')
    assert run.code == 1 and 'nonsense is not known' in run.err and 'Traceback' not in run.err
    registry.manager.graph_forbidden = True
    run = az(*PRUNE, 'plan', '--query-graph', 'resources')
    assert run.code == 1 and 'may not read' in run.err and 'Reader' in run.err


@pytest.mark.parametrize('status', [200, 400])
def test_an_answer_of_resource_graph_that_is_nested_without_end_is_an_error(az, registry, status):
    az.signed_in()
    registry.faults.rules.append(Fault('POST .*ResourceGraph', 'proxy', status=status, body=b'[' * 200_000))
    run = az(*PRUNE, 'plan', '--query-graph', 'resources')
    assert run.code == 1 and 'The registries cannot be listed' in run.err and 'Traceback' not in run.err, run.err


def test_a_fleet_of_twenty_is_done_but_for_those_that_cannot_be(az, registry, fleet, now):
    """One is down, one refuses calls for a while, one grants by repository, and one grants nothing."""
    down, throttled, abac, closed = 'fleet03', 'fleet07', 'fleet11', 'fleet15'
    members = {name: fleet(name, tags={'pruned': 'nightly'}) for name in (f'fleet{number:02}' for number in range(20))}
    told = {name: telling(member.storage, now) for name, member in members.items()}
    telling(registry.storage, now)
    members[down].stop()
    members[throttled].faults.rules += [Fault(call, 429, times=1, retry_after=1) for call in ('_catalog', 'DELETE')]
    members[abac].auth.abac = True
    members[closed].auth.service_principal.permissions = []
    az.signed_in()
    run = az(*PRUNE, 'untagged', '--all-registries', '--tag', 'pruned=nightly', '--yes')
    assert run.code == 1 and 'Traceback' not in run.err
    answers = {each['registry']: each for each in run.json['registries']}
    assert list(answers) == list(members)
    failed = {name for name, each in answers.items() if each['error'] or each['result']['exitReason'] != 'done'}
    assert failed == {down, closed}, run.err
    assert 'Could not connect' in answers[down]['error'] and 'az acr check-health' in answers[down]['advice']
    assert members[throttled].counters['throttled'] == 2
    for name, member in members.items():
        there = set(member.storage.manifests('team/app'))
        gone = {told[name].stale, *told[name].stale_children}
        assert there & gone == (gone if name in failed else set()), name
        assert {*told[name].kept} - there == {told[name].kept[-1]}  # it is in another repository
    assert told['fleet00'].stale in registry.storage.manifests('team/app')  # it is not tagged
    assert run.json['summary']['manifestsDeleted'] == 3 * 18 and run.json['exitReason'] == 'failed'


def test_usage_check_and_report_go_through_a_fleet(az, registry, fleet, now, tmp_path):
    for name in ('one', 'two'):
        telling(fleet(name).storage, now)
    az.signed_in()
    usage = az(*PRUNE, 'usage', '--all-registries', '--price', '0.003 USD', '-o', 'table', check=True)
    lines = [line.split() for line in usage.out.splitlines()]
    assert [line[:2] for line in lines[2:]] == [['localhost', '0'], ['one', '10'], ['two', '10'], ['total', '20']]
    assert lines[-1][-2:] == ['0', 'failed'] and 'COST_A_MONTH' in lines[0]
    check = az(*PRUNE, 'check', '-r', 'one', 'nosuchregistry')
    assert check.code == 1 and check.json['summary']['registries'] == 2 and check.json['exitReason'] == 'failed'
    assert check.json['registries'][0]['result']['summary']['broken'] == check.json['summary']['broken'] == 0
    page = tmp_path / 'report.html'
    state = ('--state', str(tmp_path))
    az(*PRUNE, 'plan', '-r', 'one', 'two', '--out', 'state:night', *state, check=True)
    names = ('-r', 'one', 'nosuchregistry', 'two')
    report = az(*PRUNE, 'report', *names, '--plan', 'state:night', '--out', str(page), *state)
    assert report.code == 1 and report.json['summary']['manifests'] == 20
    assert report.json['summary']['manifestsToDelete'] == 6
    assert [bool(each['result']) for each in report.json['registries']] == [True, False, True]
    text = page.read_text()
    assert '3 registries' in text and text.count('class="frame"') == 4
