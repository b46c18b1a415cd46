"""One small world for each sentence of semantics.md, Kept, and why."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.claims import age_is_over
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.safety import judge
from azext_acrprune.decide.tags import stays_with_its_image
from azext_acrprune.decide.verdicts import Verdict, lock_on
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.flags import filter_scope
from azext_acrprune.policy.rules import (
    CREATED,
    DELETE,
    KEEP,
    PARTIAL,
    UNTAG,
    Age,
    Match,
    Policy,
    Rule,
    Settling,
    untagged_policy,
    untagged_rule,
)
from tests import worlds
from tests.worlds import (
    DAY,
    DOCKER_IMAGE,
    FAULTS,
    NOW,
    OCI_INDEX,
    TICKS,
    artifact,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    to_repository,
    unreadable,
)


def verdicts(*manifests, keep=0, ago=DAY, selected=True, **options):
    policy = untagged_policy(Age(f'{ago}s', ago), keep)
    return judge(to_repository(repository_of(*manifests, **options)), policy, NOW, selected).manifests


def reasons(*manifests, **options):
    """Reason of each manifest that stays and None for those that go, in the order given."""
    found = verdicts(*manifests, **options)
    return reasons_in(found, manifests)


def reasons_in(found, manifests):
    return [found[manifest['digest']].reason if found[manifest['digest']].kept else None for manifest in manifests]


def reasons_by(policy, *manifests, **options):
    """The same by a policy."""
    return reasons_in(judge(to_repository(repository_of(*manifests, **options)), policy, NOW).manifests, manifests)


def tag_rule(ago=DAY, pattern='.*:v.*', **more):
    """A rule for tags that begin with v, or for other ones."""
    return Rule(Match((filter_scope(pattern),), tagged=True), age=Age(f'{ago}s', ago), **more)


# --- Roots -------------------------------------------------------------------------------------------------------


def test_old_untagged_image_goes():
    found = verdicts(image())[image()['digest']]
    assert (found.kept, found.reason, found.because) == (False, 'untagged', 'untagged for 86400s or longer')


def test_user_tag_keeps():
    assert reasons(image(tags=['v1'])) == ['tagged']


def test_of_several_tags_the_first_is_named_as_what_keeps_an_image():
    (verdict,) = verdicts(image(tags=['v1', 'v2', 'v3'])).values()
    assert (verdict.reason, verdict.because) == ('tagged', 'v1')


def test_user_tag_keeps_an_attachment_too():
    subject = image('subject')
    both = image('signature', tags=['v1', attachment_tag(subject['digest'])])
    assert reasons(subject, both) == ['subjectOf', 'tagged']


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
def test_lock_on_the_manifest_keeps(flag):
    assert reasons(image(locks=[flag])) == ['locked']


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
def test_lock_on_the_repository_keeps(flag):
    assert reasons(image(), locks=[flag]) == ['locked']


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
def test_lock_on_one_of_its_tags_keeps(flag):
    subject = image('subject')
    tag = attachment_tag(subject['digest'])
    signature = image('signature', tags=[attachment_tag(subject['digest'], '.att'), tag])
    assert reasons(subject, signature, tag_locks={tag: [flag]}) == ['subjectOf', 'locked']


def test_of_two_locks_that_of_the_manifest_is_told_with_its_own_flag():
    locked = image(tags=['v1'], locks=['writeEnabled'])
    repository = to_repository(repository_of(locked, tag_locks={'v1': ['deleteEnabled']}))
    assert lock_on(repository, repository.manifests[locked['digest']]) == 'manifest writeEnabled=false'


def test_of_two_flags_of_one_lock_the_first_is_told():
    locked = image(locks=['writeEnabled', 'deleteEnabled'])
    repository = to_repository(repository_of(locked))
    assert lock_on(repository, repository.manifests[locked['digest']]) == 'manifest deleteEnabled=false'


def test_lock_on_the_tag_of_another_keeps_nothing_else():
    assert reasons(image(), image('other', tags=['v1']), tag_locks={'v1': ['deleteEnabled']}) == [None, 'tagged']


@pytest.mark.parametrize(
    'age, reason',
    [(DAY, None), (DAY - 0.001, 'young'), (0, 'young'), (-1, 'young'), (-400 * DAY, 'young'), (None, 'young')],
)
def test_younger_than_ago_is_kept(age, reason):
    assert reasons(image(age=age)) == [reason]


@pytest.mark.parametrize('age, reason', [(0, None), (1, None), (-1, 'young'), (None, 'young')])
def test_ago_zero_still_keeps_the_future_and_the_timeless(age, reason):
    assert reasons(image(age=age), ago=0) == [reason]


@pytest.mark.parametrize(
    'ago, back, stays',
    [(DAY, 0.9, True), (DAY, 1.0, False), (30 * DAY, 0.9, True), (30 * DAY, 1.1, False), (3_600, 0.1, False)],
)
def test_what_came_back_within_a_day_or_within_the_age_asked_for_stays_however_old_it_was(ago, back, stays):
    one = image('one', age=90 * DAY)
    policy = untagged_policy(Age(f'{ago}s', ago))
    facts = replace(policy.facts, came_back={('team/web', one['digest'], None): NOW - int(back * DAY) * TICKS})
    verdict = judge(to_repository(repository_of(one)), replace(policy, facts=facts), NOW).manifests[one['digest']]
    assert (verdict.kept, verdict.reason) == ((True, 'young') if stays else (False, 'untagged'))
    assert ('it came back' in verdict.because) is stays


def test_absurdly_large_ago_keeps_everything():
    assert reasons(image(), ago=10**30) == ['young']


def test_age_is_over_at_the_very_tick():
    assert age_is_over(NOW - TICKS, 1, NOW)
    assert not age_is_over(NOW - TICKS + 1, 1, NOW)
    assert not age_is_over(NOW + 1, 0, NOW)
    assert not age_is_over(None, 0, NOW)


def test_nothing_goes_from_a_repository_that_is_not_selected():
    assert reasons(image(), unreadable(image('bad')), selected=False) == ['excluded', 'excluded']


@pytest.mark.parametrize('action', [DELETE, UNTAG])
def test_no_tag_goes_from_a_repository_that_is_not_selected(action):
    repository = to_repository(repository_of(image('one', tags=['v1'])))
    policy = Policy((tag_rule(action=action),))
    assert not judge(repository, policy, NOW).tags['v1'].kept
    assert judge(repository, policy, NOW, selected=False).tags == {}


def test_no_tag_is_judged_where_no_rule_may_take_one():
    assert judge(to_repository(repository_of(image('one', tags=['v1']))), untagged_policy(), NOW).tags == {}


@pytest.mark.parametrize(
    'options, reason',
    [
        ({'tags': ['v1'], 'locks': ['deleteEnabled'], 'age': 0}, 'tagged'),
        ({'locks': ['deleteEnabled'], 'age': 0}, 'locked'),
        ({'age': 0}, 'young'),
        ({}, 'keepNewest'),
    ],
)
def test_first_reason_that_applies_is_given(options, reason):
    assert reasons(image(**options), keep=1, selected=False) == [reason]


@pytest.mark.parametrize(
    'changes',
    [
        lambda digest: {'digests': frozenset([digest])},
        lambda digest: {'pins': Pins((Pin(Reference('team/web', digest=digest), 'deploy.yaml', 3),))},
    ],
    ids=['policy', 'file'],
)
def test_what_the_policy_or_a_file_names_by_its_digest_is_pinned(changes):
    pinned, other = image('pinned'), image('other')
    policy = replace(untagged_policy(), **changes(pinned['digest']))
    assert reasons_by(policy, pinned, other) == ['pinned', None]


@pytest.mark.parametrize(
    'updated, created, kept', [(30, 30, False), (30, 0.5, True), (0.5, 30, False)], ids=['old', 'new', 'touched']
)
def test_an_age_by_creation_counts_from_creation_alone(updated, created, kept):
    one = dict(image(age=updated * DAY), created=NOW - int(created * DAY * TICKS))
    assert reasons_by(untagged_policy(Age('1d', DAY, CREATED)), one) == ['young' if kept else None]


@pytest.mark.parametrize('updated, created, kept', [(30, 0.5, False), (0.5, 30, True)], ids=['new', 'touched'])
def test_an_age_by_update_counts_from_the_last_update_alone(updated, created, kept):
    one = dict(image(age=updated * DAY), created=NOW - int(created * DAY * TICKS))
    assert reasons_by(untagged_policy(), one) == ['young' if kept else None]


# --- What a root keeps -------------------------------------------------------------------------------------------


def test_index_keeps_its_children_recursively():
    leaf = image('leaf')
    inner = index('inner', [leaf['digest']])
    outer = index('outer', [inner['digest']], tags=['v1'])
    assert reasons(leaf, inner, outer) == ['childOf', 'childOf', 'tagged']


def test_because_names_the_index():
    leaf = image('leaf')
    outer = index('outer', [leaf['digest']], tags=['v1'])
    assert verdicts(leaf, outer)[leaf['digest']].because == outer['digest']


def test_child_keeps_no_index():
    child = image('child', tags=['v1'])
    assert reasons(child, index('index', [child['digest']])) == ['tagged', None]


@pytest.mark.parametrize('kind', [image, index, artifact])
def test_subject_keeps_its_referrers_recursively(kind):
    subject = image('subject', tags=['v1'])
    sbom = kind('sbom', subject=subject['digest'])
    signature = kind('signature', subject=sbom['digest'])
    assert reasons(subject, sbom, signature) == ['tagged', 'referrerOf', 'referrerOf']


@pytest.mark.parametrize('kind', [image, index, artifact])
def test_kept_referrer_keeps_its_subject_which_would_take_it_along(kind):
    subject = image('subject')
    assert reasons(subject, kind('signature', subject=subject['digest'], tags=['v1'])) == ['subjectOf', 'tagged']


@pytest.mark.parametrize('suffix', ['', '.sig', '.att', '.sbom'])
def test_subject_keeps_its_attachments(suffix):
    subject = image('subject', tags=['v1'])
    other = (image if suffix else index)('other', tags=[attachment_tag(subject['digest'], suffix)])
    assert reasons(subject, other) == ['tagged', 'referrerOf']


def test_the_bare_tag_of_a_digest_is_a_user_tag_on_an_image_whatever_the_listing_calls_it():
    subject = image('subject')
    mirrored = image('mirrored', tags=[attachment_tag(subject['digest'], '')])
    assert reasons(subject, mirrored) == [None, 'tagged']
    assert reasons(subject, dict(mirrored, media_type=worlds.OCI_INDEX)) == [None, 'tagged']
    assert reasons(subject, dict(index('index'), tags=mirrored['tags'], media_type=None)) == [None, 'tagged']


# --- Quarantine --------------------------------------------------------------------------------------------------


def test_what_is_in_quarantine_stays_and_keeps_what_it_needs():
    child = image('child')
    held = index('index', [child['digest']], quarantine='Failed')
    assert reasons(child, held) == ['childOf', 'quarantined']
    assert verdicts(child, held)[held['digest']].because == 'Failed'


# --- What the lists do not show ----------------------------------------------------------------------------------


def test_something_that_is_not_listed_may_need_anything():
    seen = to_repository(repository_of(image('one'), image('two', tags=['v1'])))
    found = judge(replace(seen, unseen='it has 3 manifests, and 2 are listed'), untagged_policy(), NOW).manifests
    assert sorted(verdict.reason for verdict in found.values()) == ['tagged', 'unreadable']
    assert 'it has 3 manifests, and 2 are listed' in {verdict.because for verdict in found.values()}


@pytest.mark.parametrize('hidden', [True, False])
def test_what_no_list_shows_stays(hidden):
    one = image('one')
    seen = to_repository(repository_of(one))
    found = judge(replace(seen, hidden=frozenset([one['digest']] if hidden else [])), untagged_policy(), NOW).manifests
    verdict = found[one['digest']]
    assert verdict.kept is hidden
    assert not hidden or (verdict.reason, verdict.because) == ('excluded', 'it is hidden from lists')


def test_attachment_goes_with_its_subject():
    subject = image('subject')
    signature = image('signature', tags=[attachment_tag(subject['digest'])])
    assert reasons(subject, signature) == [None, None]
    assert verdicts(subject, signature)[signature['digest']].reason == 'referrerOf'


def test_kept_attachment_keeps_its_subject():
    subject = image('subject')
    young = image('signature', tags=[attachment_tag(subject['digest'])], age=0)
    assert reasons(subject, young) == ['subjectOf', 'young']


@pytest.mark.parametrize('missing', [[], [ghost(image('subject'))]])
def test_orphan_attachment_is_deleted_only_when_asked(missing):
    signature = image('signature', tags=[attachment_tag(image('subject')['digest'])])
    found = verdicts(signature, *missing)[signature['digest']]
    assert (found.kept, found.reason) == (True, 'excluded')
    assert image('subject')['digest'] in found.because


def test_attachment_with_a_subject_that_exists_is_no_orphan():
    there, missing = image('there'), image('missing')
    by_tag = image('by tag', tags=[attachment_tag(missing['digest']), attachment_tag(there['digest'])])
    by_content = image('by content', subject=there['digest'], tags=[attachment_tag(missing['digest'], '.att')])
    assert reasons(there, by_tag, by_content) == [None, None, None]


def test_untagged_referrer_whose_subject_is_missing_goes():
    assert reasons(image('signature', subject=image('missing')['digest'])) == [None]


def test_image_whose_tag_names_itself_is_tagged_as_imgpkg_tags_what_must_stay():
    alone, other = image('alone'), image('other')
    alone['tags'] = [attachment_tag(alone['digest'], '.imgpkg')]
    other['tags'] = [attachment_tag(alone['digest'])]
    assert reasons(alone, other) == ['tagged', 'referrerOf']


def test_untagged_index_that_goes_takes_the_children_that_nothing_else_keeps():
    shared, own = image('shared'), image('own')
    stale = index('stale', [shared['digest'], own['digest']])
    fresh = index('fresh', [shared['digest']], tags=['v1'])
    assert reasons(shared, own, stale, fresh) == ['childOf', None, None, 'tagged']


def test_locked_untagged_index_keeps_its_children_where_acr_purge_deletes_them():
    child = image('child')
    assert reasons(child, index('index', [child['digest']], locks=['writeEnabled'])) == ['childOf', 'locked']


@pytest.mark.parametrize('tags, expected', [(['v1'], ['childOf', 'childOf', 'excluded', 'tagged']), ([], [None] * 4)])
def test_an_index_without_a_tag_stays_whole_with_a_part_that_something_needs(tags, expected):
    part, other = image('part'), image('other')
    manifests = [
        part,
        other,
        index('index', [part['digest'], other['digest']]),
        artifact(subject=part['digest'], tags=tags),
    ]
    policy = Policy((Rule(Match(tagged=False), DELETE, Age('1d', DAY)),))
    found = judge(to_repository(repository_of(*manifests)), policy, NOW).manifests
    verdicts = [found[each['digest']] for each in manifests]
    assert [each.reason if each.kept else None for each in verdicts] == expected


def test_a_part_that_no_rule_matches_goes_with_its_index_and_not_without_one():
    part, other = image('part'), image('other')
    whole = index('index', [part['digest']])
    policy = Policy((Rule(Match(media_types=(OCI_INDEX,)), DELETE, Age('1d', DAY)),))
    found = judge(to_repository(repository_of(part, other, whole)), policy, NOW).manifests
    assert [found[each['digest']].kept for each in (part, whole, other)] == [False, False, True]


def test_index_with_a_missing_child_keeps_the_others():
    child = image('child')
    partial = index('index', [image('missing')['digest'], child['digest']], tags=['v1'])
    assert reasons(child, partial) == ['childOf', 'tagged']


def test_cycle_of_attachment_tags_goes_as_a_whole_and_stays_as_a_whole():
    one, other = image('one'), image('other')
    one['tags'], other['tags'] = [attachment_tag(other['digest'])], [attachment_tag(one['digest'])]
    assert reasons(one, other) == [None, None]
    assert reasons(dict(one, locks=['writeEnabled']), other) == ['locked', 'referrerOf']


def test_young_index_keeps_its_old_children():
    child = image('child')
    assert reasons(child, index('index', [child['digest']], age=0)) == ['childOf', 'young']


# --- Fail closed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('kind', [image, index, artifact])
def test_unreadable_manifest_keeps_every_untagged_one(kind, fault):
    assert reasons(image(), unreadable(kind('bad'), fault)) == ['unreadable', 'unreadable']


def test_unreadable_manifest_of_unknown_type_keeps_every_untagged_one():
    bad = dict(unreadable(image('bad', docker=True)), media_type=None)
    assert reasons(image(), bad) == ['unreadable', 'unreadable']


def test_tagged_unreadable_manifest_keeps_the_untagged_too():
    bad = unreadable(index('bad', tags=['v1']))
    assert reasons(image(), bad) == ['unreadable', 'tagged']
    assert verdicts(image(), bad)[image()['digest']].because == bad['digest']


def test_because_is_always_the_same_one_of_several_unreadable_manifests():
    bad = [unreadable(index(str(number))) for number in range(9)]
    for order in (bad, bad[::-1]):
        assert verdicts(image(), *order)[image()['digest']].because == min(manifest['digest'] for manifest in bad)


def test_unreadable_docker_image_keeps_only_itself():
    bad = unreadable(image('bad', docker=True))
    assert bad['media_type'] == DOCKER_IMAGE
    assert reasons(image(), bad) == [None, 'unreadable']


def test_unreadable_docker_image_keeps_its_subject_by_tag():
    subject = image('subject')
    bad = unreadable(image('bad', docker=True, tags=[attachment_tag(subject['digest'])]))
    assert reasons(subject, bad) == ['subjectOf', 'unreadable']


def test_ghost_is_deleted_only_when_asked():
    found = verdicts(ghost(image()))[image()['digest']]
    assert (found.kept, found.reason, found.because) == (True, 'excluded', 'ghost')


def test_ghost_protects_nothing():
    child, subject = image('child'), image('subject')
    gone = ghost(index('index', [child['digest']], subject=subject['digest']))
    assert reasons(child, subject, gone) == [None, None, 'excluded']


def test_ghost_keeps_no_referrer():
    subject = ghost(image('subject'))
    assert reasons(subject, image('sbom', subject=subject['digest'])) == ['excluded', None]


def test_ghost_does_not_fail_closed():
    assert reasons(image(), ghost(index())) == [None, 'excluded']


# --- Keeping the newest untagged ---------------------------------------------------------------------------------


def test_keep_counts_the_newest_by_last_update():
    images = [image(str(age), age=age * DAY) for age in (4, 2, 3)]
    assert reasons(*images, keep=2) == [None, 'keepNewest', 'keepNewest']


def test_keep_breaks_ties_by_digest():
    images = sorted((image(str(number)) for number in range(3)), key=lambda manifest: manifest['digest'])
    assert reasons(*images, keep=1) == ['keepNewest', None, None]


def test_keep_counts_images_and_not_their_parts():
    child = image('child', age=2 * DAY)
    newest = index('index', [child['digest']], age=3 * DAY)
    assert reasons(child, newest, image('older', age=4 * DAY), keep=1) == ['childOf', 'keepNewest', None]


def test_keep_keeps_the_attachments_of_what_it_keeps_and_does_not_count_them():
    subject = image('subject', age=3 * DAY)
    signature = image('signature', tags=[attachment_tag(subject['digest'])], age=2 * DAY)
    assert reasons(subject, signature, keep=1) == ['keepNewest', 'referrerOf']


@pytest.mark.parametrize('kind', [image, index, artifact])
def test_keep_does_not_count_referrers(kind):
    subject = image('subject', age=3 * DAY)
    sbom = kind('sbom', subject=subject['digest'], age=2 * DAY)
    assert reasons(subject, sbom, keep=1) == ['keepNewest', 'referrerOf']


def test_keep_does_not_count_tagged_ghost_or_unreadable_manifests():
    others = [
        image('tagged', tags=['v1'], age=2 * DAY),
        ghost(image('ghost', age=2 * DAY)),
        unreadable(image('bad', docker=True, age=2 * DAY)),
    ]
    assert reasons(image('old'), *others, keep=1)[0] == 'keepNewest'


def test_keep_counts_the_part_of_a_ghost():
    part = image('part')
    assert reasons(part, ghost(index('ghost', [part['digest']])), keep=1)[0] == 'keepNewest'


def test_keep_counts_young_images():
    assert reasons(image('young', age=0), image('old'), keep=1) == ['young', None]


def test_keep_gives_no_place_to_an_image_without_a_time():
    assert reasons(image('timeless', age=None), image('old'), keep=1) == ['young', 'keepNewest']


def test_keep_counts_an_index_without_all_its_children_unless_such_indexes_are_to_go():
    partial = index('partial', [image('missing')['digest']], age=2 * DAY)
    older = image('older', age=3 * DAY)
    policy = untagged_policy(keep=1)
    assert reasons_by(policy, partial, older) == ['keepNewest', None]
    assert reasons_by(replace(policy, include=frozenset({PARTIAL})), partial, older) == [None, 'keepNewest']


def test_a_number_of_images_without_tags_stays_though_no_rule_keeps_any():
    older, newer = image('older', age=3 * DAY), image('newer', age=2 * DAY)
    policy = Policy((untagged_rule(),), keep_untagged=1)
    assert reasons_by(policy, older, newer) == [None, 'keepNewest']


@pytest.mark.parametrize('by_itself', [True, False])
def test_what_no_rule_claims_has_no_rank_in_a_rule_that_keeps_the_newest(by_itself):
    elsewhere = untagged_rule(keep=1, scopes=(filter_scope('team/other:.*'),))
    policy = Policy((elsewhere,), by_itself=by_itself)
    assert reasons_by(policy, image('old'), image('young', age=0)) == ['excluded', 'young']


# --- Which rule claims what --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'pattern, names_tags, expected',
    [
        ('team/web:.*', False, None),
        ('team/other:.*', False, 'excluded'),
        ('team/web:v1', True, 'excluded'),
        ('team/other:v1', True, 'excluded'),
    ],
)
def test_a_rule_takes_untagged_images_only_where_a_scope_has_the_repository_and_names_no_tags(
    pattern, names_tags, expected
):
    scope = filter_scope(pattern)
    match = Match((scope if names_tags else replace(scope, tags=()),))
    assert reasons_by(Policy((Rule(match),)), image()) == [expected]


def test_a_rule_for_a_type_takes_no_other_type_with_or_without_tags():
    rule = Rule(Match(media_types=(DOCKER_IMAGE,)))
    docker, oci = image('docker', docker=True), image('oci')
    tagged = [image('docker tagged', docker=True, tags=['v1']), image('oci tagged', tags=['v2'])]
    assert reasons_by(Policy((rule,)), docker, oci, *tagged) == [None, 'excluded', None, 'tagged']


# --- What goes with what -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('by_itself', [True, False])
def test_a_part_that_no_rule_claims_goes_with_its_index(by_itself):
    part = image('part')
    whole = index('index', [part['digest']], tags=['v1'])
    assert reasons_by(Policy((tag_rule(),), by_itself=by_itself), part, whole) == [None, None]


@pytest.mark.parametrize('by_itself, reason', [(True, 'young'), (False, None)])
def test_a_part_goes_by_the_rule_of_its_index_and_not_by_its_own_unless_each_goes_by_itself(by_itself, reason):
    part = image('part')
    whole = index('index', [part['digest']], tags=['v1'])
    rules = (tag_rule(), untagged_rule(Age('60d', 60 * DAY)))
    assert reasons_by(Policy(rules, by_itself=by_itself), part, whole) == [reason, None]


def test_each_part_that_no_rule_claims_goes_with_its_index_whatever_other_parts_are_claimed():
    """Parts come in no order, and so there are many: what is done after the first claimed one is seen."""
    claimed = [image(f'claimed {number}', docker=True) for number in range(8)]
    others = [image(f'other {number}') for number in range(8)]
    whole = index('index', [part['digest'] for part in (*claimed, *others)], tags=['v1'])
    of_type = Rule(Match(media_types=(DOCKER_IMAGE,), tagged=False), age=Age('60d', 60 * DAY))
    found = reasons_by(Policy((tag_rule(), of_type), by_itself=True), *claimed, *others, whole)
    assert found == ['young'] * 8 + [None] * 9


def test_a_part_goes_by_the_rule_of_the_nearest_index_with_a_tag():
    part = image('part', age=3_600)
    inner = index('inner', [part['digest']], tags=['v1'])
    outer = index('outer', [inner['digest']], tags=['w1'])
    rules = (tag_rule(0, name='at once'), tag_rule(20 * DAY, '.*:w.*', name='later'))
    assert reasons_by(Policy(rules), part, inner, outer) == [None, None, None]


def test_a_part_goes_by_the_rule_of_its_index_and_not_by_that_of_an_inner_one_without_a_tag():
    part = image('part', age=3_600)
    inner = index('inner', [part['digest']], age=3_600)
    outer = index('outer', [inner['digest']], tags=['v1'], age=3_600)
    of_indexes = Rule(Match(tagged=False, media_types=(OCI_INDEX,)), age=Age('60d', 60 * DAY))
    assert reasons_by(Policy((tag_rule(0), of_indexes)), part, inner, outer) == [None, None, None]


@pytest.mark.parametrize('first, second', [(DELETE, UNTAG), (UNTAG, DELETE)])
def test_an_image_stays_that_loses_some_of_its_tags_to_a_rule_which_only_removes_tags(first, second):
    both = image('both', tags=['v1', 'w1'])
    rules = (tag_rule(action=first, name=first), tag_rule(pattern='.*:w.*', action=second, name=second))
    judgement = judge(to_repository(repository_of(both)), Policy(rules), NOW)
    assert [verdict.kept for verdict in judgement.tags.values()] == [False, False]
    because = f'{UNTAG}: only tags are removed'
    assert judgement.manifests[both['digest']] == Verdict(True, 'excluded', because, UNTAG)


def test_a_young_referrer_goes_with_an_image_that_loses_its_tags():
    subject = image('subject', tags=['v1'])
    referrer = artifact('sbom', subject=subject['digest'], age=0)
    assert reasons_by(Policy((tag_rule(),)), subject, referrer) == [None, None]


@pytest.mark.parametrize(
    'tags, rules, reason',
    [((), (untagged_rule(),), 'subjectOf'), (('v1',), (tag_rule(action=UNTAG), untagged_rule()), 'excluded')],
    ids=['untagged', 'only tags are removed'],
)
def test_a_young_referrer_stays_and_keeps_an_image_that_no_rule_takes_for_its_tags(tags, rules, reason):
    subject = image('subject', tags=tags)
    referrer = artifact('sbom', subject=subject['digest'], age=0)
    assert reasons_by(Policy(rules), subject, referrer) == [reason, 'young']


def test_a_referrer_with_an_old_tag_of_its_own_stays_while_it_is_young():
    subject = image('subject', tags=['v1'])
    referrer = artifact('sbom', subject=subject['digest'], tags=['v2'], age=0)
    old = {'v2': NOW - 30 * DAY * TICKS}
    assert reasons_by(Policy((tag_rule(),)), subject, referrer, tag_times=old) == ['excluded', 'young']


@pytest.mark.parametrize('by_itself', [True, False])
def test_the_tags_of_an_image_that_is_spared_because_enough_goes_stay_for_the_same_reason(by_itself):
    spared, other = image('spared', tags=['v1', 'v2', 'w1']), image('other', tags=['v3'])
    verdict = Verdict(True, 'enough', 'enough is freed')
    policy = Policy((tag_rule(pattern='.*:[vw].*'),), by_itself=by_itself)
    repository = to_repository(repository_of(spared, other, tag_times={'w1': NOW}))
    judgement = judge(repository, policy, NOW, spared={spared['digest']: verdict})
    assert judgement.tags['v1'] == judgement.tags['v2'] == verdict
    assert judgement.tags['w1'].reason == 'young', 'it stays anyway'
    assert not judgement.tags['v3'].kept


def test_an_image_without_a_tag_stays_that_is_spared_because_enough_goes():
    spared, other = image('spared'), image('other')
    verdict = Verdict(True, 'enough', 'enough is freed')
    repository = to_repository(repository_of(spared, other))
    found = judge(repository, untagged_policy(), NOW, spared={spared['digest']: verdict}).manifests
    assert (found[spared['digest']], found[other['digest']].kept) == (verdict, False)


def test_the_tag_of_an_index_stays_with_a_part_that_a_rule_keeps():
    part = image('part', docker=True)
    whole = index('index', [part['digest']], tags=['v1'])
    keeps = Rule(Match(tagged=False, media_types=(DOCKER_IMAGE,)), KEEP)
    judgement = judge(to_repository(repository_of(part, whole)), Policy((keeps, tag_rule())), NOW)
    assert judgement.manifests[whole['digest']].kept and judgement.tags['v1'].kept
    assert f'its part {part["digest"]} stays' in judgement.tags['v1'].because


def test_the_tag_of_an_image_stays_with_a_referrer_that_is_locked():
    subject = image('subject', tags=['v1'])
    locked = artifact('sbom', subject=subject['digest'], locks=['deleteEnabled'])
    judgement = judge(to_repository(repository_of(subject, locked)), Policy((tag_rule(),)), NOW)
    assert judgement.manifests[subject['digest']].kept and judgement.tags['v1'].kept
    assert judgement.tags['v1'].because == f'tag v1: its image stays: {locked["digest"]} refers to it and stays'


@pytest.mark.parametrize(
    'reason, said',
    [('childOf', 'it is a part of the index {}, which stays'), ('referrerOf', 'it refers to {}, which stays')],
)
def test_a_tag_that_stays_with_its_image_is_told_why_that_stays(reason, said):
    other = worlds.MISSING[0]
    found = stays_with_its_image(Rule(name='old'), 'v1', Verdict(True, reason, other))
    assert found == Verdict(True, 'excluded', f'old: tag v1: its image stays: {said.format(other)}', 'old')


# --- The golden case ---------------------------------------------------------------------------------------------


def test_golden_case_of_twelve_manifests_lets_two_go():
    """A multi-arch image was pushed again with one platform changed: the old index and its own child are left."""
    shared = [image(f'platform {number}') for number in range(8)]
    leftover, renewed = image('old platform'), image('new platform')
    old = index('old', [manifest['digest'] for manifest in [*shared, leftover]])
    new = index('new', [manifest['digest'] for manifest in [*shared, renewed]], tags=['latest'])
    found = verdicts(*shared, leftover, renewed, old, new)
    assert len(found) == 12
    assert {digest for digest, verdict in found.items() if not verdict.kept} == {old['digest'], leftover['digest']}


# --- Several regions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'updated, created, settled', [(2, 2, True), (0.5, 2, False), (2, 0.5, False), (None, None, False), (1, 1, True)]
)
def test_in_several_regions_nothing_goes_that_is_younger_than_a_day_in_any_way(updated, created, settled):
    lately = image('lately', age=None if updated is None else updated * DAY)
    lately['created'] = None if created is None else NOW - int(created * DAY * TICKS)
    policy = replace(untagged_policy(Age('0', 0)), settling=Settling(DAY, 'two regions'))
    (verdict,) = judge(to_repository(repository_of(lately)), policy, NOW).manifests.values()
    assert (verdict.kept, verdict.because in ('two regions', 'no readable time')) == (not settled, not settled)


@pytest.mark.parametrize('moved, kept', [(0.5, True), (2, False)])
def test_in_several_regions_no_tag_goes_that_was_moved_within_a_day(moved, kept):
    one = image('one', tags=['v1'], age=2 * DAY)
    policy = Policy((tag_rule(0),), settling=Settling(DAY, 'two regions'))
    repository = to_repository(repository_of(one, tag_times={'v1': NOW - int(moved * DAY * TICKS)}))
    judgement = judge(repository, policy, NOW)
    assert (judgement.tags['v1'].kept, judgement.manifests[one['digest']].kept) == (kept, kept)
    assert not kept or judgement.tags['v1'] == Verdict(True, 'young', 'tag v1: two regions')


# --- Artifacts of the service ------------------------------------------------------------------------------------


@pytest.mark.parametrize('named, kept', [((), True), (('**',), True), (('csscpolicies/**',), False)])
def test_the_configuration_of_patching_stays_unless_its_namespace_is_named(named, kept):
    policy = untagged_policy(Age('0', 0), repositories=named)
    inventory = worlds.to_inventory([repository_of(image('policy'), name='csscpolicies/patchpolicy')])
    ((verdict,),) = (verdicts.values() for verdicts in decide(inventory, policy, NOW).verdicts.values())
    assert verdict.kept is kept


@pytest.mark.parametrize('named', [(), ('**',), ('acrprune/**',), ('acrprune/schedules',)])
def test_no_rule_takes_a_schedule_whatever_it_names(named):
    policy = untagged_policy(Age('0', 0), repositories=named)
    inventory = worlds.to_inventory([repository_of(image('schedule'), name='acrprune/schedules')])
    ((verdict,),) = (verdicts.values() for verdicts in decide(inventory, policy, NOW).verdicts.values())
    assert verdict.kept and verdict.because == 'a schedule of acrprune'


@pytest.mark.parametrize(
    'filters, kept',
    [
        (('(?!csscpolicies).*:.*', '.*:.*'), True),
        (('csscpolicies-old/.*:.*', '.*:.*'), True),
        (('csscpolicies/other:.*', '.*:.*'), True),
        (('csscpolicies/.*:.*', 'team/.*:.*'), False),
    ],
)
def test_a_pattern_that_means_others_names_no_artifact_of_the_service(filters, kept):
    rule = untagged_rule(Age('0', 0), scopes=tuple(map(filter_scope, filters)))
    inventory = worlds.to_inventory([repository_of(image('policy'), name='csscpolicies/patchpolicy')])
    ((verdict,),) = (each.values() for each in decide(inventory, Policy((rule,), {}), NOW).verdicts.values())
    assert verdict.kept is kept


def test_a_rule_that_keeps_names_no_artifact_of_the_service_for_others():
    keeps = Rule(Match((filter_scope('csscpolicies/.*:v1'),)), KEEP, name='keeps')
    inventory = worlds.to_inventory([repository_of(image('policy'), name='csscpolicies/patchpolicy')])
    policy = Policy((keeps, untagged_rule(Age('0', 0))), {})
    ((verdict,),) = (each.values() for each in decide(inventory, policy, NOW).verdicts.values())
    assert verdict.kept
