"""What rules would take of what comes back: the policy is read back from a journal, the registry is as it will be."""

from __future__ import annotations

import json

import pytest

from azext_acrprune.archive.pure.foreseen import Coming, as_if_back, told_taken
from azext_acrprune.archive.pure.lost import Lost
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.reasons import CHILD_OF, REFERRER_OF
from azext_acrprune.model import UNLOCKED, Content, Inventory, Locks, parse_ticks
from azext_acrprune.policy.file import EXAMPLES, example_text, parse_policy
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.given import can_be_foreseen, policy_given
from azext_acrprune.policy.rules import untagged_policy

NOW = parse_ticks('2026-06-01T00:00:00Z')
FLAGS = [
    Flags(ago='7d', keep=3),
    Flags(ago='0', age_by='created'),
    Flags(filter=('a/.*:^pr-',), ago='30d', untagged=True, keep=2, keep_untagged=0),
    Flags(match=('a/**:*',), exclude=('a/b:v*',), repository=('a/*',), keep_semver=3, keep_per=('2:^(?P<b>.+)-',)),
    Flags(
        untagged_only=True, filter=('a:.*',), include_locked=True, include=('ghosts', 'partial'), before='2001-01-01'
    ),
]


def as_written(policy):
    """What a journal has of a policy."""
    return json.loads(json.dumps(policy.given))


@pytest.mark.parametrize('flags', FLAGS)
def test_options_are_read_back_from_a_plan(flags):
    assert repr(policy_given(as_written(policy_of(flags, 1e9)), 'me', 1e9)) == repr(policy_of(flags, 1e9))


@pytest.mark.parametrize('name', EXAMPLES)
def test_a_policy_file_is_read_back_from_a_plan(name):
    policy = parse_policy(example_text(name), ('team/*',), 'me', 1e9)
    assert repr(policy_given(as_written(policy), 'me', 1e9)) == repr(policy)


def test_what_was_named_is_no_policy():
    assert policy_given({'images': ['a:b']}, 'me', 0) is None


@pytest.mark.parametrize(
    ('rule', 'can'),
    [
        ({'match': {'tags': ['pr-*']}}, True),
        ({'match': {'platforms': ['linux/arm64']}}, False),
        ({'match': {'labels': {'a': 'b'}}}, False),
        ({'when': {'notPulledFor': '30d'}}, False),
        ({'until': {'freed': '1 GiB'}}, False),
    ],
)
def test_rules_that_ask_for_what_is_not_known_yet_cannot_be_foreseen(rule, can):
    whole = {'name': 'a', 'do': 'delete', 'match': {'everything': True}, 'when': {'olderThan': '30d'}, **rule}
    text = json.dumps({'version': 1, 'rules': [whole]})
    assert can_be_foreseen(parse_policy(text)) is can


def digest(letter):
    return f'sha256:{letter * 64}'


def lost(letter, *tags, **fields):
    times = dict.fromkeys(tags, '2026-01-01T00:00:00Z')
    return Lost(
        'app',
        digest(letter),
        None,
        tuple((tag, UNLOCKED) for tag in tags),
        **{'locks': UNLOCKED, 'updated': '2026-01-01T00:00:00Z', 'tag_times': times, **fields},
    )


def taken(*things, contents=None):
    manifests = [('app', each.digest) for each in things]
    tags = [('app', tag, each.digest) for each in things for tag, _ in each.tags]
    coming = Coming(manifests, tags, things, contents or {})
    inventory = as_if_back(Inventory('me', (), frozenset({'app'})), coming, NOW)
    return told_taken(decide(inventory, untagged_policy(), NOW + 2 * 864_000_000_000), coming)


def test_what_has_a_tag_or_a_lock_is_not_taken_and_what_has_neither_is():
    manifests, tags, lines = taken(lost('a', 'v1'), lost('b', locks=Locks(delete_enabled=False)), lost('c'))
    assert (manifests, tags) == (1, 0) and len(lines) == 1 and lines[0].startswith(f'  app@{digest("c")}: untagged')


def test_the_parts_of_what_cannot_be_read_yet_stay_with_it_and_go_with_it():
    parts = lost('b', reason=CHILD_OF, because=digest('a')), lost('c', reason=REFERRER_OF, because=digest('a'))
    assert taken(lost('a', 'v1'), *parts)[:2] == (0, 0)
    assert taken(lost('a'), *parts)[0] == 3 and len(taken(lost('a'), *parts)[2]) == 1


def test_what_an_archive_says_of_an_index_counts():
    assert taken(lost('a', 'v1'), lost('b'), contents={digest('a'): Content(1, (digest('b'),))})[:2] == (0, 0)


def test_what_has_no_known_time_counts_as_of_today():
    assert taken(lost('a', updated=None))[0] == 1
    coming = Coming([('app', digest('a'))], [], [lost('a', updated=None)], {})
    inventory = as_if_back(Inventory('me', (), frozenset({'app'})), coming, NOW)
    assert told_taken(decide(inventory, untagged_policy(), NOW), coming)[0] == 0


def test_no_more_than_ten_are_named():
    manifests, _, lines = taken(*(lost(letter) for letter in '0123456789abcdef'))
    assert manifests == 16 and len(lines) == 11 and lines[-1] == '  and 6 more'
