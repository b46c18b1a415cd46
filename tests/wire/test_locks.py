"""Locks that this program sets and takes off on the local registry, and which of them are its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from azext_acrprune.apply.held_locks import Held, HeldLocks, HeldOutcome, HeldUnreadable, hold, release
from azext_acrprune.apply.keep_locked import KeptLockedOutcome, keep_locked
from azext_acrprune.apply.pin_locks import LockOutcome, Marks, carry_out
from azext_acrprune.apply.unsettled import lock_again
from azext_acrprune.decide.kept_locked import KeptLocked
from azext_acrprune.decide.lock_plan import LockPlan, Mark
from azext_acrprune.model import Locks, OwedLock
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from tests.registry.faults import Fault
from tests.wire.images import image_in
from tests.wire.test_execute import before

REPOSITORY = 'team/app'


@pytest.fixture
def images(registry):
    """Four images; the second one is locked against writing by somebody else."""
    digests = [image_in(registry.storage, REPOSITORY, f'image {place}', tag=f'v{place}') for place in range(4)]
    registry.storage.set_locks(REPOSITORY, digest=digests[1], writeEnabled=False)
    return digests


@pytest.fixture
def marks(tmp_path):
    return Marks(tmp_path / 'marks')


def locked(registry):
    """The digests that cannot be deleted."""
    every = registry.storage.manifests(REPOSITORY)
    return {digest for digest, manifest in every.items() if not manifest.flags['deleteEnabled']}


def lock(registry, *digests):
    for digest in digests:
        registry.storage.set_locks(REPOSITORY, digest=digest, deleteEnabled=False)


def marked(marks):
    return {digest: mark.write_enabled for (_, digest), mark in marks.all().items()}


def mark_of(digest):
    return Mark(REPOSITORY, digest, True)


def patches(registry):
    return [path.rpartition('/')[2] for method, path, _ in registry.requests if method == 'PATCH']


# What is pinned


def pinned(client, marks, locking=(), unlocking=(), forgetting=(), complete=True):
    plan = LockPlan(tuple((REPOSITORY, each, 'a pin') for each in locking), (), unlocking, (), forgetting)
    outcome = LockOutcome()
    client.loop.run(carry_out(client.real, client.real, plan, marks, complete, 1, outcome))
    return outcome


def test_what_is_pinned_is_locked_and_marked_and_the_mark_knows_what_it_had(registry, connect, images, marks):
    outcome = pinned(connect(), marks, images[:2])
    assert locked(registry) == set(images[:2])
    assert (outcome.failed, outcome.interrupted, outcome.left) == ({}, False, 0)
    assert marked(marks) == {images[0]: True, images[1]: False}
    assert outcome.locked == [(REPOSITORY, each, 'a pin') for each in images[:2]]


def test_what_somebody_locked_since_the_plan_is_not_ours(registry, connect, images, marks):
    lock(registry, images[0])
    outcome = pinned(connect(), marks, images[:1])
    assert (marked(marks), outcome.locked, outcome.failed, patches(registry)) == ({}, [], {}, [])


@pytest.mark.parametrize('status', [403, 404, 405, 500])
def test_a_lock_that_could_not_be_set_is_no_lock_of_ours_and_the_others_are_set(
    registry, connect, images, marks, waits, status
):
    registry.faults.rules.append(Fault(f'PATCH .*{images[0]}', status))
    outcome = pinned(connect(), marks, [images[0], images[2]])
    assert locked(registry) == {images[2]} == set(marked(marks))
    assert list(outcome.failed) == [(REPOSITORY, images[0])] and len(outcome.locked) == 1


def test_a_lock_that_was_set_without_an_answer_is_ours(registry, connect, images, marks, waits):
    registry.faults.rules.append(Fault('PATCH', 'lost'))
    outcome = pinned(connect(), marks, images[:1])
    assert locked(registry) == {images[0]} == set(marked(marks))
    assert outcome.locked and not outcome.failed


def test_a_registry_that_cannot_be_reached_ends_it(registry, connect, images, marks, waits):
    registry.faults.rules.append(Fault('GET .*/_manifests/', 'reset'))
    with pytest.raises(RegistryError) as raised:
        pinned(connect(), marks, images)
    assert raised.value.kind is Kind.UNREACHABLE and not locked(registry) and not marked(marks)


def test_what_nobody_pins_any_more_is_unlocked_and_forgotten_and_a_failure_leaves_the_mark(
    registry, connect, images, marks
):
    ours = [mark_of(each) for each in images[:3]]
    for mark in ours:
        marks.add(mark)
    lock(registry, *images[:3])
    registry.faults.rules.append(Fault(f'PATCH .*{images[1]}', 403))
    outcome = pinned(connect(), marks, unlocking=tuple(ours[:2]), forgetting=tuple(ours[2:]))
    assert locked(registry) == {images[1], images[2]} and set(marked(marks)) == {images[1]}
    assert outcome.unlocked == ours[:1] and list(outcome.failed) == [(REPOSITORY, images[1])]


def test_what_another_machine_came_to_want_stays_locked_and_marked(registry, connect, images, tmp_path):
    one, other = (Marks(tmp_path / 'marks', machine) for machine in ('one', 'other'))
    ours = mark_of(images[0])
    one.add(ours)
    lock(registry, images[0])
    other.want([(REPOSITORY, images[0])], complete=True)
    outcome = pinned(connect(), one, [images[2]], unlocking=(ours,))
    assert locked(registry) == {images[0], images[2]} == set(marked(one)) and outcome.unlocked == []
    assert other.elsewhere() == {(REPOSITORY, images[2]): 'one'}


@pytest.mark.parametrize('complete', [True, False])
def test_only_whoever_knows_all_its_pins_wants_nothing_else_any_more(connect, images, tmp_path, complete):
    one, other = (Marks(tmp_path / 'marks', machine) for machine in ('one', 'other'))
    one.want([(REPOSITORY, images[3])], complete=True)
    pinned(connect(), one, [images[0]], complete=complete)
    wanted = {digest for _, digest in other.elsewhere()}
    assert wanted == ({images[0]} if complete else {images[0], images[3]})


# What a policy keeps locked


def kept(client, marks, locking=(), unlocking=()):
    work = KeptLocked({(REPOSITORY, each): '*' for each in locking}, {(REPOSITORY, each): True for each in unlocking})
    outcome = KeptLockedOutcome()
    client.loop.run(keep_locked(client.real, client.real, work, marks, 1, outcome))
    return outcome


def test_tags_and_manifests_are_kept_locked_and_what_somebody_else_locked_is_not_ours(registry, connect, images, marks):
    lock(registry, images[2])
    outcome = kept(connect(), marks, ['v0', images[1], images[2]])
    assert outcome.locked == [(REPOSITORY, 'v0'), (REPOSITORY, images[1])] and not outcome.failed
    assert registry.storage.tag(REPOSITORY, 'v0').flags['deleteEnabled'] is False
    assert locked(registry) == {images[1], images[2]} and marked(marks) == {'v0': True, images[1]: False}


def test_a_lock_of_a_policy_that_could_not_be_set_is_not_ours_and_is_told(registry, connect, images, marks):
    registry.faults.rules += [Fault('PATCH .*/v0', 403), Fault(f'PATCH .*{images[1]}', 405)]
    outcome = kept(connect(), marks, ['v0', images[1], images[2], 'gone'])
    assert [(each.digest, each.tag) for each in outcome.failed] == [('', 'v0'), (images[1], None)]
    assert outcome.locked == [(REPOSITORY, images[2])] and set(marked(marks)) == {images[2]}


def test_a_lock_of_a_policy_is_taken_off_unless_it_is_another_one_by_now(registry, connect, images, marks):
    for each in images[:2]:
        marks.add(mark_of(each))
    lock(registry, *images[:2])
    outcome = kept(connect(), marks, unlocking=images[:2])
    assert outcome.unlocked == [(REPOSITORY, images[0])] and not outcome.failed
    assert locked(registry) == {images[1]} and marked(marks) == {}


# What came back


def test_what_came_back_is_held_and_what_somebody_else_locked_is_not_ours(registry, connect, images, tmp_path):
    client, locks, outcome = connect(), HeldLocks(str(tmp_path), 'localhost'), HeldOutcome()
    lock(registry, images[1])
    wanted = [Held(REPOSITORY, each, 7) for each in images[:2]]
    client.loop.run(hold(client.real, client.real, wanted, locks, 1, outcome))
    assert locked(registry) == set(images[:2]) and locks.all() == outcome.done == wanted[:1]
    assert (outcome.failed, outcome.left) == ([], 0)


def test_a_lock_on_what_came_back_is_known_before_it_is_set(registry, connect, images, tmp_path):
    client, locks, known = connect(), HeldLocks(str(tmp_path), 'localhost'), []
    before(registry, 'PATCH', lambda: known.extend(locks.all()))
    wanted = [Held(REPOSITORY, images[0])]
    client.loop.run(hold(client.real, client.real, wanted, locks, 1, HeldOutcome()))
    assert known == wanted


def test_only_its_owner_may_look_into_the_folder_of_what_is_held(tmp_path):
    """Also where there is no configuration folder yet."""
    HeldLocks(str(tmp_path / 'azure'), 'localhost').add(Held(REPOSITORY, 'sha256:' + 'a' * 64))
    assert (tmp_path / 'azure' / 'acrprune').stat().st_mode & 0o777 == 0o700


def test_of_what_is_held_each_change_is_told_and_reading_it_is_none(tmp_path):
    told = []
    locks, held = HeldLocks(str(tmp_path), 'localhost', told.append), Held(REPOSITORY, 'sha256:' + 'a' * 64)
    for changes, change in enumerate([locks.add, locks.remove], 1):
        change(held)
        locks.all()
        assert len(told) == changes


@pytest.mark.parametrize('spoil', [Path.mkdir, lambda path: path.write_text('no database ' * 99)])
def test_a_file_of_what_is_held_that_cannot_be_used_is_named(tmp_path, spoil):
    locks = HeldLocks(str(tmp_path), 'localhost')
    locks.all()
    (path,) = (tmp_path / 'acrprune').rglob('*.held')
    path.unlink()
    spoil(path)
    with pytest.raises(HeldUnreadable) as error:
        locks.add(Held(REPOSITORY, 'sha256:' + 'a' * 64))
    assert f"the file '{path}' cannot be used" in str(error.value)


def test_a_file_of_an_earlier_version_is_read_and_added_to(tmp_path):
    locks = HeldLocks(str(tmp_path), 'localhost')
    locks.all()
    (path,) = (tmp_path / 'acrprune').rglob('*.held')
    path.unlink()
    one, two = ('sha256:' + each * 64 for each in 'ab')
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            'CREATE TABLE held (repository TEXT, digest TEXT, until INTEGER, PRIMARY KEY (repository, digest))'
        )
        connection.execute('INSERT INTO held VALUES (?, ?, 5)', (REPOSITORY, one))
        connection.commit()
    locks.add(Held(REPOSITORY, two, write_enabled=False))
    assert [(each.digest, each.until, each.write_enabled) for each in locks.all()] == [
        (one, 5, True),
        (two, None, False),
    ]


def test_what_could_not_be_held_is_told_and_is_not_ours(registry, connect, images, tmp_path):
    client, locks, outcome = connect(), HeldLocks(str(tmp_path), 'localhost'), HeldOutcome()
    registry.faults.rules.append(Fault(f'PATCH .*{images[0]}', 403))
    wanted = [Held(REPOSITORY, each) for each in images[:2]]
    client.loop.run(hold(client.real, client.real, wanted, locks, 1, outcome))
    assert [each.digest for each in outcome.failed] == images[:1] and outcome.left == 0
    assert locked(registry) == {images[1]} and locks.all() == outcome.done == wanted[1:]


def test_what_is_released_is_forgotten_as_is_what_is_gone_and_what_could_not_be_is_not(
    registry, connect, images, tmp_path
):
    client, locks, outcome = connect(), HeldLocks(str(tmp_path), 'localhost'), HeldOutcome()
    gone = 'sha256:' + '0' * 64
    wanted = [Held(REPOSITORY, each, write_enabled=each != images[1]) for each in [*images[:2], gone]]
    for held in wanted:
        locks.add(held)
    lock(registry, *images[:3])
    registry.faults.rules.append(Fault(f'PATCH .*{images[1]}', 403))
    client.loop.run(release(client.real, client.real, wanted, locks, 1, outcome))
    assert locked(registry) == {images[1], images[2]} and locks.all() == wanted[1:2]
    assert outcome.done == [wanted[0], wanted[2]] and (outcome.left, outcome.interrupted) == (0, False)
    assert [each.digest for each in outcome.failed] == [images[1]]


# What a killed run owes


@pytest.mark.parametrize('tag', [None, 'v0'])
def test_what_is_owed_is_set_once(registry, connect, images, tag):
    client, owed = connect(), OwedLock(REPOSITORY, images[0], tag, Locks(delete_enabled=False))
    assert [client.loop.run(lock_again(client.real, client.real, owed)) for _ in range(2)] == ['unlocked', 'locked']
    record = registry.storage.tag(REPOSITORY, tag) if tag else registry.storage.manifest(REPOSITORY, images[0])
    assert record.flags['deleteEnabled'] is False and record.flags['writeEnabled'] is True


def test_nothing_is_owed_for_what_is_gone_or_moved(registry, connect, images):
    client = connect()
    owed = [
        OwedLock(REPOSITORY, images[0], 'v1', Locks(delete_enabled=False)),
        OwedLock(REPOSITORY, images[0], 'gone', Locks(delete_enabled=False)),
        OwedLock(REPOSITORY, 'sha256:' + '0' * 64, None, Locks(delete_enabled=False)),
    ]
    assert [client.loop.run(lock_again(client.real, client.real, each)) for each in owed] == ['moved', 'gone', 'gone']
    assert not patches(registry)


def test_what_is_owed_and_cannot_be_set_is_an_error(registry, connect, images):
    client, owed = connect(), OwedLock(REPOSITORY, images[0], None, Locks(delete_enabled=False))
    registry.faults.rules.append(Fault('PATCH', 403))
    with pytest.raises(RegistryError) as raised:
        client.loop.run(lock_again(client.real, client.real, owed))
    assert raised.value.kind is Kind.FORBIDDEN
