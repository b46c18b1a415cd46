"""What a restoration takes for known: what runs had begun, what an archive lacks, and whose tags and locks count."""

from __future__ import annotations

import pytest

from azext_acrprune.archive.pure.layout import Index, Record
from azext_acrprune.archive.pure.lost import KeptDeleted, Lost, as_kept, not_held
from azext_acrprune.archive.pure.past import Begun
from azext_acrprune.model import UNLOCKED, Locks, parse_ticks

ONE = f'sha256:{"1" * 64}'
HIDDEN, LOCKED = Locks(read_enabled=False), Locks(delete_enabled=False)
IMAGE = Lost('app', ONE, None, (('v1', HIDDEN), ('v2', UNLOCKED)), UNLOCKED)


def record(tag=None, locks=UNLOCKED):
    return Record('r', 'app', ONE, 'application/x', 7, '2026-01-01T00:00:00Z', tag, locks)


@pytest.mark.parametrize(
    'held, left',
    [
        ([record(), record('v1'), record('v2')], []),
        ([record(), record('v1')], [(('v2', UNLOCKED),)]),
        ([record('v1'), record('v2')], [IMAGE.tags]),
        ([], [IMAGE.tags]),
    ],
)
def test_what_an_archive_lacks_is_a_manifest_with_its_tags_or_a_tag_alone(held, left):
    found = not_held([IMAGE], held)
    assert [each.tags for each in found] == left
    assert [each.untagged for each in found] == [each != IMAGE.tags for each in left]


@pytest.mark.parametrize(
    'listed, tags',
    [(('v2', 'v1'), (('v2', UNLOCKED), ('v1', HIDDEN))), (('v5',), (('v5', UNLOCKED),)), ((), IMAGE.tags)],
)
def test_the_tags_that_the_registry_lists_count_with_the_locks_that_a_journal_knows(listed, tags):
    ((found, _),) = as_kept([KeptDeleted('app', ONE, 1, listed)], {('app', ONE): IMAGE})
    assert found.tags == tags


def test_a_later_record_has_its_own_flags_and_earlier_locks_against_deletion():
    index = Index().with_records([record('v1', HIDDEN.and_those(LOCKED))]).with_records([record('v1')])
    assert index.records == (record('v1', LOCKED),)


@pytest.mark.parametrize(
    'updated, is_of_run',
    [
        ('2026-01-01T00:00:30Z', True),
        ('2026-01-01T00:04:00Z', True),
        ('2025-12-31T00:00:00Z', False),
        ('2026-01-02T00:00:00Z', False),
        (None, False),
    ],
)
def test_what_has_another_time_than_that_of_the_run_is_not_of_it(updated, is_of_run):
    begun, key = Begun(), ('app', ONE, 'v1')
    was = {'event': 'was', 'at': '2026-01-01T00:00:10Z', 'repository': 'app', 'digest': ONE, 'tag': 'v1'}
    begun.hear([{'event': 'start', 'at': '2026-01-01T00:00:00Z'}, was, {'event': 'request', 'at': was['at']}])
    assert begun.is_of_run(key, parse_ticks(updated)) is is_of_run
    begun.hear([was, {**was, 'event': 'restored'}])
    assert not begun.is_of_run(key, parse_ticks(updated))
