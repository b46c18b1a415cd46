"""What was brought back counts with its old times, and is no younger and no older for it than is safe."""

from __future__ import annotations

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.returned import with_old_times
from azext_acrprune.model import (
    TICKS_PER_SECOND,
    CameBack,
    Content,
    Inventory,
    Manifest,
    Repository,
    Tag,
    counted_time,
    parse_ticks,
    time_text,
)
from azext_acrprune.policy.facts import Facts
from azext_acrprune.policy.flags import Flags, policy_of

APP = 'team/app'
DAY = 86_400 * TICKS_PER_SECOND
NOW = parse_ticks('2026-11-29T00:00:00Z')
RESTORED = ('v0', 'v1', 'v2')


def digest(number):
    return f'sha256:{number:064x}'


def registry(back_days):
    """v0 to v7, each a day newer than the one before, of which the first three were deleted and came back."""
    manifests, tags = {}, {}
    for number in range(8):
        name = f'v{number}'
        at = NOW - int(back_days * DAY) if name in RESTORED else NOW - (40 - number) * DAY
        text = time_text(at)
        manifests[digest(number)] = Manifest(
            digest(number), Content(1), (name,), created_time=text, last_update_time=text, created_at=at, updated_at=at
        )
        tags[name] = Tag(name, digest(number), text, at, at)
    return Inventory('test.azurecr.io', (Repository(APP, manifests, tags=tags),), frozenset({APP}))


def told_by_journals(back_days, known=True):
    """What the journals say of those three; `known` says whether they have the times from before."""
    at = NOW - int(back_days * DAY)
    found = {}
    for number in range(3):
        before = NOW - (40 - number) * DAY if known else None
        for tag in (None, f'v{number}'):
            found[APP, digest(number), tag] = CameBack(before, before, time_text(at), at)
    return found


def going(back_days, journals, **flags):
    policy = policy_of(Flags(match=('team/app:*',), untagged=True, keep_untagged=0, **flags))
    inventory, returned = with_old_times(registry(back_days), journals)
    policy = policy.__class__(**{**vars(policy), 'facts': Facts(came_back=returned)})
    decision = decide(inventory, policy, NOW)
    (repository,) = inventory.repositories
    return {tag for each in decision.doomed_in(APP) for tag in repository.manifests[each].tags}


def test_what_came_back_displaces_nothing_that_was_kept():
    assert going(5, {}, keep=3, ago='1d') == {'v3', 'v4', 'v5', 'v6', 'v7'}, 'so it would be without the old times'
    assert going(5, told_by_journals(5), keep=3, ago='1d') == {'v0', 'v1', 'v2', 'v3', 'v4'}
    assert going(5, told_by_journals(5), keep=3, ago='30d') == {'v0', 'v1', 'v2', 'v3', 'v4'}


@pytest.mark.parametrize('ago', ['1d', '10d', '30d'])
def test_it_does_not_go_within_a_day_and_displaces_nothing_meanwhile(ago):
    assert going(0.9, told_by_journals(0.9), keep=3, ago=ago) == {'v3', 'v4'}
    assert going(1.1, told_by_journals(1.1), keep=3, ago=ago) == {'v0', 'v1', 'v2', 'v3', 'v4'}


def test_without_an_age_nothing_is_young():
    assert going(0.1, told_by_journals(0.1), keep=3, ago='0') == {'v0', 'v1', 'v2', 'v3', 'v4'}
    assert going(0.1, told_by_journals(0.1), keep=3, ago='1h') == {'v0', 'v1', 'v2', 'v3', 'v4'}
    assert going(0.01, told_by_journals(0.01), keep=3, ago='1h') == {'v3', 'v4'}


def test_old_times_that_are_not_known_are_those_of_today():
    assert going(5, told_by_journals(5, known=False), ago='10d') == {'v3', 'v4', 'v5', 'v6', 'v7'}


def test_what_was_touched_since_has_the_time_of_that():
    journals = told_by_journals(6)  # the registry shows a later time than the one it got when it came back
    assert going(5, journals, ago='10d') == {'v3', 'v4', 'v5', 'v6', 'v7'}


@pytest.mark.parametrize('journal_days', [4, 6])
def test_neither_an_older_nor_a_newer_time_than_it_came_back_with_gives_it_its_old_times(journal_days):
    assert with_old_times(registry(5), told_by_journals(journal_days)) == (registry(5), {})


def test_a_time_from_before_that_is_later_than_now_makes_nothing_younger():
    later = {key: back._replace(created=NOW, updated=NOW) for key, back in told_by_journals(20).items()}
    assert going(20, later, ago='10d') == {f'v{number}' for number in range(8)}


def test_a_tag_that_is_on_another_manifest_now_is_not_the_one_that_came_back():
    journals = {(name, digest(7), tag): back for (name, _, tag), back in told_by_journals(5).items()}
    assert going(5, journals, ago='10d') == {'v3', 'v4', 'v5', 'v6', 'v7'}


def test_what_goes_a_second_time_is_written_down_with_the_times_that_it_counted_with():
    inventory, _ = with_old_times(registry(5), told_by_journals(5))
    (repository,) = inventory.repositories
    manifest, tag = repository.manifests[digest(0)], repository.tags['v0']
    before = time_text(NOW - 40 * DAY)
    assert counted_time(manifest.last_update_time, manifest.updated_at) == before
    assert counted_time(manifest.created_time, manifest.created_at) == before
    assert counted_time(tag.last_update_time, tag.updated_at) == before
    precise = '2026-11-17T21:45:14.4588314Z'
    assert counted_time(precise, parse_ticks(precise)) == precise and counted_time('odd', None) == 'odd'
