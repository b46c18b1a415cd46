"""The whole way over the wire on random registries: scan, decide, delete; what is promised is what disappears."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.reporter import Silent
from tests import oracle, worlds
from tests.examples import examples
from tests.wire.plain import execute, scan

_SETTINGS = examples(150, HealthCheck.function_scoped_fixture)


@pytest.fixture
def client(connect):
    return connect()


def as_served(world: list) -> list:
    """The world without the manifests that only refuse to be read: the local registry serves those."""
    return [
        dict(
            repository,
            manifests=[
                dict(manifest, state='read') if manifest['fault'] == 'forbidden' else manifest
                for manifest in repository['manifests']
            ],
        )
        for repository in world
    ]


def with_tags_in_no_list(world: list) -> set:
    """The repositories that count a tag which no list shows: that of an image in quarantine. Nothing goes in them."""
    return {
        repository['name']
        for repository in world
        for manifest in repository['manifests']
        if manifest['tags'] and manifest['quarantine'] not in (None, 'Passed')
    }


@_SETTINGS
@given(worlds.worlds(), worlds.including_policies)
def test_a_run_over_the_wire_frees_what_its_plan_promised_and_leaves_the_rest_whole(registry, client, world, policy):
    registry.storage = storage = worlds.to_storage(world)
    selected = tuple(repository['name'] for repository in world if repository['selected'])
    asked = untagged_policy(Age('as drawn', policy['ago']), policy['keep'], tuple(selected) or ('no-such-repository*',))
    asked = replace(asked, include=frozenset(policy['include']))
    inventory = scan(client, 'host', Extent(asked.selection), Silent())
    decision = decide(inventory, asked, worlds.NOW)
    closed = with_tags_in_no_list(world)
    safe = oracle.safe_set(as_served(world), policy, worlds.NOW)
    assert decision.doomed == {node for node in safe if node[0] not in closed}
    promised = plan_document(decision, 'now')['summary']['freedBytes']
    kept = {(name, digest) for name in storage.repositories() for digest in storage.manifests(name)} - decision.doomed
    before = storage.stored_bytes()
    result = result_document(decision, execute(client, decision, 8, Silent(), time.monotonic))
    assert result['skipped'] == result['failed'] == []
    assert {(name, digest) for name in storage.repositories() for digest in storage.manifests(name)} == kept
    assert result['summary']['freedBytes'] == promised
    if plan_document(decision, 'now')['impact'] == 'exact':
        assert before - storage.stored_bytes() == promised
