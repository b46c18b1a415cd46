"""What goes only when it is asked for by name: ghosts, orphans, and partial indexes in spite of a number kept."""

import json
from dataclasses import replace

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.drift import check_drift
from azext_acrprune.decide.graph import build_graph, deletion_waves
from azext_acrprune.decide.named import decide_images, parse_image
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import decide_as_planned, read_plan
from azext_acrprune.model import Notice
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.flags import Flags, policy_of
from tests.worlds import (
    DAY,
    NOW,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    time_text,
    to_inventory,
    to_repository,
    unreadable,
)

REPOSITORY = 'team/web'
EVERYTHING = ('ghosts', 'orphans', 'partial')


def decided(*manifests, more=(), policy=None, include=(), complete=True, pins=Pins(), options=None, **flags):
    """The decision on one repository, and `more` of them."""
    policy = replace(policy or policy_of(Flags(include=tuple(include), **flags)), pins=pins)
    inventory = to_inventory([repository_of(*manifests, **(options or {})), *more])
    return decide(replace(inventory, complete=complete), policy, NOW)


def reasons(*manifests, **how):
    """Reason of each manifest that stays and None for those that go, in the order given."""
    verdicts = decided(*manifests, **how).verdicts[REPOSITORY]
    return [
        verdicts[manifest['digest']].reason if verdicts[manifest['digest']].kept else None for manifest in manifests
    ]


def because(manifest, *others, **how):
    return decided(manifest, *others, **how).verdicts[REPOSITORY][manifest['digest']].because


# --- Ghosts ------------------------------------------------------------------------------------------------------

GHOST = ghost(image('ghost'))


@pytest.mark.parametrize(
    'include, reason', [((), 'excluded'), (('orphans', 'partial'), 'excluded'), (('ghosts',), None)]
)
def test_a_ghost_goes_only_when_asked(include, reason):
    assert reasons(GHOST, include=include) == [reason]


def test_why_it_goes_says_that_it_was_asked_for():
    assert because(GHOST, include=['ghosts']) == 'include ghosts, untagged for 1d or longer'
    assert because(image('plain'), include=EVERYTHING) == 'untagged for 1d or longer'


def test_a_young_ghost_stays_since_it_may_be_a_push_under_way():
    assert reasons(ghost(image('new', age=DAY - 1)), ghost(image('timeless', age=None)), include=['ghosts']) == [
        'young',
        'young',
    ]


def test_a_locked_ghost_stays():
    assert reasons(dict(GHOST, locks=['deleteEnabled']), include=['ghosts']) == ['locked']


def test_a_pinned_ghost_stays():
    pins = Pins((Pin(Reference(REPOSITORY, None, GHOST['digest']), 'deploy.yaml', 1),))
    assert reasons(GHOST, include=['ghosts'], pins=pins) == ['pinned']


def test_a_ghost_in_an_excluded_repository_stays():
    assert reasons(GHOST, include=['ghosts'], exclude=('team/*:*',)) == ['excluded']


def test_a_ghost_beside_something_unreadable_stays():
    assert reasons(GHOST, unreadable(index('closed')), include=['ghosts']) == ['unreadable', 'unreadable']


def test_a_ghost_that_an_index_which_stays_names_stays():
    assert reasons(GHOST, index('whole', [GHOST['digest']], tags=['v1']), include=['ghosts']) == ['childOf', 'tagged']


def test_a_ghost_goes_with_the_index_that_names_it_and_after_it():
    parent = index('parent', [GHOST['digest']])
    assert reasons(GHOST, parent, include=['ghosts']) == [None, None]
    repository = to_repository(repository_of(GHOST, parent))
    assert list(deletion_waves(build_graph(repository), set(repository.manifests))) == [
        [parent['digest']],
        [GHOST['digest']],
    ]


@pytest.mark.parametrize(
    'referrer',
    [
        image('sbom', subject=GHOST['digest'], tags=['v1']),
        image('sbom', subject=GHOST['digest'], age=0.5 * DAY),
        image('signature', tags=[attachment_tag(GHOST['digest'])]),
    ],
    ids=['tagged', 'young', 'an orphan not asked for'],
)
def test_a_ghost_whose_referrer_stays_stays_for_the_service_would_take_the_referrer_along(referrer):
    found = reasons(GHOST, referrer, include=['ghosts'])
    assert found[0] == 'subjectOf' and found[1] is not None


def test_a_ghost_goes_after_its_orphans_when_both_are_asked_for():
    signature = image('signature', tags=[attachment_tag(GHOST['digest'])])
    assert reasons(GHOST, signature, include=['ghosts', 'orphans']) == [None, None]
    repository = to_repository(repository_of(GHOST, signature))
    assert list(deletion_waves(build_graph(repository), set(repository.manifests))) == [
        [signature['digest']],
        [GHOST['digest']],
    ]


def test_a_ghost_under_an_attachment_tag_is_a_ghost_and_no_orphan_and_stays_with_its_subject():
    subject, nowhere = image('subject', tags=['v1']), attachment_tag(image('nowhere')['digest'])
    signature = dict(GHOST, tags=[attachment_tag(subject['digest'])])
    assert reasons(signature, subject, include=['ghosts']) == ['referrerOf', 'tagged']
    assert reasons(signature, dict(subject, tags=[]), include=['ghosts']) == [None, None]
    assert reasons(dict(GHOST, tags=[nowhere]), include=['ghosts']) == [None]
    assert reasons(dict(GHOST, tags=[nowhere]), include=['orphans']) == ['unreadable']


def test_a_tagged_ghost_goes_only_where_its_tags_do():
    tagged = dict(GHOST, tags=['v1'])
    assert reasons(tagged, include=['ghosts']) == ['tagged']
    assert reasons(tagged, include=['ghosts'], match=('**:v*',), untagged=True) == [None]
    assert reasons(tagged, include=['ghosts'], match=('**:w*',), untagged=True) == ['tagged']
    assert reasons(tagged, include=(), match=('**:v*',), untagged=True) == ['unreadable']


@pytest.mark.parametrize(
    'age, asked, counts_as',
    [
        (2 * DAY, '1d', [None, 'excluded']),
        (DAY - 1, '0', ['unreadable', 'unreadable']),
        (2 * DAY, '3d', ['young', 'young']),
        (None, '0', ['unreadable', 'young']),
    ],
)
def test_a_ghost_younger_than_a_day_or_than_what_is_asked_for_may_be_an_index_on_its_way(age, asked, counts_as):
    child = image('child', age=2 * DAY)
    assert reasons(child, ghost(index('index', [child['digest']], age=age)), ago=asked) == counts_as


def test_a_tagged_ghost_may_need_anything_unless_ghosts_are_asked_for():
    child, gone = image('child'), ghost(index('index', tags=['v1']))
    assert reasons(child, gone) == ['unreadable', 'tagged']
    assert reasons(child, gone, include=['ghosts']) == [None, 'tagged']


def test_a_young_ghost_makes_the_bytes_an_upper_bound():
    young = ghost(image('new', age=60))
    assert plan_document(decided(image('old'), young), 'now')['impact'] == 'upperBound'
    assert plan_document(decided(image('old'), GHOST), 'now')['impact'] == 'exact'


def test_a_named_ghost_that_an_index_which_stays_names_stays():
    inventory = to_inventory([repository_of(GHOST, index('whole', [GHOST['digest']], tags=['v1']))])
    named = [parse_image(f'{REPOSITORY}@{GHOST["digest"]}')]
    assert decide_images(inventory, named).doomed == frozenset()


# --- Ghosts between plan and delete ------------------------------------------------------------------------------


def drift_of(seen, fresh, planned):
    return check_drift(
        {manifest['digest'] for manifest in planned},
        to_repository(repository_of(*seen)),
        to_repository(repository_of(*fresh)),
    )


def test_a_ghost_that_can_be_read_again_is_skipped_with_all_that_it_needs():
    child, other = image('child'), image('other')
    parent = index('parent', [child['digest']])
    found = drift_of([child, other, ghost(parent)], [child, other, parent], [child, other, parent])
    assert found.valid == {other['digest']}
    assert found.skipped[parent['digest']].because == 'it was a ghost, and is there now'
    assert found.skipped[child['digest']].reason == 'childOf'


def test_a_ghost_that_is_unreadable_now_may_need_anything():
    other, parent = image('other'), index('parent')
    found = drift_of([other, ghost(parent)], [other, unreadable(parent)], [other, parent])
    assert found.valid == frozenset()
    assert found.skipped[other['digest']].reason == 'unreadable'


def test_a_planned_ghost_that_was_pushed_and_is_no_ghost_for_the_plan_alone_is_seen_as_news():
    """The plan saw a ghost, and when it is applied the manifest is there, as old as before."""
    parent = index('parent', [image('child')['digest']])
    plan = plan_document(decided(ghost(parent), include=['ghosts']), time_text(NOW))
    applied = decide_as_planned(
        read_plan(json.dumps(plan), plan['registry'], NOW), to_inventory([repository_of(parent)])
    )
    (seen,) = applied.inventory.repositories
    found = check_drift(applied.doomed_in(REPOSITORY), seen, to_repository(repository_of(parent)))
    assert (found.valid, set(found.skipped)) == (frozenset(), {parent['digest']})


def test_a_new_referrer_of_a_planned_ghost_saves_it():
    sbom = image('sbom', subject=GHOST['digest'], age=0)
    found = drift_of([GHOST], [GHOST, sbom], [GHOST])
    assert found.skipped[GHOST['digest']].reason == 'subjectOf'


def test_an_unreadable_manifest_that_was_to_go_and_stays_may_need_anything():
    closed, other = unreadable(index('closed')), image('other')
    found = drift_of([closed, other], [dict(closed, tags=['v1']), other], [closed, other])
    assert found.valid == frozenset()


# --- Orphans -----------------------------------------------------------------------------------------------------

SUBJECT = image('subject')
ORPHAN = image('signature', tags=[attachment_tag(SUBJECT['digest'])])


@pytest.mark.parametrize(
    'include, reason', [((), 'excluded'), (('ghosts', 'partial'), 'excluded'), (('orphans',), None)]
)
def test_an_orphan_goes_only_when_asked(include, reason):
    assert reasons(ORPHAN, include=include) == [reason]


def test_why_an_orphan_goes_says_that_it_was_asked_for():
    assert because(ORPHAN, include=['orphans']) == 'include orphans, untagged for 1d or longer'


def test_an_attachment_whose_subject_is_in_another_repository_is_no_orphan():
    """COSIGN_REPOSITORY keeps the signatures of many repositories in one of their own."""
    images = repository_of(dict(SUBJECT, tags=['v1']), name='team/images')
    assert because(ORPHAN, more=[images], include=['orphans']).endswith('which is in another repository')
    assert reasons(ORPHAN, more=[images], include=['orphans']) == ['excluded']


def test_an_attachment_of_a_ghost_in_another_repository_is_an_orphan():
    assert reasons(ORPHAN, more=[repository_of(ghost(SUBJECT), name='team/images')], include=['orphans']) == [None]


def test_where_not_every_repository_was_read_no_attachment_is_known_to_be_an_orphan():
    assert reasons(ORPHAN, include=['orphans'], complete=False) == ['excluded']
    assert 'was not read' in because(ORPHAN, include=['orphans'], complete=False)


@pytest.mark.parametrize(
    'change, reason',
    [
        ({'tags': [*ORPHAN['tags'], 'v1']}, 'tagged'),
        ({'locks': ['writeEnabled']}, 'locked'),
        ({'updated': NOW - 1}, 'young'),
        ({'updated': None}, 'young'),
    ],
)
def test_an_orphan_that_something_else_keeps_stays(change, reason):
    assert reasons(dict(ORPHAN, **change), include=['orphans']) == [reason]


def test_an_orphan_whose_tag_is_locked_stays():
    options = {'tag_locks': {ORPHAN['tags'][0]: ['deleteEnabled']}}
    assert reasons(ORPHAN, include=['orphans'], options=options) == ['locked']


def test_an_orphan_that_an_index_names_stays_with_the_index():
    assert reasons(ORPHAN, index('index', [ORPHAN['digest']], tags=['v1']), include=['orphans']) == [
        'childOf',
        'tagged',
    ]


def test_an_orphan_whose_subject_was_pushed_since_the_plan_is_skipped():
    found = drift_of([ORPHAN], [ORPHAN, dict(SUBJECT, tags=['v1'])], [ORPHAN])
    assert found.skipped[ORPHAN['digest']].reason == 'referrerOf'


# --- Partial indexes ---------------------------------------------------------------------------------------------

CHILD = image('child', age=40 * DAY)
PARTIAL = index('partial', [CHILD['digest'], image('gone')['digest']], age=20 * DAY)
WHOLE = image('whole', age=30 * DAY)
OLDER = image('older', age=31 * DAY)


def test_a_number_kept_counts_a_partial_index_unless_it_was_asked_for():
    assert reasons(PARTIAL, WHOLE, CHILD, keep=1) == ['keepNewest', None, 'childOf']
    assert reasons(PARTIAL, WHOLE, CHILD, keep=1, include=['partial']) == [None, 'keepNewest', None]
    assert because(PARTIAL, WHOLE, CHILD, keep=1, include=['partial']) == 'include partial, untagged for 1d or longer'


def test_a_partial_index_that_is_tagged_stays_where_its_tag_does():
    assert reasons(dict(PARTIAL, tags=['v1']), CHILD, include=['partial']) == ['tagged', 'childOf']


def test_a_number_of_tags_kept_does_not_count_a_partial_index_that_was_asked_for():
    tagged = [dict(PARTIAL, tags=['v1.0.1']), dict(WHOLE, tags=['v1.0.0']), dict(OLDER, tags=['v0.9.0'])]
    for keep in ({'keep': 1}, {'keep_semver': 1}, {'keep_per': ('1:^(?P<v>v)',)}):
        how = {'match': ('**:*',), 'untagged': True, 'keep_untagged': 0, **keep}
        assert reasons(*tagged, **how) == ['keepNewest', None, None]
        assert reasons(*tagged, include=['partial'], **how) == [None, 'keepNewest', None]


def test_a_young_partial_index_stays():
    assert reasons(dict(PARTIAL, updated=NOW - 1), include=['partial']) == ['young']


# --- Policies, plans ---------------------------------------------------------------------------------------------


def test_a_policy_file_includes_too_and_its_rules_decide_the_rest():
    text = (
        'version: 1\ninclude: [ghosts, orphans]\n'
        'rules: [{name: old, match: {tagged: false}, when: {olderThan: 1d}, do: delete}]\n'
    )
    assert reasons(GHOST, ORPHAN, policy=parse_policy(text)) == [None, None]
    assert because(GHOST, policy=parse_policy(text)) == 'old: include ghosts, untagged for 1d or longer'
    tags_only = parse_policy(text.replace('tagged: false', 'tags: ["v*"]'))
    assert reasons(GHOST, ORPHAN, policy=tags_only) == ['excluded', 'excluded']


def test_a_rule_that_asks_for_what_a_ghost_cannot_tell_keeps_it():
    text = (
        'version: 1\ninclude: [ghosts]\n'
        'rules: [{name: old, match: {size: {atLeast: 1}, tagged: false}, when: {olderThan: 1d}, do: delete}]\n'
    )
    assert reasons(GHOST, policy=parse_policy(text)) == ['unreadable']


def test_the_plan_shows_what_was_asked_for():
    document = plan_document(decided(GHOST, include=['ghosts']), 'now')
    assert document['policy'] == {'untagged': {'ago': '1d', 'keep': 0, 'include': ['ghosts']}, 'repositories': []}
    assert [(entry['digest'], entry['uniqueBytes']) for entry in document['delete']] == [(GHOST['digest'], 0)]


def test_a_repository_that_could_not_be_read_keeps_all_orphans():
    inventory = replace(
        to_inventory([repository_of(ORPHAN)]),
        complete=False,
        warnings=(Notice('repositoryNotRead', 'closed', 'team/images'),),
    )
    assert decide(inventory, policy_of(Flags(include=('orphans',))), NOW).doomed == frozenset()
