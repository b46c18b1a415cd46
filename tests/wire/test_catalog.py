"""What is freed is called exact only where nothing is known to be there that was not seen."""

from __future__ import annotations

import json
import time

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.inventory.scan import Extent, UnknownRepository
from azext_acrprune.policy.patterns import glob
from azext_acrprune.policy.rules import Selection, untagged_policy
from azext_acrprune.prune_error import Kind
from azext_acrprune.registry.protocol.refusals import RegistryError
from azext_acrprune.registry.protocol.tokens import Password
from azext_acrprune.reporter import Silent
from tests.registry.faults import Fault
from tests.wire.plain import scan
from tests.wire.test_hidden import image

OTHER = 'team/other'
ONE_LAYER = 'a' * 5_000


@pytest.fixture
def shared(registry) -> tuple[str, int]:
    """A layer that garbage in one repository shares with an image in another one."""
    layer = registry.storage.put_blob(ONE_LAYER.encode()), len(ONE_LAYER)
    image(registry.storage, 'garbage', layers=[layer])
    image(registry.storage, 'kept', 'v1', layers=[layer], repository=OTHER)
    return layer


def plan(client, *asked_for: str, cached: tuple[str, ...] = ()) -> dict:
    selection = Selection(tuple(map(glob, asked_for)))
    inventory = scan(client, 'localhost', Extent(selection, cached=cached), Silent())
    return plan_document(decide(inventory, untagged_policy(), time.time_ns() // 100), 'now')


def test_all_that_the_catalog_lists_is_all_there_is(registry, connect, shared):
    assert plan(connect())['impact'] == 'exact'


def test_a_repository_that_the_catalog_hides_is_found_by_its_name_and_there_may_be_others(registry, connect, shared):
    registry.storage.hide(OTHER)
    found = plan(connect(), OTHER, 'team/app')
    assert [row['name'] for row in found['repositories']] == ['team/app', OTHER]
    assert (found['impact'], found['summary']['heldImpact']) == ('upperBound', 'lowerBound')
    assert [(each['code'], each['repository']) for each in found['warnings']] == [('hiddenRepository', OTHER)]
    with pytest.raises(UnknownRepository):
        plan(connect(), 'team/none')


def test_a_repository_that_a_token_names_and_the_catalog_hides_is_read(registry, connect, shared):
    registry.storage.hide(OTHER)
    assert plan(connect())['impact'] == 'exact'
    names = (OTHER, 'team/none', '../odd')
    registry.auth.granted_besides += [{'type': 'repository', 'name': name, 'actions': ['pull']} for name in names]
    found = plan(connect())
    assert (found['impact'], len(found['repositories'])) == ('upperBound', 2)


def test_a_repository_behind_a_cache_rule_that_the_catalog_hides_is_read(registry, connect, shared):
    registry.storage.hide(OTHER)
    found = plan(connect(), cached=(OTHER, 'team/none', 'library/*'))
    assert (found['impact'], len(found['repositories'])) == ('upperBound', 2)


def test_without_the_right_to_list_the_catalog_nothing_is_exact(registry, connect, shared):
    registry.auth.add_user('reader', 'pw', catalog=False)
    found = plan(connect(Password('reader', 'pw')), 'team/app')
    assert (found['impact'], found['summary']['heldImpact']) == ('upperBound', 'lowerBound')


def test_a_repository_that_lists_null_and_does_not_count_may_have_anything(registry, connect, shared):
    registry.faults.rules += [
        said(f'GET /acr/v1/{OTHER}/_manifests', 200, {'manifests': None}),
        said(f'GET /acr/v1/{OTHER}$', 200, {'changeableAttributes': {}}),
    ]
    assert plan(connect())['impact'] == 'upperBound'


@pytest.mark.parametrize('path', ['_manifests', '_catalog'])
def test_a_part_of_an_answer_is_no_answer(registry, connect, shared, path):
    registry.faults.rules.append(said(f'GET .*{path}', 206, {'repositories': ['team/app'], 'manifests': []}))
    with pytest.raises(RegistryError) as raised:
        plan(connect())
    assert raised.value.kind is Kind.NOT_A_REGISTRY


def said(pattern: str, status: int, document: dict) -> Fault:
    return Fault(pattern, 'proxy', status=status, body=json.dumps(document).encode())
