"""The options of `acr purge`, one small registry for each documented example and flag."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.reasons import KEEP_NEWEST
from azext_acrprune.policy import patterns
from azext_acrprune.policy.ages import parse_ago
from azext_acrprune.policy.flags import Flags, filter_scope, glob_scope, parse_keep_per, policy_of
from azext_acrprune.policy.patterns import BadPattern, PatternTimeout, searching_regex, split_filter
from tests.worlds import DAY, NOW, TICKS, attachment_tag, ghost, image, index, repository_of, to_inventory, unreadable

PUSHED = {'hello-world': 1, 'hello-test': 2, 'the-world': 4, 'latest': 6, 'mytest2': 8, 'v1': 10}
"""Tags and their ages in days."""


def tagged(name, **tags):
    """A repository with one image for each tag, given with its age in days."""
    return repository_of(*(image(f'{name} {tag}', tags=[tag], age=days * DAY) for tag, days in tags.items()), name=name)


def gone(world, **flags):
    """(`repository:tag` of each tag that goes, names of the manifests that go), both in order."""
    policy = policy_of(Flags(**flags))
    selected = frozenset(policy.selection.select(repository['name'] for repository in world))
    decision = decide(replace(to_inventory(world), selected=selected), policy, NOW)
    names = {
        manifest['digest']: manifest['document']['annotations']['name']
        for repository in world
        for manifest in repository['manifests']
    }
    tags = [
        f'{name}:{tag}'
        for name, verdicts in decision.tags.items()
        for tag, verdict in verdicts.items()
        if not verdict.kept
    ]
    return sorted(tags), sorted(names[digest] for _, digest in decision.doomed)


def tags_gone(world, **flags):
    """The tags that go from a registry where no manifest does."""
    tags, manifests = gone(world, **flags)
    assert manifests == []
    return tags


WORLD = [tagged('hello-world', **PUSHED), tagged('other', v1=10, hello=3)]


# --- The documented examples -------------------------------------------------------------------------------------


def test_all_tags_of_a_repository_older_than_a_day():
    assert tags_gone(WORLD, filter=('hello-world:.*',), ago='1d') == sorted(f'hello-world:{tag}' for tag in PUSHED)


def test_all_tags_of_all_repositories_older_than_a_week():
    assert tags_gone(WORLD, filter=('.*:.*',), ago='7d') == ['hello-world:mytest2', 'hello-world:v1', 'other:v1']


def test_tags_that_begin_with_hello_older_than_a_week():
    world = [tagged('hello-world', hello=8, helloes=7, hello3=6, xhello=8)]
    assert tags_gone(world, filter=('hello-world:^hello.*',), ago='7d') == ['hello-world:hello', 'hello-world:helloes']


def test_keep_leaves_the_two_newest_of_those_that_match_and_are_old():
    world = [tagged('hello-world', hello6=6, hello8=8, hello9=9, hello10=10, hello11=11, old=99)]
    assert tags_gone(world, filter=('hello-world:^hello.*',), ago='7d', keep=2) == [
        'hello-world:hello10',
        'hello-world:hello11',
    ]


def test_tags_with_test_in_them_and_their_images_and_untagged_ones_older_than_five_days():
    untagged, young = image('untagged', age=6 * DAY), image('young', age=4 * DAY)
    world = [
        repository_of(*WORLD[0]['manifests'], untagged, young, name='hello-world'),
        repository_of(image('elsewhere'), name='other'),
    ]
    assert gone(world, filter=(r'hello-world:\w*test\w*',), ago='5d', untagged=True) == (
        ['hello-world:latest', 'hello-world:mytest2'],
        ['hello-world latest', 'hello-world mytest2', 'untagged'],
    )  # there is a test in latest


def test_tags_whose_word_ends_with_world():
    world = [tagged('app', **{'hello-world': 2, 'worldwide': 2, 'the-world-1': 2, 'helloworld': 2})]
    assert tags_gone(world, filter=(r'app:\w*world\b',)) == ['app:hello-world', 'app:helloworld', 'app:the-world-1']


def test_tags_that_have_hello_world_anywhere():
    world = [tagged('app', **{'hello-world': 2, 'my-hello-world-2': 2, 'hello': 2})]
    assert tags_gone(world, filter=('app:hello-world',)) == ['app:hello-world', 'app:my-hello-world-2']


def test_two_filters_on_two_repositories_take_each_its_own():
    world = [tagged('one', a=2, b=2), tagged('two', a=2, b=2), tagged('three', a=2, b=2)]
    assert tags_gone(world, filter=('one:^a$', 'two:^b$')) == ['one:a', 'two:b']


def test_two_filters_on_one_repository_are_alternatives_and_share_what_is_kept():
    world = [tagged('one', a=2, b=3, c=4, d=5)]
    assert tags_gone(world, filter=('one:^a$', 'one:[bc]')) == ['one:a', 'one:b', 'one:c']
    assert tags_gone(world, filter=('one:^a$', 'one:[bc]'), keep=1) == ['one:b', 'one:c']


def test_include_locked_takes_locked_tags_and_manifests_but_no_locked_repository():
    manifest_lock = image('locked manifest', tags=['a'], locks=['deleteEnabled'])
    tag_lock = image('locked tag', tags=['b'])
    world = [
        repository_of(manifest_lock, tag_lock, name='open', tag_locks={'b': ['writeEnabled']}),
        repository_of(image('in a locked repository', tags=['c']), name='shut', locks=['writeEnabled']),
    ]
    everything = {'filter': ('.*:.*',), 'untagged': True}
    assert gone(world, **everything) == ([], [])
    assert gone(world, **everything, include_locked=True) == (['open:a', 'open:b'], ['locked manifest', 'locked tag'])


def test_untagged_only_takes_no_tags_and_all_repositories():
    world = [repository_of(image('one'), image('tagged', tags=['v1']), name='a'), repository_of(image('two'), name='b')]
    assert gone(world, untagged_only=True) == ([], ['one', 'two'])


def test_untagged_only_with_a_filter_takes_no_tags_and_the_repositories_of_the_filter():
    world = [repository_of(image('one'), image('tagged', tags=['v1']), name='a'), repository_of(image('two'), name='b')]
    assert gone(world, untagged_only=True, filter=('a:.*',)) == ([], ['one'])


def test_untagged_only_keeps_the_newest_images():
    world = [repository_of(image('old', age=9 * DAY), image('new', age=8 * DAY))]
    assert gone(world, untagged_only=True, keep=1) == ([], ['old'])


# --- Flags of our own --------------------------------------------------------------------------------------------


def test_match_is_a_glob_that_stays_inside_a_namespace():
    world = [
        tagged('team-a/web', **{'pr-1': 2, 'xpr-1': 2}),
        tagged('team-a/x/api', **{'pr-1': 2}),
        tagged('team-ab', **{'pr-1': 2}),
    ]
    assert tags_gone(world, match=('team-a/*:pr-*',)) == ['team-a/web:pr-1']
    assert tags_gone(world, match=('team-a/**:pr-*',)) == ['team-a/web:pr-1', 'team-a/x/api:pr-1']


def test_exclude_spares_a_tag_and_its_image_and_leaves_its_place_to_the_next():
    world = [tagged('app', latest=2, v1=3, v2=4)]
    flags = {'filter': ('.*:.*',), 'exclude': ('**:latest',), 'keep': 1, 'untagged': True}
    assert gone(world, **flags) == (['app:v2'], []), 'keep counts what has no tag left, too'
    assert gone(world, **flags, keep_untagged=0) == (['app:v2'], ['app v2'])


def test_keep_semver_counts_releases_and_prereleases_by_version_and_not_by_age():
    world = [tagged('app', **{'v1.2.10': 9, 'v1.2.9': 2, '2.0.0-rc.2': 9, '2.0.0-rc.10': 10, 'other': 3})]
    assert tags_gone(world, filter=('app:.*',), keep_semver=1) == ['app:2.0.0-rc.2', 'app:v1.2.9']


def test_keep_per_keeps_the_newest_of_each_group_and_spares_what_is_in_none():
    world = [tagged('app', **{'main-1': 9, 'main-2': 8, 'dev-1': 7, 'dev-2': 6, 'latest': 2})]
    assert tags_gone(world, filter=('app:.*',), keep_per=('1:^(?P<branch>.+)-[0-9]+$',)) == ['app:dev-1', 'app:main-1']


def test_age_by_created_looks_at_the_creation_of_the_image_and_at_when_the_tag_was_moved():
    image_of_today = dict(image('image', tags=['v1'], age=9 * DAY), created=NOW - 3_600 * TICKS)
    old = dict(image('image', tags=['v1'], age=9 * DAY), created=NOW - 300 * DAY * TICKS)
    tag_created = {'tag_created': {'v1': NOW - 300 * DAY * TICKS}}
    moved_today = dict(repository_of(old, tag_times={'v1': NOW - 3_600 * TICKS}), **tag_created)
    assert gone([dict(repository_of(old), **tag_created)], filter=('.*:.*',), untagged=True, age_by='created') == (
        ['team/web:v1'],
        ['image'],
    )
    assert gone([moved_today], filter=('.*:.*',), untagged=True, age_by='created') == ([], [])
    assert gone([repository_of(image_of_today)], filter=('.*:.*',), untagged=True, age_by='created') == ([], [])


@pytest.mark.parametrize('keep', [1, 2])
def test_versions_are_read_as_helm_writes_them_and_what_is_none_stays(keep):
    """The three newest charts went, for `+` in a tag is `_` (helm/helm#10250)."""
    charts = {'1.5.0_g5abc': 1.5, '1.4.0_g4abc': 2, '1.3.0': 3, '2024.05.01': 9, '1.2.3.4': 9, 'V1.0.0': 9}
    assert (
        tags_gone([tagged('app', **charts)], filter=('app:.*',), keep_semver=keep)
        == ['app:1.3.0', 'app:1.4.0_g4abc'][: 3 - keep]
    )


@pytest.mark.parametrize('keep_untagged, gone_too', [(None, []), (0, ['left 2', 'left 3']), (1, ['left 3'])])
def test_keep_counts_what_has_no_tag_too_unless_that_has_a_number_of_its_own(keep_untagged, gone_too):
    """As acr purge does since 0.18 (Azure/acr-cli#644)."""
    world = [
        repository_of(
            *[image(f'tagged {age}', tags=[f'pr-{age}'], age=age * DAY) for age in (4, 5)],
            *[image(f'left {age}', age=age * DAY) for age in (2, 3)],
        )
    ]
    found = gone(world, filter=('.*:.*',), untagged=True, keep=2, keep_untagged=keep_untagged)
    assert found == ([], gone_too)


def test_repository_narrows_a_filter():
    assert tags_gone(WORLD, filter=('.*:v1',), repository=('other',)) == tags_gone(WORLD, filter=('other:v1',))


# --- What is meant to differ from `acr purge` --------------------------------------------------------------------


def test_image_whose_index_stays_is_not_deleted_with_its_tag():
    child = image('child', tags=['amd64'])
    parent = index('parent', [child['digest']], tags=['v1'])
    assert gone([repository_of(child, parent)], filter=('.*:amd64',), untagged=True) == (['team/web:amd64'], [])


def test_platform_images_and_signatures_go_with_their_index():
    child = image('child')
    parent = index('parent', [child['digest']], tags=['v1'])
    signature = image('signature', tags=[attachment_tag(parent['digest'])])
    sbom = image('sbom', subject=parent['digest'])
    assert gone([repository_of(child, parent, signature, sbom)], filter=('.*:v1',), untagged=True) == (
        ['team/web:v1'],
        ['child', 'parent', 'sbom', 'signature'],
    )


def test_image_with_a_referrer_that_has_a_user_tag_stays():
    subject = image('subject', tags=['v1'])
    referrer = image('referrer', subject=subject['digest'], tags=['sbom-of-v1'])
    assert gone([repository_of(subject, referrer)], filter=('.*:^v1$',), untagged=True) == (['team/web:v1'], [])


def test_image_with_one_tag_left_stays():
    assert gone([repository_of(image(tags=['v1', 'latest']))], filter=('.*:v1',), untagged=True) == (
        ['team/web:v1'],
        [],
    )


def test_young_image_under_an_old_tag_loses_the_tag_and_stays():
    world = [repository_of(image(tags=['v1'], age=0), tag_times={'v1': NOW - 9 * DAY * TICKS})]
    assert gone(world, filter=('.*:.*',), untagged=True) == (['team/web:v1'], [])


def test_old_image_under_a_young_tag_stays_with_it():
    world = [repository_of(image(tags=['v1']), tag_times={'v1': NOW})]
    assert gone(world, filter=('.*:.*',), untagged=True) == ([], [])


def test_attachment_tag_is_no_tag_that_a_filter_takes():
    subject = image('subject', tags=['v1'])
    signature = image('signature', tags=[attachment_tag(subject['digest'])])
    assert gone([repository_of(subject, signature)], filter=('.*:^sha256-',), untagged=True) == ([], [])


def test_image_that_is_attached_to_nothing_that_exists_loses_its_user_tag_and_stays():
    both = image('both', tags=['v1', attachment_tag(image('missing')['digest'])])
    assert gone([repository_of(both)], filter=('.*:v1',), untagged=True) == (['team/web:v1'], [])


def test_unreadable_manifest_spares_manifests_and_not_tags():
    world = [repository_of(image(tags=['v1']), unreadable(index('broken', tags=['v2'])))]
    assert gone(world, filter=('.*:v1',), untagged=True) == (['team/web:v1'], [])


def test_repository_expression_with_alternatives_has_to_match_the_whole_name():
    world = [tagged('a', v1=2), tagged('b', v1=2), tagged('ab', v1=2), tagged('xb', v1=2)]
    assert tags_gone(world, filter=('a|b:v1',)) == ['a:v1', 'b:v1']


def test_ago_of_one_day_where_none_is_given():
    assert tags_gone([tagged('app', old=1.01, young=0.99)], filter=('app:.*',)) == ['app:old']


def test_what_is_kept_says_why():
    decision = decide(to_inventory(WORLD), policy_of(Flags(filter=('other:.*',), keep=1)), NOW)
    assert decision.tags['other']['hello'].reason == KEEP_NEWEST
    assert decision.tags['other']['hello'].because == 'tag hello: among the newest 1'


# --- --ago -------------------------------------------------------------------------------------------------------

AGES = {'now': 0, 'minutes': 11 / 1440, 'hours': 1.3 / 24, 'days': 2.2, 'month': 30, 'ages': 20_000}


@pytest.mark.parametrize(
    'ago, taken',
    [
        ('0', ['ages', 'days', 'hours', 'minutes', 'month', 'now']),
        ('10m', ['ages', 'days', 'hours', 'minutes', 'month']),
        ('1h15m', ['ages', 'days', 'hours', 'month']),
        ('2d3h6m', ['ages', 'days', 'month']),
        ('30d', ['ages', 'month']),
        ('999999d', []),
        ('10000000000000d', []),
    ],
)
def test_ago_is_the_least_age_of_what_goes(ago, taken):
    assert tags_gone([tagged('app', **AGES)], filter=('app:.*',), ago=ago) == [f'app:{tag}' for tag in taken]


@pytest.mark.parametrize('ago', ['-1d', '-10m', '', '5x', '5', '1h2d', '1d 2h', 'inf', '1e9d', '\u0663d'])
def test_anything_else_is_no_ago_for_any_mode(ago):
    for flags in (Flags(filter=('.*:.*',), ago=ago), Flags(untagged_only=True, ago=ago), Flags(ago=ago)):
        with pytest.raises(ValueError, match='is not a duration'):
            policy_of(flags)


def test_fractions_of_a_second_are_rounded_up_so_that_less_goes():
    assert [parse_ago(text) for text in ('1ns', '1.5s', '1000ms', '0s')] == [1, 2, 1, 0]


# --- --filter ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'text, halves',
    [
        ('a:b', ('a', 'b')),
        ('a:b:c', ('a', 'b:c')),
        ('(?:a|b):v1', ('(?:a|b)', 'v1')),
        ('(?P<x>a(?:b|c)):v1', ('(?P<x>a(?:b|c))', 'v1')),
        (r'[[:alpha:]]+:x', ('[[:alpha:]]+', 'x')),
        (r'[^[:digit:]_]+:[[:alpha:]]', ('[^[:digit:]_]+', '[[:alpha:]]')),
        ('[:]x:y', ('[:]x', 'y')),
        ('[]:]x:y', ('[]:]x', 'y')),
        ('[^]:]x:y', ('[^]:]x', 'y')),
        (r'[\]:]x:y', (r'[\]:]x', 'y')),
        ('[(]x:y', ('[(]x', 'y')),
        (r'a\:b:c', (r'a\:b', 'c')),
        (r'\(a:b', (r'\(a', 'b')),
        (r'\[a:b', (r'\[a', 'b')),
        ('.*:^(?:a|b)$', ('.*', '^(?:a|b)$')),
    ],
)
def test_filter_is_split_at_the_first_colon_outside_groups_and_classes(text, halves):
    assert split_filter(text) == halves


@pytest.mark.parametrize('text', ['', ':', 'a:', ':b', 'ab', '(a:b)', '[a:b]', r'a\:b', '(a:b', '[a:b', '\\'])
def test_filter_without_two_halves_says_so(text):
    with pytest.raises(BadPattern) as raised:
        split_filter(text)
    assert f"'{text}'" in str(raised.value)


@pytest.mark.parametrize(
    'text, wrong', [('*:.*', "'*'"), ('a:(', "'('"), ('a:[z', "'[z'"), ('a:x{2,1}', "'x{2,1}'"), ('a):b', "'a)'")]
)
def test_filter_that_is_no_regular_expression_names_the_half(text, wrong):
    with pytest.raises(BadPattern) as raised:
        filter_scope(text)
    assert wrong in str(raised.value)


@pytest.mark.parametrize('text', ['', ':', 'a:', ':b', 'ab'])
def test_glob_without_two_halves_says_so(text):
    with pytest.raises(BadPattern):
        glob_scope(text)


@pytest.mark.parametrize(
    'text', ['', '3', '3:', ':(?P<x>a)', 'x:(?P<x>a)', '-1:(?P<x>a)', '3:abc', '3:(?P<x>', '1.5:x', '\u0663:(?P<x>a)']
)
def test_keep_per_without_a_number_or_a_named_group_says_so(text):
    with pytest.raises(ValueError):
        parse_keep_per(text)


def test_posix_classes_and_look_ahead_work():
    assert searching_regex('^[[:alpha:]]+$').matches('abc') and not searching_regex('^[[:alpha:]]+$').matches('ab1')
    assert searching_regex('^(?!latest$)').matches('v1') and not searching_regex('^(?!latest$)').matches('latest')


# --- Expressions that run away -----------------------------------------------------------------------------------

RUNAWAY = '^(a|a)*$'


@pytest.fixture
def little_time(monkeypatch):
    monkeypatch.setattr(patterns, 'SECONDS_PER_EVALUATION', 0.05)


@pytest.mark.parametrize(
    'flags',
    [
        {'filter': (f'app:{RUNAWAY}',)},
        {'filter': (f'{RUNAWAY}:v1',)},
        {'filter': ('.*:.*',), 'keep_per': (f'1:(?P<x>{RUNAWAY})',)},
    ],
)
def test_expression_that_runs_away_ends_the_run_and_is_named(little_time, flags):
    name = 'a' * 100 + 'b'
    with pytest.raises(PatternTimeout) as raised:
        gone([tagged(name, v1=2), tagged('app', **{name: 2})], **flags)
    assert RUNAWAY in raised.value.args[0]


@pytest.mark.parametrize('flags', [{'keep': 1}, {'keep_semver': 1}, {'keep_per': ('1:(?P<kind>v)',)}])
def test_ghosts_take_the_place_of_no_image(flags):
    world = [
        repository_of(
            ghost(image('newest', tags=['v2.0.0'], age=2 * DAY)),
            image('image', tags=['v1.0.0'], age=3 * DAY),
            name='app',
        )
    ]
    assert gone(world, match=('app:*',), untagged=True, **flags) == (['app:v2.0.0'], [])


def test_who_excludes_all_tags_of_a_repository_means_all_in_it():
    world = [repository_of(image(name), image(f'{name} v1', tags=['v1']), name=name) for name in ('prod/app', 'app')]
    assert gone(world, match=('**:*',), exclude=('prod/**:*',), untagged=True) == (['app:v1'], ['app', 'app v1'])
    assert gone(world, match=('**:*',), exclude=('prod/**:v1',), untagged=True) == (
        ['app:v1'],
        ['app', 'app v1', 'prod/app'],
    )


@pytest.mark.parametrize('parse', [glob_scope, filter_scope])
@pytest.mark.parametrize(
    'text', ['team/app@sha256:012c17e4ec1b', 'team/app@012c17e4ec1b', 'team/app:sha256:012c17e4ec1b', '.*@sha256:.*']
)
def test_a_digest_is_no_pattern_over_tags(parse, text):
    with pytest.raises(BadPattern, match='by its digest'):
        parse(text)


@pytest.mark.parametrize('text', ['[^@]+:^v', '.*:^sha256-[0-9a-f]{64}$', 'sha256:beef'])
def test_what_only_looks_a_little_like_a_digest_is_an_expression(text):
    assert filter_scope(text)
