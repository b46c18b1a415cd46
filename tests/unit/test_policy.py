"""The small languages of a policy (semantics.md, Pushes in flight and `acr purge` compatibility)."""

from dataclasses import fields

import pytest

from azext_acrprune.policy.ages import parse_ago
from azext_acrprune.policy.patterns import glob as compiled_glob
from azext_acrprune.policy.rules import Age, Match, RuleScope


@pytest.mark.parametrize(
    'text, seconds',
    [
        ('0', 0),
        ('0d', 0),
        ('1d', 86_400),
        ('30d', 2_592_000),
        ('2d3h6m', 183_960),
        ('10m', 600),
        ('1h15m', 4_500),
        ('45s', 45),
        ('1d1s', 86_401),
        ('36h', 129_600),
    ],
)
def test_ago_has_days_first_then_go_units(text, seconds):
    assert parse_ago(text) == seconds


@pytest.mark.parametrize('text', ['999999d', '9999999999d', '9' * 40 + 'd'])
def test_absurdly_large_ago_never_overflows(text):
    assert parse_ago(text) == int(text[:-1]) * 86_400


@pytest.mark.parametrize('text', ['', ' ', '-1d', '1', 'd', '1w', '1h1d', '1d ', '1.5d', '1D', '1d\n', 'yesterday'])
def test_anything_else_is_no_ago(text):
    with pytest.raises(ValueError):
        parse_ago(text)


def test_untagged_manifests_get_one_day_and_no_others_stay_unless_told_otherwise():
    assert Age() == Age('1d', 86_400, 'updated')
    assert parse_ago(Age().text) == Age().seconds


@pytest.mark.parametrize(
    'glob, matching, others',
    [
        ('web', ['web'], ['webs', 'a/web', 'we']),
        ('team-a/**', ['team-a/x', 'team-a/x/y'], ['team-a', 'team-ab/x', 'b/team-a/x']),
        ('team-a/*', ['team-a/x'], ['team-a/x/y', 'team-a']),
        ('**/web', ['web', 'a/web', 'a/b/web'], ['a/webs', 'xweb']),
        ('**', ['web', 'a/b/c'], []),
        ('*', ['web'], ['a/web']),
        ('web-?', ['web-1'], ['web-', 'web-12', 'web-/']),
        ('a.b', ['a.b'], ['axb']),
        ('a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['az', 'a/bz']),
    ],
)
def test_glob_knows_namespaces(glob, matching, others):
    pattern = compiled_glob(glob)
    assert [name for name in matching + others if pattern.matches(name)] == matching


@pytest.mark.parametrize('glob, literal', [('team/web', True), ('team/*', False), ('we?', False), ('**', False)])
def test_name_without_wildcards_is_literal(glob, literal):
    assert compiled_glob(glob).literal is literal


@pytest.mark.parametrize('name', [field.name for field in fields(Match) if field.name not in ('scopes', 'tagged')])
def test_whatever_a_match_asks_for_beside_place_and_tags_is_looked_at(name):
    assert Match(**{name: 1}).asks_for_properties
    assert not Match((RuleScope(), RuleScope()), tagged=False).asks_for_properties
