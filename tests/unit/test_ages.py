"""Dates in the place of ages."""

from __future__ import annotations

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.policy.ages import parse_age_or_date
from azext_acrprune.policy.flags import Flags, policy_of
from tests import worlds

NOW = 1_788_220_800  # 2026-09-01T00:00:00Z
DAY = 86_400


@pytest.mark.parametrize(
    'text, seconds',
    [
        ('30d', 30 * DAY),
        ('2w1d', 15 * DAY),
        ('1y2mo', 425 * DAY),
        ('10m', 600),
        ('2026-08-02', 30 * DAY),
        ('2026-08-31T12:00:00Z', DAY // 2),
        ('2026-08-31T12:00:00+02:00', DAY // 2 + 7_200),
        ('2026-09-01', 0),
    ],
)
def test_a_date_is_an_age_too(text, seconds):
    assert parse_age_or_date(text, NOW) == seconds


@pytest.mark.parametrize(
    'text', ['2026-13-01', '2026-08-02T', '2026-08-32', '2027-01-01', '2026-08', 'yesterday', '25.08.2026', '3W']
)
def test_anything_else_is_an_error(text):
    with pytest.raises(ValueError, match='2026-08-01|not come yet'):
        parse_age_or_date(text, NOW)


@pytest.mark.parametrize('option', ['ago', 'before'])
def test_a_plan_says_the_date_as_it_was_given(option):
    image = worlds.image('app', age=10 * DAY)
    at = worlds.NOW // worlds.TICKS
    day = '2020-01-01'
    policy = policy_of(Flags(**{option: day}), at)
    inventory = worlds.to_inventory([worlds.repository_of(image)])
    assert not plan_document(decide(inventory, policy, worlds.NOW), 'now')['delete']
    policy = policy_of(Flags(**{option: '2026-01-01T00:00:00Z', 'match': ('*:x',), 'untagged': True}), at)
    assert policy.given['tags'][option] == '2026-01-01T00:00:00Z'
    assert policy.rules[0].age.said == 'since before 2026-01-01T00:00:00Z'
