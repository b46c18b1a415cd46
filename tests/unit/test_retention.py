"""Registries that delete by themselves what loses its last tag: which tags stay for it, and what is counted."""

import dataclasses

import pytest

from azext_acrprune.decide.decision import decide, first_excess
from azext_acrprune.decide.graph import build_graph
from azext_acrprune.decide.named import decide_untag, parse_image
from azext_acrprune.decide.retention import (
    StillNeeded,
    check_last_tags,
    needed_by_others,
    refused_if_needed,
    too_early,
    with_retention,
)
from azext_acrprune.decide.verdicts import Verdict
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.model import Outcome, Retention
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Limits
from tests import worlds
from tests.worlds import NOW, image, index

WEEK = Retention(7)


def inventory_of(*manifests):
    return worlds.to_inventory([worlds.repository_of(*manifests, name='app')])


def decided(manifests, retention=WEEK, policy=None, **changes):
    inventory = inventory_of(*manifests)
    policy = policy or policy_of(Flags(match=('**:pr-*',)))
    return with_retention(dataclasses.replace(decide(inventory, policy, NOW), **changes), retention)


def untagged(decision):
    return [tag for repository in decision.inventory.repositories for tag, _, _ in decision.untagged_in(repository)]


def later(decision):
    return sorted(digest for _, digest in decision.later)


def test_a_docker_image_that_loses_its_last_tag_is_deleted_later():
    gone, tagged = image('a', (0,), docker=True, tags=['pr-1']), image('b', (1,), docker=True, tags=['pr-2', 'v1'])
    decision = decided([gone, tagged, image('c', (2,), tags=['pr-3'])])
    assert sorted(untagged(decision)) == ['pr-1', 'pr-2', 'pr-3']
    assert later(decision) == [gone['digest']], 'neither what keeps a tag nor what is of an OCI type'


def test_what_is_deleted_later_from_one_repository_is_not_from_another():
    gone = image('a', (0,), docker=True, tags=['pr-1'])
    names = ('app', 'web', 'zoo')
    inventory = worlds.to_inventory([worlds.repository_of(gone, name=name) for name in names])
    decision = with_retention(decide(inventory, policy_of(Flags(match=('web:pr-*',))), NOW), WEEK)
    assert [decision.later_in(name) for name in names] == [frozenset(), {gone['digest']}, frozenset()]


@pytest.mark.parametrize('retention', [Retention(0), WEEK, Retention(None)])
def test_the_tag_of_a_part_of_an_index_stays(retention):
    part = image('a', (0,), docker=True, tags=['pr-1'])
    decision = decided([part, index('i', [part['digest']], docker=True, tags=['v1'])], retention)
    assert (untagged(decision), later(decision)) == ([], [])
    verdict = decision.tags['app']['pr-1']
    assert (verdict.kept, verdict.reason) == (True, 'excluded')
    assert 'is a part of the index' in verdict.because and verdict.because.endswith(', which stays')
    assert decision.verdicts['app'][part['digest']] == verdict


def test_of_several_tags_that_stay_the_first_is_told_for_the_image():
    part = image('a', (0,), docker=True, tags=['pr-1', 'pr-2'])
    decision = decided([part, index('i', [part['digest']], docker=True, tags=['v1'])])
    assert decision.verdicts['app'][part['digest']] == decision.tags['app']['pr-1'] != decision.tags['app']['pr-2']


def test_without_a_retention_policy_that_tag_goes():
    part = image('a', (0,), docker=True, tags=['pr-1'])
    decision = decided([part, index('i', [part['digest']], docker=True, tags=['v1'])], None)
    assert (untagged(decision), later(decision)) == (['pr-1'], [])


def test_the_tag_of_what_is_pinned_by_its_digest_stays():
    pinned = image('a', (0,), docker=True, tags=['pr-1'])
    pins = Pins((Pin(Reference('app', digest=pinned['digest']), 'deploy.yaml', 3),))
    decision = decided([pinned], pins=pins)
    assert untagged(decision) == []
    assert (decision.tags['app']['pr-1'].reason, 'deploy.yaml:3' in decision.tags['app']['pr-1'].because) == (
        'pinned',
        True,
    )


@pytest.mark.parametrize('by_referrer', [False, True])
def test_what_is_pinned_keeps_the_tags_of_what_it_needs_and_of_what_its_referrers_need(by_referrer):
    part = image('a', (0,), docker=True, tags=['pr-1'])
    pinned = index('i', [] if by_referrer else [part['digest']], docker=True, tags=['pr-2'])
    referrer = index('r', [part['digest']], subject=pinned['digest'])
    pins = Pins((Pin(Reference('app', digest=pinned['digest']), 'deploy.yaml', 3),))
    decision = decided([part, pinned, *([referrer] if by_referrer else [])], pins=pins)
    assert (untagged(decision), later(decision)) == ([], [])
    needing = referrer if by_referrer else pinned
    assert needing['digest'] in decision.tags['app']['pr-1'].because


@pytest.mark.parametrize('options, stays', [({}, True), ({'include_locked': True}, False)])
def test_a_locked_referrer_keeps_its_subject_unless_what_is_locked_is_to_go_too(options, stays):
    subject = image('a', (0,), docker=True, tags=['pr-1'])
    locked = image('sbom', (1,), subject=subject['digest'], locks=['deleteEnabled'])
    losing, may_fall = frozenset([subject['digest']]), frozenset([locked['digest']])
    found = needed_by_others(inventory_of(subject, locked).repositories[0], losing, frozenset(), may_fall, **options)
    assert found == ({subject['digest']: Verdict(True, 'subjectOf', locked['digest'])} if stays else {})


@pytest.mark.parametrize('held', ['pinned', 'hidden', None])
def test_a_referrer_that_is_pinned_or_hidden_from_lists_keeps_its_subject(held):
    subject = image('a', (0,), docker=True, tags=['pr-1'])
    sbom = image('sbom', (1,), subject=subject['digest'])
    (repository,) = inventory_of(subject, sbom).repositories
    hidden, pinned = (frozenset([sbom['digest']] if held == how else []) for how in ('hidden', 'pinned'))
    pins = Pins(tuple(Pin(Reference('app', digest=digest), 'deploy.yaml', 3) for digest in pinned))
    repository = dataclasses.replace(repository, hidden=hidden)
    may_fall = frozenset([sbom['digest']])
    found = needed_by_others(repository, frozenset([subject['digest']]), frozenset(), may_fall, pins)
    assert found == ({subject['digest']: Verdict(True, 'subjectOf', sbom['digest'])} if held else {})


def test_what_keep_spares_keeps_its_tag():
    images = [image(str(age), (0,), docker=True, tags=[f'pr-{age}'], age=age * worlds.DAY) for age in (30, 40)]
    policy = dataclasses.replace(policy_of(Flags(match=('**:pr-*',), untagged=True)), keep_untagged=1)
    decision = decided(images, policy=policy)
    assert untagged(decision) == []
    assert decision.tags['app']['pr-30'].reason == 'keepNewest'
    assert later(decision) == []


def test_referrers_go_with_their_subject_and_parts_stay():
    part = image('a', (0,), docker=True)
    of_many = index('i', [part['digest']], docker=True, tags=['pr-1'])
    sbom = image('sbom', (1,), subject=of_many['digest'])
    signature = image('sig', (2,), subject=sbom['digest'])
    decision = decided([part, of_many, sbom, signature])
    assert later(decision) == sorted([of_many['digest'], sbom['digest'], signature['digest']])


@pytest.mark.parametrize('held', [{'tags': ['keep']}, {'locks': ['deleteEnabled']}])
def test_a_referrer_that_stays_keeps_the_tag_of_its_subject(held):
    subject = image('a', (0,), docker=True, tags=['pr-1'])
    decision = decided([subject, image('sbom', (1,), subject=subject['digest'], **held)])
    assert (untagged(decision), later(decision)) == ([], [])


def test_a_referrer_that_is_too_young_to_go_keeps_the_tag_of_its_subject_though_its_own_tag_is_old():
    subject = image('a', (0,), docker=True, tags=['pr-1'])
    young = index('i', [], docker=True, subject=subject['digest'], tags=['pr-2'], age=-1)
    old = dict.fromkeys(('pr-1', 'pr-2'), NOW - 30 * worlds.DAY * worlds.TICKS)
    inventory = worlds.to_inventory([worlds.repository_of(subject, young, name='app', tag_times=old)])
    decision = with_retention(decide(inventory, policy_of(Flags(match=('**:pr-*',))), NOW), WEEK)
    assert (untagged(decision), later(decision)) == ([], [])


def test_something_unreadable_keeps_the_tag():
    decision = decided([image('a', (0,), docker=True, tags=['pr-1']), worlds.unreadable(index('i'))])
    assert untagged(decision) == []
    assert decision.tags['app']['pr-1'].reason == 'unreadable'


def test_an_image_that_itself_could_not_be_read_keeps_its_tag():
    secret = worlds.unreadable(image('a', (0,), docker=True, tags=['pr-1']))
    assert untagged(decided([secret], None)) == ['pr-1']
    decision = decided([secret, image('b', (1,), docker=True, tags=['pr-2'])])
    assert (untagged(decision), len(later(decision))) == (['pr-2'], 1)
    assert decision.tags['app']['pr-1'].reason == 'unreadable'


@pytest.mark.parametrize('hidden', [True, False])
def test_an_image_that_is_hidden_from_lists_keeps_its_tag(hidden):
    one = image('a', (0,), docker=True, tags=['pr-1'])
    inventory = inventory_of(one)
    (repository,) = inventory.repositories
    repository = dataclasses.replace(repository, hidden=frozenset([one['digest']] if hidden else []))
    inventory = dataclasses.replace(inventory, repositories=(repository,))
    decision = with_retention(decide(inventory, policy_of(Flags(match=('**:pr-*',))), NOW), WEEK)
    assert (untagged(decision), later(decision)) == (([], []) if hidden else (['pr-1'], [one['digest']]))
    verdict = decision.tags['app']['pr-1']
    assert not hidden or verdict.reason == 'excluded' and 'hidden from lists' in verdict.because


def test_what_is_locked_against_deletion_is_not_taken():
    locked = image('a', (0,), docker=True, tags=['pr-1'], locks=['deleteEnabled'])
    decision = decided([locked], policy=policy_of(Flags(match=('**:pr-*',), include_locked=True)))
    assert later(decision) == []


def test_the_plan_says_how_many_and_when_and_what_that_frees():
    gone = image('a', (0,), docker=True, tags=['pr-1'])
    sbom = image('sbom', (1,), subject=gone['digest'])
    decision = decided([gone, sbom, image('b', (0,), tags=['v1'])])
    document = plan_document(decision, 'now')
    summary = document['summary']
    assert summary['freedBytes'] == 0
    shared = worlds.LAYERS[0]['size']
    total = sum(sum(layer['size'] for layer in each['document']['layers']) for each in (gone, sbom))
    assert summary['freedLaterBytes'] > total - shared
    assert (summary['manifestsToDeleteLater'], summary['retentionDays'], summary['retentionKnown']) == (2, 7, True)
    assert {entry['digest']: entry['reason'] for entry in document['deleteLater']} == {
        gone['digest']: 'retention',
        sbom['digest']: 'referrerOf',
    }


def test_where_nobody_could_tell_the_bytes_are_at_most_those():
    document = plan_document(decided([image('a', (0,), docker=True, tags=['pr-1'])], Retention(None)), 'now')
    assert document['summary']['freedLaterImpact'] == 'upperBound'
    assert (document['summary']['retentionDays'], document['summary']['retentionKnown']) == (None, False)


def test_limits_count_what_goes_later_and_each_once():
    gone = [image(str(number), (number,), docker=True, tags=[f'pr-{number}']) for number in range(3)]
    sbom = image('sbom', (4,), subject=gone[0]['digest'])
    decision = decided([*gone, sbom])
    assert first_excess(decision, Limits(deletions=4)) is None
    assert first_excess(decision, Limits(deletions=3)).number == 4
    assert first_excess(decision, Limits(manifests=3)).number == 4
    assert first_excess(decided([*gone, sbom], None), Limits(manifests=0)) is None


def test_a_named_tag_that_keeps_something_is_refused():
    part = image('a', (0,), docker=True, tags=['pr-1'])
    inventory = inventory_of(part, index('i', [part['digest']], tags=['v1']))
    decision = with_retention(decide_untag(inventory, [parse_image('app:pr-1')]), Retention(0))
    with pytest.raises(StillNeeded, match='app:pr-1 stays, because without it the retention policy would delete'):
        refused_if_needed(decision)
    other = with_retention(decide_untag(inventory, [parse_image('app:v1')]), Retention(0))
    assert refused_if_needed(other) is other


def test_what_changed_since_the_plan_keeps_the_tag():
    part = image('a', (0,), docker=True, tags=['pr-1'])
    alone = inventory_of(part).repositories[0]
    with_index = inventory_of(part, index('i', [part['digest']])).repositories[0]
    planned, gone = {'pr-1': part['digest']}, frozenset([part['digest']])
    assert check_last_tags(planned, gone, frozenset(), alone) == {}
    assert check_last_tags(planned, gone, frozenset(), with_index)['pr-1'].reason == 'childOf'
    changed = check_last_tags(planned, frozenset(), frozenset(), alone)['pr-1']
    assert (changed.kept, changed.reason) == (True, 'tagsChanged')


def test_what_was_pinned_or_may_be_needed_by_something_unreadable_since_the_plan_keeps_the_tag():
    one, unread = image('a', (0,), docker=True, tags=['pr-1']), worlds.unreadable(index('i'))
    planned, losing = {'pr-1': one['digest']}, frozenset([one['digest']])
    with_unread, alone = (inventory_of(*each).repositories[0] for each in ([one, unread], [one]))
    found = check_last_tags(planned, losing, frozenset(), with_unread)
    assert found == {'pr-1': Verdict(True, 'unreadable', unread['digest'])}
    pins = Pins((Pin(Reference('app', digest=one['digest']), 'deploy.yaml', 3),))
    found = check_last_tags(planned, losing, frozenset(), alone, pins)
    assert found == {'pr-1': Verdict(True, 'pinned', 'deploy.yaml:3')}


def test_what_was_hidden_from_lists_or_cannot_be_read_itself_since_the_plan_keeps_its_tag():
    one = image('a', (0,), docker=True, tags=['pr-1'])
    secret, alone = (inventory_of(each).repositories[0] for each in (worlds.unreadable(one), one))
    hidden = dataclasses.replace(alone, hidden=frozenset([one['digest']]))
    planned, losing = {'pr-1': one['digest']}, frozenset([one['digest']])
    found = check_last_tags(planned, losing, frozenset(), hidden)
    assert found == {'pr-1': Verdict(True, 'excluded', 'it is hidden from lists')}
    why = secret.manifests[one['digest']].content.reason
    assert check_last_tags(planned, losing, frozenset(), secret) == {'pr-1': Verdict(True, 'unreadable', why)}


def test_a_referrer_that_was_locked_since_the_plan_keeps_the_tag_unless_locked_ones_go():
    subject = image('a', (0,), docker=True, tags=['pr-1'])
    referrer = index('i', [], docker=True, subject=subject['digest'], locks=['deleteEnabled'])
    fresh, losing = inventory_of(subject, referrer).repositories[0], frozenset([subject['digest']])
    planned, later = {'pr-1': subject['digest']}, losing | {referrer['digest']}
    assert check_last_tags(planned, later, frozenset(), fresh)['pr-1'].reason == 'subjectOf'
    assert check_last_tags(planned, later, frozenset(), fresh, include_locked=True) == {}
    assert check_last_tags(planned, losing, frozenset(), fresh, include_locked=True) != {}, 'it is new since the plan'


def test_the_tag_of_a_part_waits_for_its_index():
    part = image('a', (0,), docker=True, tags=['amd64'])
    of_many = index('i', [part['digest']], docker=True, tags=['pr-1'])
    fresh = inventory_of(part, of_many).repositories[0]
    planned = {'amd64': part['digest'], 'pr-1': of_many['digest']}
    graph = build_graph(fresh)
    assert too_early(planned, frozenset(), fresh, graph) == {'amd64'}
    assert too_early({'amd64': part['digest']}, frozenset([of_many['digest']]), fresh, graph) == {'amd64'}
    assert too_early({'amd64': part['digest']}, frozenset(), fresh, graph) == set(), 'the index has lost its own tags'


def test_a_tag_whose_manifest_keeps_another_one_since_may_go():
    tagged = image('a', (0,), docker=True, tags=['pr-1', 'v1'])
    fresh, digest = inventory_of(tagged).repositories[0], tagged['digest']
    assert check_last_tags({'pr-1': digest}, frozenset([digest]), frozenset(), fresh) == {}


def test_of_a_manifest_that_the_plan_did_not_name_one_of_two_tags_may_go():
    tagged = image('a', (0,), docker=True, tags=['pr-1', 'v1'])
    fresh = inventory_of(tagged).repositories[0]
    assert check_last_tags({'pr-1': tagged['digest']}, frozenset(), frozenset(), fresh) == {}


def test_what_lost_its_other_tags_since_the_plan_keeps_what_it_refers_to():
    subject = image('a', (0,), docker=True, tags=['pr-1'])
    referrer = index('i', [], docker=True, subject=subject['digest'], tags=['pr-2'])
    fresh = inventory_of(subject, referrer).repositories[0]
    planned = {'pr-1': subject['digest'], 'pr-2': referrer['digest']}
    staying = check_last_tags(planned, frozenset([subject['digest']]), frozenset(), fresh)
    assert {tag: verdict.reason for tag, verdict in staying.items()} == {'pr-1': 'subjectOf', 'pr-2': 'tagsChanged'}


def test_the_result_counts_what_lost_all_its_tags():
    from azext_acrprune.documents.result import result_document

    both = image('a', (0,), docker=True, tags=['pr-1', 'pr-2'])
    other = image('b', (1,), docker=True, tags=['pr-3'])
    decision = decided([both, other])
    outcome = Outcome((), (('app', 'pr-1'), ('app', 'pr-3')), (), ())
    result = result_document(decision, outcome)
    assert [entry['digest'] for entry in result['deletedLater']] == [other['digest']]
    assert result['summary']['manifestsDeletedLater'] == 1
    assert result['summary']['freedLaterBytes'] > worlds.LAYERS[1]['size']
