"""What the journal tells of retired manifests, and what is made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.apply.retired import chosen_of, retirements_in
from azext_acrprune.decide.decision import decide, first_excess
from azext_acrprune.decide.name_errors import NotAnImage
from azext_acrprune.decide.named import decide_images, parse_image
from azext_acrprune.decide.retirement import has_hidden_content, with_retirements
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.model import Content, Locks, Unreadable, parse_ticks, time_text
from azext_acrprune.policy.facts import CHANGED, FOREIGN, RETURNED, STILL_RETIRED, TAKEN_BACK, Facts, Retired
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.rules import Limits
from tests import worlds

HIDDEN = ['readEnabled=false']
APP = 'team/app'
BEGIN = '2026-01-01T00:00:00Z'
DIGEST = 'sha256:' + 'a' * 64
CHILD = 'sha256:' + 'b' * 64
WHAT = {'repository': APP, 'digest': DIGEST}
START = {'event': 'start', 'at': BEGIN, 'command': 'az acr prune apply'}
REQUEST = {
    'event': 'request',
    'request': 'retire',
    'at': BEGIN,
    **WHAT,
    'tags': [{'tag': 'v1'}],
    'lastUpdateTime': '2025-01-01T00:00:00Z',
    'content': {'kind': 'content', 'size': 7, 'children': [CHILD]},
}
DONE = {'event': 'outcome', 'request': 'retire', 'at': BEGIN, **WHAT, 'outcome': 'done'}
SEEN = {'event': 'retired', 'at': BEGIN, **WHAT, 'lastUpdateTime': '2026-01-01T00:00:01Z', 'locks': HIDDEN}
RETIRED = [START, REQUEST, DONE, SEEN]
BACK = {'event': 'outcome', 'request': 'unretire', 'at': BEGIN, **WHAT, 'outcome': 'done'}
RESTORE = {**START, 'command': 'az acr prune restore'}


def standing(runs, locks=Locks(read_enabled=False), time='2026-01-01T00:00:01Z'):
    image = worlds.image('app', tags=['v1'])
    inventory = worlds.to_inventory([worlds.repository_of(image, name=APP)])
    (repository,) = inventory.repositories
    (manifest,) = repository.manifests.values()
    there = manifest._replace(digest=DIGEST, content=Unreadable('405'), locks=locks, last_update_time=time)
    inventory = replace(inventory, repositories=(replace(repository, manifests={DIGEST: there}),))
    found, standings = with_retirements(inventory, retirements_in(runs))
    return found.repositories[0].manifests[DIGEST], standings.get(APP, {}).get(DIGEST)


def test_what_was_retired_is_known_although_it_cannot_be_read_and_is_as_old_as_before():
    manifest, retired = standing([RETIRED])
    assert manifest.content == Content(7, (CHILD,))
    assert manifest.updated_at == parse_ticks('2025-01-01T00:00:00Z')
    assert retired == Retired(STILL_RETIRED, parse_ticks(BEGIN), ('v1',))


def test_what_was_retired_and_is_not_told_by_the_journal_is_unreadable_as_it_is():
    request = {key: value for key, value in REQUEST.items() if key != 'content'}
    manifest, retired = standing([[START, request, DONE, SEEN]])
    assert (manifest.content, retired.state) == (Unreadable('405'), STILL_RETIRED)


def test_what_was_taken_back_is_as_old_as_the_registry_says():
    manifest, retired = standing([RETIRED, [RESTORE, BACK]], Locks())
    assert retired.state == TAKEN_BACK and manifest.updated_at != parse_ticks('2025-01-01T00:00:00Z')


@pytest.mark.parametrize(
    'runs, locks, time, state',
    [
        ([], HIDDEN, SEEN['lastUpdateTime'], FOREIGN),
        ([RETIRED[:3]], HIDDEN, SEEN['lastUpdateTime'], FOREIGN),  # killed before it knew
        ([RETIRED[:3]], [], SEEN['lastUpdateTime'], RETURNED),
        ([RETIRED], [*HIDDEN, 'deleteEnabled=false'], SEEN['lastUpdateTime'], FOREIGN),
        ([RETIRED], HIDDEN, '2026-02-01T00:00:00Z', CHANGED),
        ([RETIRED], [], SEEN['lastUpdateTime'], TAKEN_BACK),
        ([RETIRED, [START, BACK]], [], SEEN['lastUpdateTime'], RETURNED),
        ([RETIRED, [RESTORE, BACK]], [], SEEN['lastUpdateTime'], TAKEN_BACK),
        ([RETIRED, [RESTORE, BACK]], HIDDEN, SEEN['lastUpdateTime'], FOREIGN),
        ([RETIRED, [START, {**BACK, 'request': 'uploadBlob'}]], HIDDEN, SEEN['lastUpdateTime'], STILL_RETIRED),
        ([RETIRED, [START, {**BACK, 'request': None}]], HIDDEN, SEEN['lastUpdateTime'], STILL_RETIRED),
        ([RETIRED, [RESTORE, {**BACK, 'outcome': 'forbidden'}]], HIDDEN, SEEN['lastUpdateTime'], STILL_RETIRED),
        ([[*RETIRED[:2], {**DONE, 'outcome': 'forbidden'}]], [], SEEN['lastUpdateTime'], RETURNED),
    ],
)
def test_only_what_is_as_the_journal_left_it_is_ours(runs, locks, time, state):
    assert standing(runs, Locks.from_flags(locks), time)[1].state == state


@pytest.mark.parametrize(
    'line', [{}, {'event': 'request', 'request': 'retire', 'at': 'x', **WHAT}, {**REQUEST, 'content': 3}]
)
def test_a_line_that_says_nothing_is_no_retirement(line):
    assert standing([[START, line]])[1] == Retired(FOREIGN)


@pytest.mark.parametrize('name', ['repository', 'digest', 'at'])
def test_a_line_without_its_manifest_or_its_time_is_no_retirement(name):
    assert retirements_in([[START, {**REQUEST, name: None}]]) == {}


def test_an_image_is_taken_back_with_its_parts_and_by_a_tag_that_it_had():
    part = [
        {**line, 'digest': CHILD, **({'content': {'kind': 'content', 'size': 1}} if 'content' in line else {})}
        for line in RETIRED[1:]
    ]
    records = retirements_in([[*RETIRED, *part]])
    both = [(APP, DIGEST), (APP, CHILD)]
    assert chosen_of(records) == both == chosen_of(records, [parse_image(f'{APP}:v1')])
    assert chosen_of(records, [parse_image(f'{APP}@{CHILD}')]) == both[1:]
    assert chosen_of(records, [parse_image(f'{APP}@{CHILD[:40]}')]) == both[1:]
    with pytest.raises(NotAnImage):
        chosen_of(records, [parse_image(f'{APP}:v2')])


@pytest.mark.parametrize('part', [[], [{**REQUEST, 'digest': CHILD, 'content': 3}]])
def test_an_image_is_taken_back_without_parts_of_which_the_journal_says_nothing(part):
    records = retirements_in([[*RETIRED, *part]])
    assert chosen_of(records, [parse_image(f'{APP}:v1')]) == [(APP, DIGEST)]


def test_a_tag_that_a_retired_image_had_in_another_repository_names_nothing():
    other = [{**line, 'repository': 'team/web', 'digest': CHILD, 'tags': [{'tag': 'v2'}]} for line in RETIRED[1:]]
    records = retirements_in([[*RETIRED, *other]])
    assert chosen_of(records, [parse_image('team/web:v2')]) == [('team/web', CHILD)]
    for image in ('team/web:v1', f'{APP}:v2'):
        with pytest.raises(NotAnImage):
            chosen_of(records, [parse_image(image)])


POLICY = """version: 1
rules: [{name: old, match: {everything: true}, when: {olderThan: 30d}, do: retire, retire: {for: 14d}}]
"""


def decided(facts):
    images = [worlds.image('one', tags=['v1'], age=90 * worlds.DAY), worlds.image('two', age=90 * worlds.DAY)]
    inventory = worlds.to_inventory([worlds.repository_of(*images, name=APP)])
    digests = [each['digest'] for each in images]
    facts = replace(facts, retired={APP: {each: Retired(STILL_RETIRED, days_ago(20), ('v1',)) for each in digests}})
    return decide(inventory, replace(parse_policy(POLICY), facts=facts), worlds.NOW), digests


def days_ago(days):
    return worlds.NOW - days * worlds.DAY * worlds.TICKS


@pytest.mark.parametrize(
    'facts, gone, code',
    [
        (Facts(), 2, ['noLogOfPulls']),
        (Facts(has_log=True, pulls_since=days_ago(25)), 2, []),
        (Facts(has_log=True, pulls_since=days_ago(15)), 0, []),
        (Facts(has_log=True), 0, []),
    ],
)
def test_where_there_is_a_log_it_has_to_cover_the_time_since(facts, gone, code):
    decision, _ = decided(facts)
    assert len(decision.doomed) == gone and [each.code for each in decision.remarks] == code
    assert not decision.returning  # what is not known stays as it is


def test_what_the_log_does_not_cover_is_told_with_the_day_from_which_on_it_has_to():
    decision, digests = decided(Facts(has_log=True))
    told = {decision.verdicts[APP][digest].because for digest in digests}
    assert told == {f'old: the log of pulls does not go back to {time_text(days_ago(20))[:10]}, when it was retired'}


def test_a_pull_since_then_keeps_and_says_who_it_was():
    facts = Facts(has_log=True, pulls_since=days_ago(99))
    _, (one, two) = decided(facts)
    pulled = replace(facts, pulled={APP: {one: days_ago(2), two: days_ago(30)}}, pulled_by={APP: {one: 'kubelet'}})
    decision, _ = decided(pulled)
    assert decision.doomed == {(APP, two)}
    why = 'old: kubelet pulled it, or tried to, on 2027-01-13, after it was retired'
    assert decision.returning[APP, one].because == why


def test_what_something_new_needs_can_be_pulled_again_however_new_that_is():
    part = worlds.image('part', [1], age=90 * worlds.DAY)
    old = worlds.index('old', [part['digest']], tags=['v1'], age=90 * worlds.DAY)
    new = worlds.index('new', [part['digest']], tags=['v2'], age=worlds.DAY)
    inventory = worlds.to_inventory([worlds.repository_of(part, old, new, name=APP)])
    retired = {each['digest']: Retired(STILL_RETIRED, days_ago(20), ()) for each in (part, old)}
    retired[old['digest']] = replace(retired[old['digest']], tags=('v1',))
    policy = replace(parse_policy(POLICY), facts=Facts(retired={APP: retired}))
    decision = decide(inventory, policy, worlds.NOW)
    assert decision.returning.keys() == {(APP, part['digest'])}
    assert decision.doomed == {(APP, old['digest'])}


def test_what_was_pushed_again_can_be_pulled_again():
    one = worlds.image('one', tags=['v1'], age=worlds.DAY)
    facts = Facts(retired={APP: {one['digest']: Retired(CHANGED, days_ago(20), ('v1',))}})
    inventory = worlds.to_inventory([worlds.repository_of(one, name=APP)])
    decision = decide(inventory, replace(parse_policy(POLICY), facts=facts), worlds.NOW)
    assert decision.returning.keys() == {(APP, one['digest'])}


@pytest.mark.parametrize('names, said', [(['one'], '1 manifest that'), (['one', 'two'], '2 manifests that')])
def test_what_is_retired_still_where_no_rule_retires_any_more_is_told(names, said):
    images = [worlds.image(name, tags=[name], age=90 * worlds.DAY) for name in names]
    retired = {each['digest']: Retired(STILL_RETIRED, days_ago(20), tuple(each['tags'])) for each in images}
    keeps = 'version: 1\nrules: [{name: old, match: {everything: true}, do: keep}]\n'
    inventory = worlds.to_inventory([worlds.repository_of(*images, name=APP)])
    policy = replace(parse_policy(keeps), facts=Facts(retired={APP: retired}))
    remarks = decide(inventory, policy, worlds.NOW).remarks
    assert [each.code for each in remarks] == ['leftRetired']
    assert remarks[0].message.startswith(f'{said} this program retired cannot be pulled')
    assert "'az acr prune restore -r test --retired'" in remarks[0].message


def test_what_is_retired_now_is_archived_as_if_it_went_and_stays_again_afterwards():
    old, due, young = (
        worlds.image(name, tags=[name], age=age * worlds.DAY) for name, age in (('old', 90), ('due', 90), ('young', 1))
    )
    inventory = worlds.to_inventory([worlds.repository_of(old, due, young, name=APP)])
    facts = Facts(retired={APP: {due['digest']: Retired(STILL_RETIRED, days_ago(20), ('due',))}})
    decision = decide(inventory, replace(parse_policy(POLICY), facts=facts), worlds.NOW)
    assert (decision.doomed, decision.retiring_in(APP)) == ({(APP, due['digest'])}, [old['digest']])
    gone = decision.with_retiring_gone()
    assert gone.doomed == {(APP, due['digest']), (APP, old['digest'])}
    assert gone.with_retiring_kept() == decision == decision.with_retiring_kept()
    keeps = 'version: 1\nrules: [{name: old, match: {everything: true}, do: keep}]\n'
    deletes = decide(inventory, replace(parse_policy(keeps), facts=facts), worlds.NOW)
    assert not deletes.retires and deletes.with_retiring_kept() is deletes is deletes.with_retiring_gone()


def test_a_limit_counts_what_is_retired_beside_what_goes():
    old, due = (worlds.image(name, tags=[name], age=90 * worlds.DAY) for name in ('old', 'due'))
    facts = Facts(retired={APP: {due['digest']: Retired(STILL_RETIRED, days_ago(20), ('due',))}})
    inventory = worlds.to_inventory([worlds.repository_of(old, due, name=APP)])
    decision = decide(inventory, replace(parse_policy(POLICY), facts=facts), worlds.NOW)
    assert (decision.doomed, decision.retiring_in(APP)) == ({(APP, due['digest'])}, [old['digest']])
    for limits in (Limits(deletions=1), Limits(manifests=1)):
        assert first_excess(decision, limits).number == 2
    assert first_excess(decision, Limits(deletions=2, manifests=2)) is None


def test_the_plan_says_when_what_goes_was_retired_where_a_rule_retires():
    decision, digests = decided(Facts())
    assert decision.retired[APP].keys() == {*digests}
    document = plan_document(decision, 'now')
    assert [entry['retiredTime'] for entry in document['delete']] == [time_text(days_ago(20))] * 2
    assert (document['retire'], document['unretire']) == ([], [])


def test_the_plan_of_images_that_are_named_says_nothing_of_what_is_retired():
    inventory = worlds.to_inventory([worlds.repository_of(worlds.image('one', tags=['v1']), name=APP)])
    document = plan_document(decide_images(inventory, [parse_image(f'{APP}:v1')]), 'now')
    assert len(document['delete']) == 1 and not document.keys() & {'retire', 'unretire'}
    assert 'manifestsToRetire' not in document['summary']


def test_what_is_to_be_retired_and_what_is_retired_are_told_with_the_day_on_which_they_go():
    one, other = (worlds.image(name, tags=[name], age=90 * worlds.DAY) for name in ('one', 'other'))
    inventory = worlds.to_inventory([worlds.repository_of(one, other, name=APP)])
    facts = Facts(retired={APP: {other['digest']: Retired(STILL_RETIRED, days_ago(5), ('other',))}})
    verdicts = decide(inventory, replace(parse_policy(POLICY), facts=facts), worlds.NOW).verdicts[APP]
    assert [verdicts[each['digest']].because for each in (one, other)] == [
        'old: it goes for good on 2027-01-29 unless somebody takes it back',
        'old: since 2027-01-10, it goes for good on 2027-01-24 unless somebody takes it back',
    ]


def test_a_tag_that_another_rule_removes_goes_at_once_while_other_images_are_retired_first():
    retires = POLICY.replace('{everything: true}', "{tags: ['v*']}")
    untags = "{name: builds, match: {tags: ['pr-*']}, when: {olderThan: 1d}, do: untag}"
    old, build = (worlds.image(tag, tags=[tag], age=90 * worlds.DAY) for tag in ('v1', 'pr-1'))
    inventory = worlds.to_inventory([worlds.repository_of(old, build, name=APP)])
    decision = decide(inventory, parse_policy(retires.replace('}}]', f'}}}}, {untags}]')), worlds.NOW)
    assert decision.retiring_in(APP) == [old['digest']]
    assert {tag: verdict.kept for tag, verdict in decision.tags[APP].items()} == {'pr-1': False, 'v1': True}


def test_an_image_that_stays_for_a_part_keeps_its_tag_while_an_index_that_names_it_is_retired():
    retires = POLICY.replace('{everything: true}', '{tags: [outer]}')
    deletes = '{name: inner, match: {tags: [inner]}, when: {olderThan: 1d}, do: delete}'
    part = worlds.image('part', age=90 * worlds.DAY)
    report = worlds.image('report', subject=part['digest'], locks=['deleteEnabled'], age=90 * worlds.DAY)
    inner = worlds.index('inner', [part['digest']], tags=['inner'], age=90 * worlds.DAY)
    outer = worlds.index('outer', [inner['digest']], tags=['outer'], age=90 * worlds.DAY)
    inventory = worlds.to_inventory([worlds.repository_of(part, report, inner, outer, name=APP)])
    decision = decide(inventory, parse_policy(retires.replace('}}]', f'}}}}, {deletes}]')), worlds.NOW)
    assert (decision.doomed, decision.retiring_in(APP)) == (frozenset(), [outer['digest']])
    assert {tag: verdict.kept for tag, verdict in decision.tags[APP].items()} == {'inner': True, 'outer': True}


def test_where_nothing_is_hidden_from_pulls_nothing_is_retired():
    inventory = worlds.to_inventory([worlds.repository_of(worlds.image('app', tags=['v1']), name=APP)])
    assert not has_hidden_content(inventory)
    assert with_retirements(inventory, {'team/other': retirements_in([RETIRED])[APP]}) == (inventory, {})
    (repository,) = inventory.repositories
    hidden = {key: each._replace(locks=Locks(read_enabled=False)) for key, each in repository.manifests.items()}
    inventory = replace(inventory, repositories=(repository, replace(repository, name='team/b', manifests=hidden)))
    assert has_hidden_content(inventory)
    assert with_retirements(inventory, {})[1] == {'team/b': {key: Retired(FOREIGN) for key in hidden}}


def test_a_ghost_goes_at_once_where_an_image_is_retired_first():
    there, ghost = (worlds.image(name, age=90 * worlds.DAY) for name in ('there', 'ghost'))
    inventory = worlds.to_inventory([worlds.repository_of(there, worlds.ghost(ghost), name=APP)])
    decision = decide(inventory, parse_policy(f'{POLICY}include: [ghosts]\n'), worlds.NOW)
    assert (decision.doomed, decision.retiring_in(APP)) == ({(APP, ghost['digest'])}, [there['digest']])


@pytest.mark.parametrize(
    'state, reason, said',
    [
        (FOREIGN, 'locked', 'is not as this program set it'),
        (CHANGED, 'notDue', 'it was changed after it was retired on 2026-12-26'),
        (TAKEN_BACK, 'notDue', 'it was retired on 2026-12-26, and somebody took it back'),
        (STILL_RETIRED, None, ''),
    ],
)
def test_an_image_of_which_a_part_was_touched_by_somebody_is_neither_deleted_nor_retired(state, reason, said):
    part = worlds.image('part', [1], age=90 * worlds.DAY)
    top = worlds.index('top', [part['digest']], tags=['v1'], age=90 * worlds.DAY)
    both = [(part['digest'], ()), (top['digest'], ('v1',))]
    retired = {digest: Retired(STILL_RETIRED, days_ago(20), tags) for digest, tags in both}
    retired[part['digest']] = replace(retired[part['digest']], state=state)
    inventory = worlds.to_inventory([worlds.repository_of(part, top, name=APP)])
    policy = replace(parse_policy(POLICY), facts=Facts(retired={APP: retired}))
    decision = decide(inventory, policy, worlds.NOW)
    verdicts = decision.verdicts[APP].values()
    assert decision.retiring_in(APP) == []
    assert bool(decision.doomed) is (reason is None)
    assert reason is None or [each.reason for each in verdicts] == [reason] * 2
    assert all(said in each.because for each in verdicts)


@pytest.mark.parametrize('tags, new', [(['v1', 'v3', 'v2'], True), (['v1'], False)])
def test_what_got_a_new_tag_while_it_was_retired_can_be_pulled_again(tags, new):
    one = worlds.image('one', tags=tags, age=90 * worlds.DAY)
    facts = Facts(retired={APP: {one['digest']: Retired(STILL_RETIRED, days_ago(5), ('v1',))}})
    inventory = worlds.to_inventory([worlds.repository_of(one, name=APP)])
    decision = decide(inventory, replace(parse_policy(POLICY), facts=facts), worlds.NOW)
    assert not decision.doomed
    found = {(each.kept, each.because) for each in decision.returning.values()}
    assert found == ({(True, 'v2, which is new')} if new else set())
