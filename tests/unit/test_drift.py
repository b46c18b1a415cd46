"""Is the plan still true? One change for each that semantics.md, Drift, names."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.drift import check_drift, check_tags
from azext_acrprune.decide.verdicts import Verdict
from azext_acrprune.model import Locks
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from tests.worlds import (
    FAULTS,
    NOW,
    artifact,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    to_repository,
    unreadable,
)

CHILD = image('child')
PLANNED = index('planned', [CHILD['digest']])
OTHER = image('other')
STAYS = image('stays', tags=['v1'])
ALL = (CHILD, PLANNED, OTHER, STAYS)


def drift(*fresh, planned=(CHILD, PLANNED, OTHER), seen=ALL, **options):
    return check_drift(
        {manifest['digest'] for manifest in planned},
        to_repository(repository_of(*seen)),
        to_repository(repository_of(*fresh, **options)),
    )


def skipped(found):
    assert all(verdict.kept for verdict in found.skipped.values())
    return {digest: verdict.reason for digest, verdict in found.skipped.items()}


def digests(*manifests):
    return {manifest['digest'] for manifest in manifests}


def changed(manifest, **options):
    """The repository with one manifest changed."""
    return [dict(each, **options) if each is manifest else each for each in ALL]


def test_nothing_changed_and_nothing_is_skipped():
    found = drift(*ALL)
    assert (found.valid, found.skipped, found.gone) == (digests(CHILD, PLANNED, OTHER), {}, frozenset())


def test_a_tag_that_was_pushed_again_skips():
    tagged = image('tagged', tags=['pr-1'])
    seen = to_repository(repository_of(tagged))
    pushed = {'pr-1': seen.tags['pr-1']._replace(last_update_time='2026-12-01T18:00:00Z')}
    found = check_drift({tagged['digest']}, seen, replace(seen, tags=pushed))
    assert found.skipped == {tagged['digest']: Verdict(True, 'updated', 'the tag pr-1 was pushed again')}


def test_added_tag_skips():
    found = drift(*changed(OTHER, tags=['v2']))
    assert (skipped(found), found.valid) == ({OTHER['digest']: 'tagsChanged'}, digests(CHILD, PLANNED))
    assert found.skipped[OTHER['digest']].because == 'v2'


def test_moved_tag_skips_where_it_went():
    found = drift(CHILD, PLANNED, dict(OTHER, tags=['v1']), dict(STAYS, tags=[]))
    assert skipped(found) == {OTHER['digest']: 'tagsChanged'}
    assert STAYS['digest'] not in found.valid


def test_moved_tag_skips_where_it_came_from():
    signature = image('signature', tags=[attachment_tag(OTHER['digest'])])
    found = drift(OTHER, dict(signature, tags=[]), planned=[OTHER, signature], seen=[OTHER, signature])
    assert skipped(found) == {signature['digest']: 'tagsChanged'}


def test_order_of_tags_is_no_change():
    signature = image('signature', tags=[attachment_tag(OTHER['digest'], suffix) for suffix in ('.att', '.sig')])
    seen, fresh = (to_repository(repository_of(OTHER, each)) for each in (signature, signature))
    manifests = fresh.manifests
    manifest = manifests[signature['digest']]
    manifests[manifest.digest] = manifest._replace(tags=tuple(reversed(manifest.tags)))
    assert check_drift(digests(OTHER, signature), seen, fresh).valid == digests(OTHER, signature)


def test_tagged_index_keeps_its_children():
    found = drift(*changed(PLANNED, tags=['v2']))
    assert skipped(found) == {PLANNED['digest']: 'tagsChanged', CHILD['digest']: 'childOf'}
    assert found.valid == digests(OTHER)


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
def test_lock_on_the_manifest_skips(flag):
    assert skipped(drift(*changed(OTHER, locks=[flag]))) == {OTHER['digest']: 'locked'}


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
def test_lock_on_the_repository_skips_all(flag):
    found = drift(*ALL, locks=[flag])
    assert (set(skipped(found).values()), found.valid) == ({'locked'}, frozenset())


def test_lock_on_a_tag_skips():
    tag = attachment_tag(OTHER['digest'])
    signature = image('signature', tags=[tag])
    found = drift(
        OTHER, signature, planned=[OTHER, signature], seen=[OTHER, signature], tag_locks={tag: ['deleteEnabled']}
    )
    assert skipped(found) == {signature['digest']: 'locked', OTHER['digest']: 'subjectOf'}


@pytest.mark.parametrize('include_locked', [False, True])
@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
@pytest.mark.parametrize('is_on_tag', [False, True])
def test_lock_that_is_new_since_the_plan_skips_even_where_locked_ones_go(is_on_tag, flag, include_locked):
    other = dict(OTHER, tags=['v2'])
    locked = repository_of(other, tag_locks={'v2': [flag]}) if is_on_tag else repository_of(dict(other, locks=[flag]))
    seen, fresh = to_repository(repository_of(other)), to_repository(locked)
    found = check_drift(digests(other), seen, fresh, include_locked)
    assert (skipped(found), found.valid) == ({other['digest']: 'locked'}, frozenset())
    known = check_drift(digests(other), fresh, fresh, include_locked)
    assert known.valid == (digests(other) if include_locked else frozenset())


def test_a_lock_that_the_plan_saw_keeps_manifest_and_tag_unless_locked_ones_were_asked_for():
    locked = dict(OTHER, tags=['v2'], locks=['deleteEnabled'])
    seen = to_repository(repository_of(locked))
    assert check_drift(digests(locked), seen, seen).skipped[locked['digest']].reason == 'locked'
    assert check_tags({'v2': locked['digest']}, seen, seen).skipped['v2'].reason == 'locked'


def test_manifest_that_is_pinned_now_stays():
    pins = Pins((Pin(Reference('team/web', digest=OTHER['digest']), 'deploy.yaml', 1),))
    seen = to_repository(repository_of(*ALL))
    found = check_drift(digests(CHILD, PLANNED, OTHER), seen, seen, pins=pins)
    assert found.skipped == {OTHER['digest']: Verdict(True, 'pinned', 'deploy.yaml:1')}
    assert found.valid == digests(CHILD, PLANNED)


@pytest.mark.parametrize('time, because', [(NOW, '2027-01-15T08:00:00.0000000Z'), (None, 'no readable time')])
def test_update_skips(time, because):
    found = drift(*changed(OTHER, updated=time))
    assert skipped(found) == {OTHER['digest']: 'updated'}
    assert found.skipped[OTHER['digest']].because == because


@pytest.mark.parametrize('tags', [[], ['v2']])
def test_new_index_keeps_what_it_needs(tags):
    found = drift(*ALL, index('new', [CHILD['digest']], tags=tags))
    assert (skipped(found), found.valid) == ({CHILD['digest']: 'childOf'}, digests(PLANNED, OTHER))


@pytest.mark.parametrize('kind', [image, index, artifact])
def test_new_referrer_keeps_its_subject(kind):
    found = drift(*ALL, kind('new', subject=PLANNED['digest']))
    assert skipped(found) == {PLANNED['digest']: 'subjectOf', CHILD['digest']: 'childOf'}


def test_new_attachment_keeps_its_subject():
    new = image('new', tags=[attachment_tag(OTHER['digest'])])
    assert skipped(drift(*ALL, new)) == {OTHER['digest']: 'subjectOf'}


def test_new_image_that_needs_nothing_skips_nothing():
    assert drift(*ALL, image('new')).skipped == {}


def test_new_ghost_skips_all_since_it_may_be_an_index_whose_push_is_under_way():
    found = drift(*ALL, ghost(index('new', [CHILD['digest']])))
    assert set(skipped(found).values()) == {'unreadable'} and found.valid == frozenset()


def test_ghost_that_was_there_before_skips_nothing():
    old = ghost(index('old', [CHILD['digest']]))
    assert drift(*ALL, old, seen=[*ALL, old]).skipped == {}


def test_ghost_that_was_pushed_again_needs_its_children():
    again = index('again', [OTHER['digest']], tags=['v2'])
    found = drift(*ALL, again, seen=[*ALL, ghost(again)])
    assert skipped(found) == {OTHER['digest']: 'childOf'}


@pytest.mark.parametrize('fault', FAULTS)
def test_new_unreadable_manifest_skips_all(fault):
    found = drift(*ALL, unreadable(image('new'), fault))
    assert set(skipped(found)) == digests(CHILD, PLANNED, OTHER)
    assert (set(skipped(found).values()), found.valid) == ({'unreadable'}, frozenset())


def test_new_unreadable_docker_image_skips_nothing():
    assert drift(*ALL, unreadable(image('new', docker=True))).skipped == {}


def test_unreadable_docker_image_that_the_plan_knew_skips_nothing():
    known = unreadable(image('known', docker=True))
    assert drift(*ALL, known, seen=[*ALL, known]).skipped == {}


def test_gone_counts_as_done():
    found = drift(CHILD, PLANNED, STAYS)
    assert (found.gone, found.valid, found.skipped) == (digests(OTHER), digests(CHILD, PLANNED), {})


def test_gone_repository_counts_as_done():
    found = check_drift(digests(OTHER), to_repository(repository_of(*ALL)), None)
    assert (found.gone, found.valid, found.skipped) == (digests(OTHER), frozenset(), {})


def test_nothing_is_deleted_that_the_plan_did_not_name():
    found = drift(*ALL, image('new'), planned=[OTHER])
    assert found.valid == digests(OTHER)


def test_child_that_the_plan_names_stays_when_its_index_was_not_named():
    assert skipped(drift(*ALL, planned=[CHILD])) == {CHILD['digest']: 'childOf'}


def test_a_ghost_that_is_there_now_is_news():
    found = drift(OTHER, seen=[ghost(OTHER)], planned=[OTHER])
    assert skipped(found) == {OTHER['digest']: 'updated'}


@pytest.mark.parametrize('before, now, stays', [(False, True, True), (False, False, False), (True, True, False)])
def test_what_can_be_pulled_again_since_the_plan_stays(before, now, stays):
    seen, fresh = (to_repository(repository_of(OTHER)) for _ in range(2))
    for repository, enabled in ((seen, before), (fresh, now)):
        manifest = repository.manifests[OTHER['digest']]
        repository.manifests[OTHER['digest']] = manifest._replace(locks=Locks(read_enabled=enabled))
    found = check_drift(digests(OTHER), seen, fresh)
    assert skipped(found) == ({OTHER['digest']: 'updated'} if stays else {})
    assert {verdict.because for verdict in found.skipped.values()} <= {'it can be pulled again'}


@pytest.mark.parametrize('before, now', [(None, 'Failed'), ('Failed', 'Pending')])
def test_what_came_into_quarantine_since_the_plan_stays(before, now):
    found = drift(dict(OTHER, quarantine=now), seen=[dict(OTHER, quarantine=before)], planned=[OTHER])
    assert skipped(found) == {OTHER['digest']: 'quarantined'} and found.valid == frozenset()
    assert found.skipped[OTHER['digest']].because == now


def test_what_was_in_the_same_quarantine_when_it_was_planned_goes_and_so_does_what_came_out():
    for now in ('Failed', None):
        found = drift(dict(OTHER, quarantine=now), seen=[dict(OTHER, quarantine='Failed')], planned=[OTHER])
        assert found.valid == digests(OTHER)


# --- Tags that go from manifests that stay -----------------------------------------------------------------------

TAGGED = image('tagged', tags=['v1', 'v2'])


def tag_drift(fresh, include_locked=False, pins=Pins(), seen=None):
    return check_tags(
        {'v1': TAGGED['digest']},
        to_repository(seen or repository_of(TAGGED)),
        fresh and to_repository(fresh),
        include_locked,
        pins,
    )


def skipped_tag(*arguments, **options):
    found = tag_drift(*arguments, **options)
    assert found.valid == found.gone == frozenset() and found.skipped['v1'].kept
    return found.skipped['v1'].reason


def test_a_tag_that_is_as_it_was_goes():
    found = tag_drift(repository_of(TAGGED))
    assert (found.valid, found.skipped, found.gone) == ({'v1'}, {}, frozenset())


def test_a_tag_that_is_gone_or_in_a_repository_that_is_gone_counts_as_done():
    assert tag_drift(repository_of(dict(TAGGED, tags=['v2']))).gone == {'v1'}
    assert tag_drift(None).gone == {'v1'}


def test_a_tag_that_is_on_another_manifest_now_stays():
    moved = image('moved', tags=['v1'])
    assert skipped_tag(repository_of(dict(TAGGED, tags=['v2']), moved)) == 'tagsChanged'


@pytest.mark.parametrize('order', [1, -1])
def test_a_tag_that_moved_from_either_of_two_manifests_to_the_other_stays(order):
    before, now = sorted([image('one'), image('other')], key=lambda each: each['digest'])[::order]
    seen = to_repository(repository_of(dict(before, tags=['v1']), now))
    fresh = to_repository(repository_of(before, dict(now, tags=['v1'])))
    found = check_tags({'v1': before['digest']}, seen, fresh)
    assert found.skipped == {'v1': Verdict(True, 'tagsChanged', f'it is on {now["digest"]} now')}
    assert found.valid == found.gone == frozenset()


def test_a_tag_of_a_manifest_that_is_not_listed_stays():
    fresh = to_repository(repository_of(TAGGED))
    unlisted = replace(fresh, manifests={})
    found = check_tags({'v1': TAGGED['digest']}, to_repository(repository_of(TAGGED)), unlisted)
    assert found.skipped == {'v1': Verdict(True, 'tagsChanged', f'{TAGGED["digest"]} is not listed')}
    assert found.valid == found.gone == frozenset()


@pytest.mark.parametrize(
    'locked',
    [
        repository_of(dict(TAGGED, locks=['deleteEnabled'])),
        repository_of(TAGGED, tag_locks={'v1': ['writeEnabled']}),
        repository_of(TAGGED, locks=['deleteEnabled']),
    ],
)
def test_a_tag_that_was_locked_since_the_plan_stays_even_where_locked_ones_go(locked):
    assert skipped_tag(locked) == skipped_tag(locked, include_locked=True) == 'locked'


def test_a_lock_that_the_plan_saw_does_not_keep_a_tag_where_locked_ones_go():
    locked = repository_of(TAGGED, tag_locks={'v1': ['writeEnabled']})
    assert tag_drift(locked, include_locked=True, seen=locked).valid == {'v1'}


@pytest.mark.parametrize('time, because', [(NOW, '2027-01-15T08:00:00.0000000Z'), (None, 'no readable time')])
def test_a_tag_that_was_pushed_again_stays(time, because):
    found = tag_drift(repository_of(TAGGED, tag_times={'v1': time}))
    assert found.skipped == {'v1': Verdict(True, 'updated', because)}


def test_a_tag_that_the_plan_did_not_see_stays():
    assert skipped_tag(repository_of(TAGGED), seen=repository_of(dict(TAGGED, tags=['v2']))) == 'updated'


def test_a_tag_that_is_pinned_now_stays():
    pins = Pins((Pin(Reference('team/web', 'v1'), 'deploy.yaml', 1),))
    assert skipped_tag(repository_of(TAGGED), pins=pins) == 'pinned'
