"""The memory of what ran."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from azext_acrprune.pins.pinned import Pin
from azext_acrprune.pins.references import Reference
from azext_acrprune.sources.memory import Memory, Seen, UnreadableMemory, memory_path, within

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
WEB, API = Reference('team/web', 'v1'), Reference('team/api', None, 'sha256:' + '1' * 64, certain=False)


def look(days, *references):
    return Seen(
        NOW - timedelta(days=days), 'kubectl:dev', tuple(Pin(each, 'kubectl dev: Pod a/b') for each in references)
    )


def test_what_is_added_is_read_again_and_only_its_owner_may(tmp_path):
    path = memory_path(str(tmp_path), 'MyReg.azurecr.io')
    assert path == tmp_path / 'acrprune' / 'myreg.azurecr.io.ran.jsonl'
    looks = [look(3, WEB), look(1, WEB, API)]
    for each in looks:
        Memory(path).add(each)
    assert Memory(path).every() == looks
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_remembered_before_the_first_look(tmp_path):
    assert Memory(tmp_path / 'none').every() == []


def test_what_was_seen_within_the_time_is_pinned_once_with_the_last_time(tmp_path):
    pins = within([look(100, Reference('old', '1')), look(3, WEB, API), look(1, WEB)], NOW - timedelta(days=90))
    assert {(pin.reference, pin.source) for pin in pins} == {
        (WEB, 'kubectl dev: Pod a/b, seen 2026-11-28 12:00 UTC'),
        (API, 'kubectl dev: Pod a/b, seen 2026-11-26 12:00 UTC'),
    }


def test_a_last_line_that_was_cut_off_is_left_out_and_any_other_damage_is_an_error(tmp_path):
    path = tmp_path / 'ran.jsonl'
    Memory(path).add(look(1, WEB))
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    assert Memory(path).every() == [look(1, WEB)]
    path.write_text(whole[:40] + '\n' + whole)
    with pytest.raises(UnreadableMemory, match='Line 1'):
        Memory(path).every()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UnreadableMemory):
        Memory(tmp_path / 'file' / 'x.jsonl').add(look(1, WEB))
