"""The memory of what ran."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from azext_acrprune.pins.pinned import PINS_NOT_READ, Pin
from azext_acrprune.pins.references import Reference
from azext_acrprune.sources.memory import Memory, Seen, UnreadableMemory, memory_path, seen_in_part, within

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
    for damaged in (whole[:40], '[' * 200_000):
        path.write_text(damaged + '\n' + whole)
        with pytest.raises(UnreadableMemory, match='Line 1'):
            Memory(path).every()


def test_after_a_line_that_was_cut_off_the_next_one_stands_alone(tmp_path):
    path = tmp_path / 'ran.jsonl'
    Memory(path).add(look(3, WEB))
    path.write_bytes(path.read_bytes()[:40])
    Memory(path).add(look(1, API))
    Memory(path).add(look(0, WEB))
    assert Memory(path).every() == [look(1, API), look(0, WEB)]


def test_a_line_that_the_disk_takes_in_part_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / 'ran.jsonl'
    Memory(path).add(look(3, WEB))
    with monkeypatch.context() as patch:
        write = os.write
        patch.setattr(os, 'write', lambda file, data: write(file, data[:30]))
        with pytest.raises(UnreadableMemory, match='as a whole'):
            Memory(path).add(look(2, API))
    Memory(path).add(look(1, API))
    assert Memory(path).every() == [look(3, WEB), look(1, API)]


def test_looks_of_several_machines_are_in_the_order_of_time(tmp_path):
    for each in (look(1, WEB), look(3, WEB), look(2, API)):
        Memory(tmp_path / 'ran.jsonl').add(each)
    every = Memory(tmp_path / 'ran.jsonl').every()
    assert every == [look(3, WEB), look(2, API), look(1, WEB)]
    assert {pin.source for pin in within(every, NOW - timedelta(days=9)) if pin.reference == WEB} == {
        'kubectl dev: Pod a/b, seen 2026-11-28 12:00 UTC'
    }


def test_a_system_that_was_seen_in_part_last_is_a_problem_until_it_is_seen_whole_or_asked_itself(tmp_path):
    memory = Memory(tmp_path / 'ran.jsonl')
    for each in (look(3, WEB), replace(look(2, WEB), open_problems=4), replace(look(2, WEB), system='aks:x')):
        memory.add(each)
    assert memory.every()[1].open_problems == 4
    problems = list(seen_in_part(memory.every(), ()))
    assert [(each.source, each.code) for each in problems] == [('kubectl:dev', PINS_NOT_READ)]
    assert list(seen_in_part(memory.every(), ('kubectl:dev',))) == []
    memory.add(look(1, WEB))
    assert list(seen_in_part(memory.every(), ())) == []


def test_a_line_of_an_earlier_version_was_whole(tmp_path):
    path = tmp_path / 'ran.jsonl'
    Memory(path).add(look(1, WEB))
    line = json.loads(path.read_text())
    del line['openProblems']
    path.write_text(json.dumps(line) + '\n')
    assert Memory(path).every() == [look(1, WEB)]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UnreadableMemory):
        Memory(tmp_path / 'file' / 'x.jsonl').add(look(1, WEB))
