"""Archive, delete and restore over the wire on random registries; what can come back is read naively too."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.pure.choose import choose
from azext_acrprune.archive.pure.contents import NOT_ARCHIVED
from azext_acrprune.archive.pure.layout import parse_index
from azext_acrprune.archive.push import Restored
from azext_acrprune.archive.stored import read_archive
from azext_acrprune.archive.write import estimate
from azext_acrprune.decide.decision import decide
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Selection
from azext_acrprune.reporter import Silent
from tests import oracle, worlds
from tests.examples import examples
from tests.registry import skopeo
from tests.registry.faults import Fault
from tests.wire.plain import archive, execute, push, scan

HOST = 'test.azurecr.io'
_SETTINGS = examples(20, HealthCheck.function_scoped_fixture)


@pytest.fixture
def client(connect):
    return connect()


def doom(client, untagged):
    """A decision that takes all it may, locked content too; without `untagged` only tags go."""
    policy = policy_of(Flags(match=('**:*',), ago='0', untagged=untagged, include_locked=True))
    inventory = scan(client, HOST, Extent(policy.selection, tags=True), Silent())
    return decide(inventory, policy, worlds.NOW)


def seen(storage):
    """{(repository, digest): (bytes, type, locks)} and {(repository, tag): (digest, locks)}, ghosts apart."""
    manifests = {
        (name, digest): (record.data, record.media_type, dict(record.flags))
        for name in storage.repositories()
        for digest, record in storage.manifests(name).items()
        if not record.ghost
    }
    tags = {
        (name, tag): (held.digest, dict(held.flags))
        for name in storage.repositories()
        for tag, held in storage.tags(name).items()
        if (name, held.digest) in manifests
    }
    return manifests, tags


def hopeless(storage):
    """What a registry does not take back, read naively: an index without a child, and what needs such a one."""
    found = set()
    for name in storage.repositories():
        records = {digest: record for digest, record in storage.manifests(name).items() if not record.ghost}
        lost = {
            digest
            for digest, record in records.items()
            if any(child['digest'] not in records for child in record.children)
        }
        while True:
            more = {
                digest
                for digest, record in records.items()
                if digest not in lost
                and (
                    any(child['digest'] in lost for child in record.children)
                    or record.subject in lost
                    or any(oracle.attached_to(tag, as_plain(record)) in lost for tag in storage.tags_on(name, digest))
                )
            }
            if not more:
                break
            lost |= more
        found |= {(name, digest) for digest in lost}
    return found


def as_plain(record):
    """What the oracle asks about a manifest."""
    return {'digest': record.digest, 'media_type': record.media_type, 'state': 'read', 'document': record.document}


def archived(target):
    return {(record.repository, record.tag or record.digest) for record in parse_index(target.index()).records}


def is_pullable_by_others(storage, repository, digest):
    """Whether skopeo can copy it: the worlds give wrong sizes to children, and foreign layers are nowhere."""
    record = storage.manifests(repository)[digest]
    return (
        record.media_type == worlds.OCI_IMAGE
        and not storage.whole(repository, digest)
        and 'urls' not in str(record.document)
    )


@_SETTINGS
@given(worlds.tagged_worlds(), st.booleans())
def test_every_manifest_tag_and_lock_comes_back(registry, client, world, untagged):
    registry.storage = storage = worlds.to_storage(world, with_bytes=True)
    decision = doom(client, untagged)
    manifests, tags = seen(storage)
    lost = hopeless(storage)
    with tempfile.TemporaryDirectory() as name:
        target = DirectoryArchive(str(Path(name) / 'archive'))
        promised = estimate(target, decision, True)
        safe = archive(client, target, decision, True, '2026-01-01', 8, Silent())
        assert estimate(target, decision, True).missing == 0 or safe.skipped
        assert promised.missing == promised.size
        outcome = execute(client, safe.decision, 8, Silent(), time.monotonic)
        assert not outcome.failed
        gone, _ = seen(storage)
        deleted = set(manifests) - set(gone)
        assert deleted <= archived(target)
        assert set(tags) - set(seen(storage)[1]) <= archived(target)
        restored(client, target)
        assert not restored(client, target).locked or lost, 'what has its locks is not changed again'
        back, back_tags = seen(storage)
        assert {node: back.get(node) for node in manifests if node not in lost} == {
            node: value for node, value in manifests.items() if node not in lost
        }
        assert {tag: back_tags.get(tag) for tag, (digest, _) in tags.items() if (tag[0], digest) not in lost} == {
            tag: value for tag, value in tags.items() if (tag[0], value[0]) not in lost
        }
        pullable = sorted(node for node in deleted - lost if is_pullable_by_others(storage, *node))
        if pullable and skopeo.INSTALLED:
            done = skopeo.pull(registry, '@'.join(pullable[0]), f'oci:{Path(name) / "pulled"}:x')
            assert done.returncode == 0, done.stderr


def restored(client, target):
    records = read_archive(target, HOST) if parse_index(target.index()).records else None
    if records:
        inventory = scan(client, HOST, Extent(Selection()), Silent())
        chosen = choose(records.records, records.kept, records.blobs, inventory, None)
        return push(client, target, chosen, 8, Silent())
    return Restored()


@_SETTINGS
@given(worlds.tagged_worlds(), st.integers(0, 2**32), st.sampled_from([404, 'garbage', 'truncated', 501]))
def test_nothing_goes_that_could_not_be_archived_and_what_it_needs_stays(registry, client, world, number, fault):
    registry.storage = storage = worlds.to_storage(world, with_bytes=True)
    decision = doom(client, True)
    blobs = sorted(
        blob for name in storage.repositories() for record in storage.manifests(name).values() for blob in record.blobs
    )
    broken = blobs[number % len(blobs)] if blobs else 'none'
    whole = {
        (name, digest)
        for name in storage.repositories()
        for digest in storage.manifests(name)
        if storage.whole(name, digest) == []
    }
    before = seen(storage)[0]
    registry.faults.rules.append(Fault(f'GET .*/blobs/{broken}', fault))
    with tempfile.TemporaryDirectory() as name:
        target = DirectoryArchive(name)
        safe = archive(client, target, decision, True, '2026-01-01', 8, Silent())
        registry.faults.clear()
        execute(client, safe.decision, 8, Silent(), time.monotonic)
        after = seen(storage)[0]
        deleted = set(before) - set(after)
        assert deleted <= archived(target)
        assert all(broken not in storage_blobs(data) for node, (data, _, _) in before.items() if node in deleted)
        assert all(storage.whole(*node) == [] for node in whole & set(after)), 'what stays is whole'
        assert {each.reason for each in safe.skipped} <= {NOT_ARCHIVED, 'childOf', 'referrerOf', 'subjectOf'}
        for digest in target.sizes():
            assert target.holds(digest)


def storage_blobs(data):
    from tests.registry.records import blobs_of, parse_document

    return blobs_of(parse_document(data))
