"""What a state has of one registry, as two machines see it: checked out, changed by both, and checked in."""

from __future__ import annotations

import errno
import shutil
import threading

import portalocker
import pytest

from azext_acrprune.apply.held_locks import Held, HeldLocks
from azext_acrprune.apply.journal import Journal, JournalError, journal_folder, read_run, runs
from azext_acrprune.apply.pin_locks import Marks, marks_path
from azext_acrprune.apply.unsettled import is_under_way, settling
from azext_acrprune.decide.lock_plan import Mark
from azext_acrprune.inventory.cache import ManifestCache
from azext_acrprune.inventory.cache_file import cache_path
from azext_acrprune.model import Locks
from azext_acrprune.state.folder_store import FolderStore
from azext_acrprune.state.registry_state import RegistryState, StateInUse
from azext_acrprune.state.store import StateError
from azext_acrprune.state.working_copy import working_copy

HOST = 'myregistry.azurecr.io'
OWED = {'repository': 'team/app', 'digest': 'sha256:1', 'locks': ['deleteEnabled']}


@pytest.fixture
def machine(tmp_path):
    """Opens the state as a machine of that name, checked out."""
    (tmp_path / 'state').mkdir()
    closing = []

    def opened(name):
        copy = working_copy(str(tmp_path / name), 'the state', HOST)
        state = RegistryState(FolderStore(str(tmp_path / 'state')), HOST, copy.__enter__())
        closing.extend((state.close, lambda: copy.__exit__(None, None, None)))
        state.check_out(with_cache=True)
        return state

    yield opened
    for close in closing:
        close()


def journal(state):
    return Journal(
        journal_folder(str(state.folder)), {'registry': HOST, 'command': 'az acr prune untagged'}, state.begin_journal
    )


def marks(state):
    return Marks(marks_path(str(state.folder), HOST), state.folder.parts[-6], state.keep)


def held(state):
    return HeldLocks(str(state.folder), HOST, state.keep)


def test_a_line_of_a_journal_is_in_the_state_when_it_is_written(machine):
    first = machine('first')
    run = journal(first)
    run.write('request', request='deleteManifest', repository='team/app', digest='sha256:1')
    second = machine('second')
    assert runs(journal_folder(str(second.folder))) == [run.run]
    second.fetch(run.run)
    assert [line['event'] for line in read_run(journal_folder(str(second.folder)), run.run)] == ['start', 'request']


def test_a_journal_that_nobody_reads_is_not_fetched_and_never_taken_for_an_empty_one(machine):
    first = machine('first')
    run = journal(first)
    run.close()
    second = machine('second')
    with pytest.raises(JournalError, match='not fetched'):
        read_run(journal_folder(str(second.folder)), run.run)


def test_what_a_dead_run_owes_is_found_and_settled_once(machine, tmp_path):
    first = machine('first')
    run = journal(first)
    run.write('request', request='setLocks', repository='team/app', digest='sha256:1', owed=OWED)
    folder = journal_folder(str(machine('second').folder))
    with settling(folder, HOST, read_run) as owed:
        assert owed == (), 'its process is at work'
    assert is_under_way(folder, run.run), 'on another machine'
    first.close()  # as when the runner dies, a minute later
    second = machine('second')
    folder = journal_folder(str(second.folder))
    with settling(folder, HOST, read_run, second.settle) as owed:
        assert [(each.digest, each.locks) for each in owed] == [('sha256:1', Locks.from_flags(['deleteEnabled']))]
        from azext_acrprune.apply.journal import journal_path
        from azext_acrprune.apply.unsettled import write_settled

        write_settled(journal_path(folder, run.run), owed[0], 'unlocked', 'other')
    second.check_in()
    third = machine('third')
    with settling(journal_folder(str(third.folder)), HOST, read_run) as owed:
        assert owed == () and not is_under_way(journal_folder(str(third.folder)), run.run)
    third.fetch(run.run)
    assert read_run(journal_folder(str(third.folder)), run.run)[-1]['event'] == 'settled'


def test_a_journal_that_cannot_be_copied_writes_nothing_more(machine, monkeypatch):
    first = machine('first')
    run = journal(first)

    def broken(*_):
        raise StateError("The state 'x' cannot be used: the connection broke.", 'Try again.')

    monkeypatch.setattr(FolderStore, 'append', broken)
    for _ in range(2):
        with pytest.raises(JournalError, match='connection broke'):
            run.write('request', request='deleteManifest', repository='team/app', digest='sha256:1')
    run.close()


def test_a_working_copy_that_is_deleted_meanwhile_takes_nothing_out_of_the_state(machine):
    first = machine('first')
    left_open = journal(first)
    left_open.write('request', request='setLocks', repository='team/app', digest='sha256:1', owed=OWED)
    held(first).add(Held('a', 'sha256:1'))
    first.close()
    second = machine('second')
    shutil.rmtree(second.folder.parent)
    held(second).add(Held('b', 'sha256:2'))
    second.check_in()
    third = machine('third')
    assert held(third).all() == [Held('a', 'sha256:1'), Held('b', 'sha256:2')]
    with settling(journal_folder(str(third.folder)), HOST, read_run) as owed:
        assert [each.run for each in owed] == [left_open.run]


def test_one_file_of_a_working_copy_that_is_deleted_meanwhile_takes_nothing_out_of_the_state(machine):
    first = machine('first')
    run = journal(first)
    run.close()
    marks(first).add(Mark('a', 'sha256:1', True))
    second = machine('second')
    marks_path(str(second.folder), HOST).unlink()
    (journal_folder(str(second.folder)) / f'{run.run}.jsonl').unlink()
    second.check_in()
    third = machine('third')
    assert len(marks(third).all()) == 1 and runs(journal_folder(str(third.folder))) == [run.run]
    third.remove_journals([run.run])
    third.check_in()
    assert runs(journal_folder(str(machine('fourth').folder))) == []


def test_marks_of_two_machines_at_once_are_all_kept(machine):
    first, second = machine('first'), machine('second')
    marks(first).add(Mark('a', 'sha256:1', True))
    marks(second).add(Mark('b', 'sha256:2', False))
    marks(first).remove(Mark('a', 'sha256:1', True))
    marks(first).add(Mark('c', 'sha256:3', True))
    assert {name for name, _ in marks(machine('third')).all()} == {'b', 'c'}


def test_a_mark_is_in_the_state_before_its_lock_is_set_also_by_many_at_once(machine):
    first = machine('first')
    kept = marks(first)
    threads = [threading.Thread(target=kept.add, args=(Mark('a', f'sha256:{n}', True),)) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(marks(machine('second')).all()) == 30


def test_what_holds_what_came_back_is_known_elsewhere(machine):
    first = machine('first')
    HeldLocks(str(first.folder), HOST, first.keep).add(Held('a', 'sha256:1', None))
    second = machine('second')
    assert HeldLocks(str(second.folder), HOST).all() == [Held('a', 'sha256:1', None)]


def test_a_cache_is_sent_only_where_it_knows_something_else(machine, tmp_path):
    sent = tmp_path / 'state' / 'myregistry.azurecr.io' / 'cache.sqlite'
    first = machine('first')
    first.check_in()
    assert not sent.exists()
    cache = ManifestCache(cache_path(str(first.folder), HOST), 1)
    cache.note_failures([], [('team/app', '')])
    cache.recall('team/app', [])
    cache.close()
    assert cache.has_changed
    first.cache_changed = True
    first.check_in()
    before = sent.stat().st_mtime_ns
    second = machine('second')
    again = ManifestCache(cache_path(str(second.folder), HOST), 2)
    assert again.failures() == {('team/app', '')}
    again.recall('team/app', [])
    again.close()
    assert not again.has_changed, 'only which repository was used when'
    second.check_in()
    assert sent.stat().st_mtime_ns == before


def test_a_damaged_cache_in_the_state_is_only_slow(machine, tmp_path):
    (tmp_path / 'state' / 'myregistry.azurecr.io').mkdir()
    (tmp_path / 'state' / 'myregistry.azurecr.io' / 'cache.sqlite').write_bytes(b'nonsense' * 1000)
    first = machine('first')
    cache = ManifestCache(cache_path(str(first.folder), HOST), 1)
    cache.note_failures([], [('team/app', '')])
    cache.close()
    first.cache_changed = cache.has_changed
    first.check_in()
    again = ManifestCache(cache_path(str(machine('second').folder), HOST), 2)
    assert again.failures() == {('team/app', '')} and again.trouble is None


def test_the_lock_says_who_has_it(machine):
    first, second = machine('first'), machine('second')
    holder = {'command': 'az acr prune untagged', 'who': 'alice', 'machine': 'agent-1', 'since': '2026-11-30 03:00 UTC'}
    first.lock(holder, 0, print)
    with pytest.raises(StateInUse, match='az acr prune untagged, by alice on agent-1 since 2026-11-30 03:00 UTC'):
        second.lock(holder, 0, print)
    first.close()
    second.lock(holder, 0, print)


def test_whoever_waits_for_the_lock_gets_it_when_the_other_is_done(machine):
    first, second = machine('first'), machine('second')
    first.lock({'command': 'az acr prune undo'}, 0, print)
    second.lock({}, 600, lambda who: first.close())


def test_a_layout_of_another_version_is_refused(machine, tmp_path):
    machine('first').check_in()
    (tmp_path / 'state' / 'myregistry.azurecr.io' / 'layout.json').write_bytes(b'{"version": 2}')
    with pytest.raises(StateError, match='another version'):
        machine('second')


@pytest.mark.parametrize('reason', [OSError(errno.ENOLCK, 'No locks available'), EOFError('it ended')])
def test_where_files_cannot_be_locked_there_is_no_working_copy(tmp_path, monkeypatch, reason):
    tries = iter(range(3))

    def refuse(*_):
        assert next(tries, None) is not None, 'it is not tried for ever'
        raise portalocker.exceptions.LockException(reason)

    monkeypatch.setattr(portalocker.portalocker, 'lock', refuse)
    with pytest.raises(OSError, match='No locks available'), working_copy(str(tmp_path), 'the state', HOST):
        pass


def test_where_files_cannot_be_locked_a_state_in_a_folder_is_held_by_nobody_and_cannot_be_used(tmp_path, monkeypatch):
    def refuse(*_):
        raise portalocker.exceptions.LockException(OSError(errno.ENOLCK, 'No locks available'))

    monkeypatch.setattr('azext_acrprune.state.folder_store._LOOKED_AT_SECONDS', 0)
    monkeypatch.setattr(portalocker.portalocker, 'lock', refuse)
    with pytest.raises(StateError, match="cannot be used at 'lock': it cannot be locked"):
        FolderStore(str(tmp_path)).lease('lock')


def test_two_processes_on_one_machine_have_a_working_copy_each(machine):
    assert machine('first').folder != machine('first').folder
