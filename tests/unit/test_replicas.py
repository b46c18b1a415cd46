"""One repository as several replicas show it, and what a log of all of them says was changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.drift import check_drift
from azext_acrprune.decide.replicas import merged_manifests, merged_tags, with_changes
from azext_acrprune.model import Locks, Tag
from azext_acrprune.pins.changed import Changed, changed_of
from azext_acrprune.policy.rules import Age, Settling, untagged_policy
from tests import worlds
from tests.worlds import DAY, NOW, image, index, repository_of

POLICY = replace(untagged_policy(Age('0', 0)), settling=Settling(DAY, 'several regions'))
LOCKED = Locks(delete_enabled=False)


def listed(*manifests):
    return worlds.to_repository(repository_of(*manifests)).manifests


def one_of(*views):
    (manifest,) = merged_manifests(views).values()
    return manifest


def test_a_manifest_has_the_tags_locks_and_quarantine_of_every_replica_and_the_newest_time():
    old = image('a', tags=['v1'], age=9 * DAY)
    here, there = (
        listed(old),
        listed({**old, 'tags': ['v2'], 'updated': old['updated'] + DAY * worlds.TICKS, 'quarantine': 'Failed'}),
    )
    there = {digest: manifest._replace(locks=LOCKED) for digest, manifest in there.items()}
    for views in ((here, there), (there, here)):
        merged = one_of(*views)
        assert (merged.tags, merged.locks, merged.quarantine) == (('v1', 'v2'), LOCKED, 'Failed')
        assert merged.updated_at == old['updated'] + DAY * worlds.TICKS


def test_what_one_replica_does_not_show_has_no_time():
    assert one_of(listed(image('a')), {}).updated_at is None
    assert one_of(listed(image('a')), listed(image('a', age=None))).updated_at is None
    assert one_of(listed(image('a')), listed(image('a'))).updated_at is not None


def tag(digest, updated=NOW - 9 * DAY, locks=Locks()):
    return {'v1': Tag('v1', digest, 'a time', updated, updated, locks)}


def test_a_tag_is_without_a_time_unless_every_replica_has_it_on_the_same_manifest():
    assert merged_tags([tag('a'), tag('a')])['v1'] == tag('a')['v1']
    assert merged_tags([tag('a'), {}])['v1'].updated_at is None
    moved = merged_tags([tag('a'), tag('b', NOW)])['v1']
    assert (moved.digest, moved.updated_at) == ('b', None)
    assert merged_tags([tag('a'), tag('a', locks=LOCKED)])['v1'].locks == LOCKED


# What the log says


def changed(digest=None, tag_=None, removes=False, at=NOW, repository='team/web'):
    return Changed(repository, digest, tag_, at, removes)


def doomed_after(manifests, *changes):
    inventory = with_changes(worlds.to_inventory([repository_of(*manifests)]), changes)
    return {digest for _, digest in decide(inventory, POLICY, NOW).doomed}, inventory


CHILD, FREE = image('child'), image('free')
STRANGER = image('stranger')['digest']


def test_what_the_log_says_was_pushed_tagged_or_locked_is_new():
    assert doomed_after([CHILD, FREE], changed(CHILD['digest']))[0] == {FREE['digest']}
    assert doomed_after([CHILD, FREE], changed(CHILD['digest'], 'v9'))[0] == {FREE['digest']}
    parent = index('parent', [CHILD['digest']])
    assert doomed_after([CHILD, FREE, parent], changed(parent['digest']))[0] == {FREE['digest']}


def test_a_tag_that_the_log_says_was_set_has_no_time_and_the_others_keep_theirs():
    _, inventory = doomed_after([dict(CHILD, tags=['v1', 'v2'])], changed(None, 'v1'))
    (repository,) = inventory.repositories
    assert {name: tag.updated_at is None for name, tag in repository.tags.items()} == {'v1': True, 'v2': False}


@pytest.mark.parametrize('change', [changed(STRANGER), changed(None, 'stable'), changed()])
def test_what_was_changed_and_is_not_listed_may_need_anything(change):
    assert doomed_after([CHILD, FREE], change)[0] == set()


@pytest.mark.parametrize(
    'change, told',
    [
        (changed(STRANGER), f'the log has a change of {STRANGER}, which is not listed'),
        (changed(None, 'stable'), 'the log has a change of the tag stable, which is not listed'),
        (changed(), 'the log has a change of the repository'),
        (changed(None, 'v1'), None),
        (changed(CHILD['digest']), None),
    ],
)
def test_only_what_was_changed_and_is_not_listed_is_told(change, told):
    doomed, inventory = doomed_after([dict(CHILD, tags=['v1']), FREE], change)
    assert [repository.unseen for repository in inventory.repositories] == [told]
    assert doomed == (set() if told else {FREE['digest']})


@pytest.mark.parametrize('order', [1, -1])
def test_what_was_removed_at_last_needs_nothing(order):
    changes = [changed(STRANGER, at=NOW - 2), changed(STRANGER, removes=True, at=NOW - 1)]
    assert doomed_after([CHILD], *changes[::order])[0] == {CHILD['digest']}
    again = changed(STRANGER, at=NOW)
    assert doomed_after([CHILD], *changes, again)[0] == set()


@pytest.mark.parametrize(
    'later',
    [
        changed(CHILD['digest']),
        changed(CHILD['digest'], 'v9'),
        changed(image('other stranger')['digest'], removes=True),
        changed(None, 'v9', removes=True),
    ],
)
def test_what_is_not_listed_may_need_anything_even_where_something_else_was_changed_later(later):
    assert doomed_after([CHILD, FREE], changed(STRANGER, at=NOW - 1), later)[0] == set()


def test_a_change_in_a_repository_that_is_not_listed_makes_the_bytes_a_bound():
    doomed, inventory = doomed_after([CHILD], changed(STRANGER, repository='team/far'))
    assert (doomed, inventory.complete) == ({CHILD['digest']}, False)


def test_what_may_need_anything_by_the_log_keeps_it_right_before_deleting_too():
    _, inventory = doomed_after([CHILD], changed(STRANGER))
    (seen,) = inventory.repositories
    drift = check_drift({CHILD['digest']}, seen, worlds.to_repository(repository_of(CHILD)))
    assert drift.valid == frozenset()


@pytest.mark.parametrize(
    'operation, removes',
    [
        ('Push', False),
        ('Lock', False),
        ('Untag', True),
        ('Delete', True),
        ('purge tag', True),
        ('purge manifest', True),
    ],
)
def test_a_row_of_the_log_says_whether_something_was_removed(operation, removes):
    found = changed_of(['Team/Web', '', 'v1', operation, '2026-01-01T00:00:00Z'])
    assert (found.repository, found.digest, found.tag, found.removes) == ('team/web', None, 'v1', removes)


@pytest.mark.parametrize(
    'operation, removes',
    [('Untag', False), ('purge tag', False), ('PurgeTag', False), ('Delete', True), ('purge manifest', True)],
)
def test_whoever_takes_a_tag_off_leaves_the_manifest_that_the_log_names_too(operation, removes):
    found = changed_of(['team/web', STRANGER, 'v1', operation, '2026-01-01T00:00:00Z'])
    assert (found.digest, found.removes) == (STRANGER, removes)


def test_what_was_pushed_and_lost_its_tag_and_is_not_listed_may_need_anything():
    pushed = ['team/web', STRANGER, 'v1', 'Push', '2026-01-01T00:00:00Z']
    untagged = ['team/web', STRANGER, 'v1', 'Untag', '2026-01-01T00:01:00Z']
    assert doomed_after([CHILD], changed_of(pushed), changed_of(untagged))[0] == set()
