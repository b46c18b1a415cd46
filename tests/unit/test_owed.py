"""Which locks a run owes, by the lines of its journal; and the mark of a run that is under way."""

from __future__ import annotations

import asyncio
import errno

import portalocker
import pytest

from azext_acrprune.apply.journal import Journal, JournaledRegistry, journal_path, read_run
from azext_acrprune.apply.unsettled import is_under_way, settling, write_settled
from azext_acrprune.decide.health import HINT
from azext_acrprune.decide.owed import counted_as_locked, owed_findings, owed_in
from azext_acrprune.model import UNLOCKED, Content, Inventory, Locks, Manifest, OwedLock, Repository, Tag
from azext_acrprune.registry.permit import Permit
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError

IMAGE, OTHER = (f'sha256:{number:064x}' for number in range(2))
LOCKED, WRITE_LOCKED = Locks(delete_enabled=False), Locks(write_enabled=False)
SEEN = Repository(
    'team/app',
    {IMAGE: Manifest(IMAGE, Content(1), ('v1',)), OTHER: Manifest(OTHER, Content(1))},
    tags={'v1': Tag('v1', IMAGE)},
)
OWED = OwedLock('team/app', IMAGE, None, LOCKED)
OWED_TAG = OwedLock('team/app', IMAGE, 'v1', WRITE_LOCKED)
HOST = 'contoso.azurecr.io'
PERMIT = Permit(lambda: 0.0)


class Registry:
    """Stands where the client stands: answers as it is told."""

    def __init__(self) -> None:
        self.error = None

    def __getattr__(self, verb):
        async def answer(*_):
            if self.error:
                raise RegistryError(self.error, 'no')

        return answer


class Run:
    """A run that takes both locks off, and what it does then."""

    def __init__(self, folder) -> None:
        self.folder, self.registry = folder, Registry()
        self.journal = Journal(folder, {'registry': HOST})
        self.door = JournaledRegistry(self.registry, self.journal, {'team/app': SEEN})
        self.sends(self.door.set_manifest_locks('team/app', IMAGE, UNLOCKED, owed=OWED))
        self.sends(self.door.set_tag_locks('team/app', 'v1', UNLOCKED, owed=OWED_TAG))

    def sends(self, request, error=None):
        self.registry.error = error
        try:
            asyncio.run(request)
        except RegistryError as refusal:
            assert refusal.kind is error

    def owes(self):
        """What its journal says, which is what it knows itself."""
        found = owed_in(self.journal.run, read_run(self.folder, self.journal.run))
        assert found == self.journal.owed()
        return [(each.tag or each.digest, each.locks) for each in found]


def test_what_was_taken_off_and_not_set_again_is_owed(tmp_path):
    assert Run(tmp_path).owes() == [(IMAGE, LOCKED), ('v1', WRITE_LOCKED)]


@pytest.mark.parametrize('error, owes', [(None, False), (Kind.NOT_FOUND, False), (Kind.UNREACHABLE, True)])
def test_what_is_set_again_or_gone_is_not_owed(tmp_path, error, owes):
    run = Run(tmp_path)
    run.sends(run.door.set_tag_locks('team/app', 'v1', WRITE_LOCKED), error)
    run.sends(run.door.set_manifest_locks('team/app', IMAGE, LOCKED), error)
    assert bool(run.owes()) is owes


@pytest.mark.parametrize('error, owes', [(None, []), (Kind.NOT_FOUND, []), (Kind.UNAVAILABLE, [IMAGE, 'v1'])])
def test_a_manifest_that_went_takes_what_is_owed_on_its_tags_along(tmp_path, error, owes):
    run = Run(tmp_path)
    run.sends(run.door.delete_manifest('team/app', OTHER, PERMIT))
    assert len(run.owes()) == 2
    run.sends(run.door.delete_manifest('team/app', IMAGE, PERMIT), error)
    assert [name for name, _ in run.owes()] == owes


def test_a_tag_that_went_leaves_what_is_owed_on_its_manifest(tmp_path):
    run = Run(tmp_path)
    run.sends(run.door.delete_tag('team/app', 'v1', IMAGE, PERMIT))
    assert run.owes() == [(IMAGE, LOCKED)]


def owed_now(folder, host=HOST):
    with settling(folder, host, read_run) as owed:
        return owed


def test_a_run_that_is_under_way_owes_nothing_yet_and_one_that_ended_owes_until_it_is_settled(tmp_path):
    run = Run(tmp_path)
    assert is_under_way(tmp_path, run.journal.run) and owed_now(tmp_path) == ()
    run.journal.close()
    assert not is_under_way(tmp_path, run.journal.run)
    assert owed_now(tmp_path, 'other.azurecr.io') == ()
    first, second = owed_now(tmp_path)
    assert (first.digest, first.locks, second.tag, second.locks) == (IMAGE, LOCKED, 'v1', WRITE_LOCKED)
    path = journal_path(tmp_path, run.journal.run)
    path.write_bytes(path.read_bytes() + b'{"event":"req')  # it was killed in the middle of a line
    write_settled(path, first, 'unlocked', 'a later run')
    assert owed_now(tmp_path) == (second,)
    with settling(tmp_path, HOST, read_run) as owed:
        assert owed == (second,) and owed_now(tmp_path) == (), 'nobody else settles it meanwhile'
        write_settled(path, second, 'gone', 'a later run')
    assert list(tmp_path.glob('*.open')) == [] and owed_now(tmp_path) == ()
    assert b'\n\n' not in path.read_bytes()


def test_what_an_ended_run_owes_is_found_beside_older_and_newer_ones_that_are_under_way(tmp_path):
    older, ended, newer = Run(tmp_path), Run(tmp_path), Run(tmp_path)
    ended.journal.close()
    assert {each.run for each in owed_now(tmp_path)} == {ended.journal.run}
    assert is_under_way(tmp_path, older.journal.run) and is_under_way(tmp_path, newer.journal.run)


def without_locks(monkeypatch, reason):
    """As on a file system that has no locks: portalocker says so by an error with the reason."""

    def refuse(*_):
        raise portalocker.exceptions.LockException(reason)

    monkeypatch.setattr(portalocker.portalocker, 'lock', refuse)


@pytest.mark.parametrize('reason', [OSError(errno.ENOLCK, 'No locks available'), EOFError('it ended')])
def test_where_files_cannot_be_locked_no_run_is_known_to_be_under_way(tmp_path, monkeypatch, reason):
    without_locks(monkeypatch, reason)
    run = Run(tmp_path)
    run.journal.close()
    assert not is_under_way(tmp_path, run.journal.run) and len(owed_now(tmp_path)) == 2


def test_where_files_cannot_be_locked_the_mark_of_a_run_stays_until_its_journal_ends(tmp_path, monkeypatch):
    without_locks(monkeypatch, OSError(errno.ENOLCK, 'No locks available'))
    journal, marks = Journal(tmp_path, {'registry': HOST}), lambda: list(tmp_path.glob('*.open'))
    assert owed_now(tmp_path) == () and len(marks()) == 1, 'it may be under way'
    journal.write('end')
    assert owed_now(tmp_path) == () and marks() == []


def test_where_locking_a_file_fails_in_a_way_of_its_own_no_run_is_known_to_be_under_way(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(portalocker.portalocker, 'lock', fail)
    run = Run(tmp_path)
    run.journal.close()
    assert not is_under_way(tmp_path, run.journal.run) and len(owed_now(tmp_path)) == 2


def test_a_run_that_was_killed_before_its_journal_began_owes_nothing(tmp_path):
    (tmp_path / 'a run.open').touch()
    assert owed_now(tmp_path) == () and list(tmp_path.iterdir()) == []


def test_a_run_that_owes_nothing_leaves_no_mark(tmp_path):
    Journal(tmp_path, {'registry': HOST}).close()
    assert [path.suffix for path in tmp_path.iterdir()] == ['.jsonl']


def test_what_is_owed_counts_as_locked_where_it_still_is(tmp_path):
    moved = OwedLock('team/app', OTHER, 'v1', LOCKED)
    gone = OwedLock('team/app', f'sha256:{9:064x}', None, LOCKED)
    owed_tag = OwedLock('team/app', f'sha256:{0:064x}', 'v1', WRITE_LOCKED)  # the text comes from a journal
    counted = counted_as_locked(Inventory(HOST, (SEEN,), frozenset()), (OWED, owed_tag, moved, gone))
    (repository,) = counted.repositories
    assert repository.manifests[IMAGE].locks == LOCKED and repository.tags['v1'].locks == WRITE_LOCKED
    assert repository.manifests[OTHER].locks == UNLOCKED and counted.owed == (OWED, owed_tag)
    assert [(notice.code, notice.digest) for notice in counted.warnings] == [('leftUnlocked', IMAGE)] * 2


def test_what_is_owed_on_a_tag_that_is_not_listed_is_told_and_locks_nothing_else():
    unlisted = Repository('team/app', SEEN.manifests)
    counted = counted_as_locked(Inventory(HOST, (unlisted,), frozenset()), (OWED_TAG,))
    assert (counted.repositories, counted.owed) == ((unlisted,), (OWED_TAG,))
    assert [notice.digest for notice in counted.warnings] == [IMAGE]


def test_check_finds_what_is_owed_and_names_the_run_and_the_locks():
    owed = (
        OwedLock('team/app', IMAGE, None, LOCKED, 'a run'),
        OwedLock('team/app', IMAGE, 'v1', WRITE_LOCKED, 'b run'),
    )
    first, second = owed_findings(Inventory(HOST, (SEEN,), frozenset(), owed=owed))
    assert (first.code, first.severity, first.repository, first.digest) == ('leftUnlocked', HINT, 'team/app', IMAGE)
    assert (first.tag, first.data) == (None, {'locks': ['deleteEnabled=false'], 'run': 'a run'})
    assert (second.tag, second.data) == ('v1', {'locks': ['writeEnabled=false'], 'run': 'b run'})
    assert f'off team/app@{IMAGE} ' in first.message and 'off team/app:v1 ' in second.message


LINE = {
    'event': 'request',
    'request': 'setLocks',
    'repository': 'team/app',
    'digest': IMAGE,
    'owed': {'digest': IMAGE, 'locks': ['deleteEnabled=false']},
}


@pytest.mark.parametrize(
    'change, owes',
    [
        ({}, [OWED]),
        ({'tag': 3}, [OWED]),
        ({'repository': None}, []),
        ({'owed': {'digest': 3, 'locks': ['deleteEnabled=false']}}, []),
        ({'owed': {'locks': ['deleteEnabled=false']}}, []),
        ({'owed': {'digest': IMAGE, 'locks': 'deleteEnabled=false'}}, []),
        ({'owed': {'digest': IMAGE}}, []),
        ({'owed': 'all'}, []),
    ],
)
def test_a_line_that_does_not_say_what_is_owed_owes_nothing(change, owes):
    assert list(owed_in('', [{**LINE, **change}])) == owes


@pytest.mark.parametrize('sent', ['retire', 'unretire', None])
def test_only_an_outcome_of_setting_locks_tells_that_what_had_them_is_not_there(sent):
    said = {'event': 'outcome', 'outcome': 'not_found', 'repository': 'team/app', 'digest': IMAGE}
    assert list(owed_in('', [LINE, {**said, 'request': 'setLocks'}])) == []
    assert list(owed_in('', [LINE, {**said, 'request': sent}])) == [OWED]


@pytest.mark.parametrize('outcome', [None, *(kind.name.lower() for kind in Kind if kind is not Kind.NOT_FOUND)])
def test_a_lock_that_could_not_be_set_again_is_still_owed(outcome):
    said = {'event': 'outcome', 'request': 'setLocks', 'repository': 'team/app', 'digest': IMAGE}
    assert list(owed_in('', [LINE, {**said, 'locks': ['deleteEnabled=false'], 'outcome': outcome}])) == [OWED]
    assert list(owed_in('', [LINE, {**said, 'locks': ['deleteEnabled=false'], 'outcome': 'done'}])) == []
