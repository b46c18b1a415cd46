"""What soft delete brings back under no tag gets one by itself, and the image that is to have that tag has it then."""

from __future__ import annotations

import time

import pytest

from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.pure.lost import as_kept, by_node
from azext_acrprune.archive.undelete import what_is_kept
from azext_acrprune.policy.flags import Flags, policy_of
from tests.wire.plain import undelete
from tests.wire.test_hidden import APP, image
from tests.wire.test_unseen_changes import archived, restored, ruled


@pytest.fixture
def client(connect):
    return connect()


def test_of_two_that_had_a_tag_the_later_one_has_it_from_soft_delete(registry, client):
    storage = registry.storage
    storage.soft_delete_days = 7
    image(storage, 'other', 'x')
    digests = []
    for name in ('first', 'last'):
        digests.append(image(storage, name, 'v1'))
        storage.delete_manifest(APP, digests[-1])
        time.sleep(0.02)
    found = [each for each, _ in as_kept(client.loop.run(what_is_kept(client.real, [APP], 4)), {})]
    back = undelete(client, found, by_node(found), False, False)
    assert set(digests) < set(storage.manifests(APP)) and not back.failed and not back.skipped and not back.moved
    assert storage.tag(APP, 'v1').digest == digests[-1] and back.tags == [(APP, 'v1', digests[-1])]


def test_of_two_that_had_a_tag_the_later_one_has_it_from_an_archive(registry, client, tmp_path):
    storage, target = registry.storage, DirectoryArchive(str(tmp_path / 'archive'))
    storage.soft_delete_days = 7
    image(storage, 'other', 'x')
    digests = []
    for number in (1, 2):
        digests.append(image(storage, f'image {number}', 'v1'))
        policy = policy_of(Flags(match=('team/app:v1',), ago='0', untagged=True))
        archived(client, target, ruled(client, policy), f'2026-01-0{number}T00:00:00Z')
    back = restored(client, target)()
    assert set(digests) < set(storage.manifests(APP)) and not back.failed and not back.moved
    assert storage.tag(APP, 'v1').digest == digests[-1] and back.tags == [(APP, 'v1', digests[-1])]
