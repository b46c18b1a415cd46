"""Who pins what, at the last look before deleting, in a policy file, and in locks that are ours."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from azext_acrprune.apply.pin_locks import Marks, MarksUnreadable, marks_path
from azext_acrprune.decide.drift import check_drift
from azext_acrprune.decide.lock_plan import (
    FOUND,
    MISSING,
    NOT_READ,
    REPOSITORY_MISSING,
    Mark,
    Standing,
    pins_document,
    plan_locks,
)
from azext_acrprune.model import Locks, Tag
from azext_acrprune.pins.pinned import (
    NOT_RESOLVED,
    PINS_NOT_READ,
    Found,
    Pin,
    Pins,
    Problem,
    Sources,
    found_in,
    merged,
    named,
)
from azext_acrprune.pins.references import Reference, Unresolved
from azext_acrprune.policy.file import PolicyError, parse_policy
from azext_acrprune.spelling import printable
from tests.worlds import image, index, repository_of, to_repository

CHILD = image('child')
INDEX = index('index', [CHILD['digest']])
DIGEST, OTHER = (f'sha256:{digit * 64}' for digit in '12')


def pins(*references, problems=()):
    return Pins(tuple(Pin(reference, 'deploy.yaml', line) for line, reference in enumerate(references, 1)), problems)


def team(tag=None, digest=None, certain=True):
    return Reference('team/web', tag, digest, certain)


# --- The last look -------------------------------------------------------------------------------------------------


def test_a_pinned_manifest_is_skipped_with_what_it_needs_and_says_who_pins_it():
    repository = to_repository(repository_of(CHILD, INDEX))
    drift = check_drift(
        {CHILD['digest'], INDEX['digest']}, repository, repository, pins=pins(team(digest=INDEX['digest']))
    )
    assert drift.valid == frozenset()
    assert drift.skipped[INDEX['digest']].reason == 'pinned'
    assert drift.skipped[INDEX['digest']].because == 'deploy.yaml:1'
    assert drift.skipped[CHILD['digest']].reason == 'childOf'


def test_a_pinned_tag_that_only_the_tag_listing_knows_spares_what_it_points_to_now():
    seen = to_repository(repository_of(CHILD))
    fresh = replace(seen, tags={'v1': Tag('v1', CHILD['digest'])})
    drift = check_drift({CHILD['digest']}, seen, fresh, pins=pins(team('v1')))
    assert drift.skipped[CHILD['digest']].reason == 'pinned'
    assert check_drift({CHILD['digest']}, fresh, seen, pins=pins(team('v1'))).skipped == {}


def test_the_first_place_is_named_and_the_others_are_counted():
    assert named(['b:2', 'a:1', 'b:2', 'c:3']) == 'a:1 and 2 more'
    many = pins(team(digest=DIGEST), team(digest=DIGEST))
    assert many.by_digest('team/web') == {DIGEST: 'deploy.yaml:1 and 1 more'} and many.by_digest('team/app') == {}


def test_findings_are_pins_or_problems():
    found = found_in([team('v1'), Unresolved('host/app:\x1b[31m${T}', 'its tag is unknown')], 'a.yaml', 3)
    assert [pin.where for pin in found.pins] == ['a.yaml:3']
    (problem,) = found.problems
    assert problem.code == NOT_RESOLVED and str(problem).isprintable() and str(problem).startswith('a.yaml:3: ')
    assert str(Problem('gone', 'a')) == 'a: gone' and len(printable('x' * 1000)) < 400


def test_what_is_certain_at_a_place_is_not_uncertain_there_too():
    both = merged([Found((Pin(team('v1', certain=False), 'a', 1),)), Found((Pin(team('v1'), 'a', 1),))])
    assert both.pins == (Pin(team('v1'), 'a', 1),)


# --- In a policy file ------------------------------------------------------------------------------------------------

RULES = 'version: 1\nrules:\n- {name: a, match: {everything: true}, when: {olderThan: 1d}, do: delete}\n'


def test_a_policy_says_where_its_pins_are():
    text = 'pins:\n  paths: [deploy, k8s.yaml]\n  aliases: [images.contoso.com]\n  strict: true\n'
    policy = parse_policy(RULES + text)
    assert policy.sources == Sources(('deploy', 'k8s.yaml'), ('images.contoso.com',), True)
    assert parse_policy(RULES).sources == Sources()


@pytest.mark.parametrize(
    'text, line, key, said',
    [
        ('pins: deploy\n', 4, 'pins', 'expected object'),
        ('pins: {}\n', 4, 'pins', "the key 'paths' or 'from' is missing"),
        ('pins:\n  paths: deploy\n', 5, 'pins.paths', 'expected array'),
        ('pins:\n  paths:\n  - deploy\n  - "-"\n', 7, 'pins.paths[1]', 'standard input'),
        ('pins:\n  paths: [deploy]\n  strickt: true\n', 6, 'pins', "unknown key 'strickt'"),
        ('pins:\n  paths: [deploy]\n  strict: 1\n', 6, 'pins.strict', 'expected boolean'),
    ],
)
def test_what_is_wrong_with_the_pins_of_a_policy_is_told_with_its_line(text, line, key, said):
    with pytest.raises(PolicyError, match=said) as caught:
        parse_policy(RULES + text)
    assert (caught.value.line, caught.value.key) == (line, key)


# --- Is it still there? ----------------------------------------------------------------------------------------------


def test_what_is_missing_is_listed_where_it_is_certain():
    known = pins(
        team('v1'), team('v2'), team('v3', certain=False), Reference('none', 'v1'), team('v9', OTHER), team('v1')
    )
    standings = {
        ('team/web', 'v1'): Standing(FOUND, DIGEST),
        ('team/web', 'v2'): Standing(MISSING),
        ('team/web', 'v3'): Standing(MISSING),
        ('none', 'v1'): Standing(REPOSITORY_MISSING),
        ('team/web', OTHER): Standing(NOT_READ, error='no permission'),
    }
    document = pins_document('host', known, standings)
    assert [
        (entry['repository'], entry['tag'], entry['digest'], entry['status'], entry['pinnedBy'], entry.get('error'))
        for entry in document['pins']
    ] == [
        ('none', 'v1', None, REPOSITORY_MISSING, ['deploy.yaml:4'], None),
        ('team/web', 'v1', DIGEST, FOUND, ['deploy.yaml:1', 'deploy.yaml:6'], None),
        ('team/web', 'v2', None, MISSING, ['deploy.yaml:2'], None),
        ('team/web', 'v9', OTHER, NOT_READ, ['deploy.yaml:5'], 'no permission'),
    ]
    assert document['summary'] == {'images': 4, 'found': 1, 'missing': 2, 'notRead': 1, 'problems': 0}


def test_a_problem_is_listed_with_its_line_and_that_of_a_whole_source_with_none():
    known = pins(problems=(Problem('bad', 'a.yaml', 7), Problem('gone', 'b.yaml', code=NOT_RESOLVED)))
    assert pins_document('host', known, {})['problems'] == [
        {'code': PINS_NOT_READ, 'source': 'a.yaml', 'line': 7, 'message': 'bad'},
        {'code': NOT_RESOLVED, 'source': 'b.yaml', 'line': None, 'message': 'gone'},
    ]


# --- Locks -----------------------------------------------------------------------------------------------------------

LOCKED = Standing(FOUND, DIGEST, Locks(delete_enabled=False))
OPEN = Standing(FOUND, DIGEST)
MARK = Mark('team/web', DIGEST, True)
MARKS = {('team/web', DIGEST): MARK}


def planned(standing, *references, marks=None, problems=(), elsewhere=frozenset(), **more):
    standings = {('team/web', DIGEST): standing, **{('team/web', name): found for name, found in more.items()}}
    return plan_locks(pins(*references, problems=problems), standings, marks or {}, elsewhere)


def test_what_is_pinned_and_open_is_locked_by_digest_and_by_tag():
    assert planned(OPEN, team(digest=DIGEST)).lock == (('team/web', DIGEST, 'deploy.yaml:1'),)
    assert planned(OPEN, team('v1'), v1=OPEN).lock == (('team/web', DIGEST, 'deploy.yaml:1'),)
    assert planned(Standing(MISSING), team(digest=DIGEST)).lock == ()


def test_a_pinned_tag_whose_manifest_cannot_be_found_locks_nothing():
    plan = planned(Standing(MISSING), team('v1'), v1=OPEN)
    assert plan.lock == plan.locked == ()


@pytest.mark.parametrize('standing', [Standing(MISSING, DIGEST), Standing(NOT_READ, DIGEST), Standing(FOUND)])
def test_only_a_pinned_tag_that_was_found_with_its_digest_locks_it(standing):
    plan = planned(OPEN, team('v1'), v1=standing)
    assert plan.lock == plan.locked == ()


def test_what_somebody_else_locked_is_left():
    plan = planned(LOCKED, team(digest=DIGEST))
    assert plan.locked and not plan.lock
    assert planned(LOCKED) == planned(OPEN) == plan_locks(Pins(), {}, {}, None)


def test_what_is_pinned_and_there_is_wanted_whether_it_is_locked_already_or_not():
    there = {OTHER: Standing(FOUND, OTHER), 'v9': Standing(MISSING)}
    plan = planned(LOCKED, team(digest=DIGEST), team(digest=OTHER), team('v9'), **there)
    assert (len(plan.lock), len(plan.locked)) == (1, 1)
    assert set(plan.wanted) == {('team/web', DIGEST), ('team/web', OTHER)}


def test_our_lock_is_taken_off_when_nobody_pins_it():
    assert planned(LOCKED, marks=MARKS).unlock == (MARK,)
    assert planned(LOCKED, team(digest=DIGEST), marks=MARKS).unlock == ()


def test_our_lock_stays_where_another_machine_wants_it_or_may_want_it():
    for elsewhere in (None, {('team/web', DIGEST)}):
        plan = planned(LOCKED, marks=MARKS, elsewhere=elsewhere)
        assert (plan.unlock, plan.stays) == ((), (MARK,))
    plan = planned(LOCKED, marks=MARKS, elsewhere={('team/web', OTHER), ('team/api', DIGEST)})
    assert (plan.unlock, plan.stays) == ((MARK,), ())


def test_a_lock_that_others_took_off_or_added_to_is_ours_no_more():
    for standing in (OPEN, Standing(MISSING), Standing(FOUND, DIGEST, Locks(False, False))):
        plan = planned(standing, marks=MARKS)
        assert (plan.unlock, plan.forget) == ((), (MARK,))


def test_nothing_is_unlocked_while_some_pin_may_not_be_known():
    assert planned(LOCKED, marks=MARKS, problems=(Problem('broken', 'a', code=PINS_NOT_READ),)).unlock == ()
    unread = planned(LOCKED, team('v1'), marks=MARKS, v1=Standing(NOT_READ, error='busy'))
    assert (unread.unlock, unread.forget) == ((), ())
    assert planned(Standing(NOT_READ), marks=MARKS).forget == ()


def test_marks_outlive_the_process_and_are_for_their_owner_alone(tmp_path):
    path = marks_path(str(tmp_path / 'azure'), 'Localhost:5000')
    Marks(path).add(MARK)
    Marks(path).add(replace(MARK, write_enabled=False))
    assert Marks(path).all() == {('team/web', DIGEST): replace(MARK, write_enabled=False)}
    assert path.stat().st_mode & 0o777 == 0o600
    Marks(path).remove(MARK)
    assert Marks(path).all() == {}


def test_the_folder_of_marks_is_for_its_owner_alone_whatever_the_umask(tmp_path):
    path = marks_path(str(tmp_path), 'Localhost:5000')
    umask = os.umask(0)
    try:
        Marks(path).add(MARK)
    finally:
        os.umask(umask)
    assert path.parent != tmp_path and path.parent.stat().st_mode & 0o777 == 0o700


def test_marks_that_machines_share_are_for_all_whom_the_umask_allows(tmp_path):
    umask = os.umask(0)
    try:
        Marks(tmp_path / 'marks', 'first').add(MARK)
    finally:
        os.umask(umask)
    assert (tmp_path / 'marks').stat().st_mode & 0o777 == 0o666


def test_marks_that_machines_share_are_in_the_folder_that_they_share(tmp_path):
    alone = marks_path(str(tmp_path / 'azure'), 'Localhost:5000')
    assert marks_path(str(tmp_path / 'azure'), 'Localhost:5000', str(tmp_path / 'shared')) == (
        tmp_path / 'shared' / alone.name
    )


def test_what_each_machine_wants_stands_beside_the_marks_that_they_share(tmp_path):
    first, second, alone = (Marks(tmp_path / 'marks', name) for name in ('first', 'second', None))
    keys = [('team/web', DIGEST), ('team/api', OTHER)]
    first.want(keys, complete=True)
    second.want(keys[:1], complete=True)
    assert first.elsewhere() == {keys[0]: 'second'} and second.elsewhere() == dict.fromkeys(keys, 'first')
    second.want(keys[1:], complete=False)
    assert first.elsewhere() == dict.fromkeys(keys, 'second')
    second.want([], complete=True)
    assert first.elsewhere() == {} and alone.elsewhere() is None


def test_marks_of_many_threads_are_all_there(tmp_path):
    marks = Marks(tmp_path / 'marks')
    threads = [
        threading.Thread(target=marks.add, args=(replace(MARK, repository=f'r{number}'),)) for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(marks.all()) == 20


def test_only_what_changes_the_marks_is_told_as_a_change(tmp_path):
    told = []
    marks = Marks(tmp_path / 'marks', 'machine', told.append)
    assert marks.all() == {} and not told
    marks.add(MARK)
    assert told == [tmp_path / 'marks']
    assert marks.all() and marks.elsewhere() == {} and len(told) == 1
    marks.remove(MARK)
    marks.remove(MARK)
    assert marks.elsewhere() == {} and told == [tmp_path / 'marks'] * 2


def test_marks_that_cannot_be_read_are_an_error(tmp_path):
    (tmp_path / 'marks').write_bytes(os.urandom(4096))
    with pytest.raises(MarksUnreadable, match='marks'):
        Marks(tmp_path / 'marks').all()
    with pytest.raises(MarksUnreadable):
        Marks(tmp_path).all()
