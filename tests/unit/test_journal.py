"""The journal of a run, and what it says was lost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from dataclasses import replace

import pytest

from azext_acrprune.apply.journal import (
    Journal,
    JournaledRegistry,
    JournalError,
    lines_in,
    read_run,
    runs,
    tags_taken_off,
)
from azext_acrprune.apply.retired import retirements_in
from azext_acrprune.archive.pure.lost import lost_in
from azext_acrprune.archive.pure.run_story import deleted_later
from azext_acrprune.model import (
    UNLOCKED,
    Content,
    Ghost,
    Locks,
    Manifest,
    NotRead,
    Repository,
    Tag,
    Unreadable,
    parse_ticks,
)
from azext_acrprune.prune_error import PruneError
from azext_acrprune.registry.permit import Late, Permit
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError

IMAGE, SBOM, SIGNATURE = (f'sha256:{number:064x}' for number in range(3))
SEEN = {
    'team/app': Repository(
        'team/app',
        {
            IMAGE: Manifest(IMAGE, Content(1), ('v1',), 'application/x', locks=Locks(write_enabled=False)),
            SBOM: Manifest(SBOM, Content(1, subject=IMAGE)),
            SIGNATURE: Manifest(SIGNATURE, Content(1, subject=SBOM)),
        },
        tags={'v1': Tag('v1', IMAGE, locks=Locks(delete_enabled=False))},
    )
}

PERMIT = Permit(time.monotonic)


class Answering:
    """Stands where the client stands: every deletion is answered alike."""

    def __init__(self, error=None) -> None:
        self.error = error
        self.sent = []

    def answer(self, repository, what):
        self.sent.append((repository, what))
        if self.error:
            raise self.error

    async def delete_manifest(self, repository, digest, permit):
        self.answer(repository, digest)

    async def delete_tag(self, repository, tag, digest, permit):
        self.answer(repository, tag)

    async def set_read_enabled(self, repository, digest, enabled):
        self.answer(repository, (digest, enabled))

    async def set_delete_enabled(self, repository, digest, enabled):
        self.answer(repository, (digest, enabled))

    async def set_manifest_locks(self, repository, digest, locks, permit=None, owed=None):
        self.answer(repository, (digest, locks))

    async def lock(self, repository, reference, locks):
        self.answer(repository, (reference, locks))


def delete(journaled, names):
    """Delete manifests, all at a time."""

    async def all_of_them():
        await asyncio.gather(*(journaled.delete_manifest('team/app', name, PERMIT) for name in names))

    asyncio.run(all_of_them())


def lines(folder):
    (run,) = runs(folder)
    return read_run(folder, run)


def test_a_run_is_named_by_its_moment_and_eight_digits_by_chance(tmp_path):
    journals = [Journal(tmp_path, {}) for _ in range(2)]
    for journal in journals:
        journal.close()
    names = [journal.run for journal in journals]
    assert all(re.fullmatch(r'\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}', name) for name in names)
    assert len({name.partition('-')[2] for name in names}) == 2


def test_a_request_is_written_down_before_it_is_sent_and_its_outcome_after_it(tmp_path):
    registry = Answering()
    journal = Journal(tmp_path, {'who': 'me'})
    written = []
    registry.answer = lambda *_: written.append([line['event'] for line in lines(tmp_path)])
    delete(JournaledRegistry(registry, journal, SEEN), [SIGNATURE])
    assert written == [['start', 'request']]
    assert [line['event'] for line in lines(tmp_path)] == ['start', 'request', 'outcome']


def test_what_the_service_deletes_with_its_subject_is_written_down_with_it(tmp_path):
    journal = Journal(tmp_path, {})
    delete(JournaledRegistry(Answering(), journal, SEEN), [IMAGE])
    lost = lost_in(lines(tmp_path))
    assert [each.digest for each in lost] == [IMAGE, SBOM, SIGNATURE]
    assert lost[0].tags == (('v1', Locks(delete_enabled=False)),) and lost[0].locks == Locks(write_enabled=False)


@pytest.mark.parametrize('unknown', [Ghost(), NotRead(), Unreadable('500')])
def test_what_was_not_read_is_not_written_down_as_something_that_falls(tmp_path, unknown):
    seen = {
        'team/app': replace(SEEN['team/app'], manifests={**SEEN['team/app'].manifests, SBOM: Manifest(SBOM, unknown)})
    }
    delete(JournaledRegistry(Answering(), Journal(tmp_path, {}), seen), [IMAGE])
    assert [each.digest for each in lost_in(lines(tmp_path))] == [IMAGE]


def test_what_is_retired_has_the_times_that_it_counts_with(tmp_path):
    """As where it had come back once: it is not younger, while it is retired, than when that was decided."""
    before = parse_ticks('2026-01-01T00:00:00Z')
    image = Manifest(IMAGE, Content(1), last_update_time='2026-11-01T00:00:00Z', updated_at=before)
    seen = {'team/app': Repository('team/app', {IMAGE: image})}
    asyncio.run(JournaledRegistry(Answering(), Journal(tmp_path, {}), seen).set_read_enabled('team/app', IMAGE, False))
    assert retirements_in([lines(tmp_path)])['team/app'][IMAGE].updated_at == before


@pytest.mark.parametrize(
    'kind, is_lost',
    [
        (None, True),
        (Kind.NOT_FOUND, True),
        (Kind.UNAVAILABLE, True),
        (Kind.UNREACHABLE, True),
        (Kind.LOCKED, False),
        (Kind.LATE, False),
        (Kind.FORBIDDEN, False),
        (Kind.MOVED, False),
    ],
)
def test_what_was_refused_is_not_lost_and_what_may_have_been_done_is(tmp_path, kind, is_lost):
    registry = JournaledRegistry(Answering(RegistryError(kind, 'no') if kind else None), Journal(tmp_path, {}), SEEN)
    for call in (
        lambda: delete(registry, [SIGNATURE]),
        lambda: asyncio.run(registry.delete_tag('team/app', 'v1', IMAGE, PERMIT)),
    ):
        if kind:
            with pytest.raises(RegistryError):
                call()
        else:
            call()
    assert [(each.digest, each.untagged) for each in lost_in(lines(tmp_path))] == [
        (IMAGE, True),
        (SIGNATURE, False),
    ] * is_lost


@pytest.mark.parametrize('unanswered', [False, True])
def test_what_came_too_late_is_lost_only_where_an_earlier_try_had_no_answer(tmp_path, unanswered):
    registry = JournaledRegistry(Answering(Late(unanswered=unanswered)), Journal(tmp_path, {}), SEEN)
    with pytest.raises(Late):
        delete(registry, [SIGNATURE])
    assert [each.digest for each in lost_in(lines(tmp_path))] == [SIGNATURE] * unanswered


def test_what_was_refused_once_and_done_then_is_lost(tmp_path):
    journal, client = Journal(tmp_path, {}), Answering(RegistryError(Kind.BUSY, 'no'))
    registry = JournaledRegistry(client, journal, SEEN)
    for call in (
        lambda: delete(registry, [IMAGE]),
        lambda: asyncio.run(registry.delete_tag('team/app', 'v1', IMAGE, PERMIT)),
    ):
        client.error = RegistryError(Kind.BUSY, 'no')
        for _ in range(2):
            with pytest.raises(RegistryError):
                call()
        client.error = None
        call()
    assert [(each.digest, each.untagged) for each in lost_in(lines(tmp_path))] == [
        (IMAGE, True),
        (IMAGE, False),
        (SBOM, False),
        (SIGNATURE, False),
    ]


def test_what_may_have_been_done_and_was_refused_then_is_lost(tmp_path):
    client = Answering(RegistryError(Kind.UNAVAILABLE, 'no'))
    registry = JournaledRegistry(client, Journal(tmp_path, {}), SEEN)
    for client.error in (RegistryError(Kind.UNAVAILABLE, 'no'), RegistryError(Kind.BUSY, 'no')):
        with pytest.raises(RegistryError):
            delete(registry, [SIGNATURE])
    assert [each.digest for each in lost_in(lines(tmp_path))] == [SIGNATURE]


def test_what_fell_with_its_subject_is_lost_although_its_own_delete_was_refused(tmp_path):
    client = Answering(RegistryError(Kind.BUSY, 'no'))
    registry = JournaledRegistry(client, Journal(tmp_path, {}), SEEN)
    with pytest.raises(RegistryError):
        delete(registry, [SBOM])
    client.error = None
    delete(registry, [IMAGE])
    assert [each.digest for each in lost_in(lines(tmp_path))] == [IMAGE, SBOM, SIGNATURE]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path):
    journal = Journal(tmp_path, {})
    asyncio.run(JournaledRegistry(Answering(), journal, SEEN).set_manifest_locks('team/app', IMAGE, UNLOCKED))
    path = tmp_path / f'{journal.run}.jsonl'
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert len(lines(tmp_path)) == whole[:cut].count(b'\n')
    assert all(json.loads(line) for line in whole.splitlines())


@pytest.mark.parametrize(
    'damaged',
    [
        ['event'],
        7,
        {},
        {'event': 1},
        {'event': 'request', 'repository': 5},
        {'event': 'request', 'tags': [{'tag': 5}]},
        {'event': 'request', 'tags': [{'tag': 'v1', 'locks': 'all'}]},
        {'event': 'request', 'tags': [{'locks': []}]},
        {'event': 'request', 'tags': [{'tag': 'v1', 'lastUpdateTime': 5}]},
        {'event': 'request', 'tags': ['v\t1']},
        {'event': 'request', 'repository': '\ud800'},
        {'event': 'request', 'digest': 'sha256:\ta'},
        {'event': 'request', 'owed': ['deleteEnabled']},
        {'event': 'request', 'owed': {'digest': 'sha256:a', 'locks': [{}]}},
        {'event': 'request', 'content': 'x'},
        {'event': 'outcome', 'error': ['x']},
        {'event': 'end', 'summary': ['x']},
        {'event': 'end', 'summary': {'freedBytes': 'x', 'impact': 'exact'}},
        {'event': 'end', 'summary': {'freedBytes': 1, 'impact': 'exbct'}},
        {'event': 'end', 'summary': {'freedBytes': 1, 'impact': []}},
        {'event': 'start', 'promised': 5},
        {'event': 'start', 'policy': 'all'},
        {'event': 'start', 'usedBytes': 'x'},
        {'event': 'start', 'registry': 5},
    ],
)
def test_a_line_that_no_run_writes_is_left_out(damaged):
    whole = {'event': 'request', 'repository': 'team/app', 'tags': [{'tag': 'v1'}, {'tag': 'v2', 'locks': []}]}
    assert lines_in(''.join(f'{json.dumps(line)}\n' for line in (whole, damaged, whole)).encode()) == [whole, whole]


def test_a_tag_in_plain_text_is_read_as_any_other():
    later = {'event': 'later', 'repository': 'team/app', 'digest': IMAGE}
    lines = lines_in(f'{json.dumps({**later, "tags": ["v1"]})}\n'.encode())
    assert lines == [{**later, 'tags': [{'tag': 'v1'}]}]
    assert deleted_later(lines)[0]['tags'] == ['v1']


@pytest.mark.parametrize('reference, name, other', [(IMAGE, 'digest', 'tag'), ('v1', 'tag', 'digest')])
def test_what_is_named_by_a_digest_or_by_a_tag_is_written_down_as_that(tmp_path, reference, name, other):
    journaled = JournaledRegistry(Answering(), Journal(tmp_path, {}), SEEN)
    asyncio.run(journaled.lock('team/app', reference, Locks(write_enabled=False)))
    assert [(line.get(name), line.get(other)) for line in lines(tmp_path)[1:]] == [(reference, None)] * 2


@pytest.mark.parametrize('enabled, request_name', [(True, 'unlock'), (False, 'lock')])
def test_that_something_may_be_deleted_is_written_down_as_unlocking_it_and_that_it_may_not_as_locking(
    tmp_path, enabled, request_name
):
    journaled = JournaledRegistry(Answering(), Journal(tmp_path, {}), SEEN)
    asyncio.run(journaled.set_delete_enabled('team/app', IMAGE, enabled))
    assert [(line['request'], line['digest']) for line in lines(tmp_path)[1:]] == [(request_name, IMAGE)] * 2


def test_what_cannot_be_written_down_is_not_sent_nor_is_anything_after_it(tmp_path):
    journal, registry = Journal(tmp_path, {}), Answering()
    journaled = JournaledRegistry(registry, journal, SEEN)
    journal.close()  # from now on nothing can be written
    for _ in range(2):
        with pytest.raises(RegistryError) as refused:
            delete(journaled, [IMAGE])
        assert refused.value.kind is Kind.FORBIDDEN
    assert registry.sent == []


def on_a_slow_disk(monkeypatch, path, lines, begun=lambda: None):
    """The sizes of a file that were on the disk, one after the other; it gets there once it has so many lines."""
    sizes, sync = [], os.fsync

    def slow(descriptor):
        size = os.fstat(descriptor).st_size  # what is written while it works need not be there after it
        begun()
        deadline = time.monotonic() + 60
        while path.read_bytes().count(b'\n') < lines and time.monotonic() < deadline:
            time.sleep(0.001)
        sync(descriptor)
        sizes.append(size)

    monkeypatch.setattr(os, 'fsync', slow)
    return sizes


def test_many_share_one_wait_for_the_disk_and_each_sends_only_what_is_on_it(tmp_path, monkeypatch):
    journal, sent = Journal(tmp_path, {}), []
    names = [f'sha256:{number:064x}' for number in range(100, 132)]
    path = tmp_path / f'{journal.run}.jsonl'
    sizes = on_a_slow_disk(monkeypatch, path, 1 + len(names))

    class Looking(Answering):
        def answer(self, repository, what):
            sent.append((what, what.encode() in path.read_bytes()[: max(sizes, default=0)]))

    seen = {'team/app': Repository('team/app', {name: Manifest(name, Content(1)) for name in names})}
    journaled = JournaledRegistry(Looking(), journal, seen)
    delete(journaled, names)
    journal.write('end')
    assert sorted(sent) == [(name, True) for name in names]
    assert len(sizes) <= 3  # what was there when the first one began, all the others, and the end
    assert sizes[-1] == path.stat().st_size
    assert [line['event'] for line in lines(tmp_path)].count('outcome') == len(names)


def test_what_is_written_while_the_disk_works_waits_for_it_once_more(tmp_path, monkeypatch):
    journal, begun = Journal(tmp_path, {}), threading.Event()
    path = tmp_path / f'{journal.run}.jsonl'
    sizes = on_a_slow_disk(monkeypatch, path, 3, begun.set)

    async def write_both():
        first = asyncio.create_task(journal.write_with_others('first'))
        await asyncio.to_thread(begun.wait)
        await journal.write_with_others('second')
        assert max(sizes) == path.stat().st_size
        await first

    asyncio.run(write_both())


def test_a_line_of_which_the_disk_took_only_a_part_is_not_sent_nor_is_anything_after_it(tmp_path, monkeypatch):
    journal, registry, write = Journal(tmp_path, {}), Answering(), os.write
    for way in (lambda file, line: write(file, line[:9]), write):
        monkeypatch.setattr(os, 'write', way)
        with pytest.raises(RegistryError, match='No space left'):
            delete(JournaledRegistry(registry, journal, SEEN), [SIGNATURE])
    assert registry.sent == []


@pytest.mark.parametrize(
    'error, words', [(OSError(5, 'Input/output error'), ': Input/output error'), (OSError('no disk'), ': no disk')]
)
def test_after_a_disk_that_failed_once_nothing_is_sent(tmp_path, monkeypatch, error, words):
    journal, registry, sync = Journal(tmp_path, {}), Answering(), os.fsync
    journaled = JournaledRegistry(registry, journal, SEEN)

    def fail(_):
        raise error

    for way in (fail, sync):
        monkeypatch.setattr(os, 'fsync', way)
        with pytest.raises(RegistryError, match=words):
            delete(journaled, [SIGNATURE])
    assert registry.sent == []


def test_an_outcome_that_cannot_be_written_down_is_no_failure_of_the_request(tmp_path):
    journal, registry = Journal(tmp_path, {}), Answering()
    registry.answer = lambda *_: journal.close()
    delete(JournaledRegistry(registry, journal, SEEN), [SIGNATURE])


class Copying:
    """A copy of a journal, kept in memory; what it does first when something comes can be given."""

    def __init__(self) -> None:
        self.kept = b''
        self.first = lambda: None

    def append(self, data):
        self.first()
        self.kept += data

    def end(self, settled):
        pass


def test_a_copy_has_every_line_also_one_that_came_while_others_were_copied(tmp_path):
    copy = Copying()
    journal = Journal(tmp_path, {}, lambda _: copy)
    copy.first = lambda: 'meanwhile' in journal.so_far().decode() or journal.note('meanwhile')
    for event in ('one', 'other'):
        journal.write(event)
    journal.note('last')
    assert 'last' not in copy.kept.decode()
    journal.close()
    assert copy.kept == (tmp_path / f'{journal.run}.jsonl').read_bytes() and copy.kept.count(b'\n') == 5


def test_a_copy_is_not_asked_to_take_what_it_has(tmp_path):
    copy, asked = Copying(), []
    copy.first = lambda: asked.append(len(copy.kept))
    journal = Journal(tmp_path, {}, lambda _: copy)
    journal.write('one')
    journal.close()
    assert len(asked) == 2


def test_after_a_copy_that_failed_once_nothing_more_is_copied(tmp_path):
    copy = Copying()
    journal = Journal(tmp_path, {}, lambda _: copy)
    before = copy.kept

    def fail():
        copy.first = lambda: None
        raise PruneError('the state is not there')

    copy.first = fail
    with pytest.raises(JournalError, match='the state is not there'):
        journal.write('one')
    journal.close()
    assert copy.kept == before


def test_what_the_registry_deletes_with_the_last_tag_is_written_down_once_and_before_it(tmp_path):
    journal = Journal(tmp_path, {})
    journaled = JournaledRegistry(Answering(), journal, SEEN, [('team/app', IMAGE), ('team/app', SBOM)])
    for _ in range(2):
        asyncio.run(journaled.delete_tag('team/app', 'v1', IMAGE, PERMIT))
    said = [(line['event'], line.get('digest')) for line in lines(tmp_path)[1:]]
    assert said[:3] == [('later', IMAGE), ('later', SBOM), ('request', IMAGE)]
    assert [event for event, _ in said].count('later') == 2


def test_only_its_owner_may_read_a_journal(tmp_path):
    journal = Journal(tmp_path, {})
    assert (tmp_path / f'{journal.run}.jsonl').stat().st_mode & 0o777 == 0o600


def test_a_line_that_something_else_appends_meanwhile_stays(tmp_path):
    journal = Journal(tmp_path, {})
    with (tmp_path / f'{journal.run}.jsonl').open('ab') as file:
        file.write(b'{"event":"settled"}\n')
    journal.write('end')
    assert [line['event'] for line in lines(tmp_path)] == ['start', 'settled', 'end']


def test_a_journal_that_cannot_be_begun_says_why(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(JournalError, match=r"The journal '.*file.*' cannot be written: .+"):
        Journal(tmp_path / 'file', {})


def test_a_tag_that_goes_is_written_down_with_its_locks_and_the_time_that_it_counts_with(tmp_path):
    moved = Tag('v1', IMAGE, last_update_time='2026-11-01T00:00:00Z', locks=Locks(delete_enabled=False))
    seen = {'team/app': replace(SEEN['team/app'], tags={'v1': moved})}
    door = JournaledRegistry(Answering(), Journal(tmp_path, {}), seen)
    for tag in ('v1', 'unlisted'):
        asyncio.run(door.delete_tag('team/app', tag, IMAGE, PERMIT))
    known, unknown = (
        {key: line[key] for key in ('tag', 'locks', 'lastUpdateTime') if key in line}
        for line in lines(tmp_path)
        if line['event'] == 'request'
    )
    assert known == {'tag': 'v1', 'locks': ['deleteEnabled=false'], 'lastUpdateTime': '2026-11-01T00:00:00Z'}
    assert unknown == {'tag': 'unlisted'}


def test_the_folder_of_journals_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    umask = os.umask(0)
    try:
        Journal(tmp_path / 'journal', {})
    finally:
        os.umask(umask)
    assert (tmp_path / 'journal').stat().st_mode & 0o777 == 0o700


def test_a_journal_that_is_gone_cannot_be_copied_and_the_error_names_it(tmp_path):
    journal = Journal(tmp_path, {})
    (tmp_path / f'{journal.run}.jsonl').unlink()
    with pytest.raises(JournalError, match=f'{journal.run}.* cannot be read: No such file'):
        journal.so_far()


def test_a_tag_was_taken_off_where_the_registry_said_so():
    at = '2026-01-01T00:00:00.000000Z'
    taken = {
        'event': 'outcome',
        'request': 'deleteTag',
        'outcome': 'done',
        'repository': 'a',
        'digest': IMAGE,
        'at': at,
    }
    others = [('event', 'request'), ('request', 'deleteManifest'), ('outcome', 'locked'), ('digest', None), ('at', '')]
    lines = [taken, *({**taken, key: value} for key, value in others)]
    assert list(tags_taken_off(lines)) == [('a', IMAGE, parse_ticks(at))]


def test_runs_of_one_second_are_in_the_order_in_which_they_began(tmp_path):
    begun = [Journal(tmp_path, {}).run for _ in range(20)]
    assert runs(tmp_path) == begun


def test_a_folder_of_journals_that_cannot_be_read_is_named_with_the_reason(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(5, 'Input/output error')

    monkeypatch.setattr(type(tmp_path), 'glob', fail)
    with pytest.raises(JournalError, match='cannot be read: Input/output error') as error:
        runs(tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize('run', ['x', '../x', '', '.'])
def test_only_runs_that_are_there_can_be_read(tmp_path, run):
    (tmp_path.parent / 'x.jsonl').write_text('{"event": "start"}\n')
    with pytest.raises(JournalError):
        read_run(tmp_path, run)
