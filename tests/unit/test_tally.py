"""What became of each manifest and tag: what a listing after the run shows is believed, and no more than that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from azext_acrprune.apply.tally import Tally
from azext_acrprune.decide.verdicts import Verdict
from azext_acrprune.model import Content, Ghost, Manifest, Repository, Skipped, Tag
from azext_acrprune.reporter import Silent

SUBJECT, SBOM, OTHER, STAYS = (f'sha256:{number:064x}' for number in range(4))
SEEN = Repository(
    'team/app',
    {
        SUBJECT: Manifest(SUBJECT, Content(1), last_update_time='then'),
        SBOM: Manifest(SBOM, Content(1, subject=SUBJECT), last_update_time='then'),
        OTHER: Manifest(OTHER, Content(1), last_update_time='then'),
        STAYS: Manifest(STAYS, Content(1), ('v1', 'v2')),
    },
    tags={name: Tag(name, STAYS, 'then') for name in ('v1', 'v2')},
)
NOTHING = frozenset()


def tally(seen=SEEN, reporter=None):
    return Tally(seen, {SUBJECT, SBOM, OTHER}, {'v1': STAYS, 'v2': STAYS}, reporter or Silent())


def after(*digests, tags=(), unseen=None, **more):
    """The repository after the run, with these manifests and tags in it."""
    manifests = {digest: SEEN.manifests[digest] for digest in (*digests, STAYS)}
    return replace(SEEN, manifests=manifests, tags={tag: SEEN.tags[tag] for tag in tags}, unseen=unseen)


def reasons(told):
    return {each.tag or each.digest: each.reason for each in told.all_gone()}


def errors(told):
    return {each.tag or each.digest: each.error for each in told.all_failed()}


def test_what_failed_and_is_not_there_is_gone_and_where_a_request_had_no_answer_that_is_told():
    told = tally()
    told.fail([SUBJECT, OTHER, 'v1', 'v2'], 'no')
    told.settle(after(), {OTHER, 'v2'})
    told.not_found(SBOM, unanswered=True)
    assert reasons(told) == {
        SUBJECT: 'before',
        OTHER: 'unanswered',
        'v1': 'before',
        'v2': 'unanswered',
        SBOM: 'unanswered',
    }
    assert errors(told) == {} and not told.left


def test_where_a_listing_does_not_show_all_that_is_there_nothing_is_gone_by_it():
    told = tally()
    told.fail([SUBJECT, 'v1'], 'no')
    told.settle(after(unseen='it has 9 manifests, and 8 are listed'), NOTHING)
    assert errors(told) == {SUBJECT: 'no', 'v1': 'no'} and reasons(told) == {} and told.left == {SBOM, OTHER, 'v2'}


def test_a_tag_that_certainly_was_not_removed_has_failed_whatever_is_listed():
    told = tally()
    told.fail(['v1'], 'it moved', is_certain=True)
    told.fail(['v2'], 'no')
    told.settle(after(SUBJECT, SBOM, OTHER, tags=['v2']), NOTHING)
    assert errors(told) == {'v1': 'it moved', 'v2': 'no'}


@pytest.mark.parametrize(
    'not_found, words', [(False, 'was deleted, and lists it still'), (True, 'is not there, and lists')]
)
def test_what_is_still_listed_was_not_deleted(not_found, words):
    told = tally()
    for key in (OTHER, 'v1'):
        (told.not_found if not_found else told.done)(key)
    told.settle(after(SUBJECT, SBOM, OTHER, tags=['v1', 'v2']), NOTHING)
    assert set(errors(told)) == {OTHER, 'v1'} and all(words in error for error in errors(told).values())
    assert not (told.deleted or told.untagged or told.gone)
    assert told.left == {SUBJECT, SBOM, 'v2'}


def test_what_is_there_again_was_pushed_since():
    told = tally()
    told.done(OTHER)
    told.done('v1')
    now = after(OTHER, SUBJECT, SBOM, tags=['v2'])
    anew = replace(
        now,
        manifests={**now.manifests, OTHER: now.manifests[OTHER]._replace(last_update_time='now')},
        tags={**now.tags, 'v1': SEEN.tags['v1']._replace(last_update_time='now')},
    )
    told.settle(anew, NOTHING)
    assert 'somebody has pushed it since' in errors(told)[OTHER] and told.untagged == {'v1'}


def test_a_referrer_fell_with_the_subject_that_this_run_deleted_whatever_became_of_its_own_request():
    told = tally()
    told.done(SUBJECT)
    told.fail([SBOM], 'no')
    told.settle(after(OTHER, tags=['v1', 'v2']), NOTHING)
    assert told.deleted == {SUBJECT, SBOM} and errors(told) == {}


@pytest.mark.parametrize('is_ghost', [False, True])
def test_a_referrer_is_of_whoever_deleted_its_subject_and_a_ghost_was_no_subject(is_ghost):
    ghost = SEEN.manifests[SUBJECT].having(Ghost()) if is_ghost else SEEN.manifests[SUBJECT]
    told = tally(replace(SEEN, manifests={**SEEN.manifests, SUBJECT: ghost}))
    told.not_there([SUBJECT])
    told.done(SBOM)
    assert (told.deleted, reasons(told).get(SBOM)) == (({SBOM}, None) if is_ghost else (set(), 'withSubject'))


def test_a_tag_of_something_that_is_deleted_and_still_listed_is_told():
    now = replace(after(SUBJECT, SBOM), tags={'left': Tag('left', OTHER, 'then')})
    seen = replace(SEEN, manifests={**SEEN.manifests, OTHER: SEEN.manifests[OTHER]._replace(tags=('left',))})
    told = tally(seen)
    told.done(OTHER)
    assert told.contradicted(now)
    told.settle(now, NOTHING)
    assert list(errors(told)) == ['left'] and told.failed == {}


@pytest.mark.parametrize('shown', [True, False])
def test_a_tag_of_something_that_is_not_deleted_or_is_told_itself_is_not_told(shown):
    """Of what this run deleted and is listed still; of what it did not delete, and is not listed."""
    now = replace(after(SUBJECT, SBOM, *([OTHER] if shown else [])), tags={'left': Tag('left', OTHER, 'then')})
    seen = {**SEEN.manifests, OTHER: SEEN.manifests[OTHER]._replace(tags=('left',))}
    told = tally(replace(SEEN, manifests=seen))
    if shown:
        told.done(OTHER)
    told.settle(now, NOTHING)
    assert set(errors(told)) == ({OTHER} if shown else set())


def test_what_is_left_alone_is_told_by_its_key_with_its_verdict():
    told = tally()
    told.skip({'v1': Verdict(True, 'tagsChanged', 'it is the last one now'), OTHER: Verdict(True, 'locked', 'a lock')})
    assert sorted(told.all_skipped(), key=lambda each: each.reason) == [
        Skipped('team/app', OTHER, 'locked', 'a lock'),
        Skipped('team/app', STAYS, 'tagsChanged', 'it is the last one now', 'v1'),
    ]


def test_what_is_not_there_and_was_not_touched_is_gone():
    told = tally()
    told.settle(after(SUBJECT, SBOM, tags=['v1', 'v2']), {OTHER})
    assert reasons(told) == {OTHER: 'unanswered'} and told.left == {SUBJECT, SBOM, 'v1', 'v2'}
    told = tally()
    told.settle(after(SUBJECT, SBOM, tags=['v1', 'v2']), NOTHING)
    assert reasons(told) == {OTHER: 'before'}


def test_what_was_left_alone_and_fell_with_what_this_run_deleted_was_deleted():
    told = tally()
    told.done(SUBJECT)
    told.skip({SBOM: Verdict(True, 'locked', 'a lock')})
    told.settle(after(OTHER, tags=['v1', 'v2']), NOTHING)
    assert (told.deleted, told.skipped, reasons(told)) == ({SUBJECT, SBOM}, {}, {})


def test_what_was_left_alone_and_is_gone_without_its_subject_was_left_alone():
    told = tally()
    told.skip({OTHER: Verdict(True, 'locked', 'a lock')})
    told.settle(after(SUBJECT, SBOM, tags=['v1', 'v2']), NOTHING)
    assert (set(told.skipped), reasons(told)) == ({OTHER}, {})


@pytest.mark.parametrize('unanswered, reason', [({SUBJECT}, 'unanswered'), (NOTHING, 'withSubject')])
def test_what_was_left_alone_went_with_its_subject_as_that_went(unanswered, reason):
    told = tally()
    told.fail([SUBJECT], 'no')
    told.skip({SBOM: Verdict(True, 'subjectOf', SUBJECT)})
    told.settle(after(OTHER, tags=['v1', 'v2']), unanswered)
    assert (told.skipped, reasons(told)[SBOM]) == ({}, reason)


def test_what_was_gone_before_its_subject_went_stays_so():
    told = tally()
    told.not_there([SBOM])
    told.done(SUBJECT)
    told.settle(after(OTHER, tags=['v1', 'v2']), NOTHING)
    assert (told.deleted, reasons(told)) == ({SUBJECT}, {SBOM: 'before'})


@pytest.mark.parametrize('is_deleted', [True, False])
def test_without_a_listing_what_may_have_fallen_with_its_subject_has_failed(is_deleted):
    told = tally()
    told.skip({key: Verdict(True, 'locked', 'a lock') for key in (SBOM, OTHER)})
    if is_deleted:
        told.done(SUBJECT)
    else:
        told.fail([SUBJECT], 'no answer')
    told.doubt(fails=True)
    assert 'may have deleted it with its subject' in errors(told)[SBOM]
    assert (set(told.skipped), set(errors(told)) - {SUBJECT}) == ({OTHER}, {SBOM})


def test_without_a_listing_what_is_known_of_a_referrer_stays_so():
    told = tally()
    told.fail([SUBJECT, SBOM], 'no')
    told.doubt(fails=True)
    assert errors(told) == {SUBJECT: 'no', SBOM: 'no'}
    told = tally()
    told.not_there([SBOM])
    told.fail([SUBJECT], 'no')
    told.doubt(fails=True)
    assert (errors(told), reasons(told)) == ({SUBJECT: 'no'}, {SBOM: 'before'})


class Counting(Silent):
    """Counts what is told as done."""

    def __init__(self):
        self.count = 0

    def deleted(self):
        self.count += 1


@pytest.mark.parametrize(
    'act, count',
    [
        (lambda told: told.done(OTHER), 1),
        (lambda told: told.not_found(OTHER), 1),
        (lambda told: told.not_there([OTHER, 'v1']), 2),
        (lambda told: told.skip({key: Verdict(True, 'locked', 'a lock') for key in (SBOM, OTHER, 'v2')}), 3),
        (lambda told: told.fail([SUBJECT, SBOM], 'no'), 2),
    ],
    ids=['done', 'not found', 'not there', 'skipped', 'failed'],
)
def test_progress_goes_on_for_each_whatever_became_of_it(act, count):
    reporter = Counting()
    act(tally(reporter=reporter))
    assert reporter.count == count
