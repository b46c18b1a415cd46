"""The cache on disk: what was kept comes back as it was, or not at all, whatever becomes of the file."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from azext_acrprune.decide.manifests import read_manifest
from azext_acrprune.inventory import cache as cache_module
from azext_acrprune.inventory import cache_file
from azext_acrprune.inventory.cache import ManifestCache
from azext_acrprune.inventory.cache_file import SCHEMA_VERSION, cache_path, describe, remove
from azext_acrprune.inventory.packing import packed_content
from azext_acrprune.model import Blob, Content
from tests import worlds
from tests.examples import examples
from tests.registry.builder import image_manifest

TODAY = 739_000
KIB = 1024


def digest(number: int) -> str:
    return f'sha256:{number:064x}'


def content(number: int) -> Content:
    """As large as that of an ordinary image, and another one for every number."""
    return Content(
        size=1000 + number,
        blobs=tuple(Blob(worlds.sha256(b'%d of %d' % (place, number)), number + place) for place in range(8)),
    )


CONTENTS = {digest(number): content(number) for number in range(60)}


@pytest.fixture
def path(tmp_path) -> Path:
    return cache_path(str(tmp_path), 'localhost:5000')


@contextmanager
def opened(path: Path, today: int = TODAY, **options):
    cache = ManifestCache(path, today, **options)
    yield cache
    cache.close()


def fill(path: Path, contents=None, repository: str = 'team/app') -> None:
    with opened(path) as cache:
        for each, value in (contents or CONTENTS).items():
            cache.remember(repository, each, value)
    assert cache.trouble is None


def recalled(path: Path, listed=tuple(CONTENTS), repository: str = 'team/app'):
    """What a later run knows, and what it says is wrong."""
    with opened(path) as cache:
        known = cache.recall(repository, listed)
    return known, cache.trouble


# What is forgotten


def test_one_manifest_is_forgotten_in_one_repository_alone(path):
    fill(path)
    fill(path, repository='team/other')
    with opened(path) as cache:
        cache.forget('team/app', digest(7))
        cache.forget('team/app', digest(1000))
        cache.forget('team/nowhere', digest(7))
        cache.forget('team/app', 'no digest')
    assert cache.trouble is None
    assert recalled(path)[0] == {each: value for each, value in CONTENTS.items() if each != digest(7)}
    assert recalled(path, repository='team/other')[0] == CONTENTS


# What is kept

DIGESTS = st.integers(0, 2**256 - 1).map(digest) | st.binary(min_size=64, max_size=64).map(
    lambda raw: f'sha512:{raw.hex()}'
)
EVERY_FIELD = st.builds(Content, **dict.fromkeys(Content._fields, ...))
PLAIN_BLOBS = st.lists(st.builds(Blob, st.integers(0, 5).map(digest), st.integers(0, 2**64 - 1)), max_size=4)
ORDINARY = st.builds(
    Content,
    st.integers(0, 2**64),
    blobs=PLAIN_BLOBS.map(tuple),
    subject=st.none() | st.text(),
    config=st.none() | st.just('') | st.integers(0, 7).map(digest),
    children=st.lists(DIGESTS, max_size=2).map(tuple),
    annotations=st.sampled_from([(), (('a', 'b'),)]),
)


@examples(200, HealthCheck.function_scoped_fixture)
@given(contents=st.dictionaries(DIGESTS, EVERY_FIELD | ORDINARY, min_size=1, max_size=3))
def test_every_field_of_every_content_comes_back_as_it_was(contents):
    with tempfile.TemporaryDirectory() as folder:
        path = cache_path(folder, 'host')
        fill(path, contents)
        assert recalled(path, list(contents)) == (contents, None)


def test_the_version_is_raised_whenever_something_else_is_kept():
    """Rows of earlier releases are trusted: change this row only together with SCHEMA_VERSION."""
    data = image_manifest(
        ('sha256:' + 'c' * 64, 7), [('sha256:' + 'd' * 64, 8)], subject=digest(1), annotations={'key': 'value'}
    )
    said = f'"children":[],"subject":"{digest(1)}","annotations":[["key","value"]],"attestations":[]'
    rest = f'{{{said},"inlined":[],"unmeasured":[]}}'.encode()
    assert (SCHEMA_VERSION, packed_content(read_manifest(worlds.sha256(data), data))) == (
        3,
        struct.pack('>QHI', len(data), 1, len(rest))
        + rest
        + struct.pack('>32sQ', b'\xdd' * 32, 8)
        + struct.pack('>32sQ', b'\xcc' * 32, 7),
    )


def test_labels_come_back_with_their_manifest_in_its_repository_and_go_with_it(path):
    labels = {digest(1): {'stage': 'old', 'ü': '"'}, digest(2): {}}
    fill(path)
    fill(path, repository='team/other')
    with opened(path) as cache:
        for each, value in labels.items():
            cache.remember_labels('team/app', each, value)
        cache.remember_labels('team/app', digest(999), {'of': 'nothing that is known'})
    with opened(path) as cache:
        assert cache.recall_labels('team/app', [*CONTENTS, digest(999)]) == labels
        assert cache.recall_labels('team/app', [digest(2)]) == {digest(2): {}}
        assert cache.recall_labels('team/other', CONTENTS) == {}
        cache.recall('team/app', [digest(2)])
        assert cache.recall_labels('team/app', CONTENTS) == {digest(2): {}}
    assert recalled(path, repository='team/other') == (CONTENTS, None)


@pytest.mark.parametrize(
    'statement',
    [
        "UPDATE manifest SET labels = CAST(substr(labels, 1, 20) || x'7b7d' AS BLOB)",
        'UPDATE manifest SET labels = CAST(checksum || content AS BLOB)',
        'UPDATE manifest SET labels = (SELECT labels FROM manifest AS other WHERE other.digest < manifest.digest)',
        "UPDATE manifest SET labels = ''",
        'UPDATE manifest SET labels = 7',
    ],
)
def test_labels_that_were_changed_are_missing(path, statement):
    fill(path)
    with opened(path) as cache:
        cache.remember_labels('team/app', digest(1), {'stage': 'old'})
        cache.remember_labels('team/app', digest(3), {'stage': 'new'})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with opened(path) as cache:
        right = {digest(1): {'stage': 'old'}, digest(3): {'stage': 'new'}}
        found = cache.recall_labels('team/app', CONTENTS)
        assert found.items() < right.items()
        assert cache.recall('team/app', CONTENTS) == CONTENTS


def test_only_what_is_listed_comes_back_and_the_rest_is_forgotten(path):
    fill(path)
    kept = list(CONTENTS)[:10]
    assert list(recalled(path, [*kept, digest(999)])[0]) == kept
    assert describe(path).manifests == 10


def test_a_content_is_known_only_where_it_was_read(path):
    fill(path)
    assert recalled(path, repository='team/other') == ({}, None)
    assert recalled(path) == (CONTENTS, None)


def test_repositories_that_are_gone_are_forgotten(path):
    fill(path)
    fill(path, repository='team/gone')
    with opened(path) as cache:
        cache.keep_only(['team/app', 'team/new'])
    assert describe(path).manifests == len(CONTENTS)
    assert recalled(path, repository='team/gone')[0] == {}


def test_digests_that_cannot_be_verified_are_not_looked_for(path):
    fill(path)
    assert recalled(path, ['foo:bar', 'sha256:short', *CONTENTS])[0] == CONTENTS


def test_many_threads_remember_and_recall(path):
    with opened(path) as cache:

        def work(name: str) -> None:
            for number in range(700):
                cache.remember(name, digest(number), content(number))
            cache.recall(name, [])

        threads = [threading.Thread(target=work, args=(f'team/{place}',)) for place in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(700):
            cache.remember('team/last', digest(number), content(number))
    assert cache.trouble is None
    assert len(recalled(path, [digest(number) for number in range(700)], 'team/last')[0]) == 700


# The file


def test_files_are_for_their_owner_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        cache = ManifestCache(path, TODAY)
        cache.remember('team/app', digest(1), content(1))
        cache.recall('team/app', [])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in [path.parent, *path.parent.iterdir()]}
        cache.close()
    finally:
        os.umask(before)
    assert modes.pop('acrprune') == 0o700
    assert set(modes) == {path.name, f'{path.name}-wal', f'{path.name}-shm'}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    'host, name',
    [
        ('myregistry.azurecr.io', 'myregistry.azurecr.io.sqlite'),
        ('MyRegistry.AzureCR.io', 'myregistry.azurecr.io.sqlite'),
        ('localhost:5000', 'localhost_5000.sqlite'),
        ('../../etc/passwd', '.._.._etc_passwd.sqlite'),
        ('..', '...sqlite'),
        ('a\0b\\c', 'a_b_c.sqlite'),
    ],
)
def test_a_host_name_never_leads_elsewhere(host, name):
    assert cache_path('/config', host) == Path('/config/acrprune') / name


def test_a_full_cache_makes_room_and_drops_the_longest_unused_first(path):
    limit = 350 * KIB
    with opened(path, TODAY, max_bytes=limit) as cache:
        for name in ('team/old', 'team/used'):
            for number in range(250):
                cache.remember(name, digest(number), content(number))
    with opened(path, TODAY + 1_000, max_bytes=limit) as cache:
        cache.recall('team/used', [digest(number) for number in range(250)])
    with opened(path, TODAY + 2_000, max_bytes=limit) as cache:
        for number in range(250):
            cache.remember('team/new', digest(number), content(number))
    known = {
        name: len(recalled(path, [digest(number) for number in range(250)], name)[0])
        for name in ('team/old', 'team/used', 'team/new')
    }
    assert (known['team/used'], known['team/new']) == (250, 250)
    assert known['team/old'] < 250


def test_the_file_stays_near_its_limit_however_much_is_kept(path):
    limit = 500 * KIB
    with opened(path, max_bytes=limit) as cache:
        for number in range(8_000):
            if cache.remember('team/app', digest(number), content(number)):
                cache.write()
        assert sum(file.stat().st_size for file in path.parent.iterdir()) < 20 * limit
    assert limit / 2 < path.stat().st_size < 2 * limit
    assert 200 < describe(path).manifests < 8_000


def test_what_is_there_is_described_without_making_anything(path):
    assert (describe(path).manifests, describe(path).size) == (0, 0)
    assert not path.parent.exists()
    fill(path)
    facts = describe(path)
    assert (facts.readable, facts.manifests, facts.schema_version) == (True, len(CONTENTS), SCHEMA_VERSION)
    assert facts.size == path.stat().st_size
    remove(path)
    assert list(path.parent.iterdir()) == []


# A file that is broken


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def other_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f'PRAGMA user_version = {SCHEMA_VERSION + 1}')


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE manifest (something)')


def renamed_tables(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'manifest', b'\x80anifest'))


def broken_schema(path: Path) -> None:
    """sqlite3 cannot even decode its own message about this one."""
    path.write_bytes(path.read_bytes().replace(b'CREATE TABLE manifest', b'CREATE \x80ABLE manifest'))


def text(path: Path) -> None:
    path.write_text('not a database\n' * 1000)


BREAKS = {
    'cut to nothing': (lambda path: cut(path, 0), False),
    'cut in the header': (lambda path: cut(path, 50), True),
    'cut after one page': (lambda path: cut(path, 4096), True),
    'cut in a page': (lambda path: cut(path, path.stat().st_size - 1000), True),
    'cut by a page': (lambda path: cut(path, path.stat().st_size - 4096), True),
    'full of zeros': (zeros, True),
    'of another version': (other_version, False),
    'of another program': (foreign, False),
    'without our tables': (renamed_tables, True),
    'with a broken schema': (broken_schema, True),
    'text': (text, True),
}


@pytest.mark.parametrize('break_it, warned', BREAKS.values(), ids=BREAKS)
def test_a_broken_file_knows_nothing_and_is_made_anew(path, break_it, warned):
    fill(path)
    break_it(path)
    known, trouble = recalled(path)
    assert known == {}
    assert bool(trouble) is warned
    fill(path)
    assert recalled(path) == (CONTENTS, None)


@pytest.mark.parametrize('break_it, _', BREAKS.values(), ids=BREAKS)
def test_a_broken_file_can_be_described_and_removed(path, break_it, _):
    fill(path)
    break_it(path)
    assert describe(path).size == path.stat().st_size
    assert not describe(path).readable
    remove(path)
    assert not path.exists()


def tampered(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount


@pytest.mark.parametrize(
    'statement',
    [
        'UPDATE manifest SET content = (SELECT content FROM manifest WHERE id = 2) WHERE id = 1',
        'UPDATE manifest SET (content, checksum) = (SELECT content, checksum FROM manifest WHERE id = 2) WHERE id = 1',
        "UPDATE manifest SET digest = x'ff', repository = 1 WHERE id = 1",
        "UPDATE manifest SET content = 'text' WHERE id = 1",
        'UPDATE manifest SET content = 5 WHERE id = 1',
        "UPDATE manifest SET content = x'' WHERE id = 1",
        "UPDATE manifest SET checksum = x'' WHERE id = 1",
        'UPDATE manifest SET content = substr(content, 1, length(content) - 1) WHERE id = 1',
    ],
)
def test_a_row_that_was_changed_is_missing_and_the_others_are_there(path, statement):
    fill(path)
    tampered(path, statement)
    assert recalled(path) == ({each: value for each, value in CONTENTS.items() if each != digest(0)}, None)
    fill(path, {digest(0): content(0)})
    assert recalled(path) == (CONTENTS, None)


def test_rows_that_turn_up_below_another_repository_are_missing(path):
    fill(path)
    tampered(path, "UPDATE repository SET name = 'team/other'")
    assert recalled(path, repository='team/other') == ({}, None)


@examples(150, HealthCheck.function_scoped_fixture)
@given(st.data())
def test_random_damage_never_gives_a_wrong_content(data):
    with tempfile.TemporaryDirectory() as folder:
        path = cache_path(folder, 'host')
        fill(path)
        whole = bytearray(path.read_bytes())
        start = data.draw(st.integers(0, len(whole) - 1))
        damage = data.draw(st.binary(min_size=1, max_size=300))
        whole[start : start + len(damage)] = damage
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
        known, _ = recalled(path)
        assert known.items() <= CONTENTS.items()
        describe(path)
        with opened(path) as cache:
            for each, value in CONTENTS.items():
                cache.remember('team/app', each, value)
        assert recalled(path)[0].items() <= CONTENTS.items()


@examples(60, HealthCheck.function_scoped_fixture)
@given(st.data())
def test_a_damaged_journal_never_gives_a_wrong_content(data):
    with tempfile.TemporaryDirectory() as folder:
        path = cache_path(folder, 'host')
        writer = ManifestCache(path, TODAY)
        for each, value in CONTENTS.items():
            writer.remember('team/app', each, value)
        writer._attempt(writer._write, None)
        copy = cache_path(folder, 'copy')
        copy.write_bytes(path.read_bytes())
        journal = bytearray(path.with_name(path.name + '-wal').read_bytes())
        writer.close()
        start = data.draw(st.integers(0, len(journal) - 1))
        damage = data.draw(st.binary(min_size=1, max_size=300))
        journal[start : start + len(damage)] = damage
        copy.with_name(copy.name + '-wal').write_bytes(journal[: data.draw(st.integers(0, len(journal)))])
        assert recalled(copy)[0].items() <= CONTENTS.items()


# A file that cannot be written


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of its own, as small as asked for."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / 'disk'
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip('may not mount')
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(['umount', '-l', str(folder)], check=True)


@pytest.mark.parametrize('size', [0, 4, 16, 40, 64, 100, 160])
def test_a_full_disk_costs_the_cache_and_nothing_else(tiny_disk, size):
    """Full from the start, or while the tables are made, or in the middle of writing."""
    disk = tiny_disk(f'size={size + 12}k')
    (disk / 'other').write_bytes(bytes(8 * KIB))
    path = cache_path(str(disk), 'host')
    with opened(path) as cache:
        for number in range(3000):
            cache.remember('team/app', digest(number), content(number))
    assert 'full' in cache.trouble or 'No space' in cache.trouble or 'I/O' in cache.trouble
    known, _ = recalled(path, [digest(number) for number in range(3000)])
    assert known.items() <= {digest(number): content(number) for number in range(3000)}.items()


def test_a_disk_that_became_read_only_is_a_warning(tiny_disk):
    disk = tiny_disk('size=2m')
    path = cache_path(str(disk), 'host')
    fill(path)
    subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
    known, trouble = recalled(path)
    assert (known, 'Read-only' in trouble) == ({}, True)


def as_nobody(work: Callable[[], str]) -> str:
    """What work answers as a user whom file modes hold back, which they do not for root."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


@pytest.mark.parametrize('mode, said', [(0o444, 'denied'), (0o666, 'readonly')])
def test_a_file_or_folder_that_this_user_may_not_write_is_a_warning(mode, said):
    with tempfile.TemporaryDirectory() as folder:
        path = cache_path(folder, 'host')
        fill(path)
        for each, bits in ((Path(folder), 0o755), (path.parent, 0o555), (path, mode)):
            os.chmod(each, bits)
        known, trouble = as_nobody(lambda: '{}|{}'.format(*recalled(path))).split('|')
        assert known == '{}'
        assert said in trouble


def test_a_folder_in_place_of_the_file_is_a_warning(path):
    path.mkdir(parents=True)
    known, trouble = recalled(path)
    assert known == {} and trouble


def test_a_file_that_somebody_keeps_locked_is_a_warning(path, monkeypatch):
    fill(path)
    monkeypatch.setattr(cache_file, '_BUSY_SECONDS', 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        with opened(path) as cache:
            other.execute('BEGIN IMMEDIATE')
            cache.remember('team/app', digest(999), content(999))
            assert cache.recall('team/app', CONTENTS) == CONTENTS
        assert 'locked' in cache.trouble
    assert path.exists()


# Several processes

FORK = get_context('fork')


def write(path: Path, first: int, rounds: int, wrote: Connection) -> None:
    """What a process does that uses the file with others; it sends True whenever it has written much."""
    cache_module._BATCH = 20
    for turn in range(rounds):
        cache = ManifestCache(path, turn)
        numbers = range(first, first + 300)
        for number in numbers:
            cache.remember('team/shared', digest(number), content(number))
            cache.remember(f'team/{first}', digest(number), content(number))
        wrote.send(True)
        for name in ('team/shared', f'team/{first}'):
            for each, value in cache.recall(name, [digest(number) for number in numbers]).items():
                assert value == content(int(each[7:], 16)), each
        cache.keep_only(['team/shared', f'team/{first}', f'team/{first + 1 - 2 * (turn % 2)}'])
        cache.close()
        assert cache.trouble is None, cache.trouble


def start_writer(path: Path, first: int, rounds: int) -> tuple[BaseProcess, Connection]:
    """The process, and the end at which it says that it wrote."""
    wrote, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=write, args=(path, first, rounds, theirs))
    process.start()
    theirs.close()
    return process, wrote


def test_processes_at_once_write_read_and_forget_in_one_file(path):
    for _ in range(2):  # the file is made by all of them at once
        if path.exists():
            remove(path)
        writers = [start_writer(path, first, 8) for first in (0, 200, 400)]
        for process, wrote in writers:
            process.join()
            assert process.exitcode == 0
            wrote.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute('PRAGMA integrity_check').fetchall() == [('ok',)]


def test_a_process_killed_while_it_writes_leaves_right_contents_only(path):
    survived = set()
    for attempt in range(6):
        process, wrote = start_writer(path, 0, 10_000)
        assert [wrote.recv() for _ in range(2 + attempt)]
        process.kill()
        process.join()
        wrote.close()
        listed = [digest(number) for number in range(300)]
        known, trouble = recalled(path, listed, 'team/shared')
        assert trouble is None
        assert known.items() <= {digest(number): content(number) for number in range(300)}.items()
        survived |= set(known)
    assert survived


def test_damage_that_is_met_in_the_middle_of_a_run_is_a_warning_and_the_next_run_starts_anew(path):
    numbers = range(2_000)
    fill(path, {digest(number): content(number) for number in numbers})
    with opened(path) as cache:
        with open(path, 'r+b') as file:
            file.seek(8 * 4096)
            file.write(b'\xff' * 100 * 4096)
        known = cache.recall('team/app', [digest(number) for number in numbers])
        cache.remember('team/app', digest(1), content(1))
        assert known == {} and 'malformed' in cache.trouble
    assert not path.exists()
    fill(path)
    assert recalled(path) == (CONTENTS, None)


def test_a_file_replaced_while_another_process_uses_it_gives_nothing_wrong(path):
    fill(path)
    with opened(path) as first:
        first.recall('team/app', CONTENTS)
        remove(path)
        fill(path, {digest(1): content(1)})
        for number in range(600):
            first.remember('team/app', digest(number), content(number))
    assert recalled(path, list(CONTENTS))[0].items() <= CONTENTS.items()
