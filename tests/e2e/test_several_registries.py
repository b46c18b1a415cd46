"""Several registries in one command, in the real az."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.registry.arm import OTHER_SUBSCRIPTION
from tests.registry.server import LocalRegistry

from .images import telling
from .test_archive import PRUNE


@pytest.fixture
def fleet(registry) -> Iterator[Callable[..., LocalRegistry]]:
    """Makes another registry with a name, which the resource manager of the test's registry knows too."""
    with ExitStack() as stack:
        yield lambda name, **more: registry.join(name, stack.enter_context(LocalRegistry(beside=registry)), **more)


TWO = ('-r', 'localhost', 'nosuchregistry')


def test_one_registry_that_cannot_be_reached_leaves_the_other_one_alone(az, registry, now):
    telling(registry.storage, now)
    assert az.login().code == 0
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


def test_what_azure_lists_is_asked_by_tag_and_by_query_each_in_its_subscription(az, registry, fleet, now):
    for name, more in (
        ('prod1', {'tags': {'env': 'prod', 'team': 'a'}}),
        ('prod2', {'tags': {'Env': 'prod'}, 'group': 'far', 'subscription': OTHER_SUBSCRIPTION}),
        ('test1', {'tags': {'env': 'test', 'team': 'a'}, 'group': 'other'}),
    ):
        telling(fleet(name, **more).storage, now)
    assert az.login().code == 0

    def asked(*arguments):
        return az(
            *PRUNE, 'plan', *arguments, '--query', 'registries[].[registry, result.summary.manifestsToDelete]'
        ).json

    assert asked('--all-registries', '-g', 'other', '--tag', 'env=test', 'team') == [['test1', 3]]
    query = "resources | where type =~ 'microsoft.containerregistry/registries' and name startswith 'prod'"
    assert asked('--query-graph', query) == [['prod1', 3], ['prod2', 3]]
    assert asked('--query-graph', query, '--subscription', OTHER_SUBSCRIPTION) == [['prod2', 3]]


def test_what_finds_nothing_or_something_else_is_an_error_that_says_what(az, registry):
    run = az(*PRUNE, 'plan', '--query-graph', 'resources')
    assert run.code == 1 and "'az login'" in run.err
    assert az.login().code == 0
    run = az(*PRUNE, 'plan', '--all-registries', '--tag', 'env=test')
    assert run.code == 3 and 'No registry is found' in run.err
    run = az(*PRUNE, 'plan', '--query-graph', 'resources | nonsense')
    assert run.code == 1 and 'nonsense is not known' in run.err and 'Traceback' not in run.err
    registry.manager.graph_forbidden = True
    run = az(*PRUNE, 'plan', '--query-graph', 'resources')
    assert run.code == 1 and 'may not read' in run.err and 'Reader' in run.err
