"""What the author of a policy meant: each of these policies once took what it was meant to keep, or left it behind."""

import json
from dataclasses import replace

import pytest
import yaml

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.policy_tests import tests_document as outcome_of
from azext_acrprune.model import parse_ticks
from azext_acrprune.policy.ages import parse_age
from azext_acrprune.policy.cases import parse_cases
from azext_acrprune.policy.coverage import covering
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.flags import Flags
from azext_acrprune.policy.flags import policy_of as policy_of_flags
from azext_acrprune.policy.names import can_be_repository, can_be_tag, includes
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.policy.slips import idle_conditions, short_ages
from azext_acrprune.policy.words import sentences
from tests import worlds
from tests.worlds import DAY, TICKS, image, repository_of

EVERYTHING = '- {name: rest, match: {everything: true}, when: {olderThan: 1d}, do: delete}'


def policy_of(*rules, more=''):
    return 'version: 1\nrules:\n' + '\n'.join(rules) + f'\n{more}'


def surprises(policy, images, **expected):
    """What is decided otherwise than `stay` and `go` say; images and expectations in YAML."""
    test = {'name': 'test', 'images': yaml.safe_load(images)}
    test.update({key: yaml.safe_load(value) for key, value in expected.items()})
    document = outcome_of(parse_policy(policy), parse_cases(json.dumps({'tests': [test]})).tests)
    return document['tests'][0]['failures']


def problems(text):
    with pytest.raises(PolicyError) as raised:
        parse_policy(text)
    return [str(problem) for problem in raised.value.problems]


# --- 1. Labels and annotations of an index -----------------------------------------------------------------------

MULTI = "{image: 'app:v1', age: 90d, platforms: [linux/amd64, linux/arm64], attestation: true"


@pytest.mark.parametrize(
    'match, image_with',
    [
        ('labels: {keep: "yes"}', 'labels: {keep: "yes"}'),
        ('annotations: {keep: "yes"}', 'annotations: {keep: "yes"}'),
        ('annotations: {keep: "yes"}', 'platformAnnotations: {keep: "yes"}'),
        ('platforms: [linux/arm64]', 'labels: {a: b}'),
    ],
)
def test_a_multi_arch_image_with_an_attestation_is_what_its_images_are(match, image_with):
    policy = policy_of(f'- {{name: spare, match: {{{match}}}, do: keep}}', EVERYTHING)
    others = '{image: "app:v2", age: 90d}'
    assert not surprises(policy, f'[{MULTI}, {image_with}}}, {others}]', stay="['app:v1']", go="['app:v2']")
    if 'platforms' not in match:
        takes = policy_of(f'- {{name: take, match: {{{match}}}, when: {{olderThan: 1d}}, do: delete}}')
        assert not surprises(takes, f'[{MULTI}, {image_with}}}, {others}]', go="['app:v1']", stay="['app:v2']")


def labelled_index(labels, nested=False, attested=False):
    """A tagged index of images with these labels; with an attestation that only the index knows for one."""
    images = [image(f'part {number}', [number], age=90 * DAY) for number, _ in enumerate(labels)]
    parts = [*images]
    if nested:
        parts = [worlds.index('inner', [each['digest'] for each in images], age=90 * DAY)]
    statement = image('statement', [5], age=90 * DAY)
    top = worlds.index('top', [each['digest'] for each in (*parts, *([statement] if attested else []))])
    if attested:
        top['document']['manifests'][-1]['annotations'] = {'vnd.docker.reference.type': 'attestation-manifest'}
    top = worlds.manifest_of(top['document'], top['media_type'], tags=['v1'], age=90 * DAY)
    made = [*images, *(parts if nested else []), *([statement] if attested else []), top]
    known = {each['document']['config']['digest']: found for each, found in zip(images, labels)}
    known.setdefault(worlds.CONFIGS[5 % len(worlds.CONFIGS)]['digest'], {})
    return made, known


@pytest.mark.parametrize('nested, attested', [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    'labels, kept, taken', [('yy', True, True), ('yn', True, False), ('nn', False, False), ('ny', True, False)]
)
def test_one_image_is_enough_to_keep_an_index_and_all_have_to_agree_to_take_it(labels, kept, taken, nested, attested):
    made, known = labelled_index([{'l': letter} for letter in labels], nested, attested)
    inventory = worlds.to_inventory([repository_of(*made)])
    inventory = replace(inventory, labels=known)
    spare = policy_of('- {name: spare, match: {labels: {l: y}}, do: keep}', EVERYTHING)
    take = policy_of('- {name: take, match: {labels: {l: y}}, when: {olderThan: 1d}, do: delete}')
    for policy, stays in ((spare, kept), (take, not taken)):
        decision = decide(inventory, parse_policy(policy), worlds.NOW)
        assert decision.tags['team/web']['v1'].kept is stays
        assert len(decision.doomed) == (0 if stays else len(made))


# --- 2. What cannot be ranked ------------------------------------------------------------------------------------


def ranked(keep, *ages, more=''):
    rule = f'- {{name: old, match: {{tagged: true}}, when: {{olderThan: 1d}}, keep: {{{keep}{more}}}, do: delete}}'
    images = ', '.join(f"{{image: 'app:{tag}', age: {age}d}}" for tag, age in ages)
    return policy_of(rule), f'[{images}]'


def test_what_is_no_version_stays_unless_others_are_to_go():
    ages = [('v1.2.3', 90), ('v1.2.4', 80), ('1.2', 70), ('1.3.0.7', 60), ('2024.05.01', 50), ('latest', 40)]
    stay = "['app:v1.2.4', 'app:1.2', 'app:1.3.0.7', 'app:2024.05.01', 'app:latest']"
    assert not surprises(*ranked('semver: 1', *ages), stay=stay, go="['app:v1.2.3']")
    gone = "['app:v1.2.3', 'app:1.2', 'app:1.3.0.7', 'app:2024.05.01', 'app:latest']"
    assert not surprises(*ranked('semver: 1', *ages, more=', others: take'), stay="['app:v1.2.4']", go=gone)


def test_what_is_in_no_group_stays_unless_others_are_to_go():
    keep = "perGroup: {newest: 1, pattern: '^(?P<branch>.+)-[0-9]+$'}"
    ages = [('main-1', 90), ('main-2', 80), ('stable', 70)]
    assert not surprises(*ranked(keep, *ages), stay="['app:main-2', 'app:stable']", go="['app:main-1']")
    taken = ranked(keep, *ages, more=', others: take')
    assert not surprises(*taken, stay="['app:main-2']", go="['app:main-1', 'app:stable']")


BY_RULE = parse_policy(ranked('semver: 1')[0])
BY_OPTION = policy_of_flags(Flags(filter=('.*:.*',), keep_semver=1))


@pytest.mark.parametrize(
    'policy, tags, said, stay, more',
    [
        (BY_RULE, ['1.2', 'stable'], "2 tags that the rule 'old'", 'stay, such as team/web:1.2.', True),
        (BY_RULE, ['stable'], "1 tag that the rule 'old'", 'stays, such as team/web:stable.', True),
        (BY_OPTION, ['stable'], '1 tag that --keep-semver or --keep-per', 'stays, such as team/web:stable.', False),
    ],
)
def test_what_could_not_be_ranked_is_counted_in_a_warning(policy, tags, said, stay, more):
    world = [repository_of(*(image(tag, tags=[tag]) for tag in (*tags, 'v1.0.0')))]
    document = plan_document(decide(worlds.to_inventory(world), policy, worlds.NOW), 'now')
    (warning,) = [each for each in document['warnings'] if each['code'] == 'withoutRank']
    assert warning['message'].startswith(f'{said} cannot rank, being no version or in no group, {stay}')
    assert warning['message'].endswith(" 'others: take' in 'keep' says the opposite.") is more


def test_patched_tags_are_of_the_version_that_they_patch():
    """Azure/acr#795: a patched tag is no pre-release of its version."""
    ages = [('1.22.0', 90), ('1.22.0-2', 80), ('1.23.0', 70), ('1.23.0-2', 60), ('1.23.0-patched', 50)]
    patched = r", patched: '-(\d+|patched)'"
    stay = "['app:1.23.0', 'app:1.23.0-2', 'app:1.23.0-patched']"
    assert not surprises(*ranked('semver: 1', *ages, more=patched), stay=stay, go="['app:1.22.0', 'app:1.22.0-2']")


# --- 3. A moved tag ----------------------------------------------------------------------------------------------


def test_a_tag_that_was_moved_yesterday_never_goes_by_creation_and_the_reason_is_true():
    policy = policy_of('- {name: old, match: {tagged: true}, when: {olderThan: 14d, by: created}, do: delete}')
    images = "[{image: 'app:latest', age: 300d, moved: 1d}, {image: 'app:old', age: 2d, created: 300d, moved: 200d}]"
    (found,) = surprises(policy, images, go="['app:latest', 'app:old']")
    assert found['image'] == 'app:latest' and 'tagged 2027-01-14' in found['chain'][0]


# --- 4. Patterns that match nothing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'protect, cure',
    [
        ("tags: ['{latest,prod-*}']", 'write each as an item of its own'),
        ('tags: [prod/**]', "begin with 'repository:'"),
        ('tags: ["v[0-9]"]', "a glob knows only '*', '**' and '?'"),
        ('tags: ["-rc"]', 'begins with none of the last two'),
        ('repositories: [Team-A/**]', "did you mean 'team-a/**'?"),
        ('repositories: [myreg.azurecr.io/base/**]', "leave out 'myreg.azurecr.io/'"),
        ('repositories: ["base:latest"]', "write 'base' here"),
        ('repositories: [base/]', "did you mean 'base/**'?"),
        ('images: [prod/**]', 'a tag has no slash'),
        ('repositories: ["a b"]', 'take out the blanks'),
    ],
)
def test_a_glob_that_no_name_can_match_is_an_error_with_its_cure(protect, cure):
    (problem,) = problems(policy_of(EVERYTHING, more=f'protect: {{{protect}}}\n'))
    assert problem.startswith('line 4: protect.') and cure in problem


@pytest.mark.parametrize('key, glob', [('repositories', 'App'), ('tags', 'a/b'), ('tags', '{a,b}')])
@pytest.mark.parametrize('do', ['keep', 'delete, when: {olderThan: 1d}'])
def test_rules_have_no_such_globs_either(key, glob, do):
    assert problems(policy_of(f'- {{name: a, match: {{{key}: ["{glob}"]}}, do: {do}}}'))


def test_a_protected_namespace_has_its_top_too():
    policy = policy_of(EVERYTHING, more='protect: {repositories: [base/**], tags: ["lts/**:v*"]}\n')
    images = json.dumps([{'image': f'{name}:v1', 'age': '9d'} for name in ('base', 'base/os', 'lts', 'b')])
    assert not surprises(policy, images, stay="['base:v1', 'base/os:v1', 'lts:v1']", go="['b:v1']")


def test_each_pattern_that_keeps_nothing_is_a_warning():
    rules = '- {name: spare, match: {repositories: [team/**, teem/**], tags: [v*, w*]}, do: keep}'
    policy = policy_of(
        rules,
        EVERYTHING,
        more=f'protect: {{tags: [v1, latset], repositories: [basis], images: [x], digests: [{worlds.MISSING[0]}]}}\n',
    )
    world = [repository_of(image('a', tags=['v1']))]
    document = plan_document(decide(worlds.to_inventory(world), parse_policy(policy), worlds.NOW), 'now')
    said = [
        each['message'].split(' matches nothing')[0] for each in document['warnings'] if each['code'] == 'unusedPattern'
    ]
    assert sorted(said) == [
        "'teem/**' in the rule 'spare'",
        "'w*' in the rule 'spare'",
        f'protect.digests {worlds.MISSING[0]}',
        'protect.images x',
        'protect.repositories basis',
        'protect.tags latset',
    ]


@pytest.mark.parametrize('name', ['web', 'a/b', 'a/b/c', 'a-b', 'a--b', 'a__b', 'a.b', 'a1/2b', 'x'])
@pytest.mark.parametrize(
    'glob', ['**', '*', '**/b', 'a/**', 'a?b', '*/b', 'a/**/c', '**/**', '?', 'web', 'w*b', 'A*', 'a..b']
)
def test_a_glob_that_matches_a_legal_name_is_legal(glob, name):
    from tests.purge_oracle import glob_matches

    assert can_be_repository(glob) or not glob_matches(glob, name)


@pytest.mark.parametrize('tag', ['latest', 'v1.2', '_x', 'A-b_c.d', 'a' * 128])
@pytest.mark.parametrize('glob', ['*', '**', 'v?.?', '?*', '*-b*', 'lat**', 'a' * 128 + '*', 'a' * 129])
def test_a_glob_that_matches_a_legal_tag_is_legal(glob, tag):
    from tests.purge_oracle import glob_matches

    assert can_be_tag(glob) or not glob_matches(glob, tag)


# --- 5. Globs in the place of expressions ------------------------------------------------------------------------


@pytest.mark.parametrize('text', ['v*', 'pr-*', '*-rc', 'web-?', 'release/*'])
@pytest.mark.parametrize('key, other', [('tagsRegex', 'tags'), ('repositoriesRegex', 'repositories')])
def test_a_glob_is_no_expression(key, other, text):
    (problem,) = problems(policy_of(f'- {{name: a, match: {{{key}: ["{text}"]}}, do: keep}}'))
    assert f'did you mean {other}:' in problem


@pytest.mark.parametrize('text', ['.*', '^', '(v)?', 'a|b*', '^(?!latest)', '|x'])
def test_an_expression_that_matches_nothing_at_all_matches_everything_and_is_refused(text):
    (problem,) = problems(policy_of(f"- {{name: a, match: {{tagsRegex: ['{text}']}}, do: keep}}"))
    assert 'matches everything' in problem


@pytest.mark.parametrize('text', ['^v.*$', 'v1.*', r'^pr-\d*$', '^(?!latest).+', '[a-z]*1', 'x+', r'\d', 'a|b'])
def test_other_expressions_are_none_of_these(text):
    assert parse_policy(policy_of(f"- {{name: a, match: {{tagsRegex: ['{text}']}}, do: keep}}"))


# --- 6. Rules that can claim nothing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    'above, below',
    [
        ('{everything: true}', '{tags: [latest]}'),
        ('{tagged: true}', '{tags: [latest]}'),
        ("{tags: ['*']}", '{tagged: true}'),
        ("{tags: ['v*']}", "{tags: ['v1*', 'v2']}"),
        ('{repositories: ["team/**"]}', '{repositories: [team/a, "team/b/**"], tagged: false}'),
        ('{labels: {a: b}}', '{labels: {a: b, c: d}}'),
        ('{size: {atLeast: 1GiB}}', '{size: {atLeast: 2GiB}}'),
        ("{tagsRegex: ['.+']}", "{tagsRegex: ['^v']}"),
        ('{platforms: [linux/amd64, linux/arm64]}', '{platforms: [linux/arm64]}'),
    ],
)
def test_a_rule_behind_one_that_claims_all_it_matches_is_refused(above, below):
    rule = '- {{name: {}, match: {}, when: {{olderThan: 1d}}, do: {}}}'
    for first, second in (('delete', 'delete'), ('keep', 'keep'), ('keep', 'delete')):
        (problem,) = problems(policy_of(rule.format('up', above, first), rule.format('down', below, second)))
        assert "the rule 'down' can claim nothing: 'up' above it claims all that it matches" in problem
        if below != '{tagged: true}':  # which is the same
            assert parse_policy(policy_of(rule.format('down', below, second), rule.format('up', above, first)))


def test_two_rules_together_cover_a_third():
    halves = ['- {name: a, match: {tagged: true}, do: keep}', '- {name: b, match: {tagged: false}, do: keep}']
    (problem,) = problems(policy_of(*halves, '- {name: c, match: {everything: true}, do: keep}'))
    assert "'a' and 'b' above it" in problem


@pytest.mark.parametrize(
    'above, below',
    [
        ("{tags: ['v*']}", "{tags: ['*']}"),
        ('{everything: true, not: {tags: [latest]}}', '{tags: [latest]}'),
        ('{tagged: false}', '{tags: [a]}'),
        ('{repositories: ["team/*"]}', '{repositories: ["team/**"]}'),
        ('{labels: {a: b}}', '{everything: true}'),
        ("{tagsRegex: ['^v']}", "{tags: ['v*']}"),
    ],
)
def test_a_rule_that_may_claim_something_is_none_of_these(above, below):
    rule = '- {{name: {}, match: {}, do: keep}}'
    assert parse_policy(policy_of(rule.format('up', above), rule.format('down', below)))


def test_an_index_of_which_one_image_is_labelled_is_left_for_a_later_rule_that_keeps():
    rules = (
        '- {name: take, match: {labels: {a: b}}, when: {olderThan: 1d}, do: delete}',
        '- {name: spare, match: {labels: {a: b}}, do: keep}',
    )
    assert covering(parse_policy(policy_of(*rules)).rules[1], parse_policy(policy_of(*rules)).rules[:1]) == ()


def test_a_plan_says_what_each_rule_does_with_zeros_too():
    policy = policy_of(
        '- {name: nothing, match: {tags: [zzz]}, when: {olderThan: 1d}, do: delete}',
        "- {name: old, match: {tags: ['v*']}, when: {olderThan: 10d}, keep: {newest: 1}, do: delete}",
        '- {name: untagged, match: {tagged: false}, when: {olderThan: 1d}, do: delete}',
    )
    child = image('child', [1])
    parent = worlds.index('parent', [child['digest']])
    tagged = [image(f'v{age}', [2], tags=[f'v{age}'], age=age * DAY) for age in (1, 20, 30)]
    world = [repository_of(*tagged, child, parent)]
    document = plan_document(decide(worlds.to_inventory(world), parse_policy(policy), worlds.NOW), 'now')
    size = sum(len(each['data']) for each in (child, parent)) + worlds.LAYERS[1]['size'] + worlds.CONFIGS[1]['size']
    exact = {'impact': 'exact'}
    assert document['rules'] == [
        {'name': 'nothing', 'claimed': 0, 'young': 0, 'kept': 0, 'takes': 0, 'freedBytes': 0, **exact},
        {'name': 'old', 'claimed': 3, 'young': 1, 'kept': 1, 'takes': 1, 'freedBytes': len(tagged[2]['data']), **exact},
        {'name': 'untagged', 'claimed': 1, 'young': 0, 'kept': 0, 'takes': 1, 'freedBytes': size, **exact},
    ]


# --- 7. What keep counts -----------------------------------------------------------------------------------------

FOUR = """[{image: 'app:a', tags: [b, c], age: 2d}, {image: 'app:d', age: 3d}, {image: 'app:e', age: 4d},
           {image: 'app:f', age: 5d}, {image: 'app:g', age: 1h}]"""


def counted(keep):
    return policy_of(f'- {{name: r, match: {{tagged: true}}, when: {{olderThan: 1d}}, keep: {{{keep}}}, do: delete}}')


@pytest.mark.parametrize(
    'keep, stay',
    [
        ('newest: 3', 'abcdeg'),
        ('newest: 3, count: tags', 'abcg'),
        ('newest: 3, of: old', 'abcdeg'),
        ('newest: 3, of: all', 'abcdg'),
        ('newest: 3, of: all, count: tags', 'abg'),
    ],
)
def test_keep_counts_images_that_are_old_enough_unless_it_says_otherwise(keep, stay):
    staying = json.dumps([f'app:{tag}' for tag in stay])
    going = json.dumps([f'app:{tag}' for tag in 'abcdefg' if tag not in stay])
    assert not surprises(counted(keep), FOUR, stay=staying, go=going)


def test_images_with_a_tag_and_without_one_are_counted_apart_and_parts_are_no_images():
    policy = policy_of('- {name: r, match: {everything: true}, when: {olderThan: 1d}, keep: {newest: 1}, do: delete}')
    images = """[{image: 'app:a', age: 3d}, {image: 'app:b', age: 2d},
                 {image: app, id: index, age: 5d, platforms: [linux/a, linux/b]}, {image: app, id: alone, age: 9d}]"""
    assert not surprises(policy, images, stay="['app:b', index]", go="['app:a', alone]")


# --- 8. Wide by a slip -------------------------------------------------------------------------------------------


def test_a_rule_that_takes_has_to_say_what_and_when():
    said = problems('version: 1\nrules:\n- {name: x, do: delete}\n- {name: y, do: untag, match: {tagged: true}}\n')
    assert [each.split(';')[0] for each in said] == [
        "line 3: rules[0]: the key 'match' is missing",
        "line 3: rules[0]: the key 'when' is missing",
        "line 4: rules[1]: the key 'when' is missing",
    ]
    assert 'olderThan' in problems(policy_of('- {name: x, match: {tagged: true}, when: {by: created}, do: delete}'))[0]


@pytest.mark.parametrize('age, warned', [('0', True), ('6m', True), ('23h', True), ('1d', False), ('6mo', False)])
def test_an_age_under_a_day_warns(age, warned):
    policy = policy_of(f'- {{name: x, match: {{tagged: true}}, when: {{olderThan: {age}}}, do: delete}}')
    said = list(short_ages(parse_policy(policy)))
    assert bool(said) is warned
    assert not warned or ('months' in said[0]) is age.endswith('m')


@pytest.mark.parametrize(
    'text, days', [('2w', 14), ('6mo', 180), ('1y', 365), ('1y2mo3w4d', 450), ('1w1d', 8), ('30d', 30), ('0', 0)]
)
def test_weeks_months_and_years_are_ages(text, days):
    assert parse_age(text) == days * DAY


@pytest.mark.parametrize('text', ['', '1mo1y', '1d1w', '6 mo', 'w', '1.5w', '-1w'])
def test_anything_else_is_no_age(text):
    with pytest.raises(ValueError, match='is not a duration'):
        parse_age(text)


@pytest.mark.parametrize('text', ['2026-08-01', "'2026-08-01'", '2026-08-01T00:00:00Z', '2026-08-01T02:00:00+02:00'])
@pytest.mark.parametrize('key', ['olderThan', 'notPulledFor', 'neverPulledAfter', 'untaggedFor'])
def test_a_date_is_an_age_in_quotes_or_not(key, text):
    now = parse_ticks('2026-08-11T00:00:00Z') / TICKS
    text = policy_of(f'- {{name: x, match: {{tagged: true}}, when: {{{key}: {text}}}, do: delete}}')
    rule = parse_policy(text, now=now).rules[0]
    found = {
        'olderThan': rule.age,
        'notPulledFor': rule.when.not_pulled_for,
        'neverPulledAfter': rule.when.never_pulled_after,
        'untaggedFor': rule.when.untagged_for,
    }[key]
    assert found.seconds == 10 * DAY
    assert found.text.startswith('2026-08-01')
    (told, _) = sentences(parse_policy(text, now=now))
    assert ('since' if key in ('notPulledFor', 'untaggedFor') else 'before') + ' 2026-08-01' in told


def test_dates_protect_too_and_what_has_not_come_is_wrong():
    more = 'protect: {lastPulled: {within: 2026-08-01, workspace: x}, ran: {within: 2026-08-02}}\n'
    policy = parse_policy(policy_of(EVERYTHING, more=more), now=worlds.NOW / TICKS)
    assert policy.pulled.seconds == int(worlds.NOW / TICKS - parse_ticks('2026-08-01T00:00:00Z') / TICKS)
    assert policy.sources.ran_within == '2026-08-02'
    late = policy_of('- {name: x, match: {tagged: true}, when: {olderThan: 2999-01-01}, do: delete}')
    assert "'2999-01-01' has not come yet" in problems(late)[0]
    retired = '- {name: x, match: {tagged: true}, when: {olderThan: 9d}, do: retire, retire: {for: 2026-08-01}}'
    assert problems(policy_of(retired)) == [
        "line 3: rules[0].retire.for: '2026-08-01' is not a duration like 30d, 2w, 6mo, 1y, 2d3h6m or 0"
    ]


@pytest.mark.parametrize('percent, said', [(80, 1), (50, 0), (20, 0)])
def test_a_looser_limit_is_said(percent, said):
    policy = parse_policy(policy_of(EVERYTHING, more=f'limits: {{maxPercent: {percent}}}\n'))
    document = plan_document(decide(worlds.to_inventory([repository_of(image())]), policy, worlds.NOW), 'now')
    assert sum(each['code'] == 'looserLimit' for each in document['warnings']) == said


# --- 9 and 10. Parts and referrers -------------------------------------------------------------------------------

PULLS = "- {name: pulls, match: {tags: ['pr-*']}, when: {olderThan: 14d}, do: delete}"
LATE = '- {name: untagged, match: {tagged: false}, when: {olderThan: 90d}, do: delete}'
REPORT = "{image: app, id: report, age: 1h, subject: 'app:pr-1', artifactType: a/report}"
PULL = "{image: 'app:pr-1', age: 20d, platforms: [linux/amd64, linux/arm64], attestation: true}"


def test_a_report_of_last_night_shares_the_fate_of_an_image_whose_tags_all_go():
    policy = policy_of(PULLS, LATE)
    second = '{image: app, id: signature, age: 10m, subject: report}'
    assert not surprises(
        policy, f'[{PULL}, {REPORT}, {second}]', go='{"app:pr-1": pulls, report: pulls, signature: pulls}'
    )


@pytest.mark.parametrize(
    'report, rules',
    [
        (REPORT.replace('age: 1h', 'age: 1h, locked: true'), ()),
        (REPORT, ('- {name: reports, match: {artifactTypes: [a/report]}, do: keep}',)),
    ],
)
def test_a_referrer_that_stays_keeps_the_tag_too(report, rules):
    assert not surprises(policy_of(*rules, PULLS, LATE), f'[{PULL}, {report}]', stay="['app:pr-1', report]")


def test_a_multi_arch_image_goes_with_all_its_bytes_at_its_own_age():
    assert not surprises(policy_of(PULLS, LATE), f'[{PULL}]', go='{"app:pr-1": pulls}')
    untagged = '{image: app, id: left, age: 91d, platforms: [linux/amd64], attestation: true}'
    assert not surprises(policy_of(PULLS, LATE), f'[{untagged}]', go='{left: untagged}')


def test_an_image_in_a_nested_index_goes_at_the_age_of_the_tagged_one():
    child = image('child', age=20 * DAY)
    nested = worlds.index('nested', [child['digest']], age=20 * DAY)
    top = worlds.index('top', [nested['digest']], tags=['pr-1'], age=20 * DAY)
    inventory = worlds.to_inventory([repository_of(child, nested, top)])
    decision = decide(inventory, parse_policy(policy_of(PULLS, LATE)), worlds.NOW)
    assert decision.doomed == {('team/web', each['digest']) for each in (child, nested, top)}


def test_a_part_that_was_pushed_again_a_moment_ago_stays():
    """Its next index may be under way."""
    child = image('child', age=60)
    parent = worlds.index('parent', [child['digest']], tags=['pr-1'], age=20 * DAY)
    decision = decide(worlds.to_inventory([repository_of(child, parent)]), parse_policy(policy_of(PULLS)), worlds.NOW)
    assert decision.doomed == {('team/web', parent['digest'])}


# --- 12. Numbers -------------------------------------------------------------------------------------------------


def test_a_whole_number_may_be_written_as_a_float():
    policy = parse_policy(counted('newest: 3.0') + 'limits: {maxManifests: 5.0}\n')
    assert (policy.rules[0].keep.newest, policy.limits.manifests) == (3, 5)
    assert not surprises(counted('newest: 3.0'), FOUR, go="['app:f']")


@pytest.mark.parametrize('number', ['3.5', '1e400', '.inf', '.nan', 'true', '"3"', '0', '-1', '1_0.5', 'null', '[]'])
def test_what_is_no_number_by_the_schema_is_an_error_and_no_crash(number):
    assert problems(counted(f'newest: {number}'))


@pytest.mark.parametrize('version', ['true', '1.5', '"1"', '2', 'null'])
def test_a_version_is_a_number(version):
    assert problems(f'version: {version}\nrules: [{{name: a, do: keep}}]\n')


# --- 13. Images, not, and words ----------------------------------------------------------------------------------


def test_an_image_is_protected_with_all_its_tags():
    images = (
        "[{image: 'app:prod', tags: [v1, old], age: 90d}, {image: 'app:v2', age: 90d}, {image: 'b:prod', age: 90d}]"
    )
    policy = policy_of(EVERYTHING, more='protect: {images: ["app:prod"]}\n')
    assert not surprises(policy, images, stay="['app:prod', 'app:v1', 'app:old']", go="['app:v2', 'b:prod']")


@pytest.mark.parametrize(
    'excepting, stay',
    [('{tags: ["v*"]}', ['app:v1']), ('{repositories: [app]}', ['app:v1', 'app:x']), ('{labels: {a: b}}', ['app:x'])],
)
def test_what_is_excepted_is_not_claimed(excepting, stay):
    images = "[{image: 'app:v1', age: 9d}, {image: 'app:x', age: 9d, labels: {a: b}}, {image: 'b:x', age: 9d}]"
    policy = policy_of(f'- {{name: a, match: {{tagged: true, not: {excepting}}}, when: {{olderThan: 1d}}, do: delete}}')
    going = json.dumps([name for name in ('app:v1', 'app:x', 'b:x') if name not in stay])
    assert not surprises(policy, images, stay=json.dumps(stay), go=going)


def test_one_excepted_image_is_enough_to_except_an_index():
    made, known = labelled_index([{'keep': 'yes'}, {}])
    policy = policy_of(
        '- {name: a, match: {tagged: true, not: {labels: {keep: "yes"}}}, when: {olderThan: 1d}, do: delete}'
    )
    inventory = worlds.to_inventory([repository_of(*made)])
    inventory = replace(inventory, labels=known)
    assert decide(inventory, parse_policy(policy), worlds.NOW).doomed == frozenset()


# --- 14. Errors, and sentences -----------------------------------------------------------------------------------


def test_errors_come_all_at_once_each_with_what_stands_there_and_a_cure():
    said = problems(
        'version: 1\nrules:\n- name: no\n  match: {tags: [1.10, 2026-08-01, 0755, yes], repositories: base}\n'
        '  when: {olderThan: 5x}\n  do: delete\n- {name: b, match: {tagged: true}, keep: {semver: "3"}, do: untag}\n'
    )
    assert said == [
        "line 3: rules[0].name: expected string, not no; put it in quotes: 'no'",
        "line 4: rules[0].match.repositories: expected array, not base; put it in brackets: ['base']",
        "line 4: rules[0].match.tags[0]: expected string, not 1.10; put it in quotes: '1.10'",
        "line 4: rules[0].match.tags[2]: expected string, not 0755; put it in quotes: '0755'",
        "line 4: rules[0].match.tags[3]: expected string, not yes; put it in quotes: 'yes'",
        "line 5: rules[0].when.olderThan: '5x' is not a duration like 30d, 2w, 6mo, 1y, 2d3h6m or 0, nor a date like "
        '2026-08-01',
        "line 7: rules[1]: the key 'when' is missing; say how old, such as 'when: {olderThan: 30d}'",
        'line 7: rules[1].keep.semver: expected integer, not "3"; write it without quotes: 3',
    ]


def test_tabs_are_told_from_spaces():
    assert 'write spaces in place of the tab' in problems('version: 1\nrules:\n\t- name: a\n')[0]


def test_mistakes_in_how_it_is_written_are_told_with_all_others():
    said = problems(
        'version: 1\nrules:\n- name: a\n\tmatch: {tagsRegex: ["^v\\d+$"]}\n  when: {olderThan: 5x}\n  do: delete\n'
        '- {name: b, match: {tagsRegex: ["\\bx"]}, when: {olderThan: 1d}, do: delete}\n'
    )
    assert [each.partition(': ')[0] for each in said] == ['line 4', 'line 4', 'line 5', 'line 7']
    assert 'write spaces in place of the tab' in said[0] + said[1]
    assert 'write an expression in single quotes' in said[0] + said[1]
    assert "'5x' is not a duration" in said[2]
    assert 'in double quotes' in said[3]


def test_a_policy_is_told_in_a_sentence_for_each_rule():
    text = policy_of(
        '- {name: spare, match: {labels: {a: b}}, do: keep}',
        "- {name: old, match: {tags: ['v*'], not: {tags: [v1]}}, when: {olderThan: 2w}, keep: {semver: 3}, do: untag}",
        more='limits: {minKeepPerRepository: 2}\n',
    )
    assert sentences(parse_policy(text)) == [
        "'spare' keeps tags and images without a tag in all repositories with the label (of an index: one image) a=b.",
        "'old' takes the tag off, not the image: tags that match v* in all repositories, except those that match v1 in "
        'all repositories when untouched for 2w or longer, but keeps the images of the 3 newest versions and of as '
        'many pre-releases; in each repository, of what is old enough; what cannot be ranked stays.',
        'In each repository the 2 newest images that have a tag keep their newest one, whatever the rules say '
        '(limits.minKeepPerRepository).',
        'What no rule claims stays.',
    ]


@pytest.mark.parametrize('wider, narrower, expected', [('**', 'a/b', True), ('*', 'a/b', False), ('**/x', 'a/x', True)])
def test_one_glob_includes_another(wider, narrower, expected):
    assert includes(wider, narrower) is expected


# --- 11 and 15 to 18. What people mean ---------------------------------------------------------------------------


def outcome(when, images, keep='', **test):
    """The images of a test that a rule takes, and the reasons of the others."""
    rule = f'- {{name: r, match: {{everything: true}}, when: {{olderThan: 1d, {when}}}, {keep} do: delete}}'
    case = {'name': 'test', 'images': yaml.safe_load(images), **test}
    case['go'] = [name for each in case['images'] for name in ([each['id']] if 'id' in each else [each['image']])]
    document = outcome_of(parse_policy(policy_of(rule)), parse_cases(json.dumps({'tests': [case]})).tests)
    kept = {each['image']: each['chain'][0] for each in document['tests'][0]['failures']}
    return [name for name in case['go'] if name not in kept], kept


PULLS_OF = """[{image: 'a:never', age: 300d}, {image: 'a:long-ago', age: 300d, pulled: 100d},
               {image: 'a:lately', age: 300d, pulled: 3d}, {image: 'a:new', age: 30d}]"""


def test_what_nobody_pulled_for_so_long_goes_and_a_short_log_spares():
    gone, kept = outcome('notPulledFor: 90d', PULLS_OF, logCovers='400d')
    assert gone == ['a:never', 'a:long-ago', 'a:new']
    assert 'pulled 2027-01-12' in kept['a:lately']
    gone, kept = outcome('notPulledFor: 90d', PULLS_OF, logCovers='41d')
    assert gone == [] and 'the log of pulls covers 41 days of 90d' in kept['a:never']
    assert 'no log of pulls was asked' in outcome('notPulledFor: 90d', PULLS_OF)[1]['a:never']


def test_what_was_never_pulled_goes_where_the_log_knows_all_of_its_life():
    gone, kept = outcome('neverPulledAfter: 2d', PULLS_OF, logCovers='41d')
    assert gone == ['a:new']
    assert 'the log of pulls covers 41 days alone, and the image is older' in kept['a:never']
    assert kept['a:lately'].endswith('pulled 2027-01-12)')
    gone, kept = outcome('neverPulledAfter: 2d', PULLS_OF)
    assert gone == [] and 'no log of pulls was asked, and the image is older' in kept['a:never']
    assert outcome('neverPulledAfter: 31d', PULLS_OF, logCovers='400d')[0] == ['a:never']


def test_the_images_that_were_pulled_last_stay_and_what_the_log_does_not_know():
    gone, kept = outcome('by: updated', PULLS_OF, keep='keep: {recentlyPulled: 1},', logCovers='400d')
    assert gone == ['a:never', 'a:long-ago', 'a:new'] and 'among the 1 pulled last' in kept['a:lately']
    gone, kept = outcome('by: updated', PULLS_OF, keep='keep: {recentlyPulled: 1},', logCovers='41d')
    assert gone == ['a:long-ago', 'a:new'] and 'its last pull is not known' in kept['a:never']


def test_the_day_of_untagging_is_known_or_it_is_said_that_it_is_not():
    images = """[{image: a, id: known, age: 300d, untagged: 100d}, {image: a, id: lately, age: 300d, untagged: 3d},
                 {image: a, id: unknown, age: 300d}, {image: a, id: changed, age: 5d, untagged: 100d}]"""
    gone, kept = outcome('untaggedFor: 90d', images)
    assert gone == ['known']
    assert 'it lost its last tag 2027-01-12' in kept['lately'] and 'not in the journal' in kept['unknown']


@pytest.mark.parametrize('names, kept, taken', [('yy', True, True), ('yn', True, False), ('nn', False, False)])
def test_the_annotations_of_one_image_keep_an_index_and_those_of_all_take_it(names, kept, taken):
    parts = [image(name, [number], age=90 * DAY) for number, name in enumerate(names)]
    top = worlds.index('top', [each['digest'] for each in parts], tags=['v1'], age=90 * DAY)
    spare = policy_of('- {name: spare, match: {annotations: {name: y}}, do: keep}', EVERYTHING)
    take = policy_of('- {name: take, match: {annotations: {name: y}}, when: {olderThan: 1d}, do: delete}')
    for policy, stays in ((spare, kept), (take, not taken)):
        decision = decide(worlds.to_inventory([repository_of(*parts, top)]), parse_policy(policy), worlds.NOW)
        assert decision.tags['team/web']['v1'].kept is stays


DATED = """[{image: 'a:over', age: 20d, labels: {until: 2w}}, {image: 'a:not-yet', age: 13d, labels: {until: 2w}},
            {image: 'a:dated', age: 20d, annotations: {until: '2027-01-14'}},
            {image: 'a:later', age: 20d, annotations: {until: '2027-01-15'}},
            {image: 'a:never', age: 900d, labels: {until: never}}, {image: 'a:silent', age: 900d},
            {image: 'a:odd', age: 900d, labels: {until: soon}}, {image: 'a:months', age: 20d, labels: {until: 6m}}]"""


def test_an_image_goes_when_its_own_date_is_over():
    gone, kept = outcome('expired: {keys: [until]}', DATED)
    assert gone == ['a:over', 'a:dated']
    assert 'expires on 2027-01-16' in kept['a:not-yet'] and 'nothing says that it expires' in kept['a:silent']
    assert 'nothing says that it expires' in kept['a:never'] and 'is not known' in kept['a:odd']
    assert 'a:months' in kept, 'tools differ on m, and the longer meaning is the safe one'


EOL = 'vnd.microsoft.artifact.lifecycle.end-of-life.date'


def test_what_refers_to_an_image_says_when_its_life_ends_and_the_latest_counts():
    images = f"""[{{image: 'a:v1', age: 90d}}, {{image: 'a:v2', age: 90d}}, {{image: 'a:v3', age: 90d}},
        {{image: a, id: e1, age: 9d, subject: 'a:v1', annotations: {{{EOL}: '2026-12-01'}}}},
        {{image: a, id: e2, age: 9d, subject: 'a:v2', annotations: {{{EOL}: '2026-12-01'}}}},
        {{image: a, id: e3, age: 9d, subject: 'a:v2', annotations: {{{EOL}: '2028-12-01T00:00:00Z'}}}}]"""
    gone, _ = outcome(f'expired: {{keys: [{EOL}]}}', images)
    assert gone == ['a:v1', 'e1']


@pytest.mark.parametrize(
    'labels, goes',
    [
        (['2w', '2w'], True),
        (['2w', '4w'], False),
        (['2w', None], False),
        (['2w', 'never'], False),
        (['2w', 'odd'], False),
        (['1h', '2w'], True),
    ],
)
def test_an_index_ends_with_the_last_of_its_images(labels, goes):
    made, known = labelled_index([{'until': text} if text else {} for text in labels], attested=True)
    for manifest in made:
        manifest['created'] = worlds.NOW - 20 * DAY * worlds.TICKS
    inventory = worlds.to_inventory([repository_of(*made)])
    inventory = replace(inventory, labels=known)
    policy = policy_of(
        '- {name: a, match: {everything: true}, when: {olderThan: 1d, expired: {keys: [until]}}, do: delete}'
    )
    assert bool(decide(inventory, parse_policy(policy), worlds.NOW).doomed) is goes


def test_what_ran_within_some_time_is_asked_of_the_memory():
    policy = parse_policy(policy_of(EVERYTHING, more='protect: {ran: {within: 2w}}\n'))
    assert policy.sources.ran_within == '2w'
    assert 'What ran within 2w stays' in sentences(policy)[0]
    assert 'is not a duration' in problems(policy_of(EVERYTHING, more='protect: {ran: {within: often}}\n'))[0]


# --- 19. Until that is enough ------------------------------------------------------------------------------------


def test_images_that_nobody_pulled_for_longest_go_first_and_what_is_not_known_stays():
    images = """[{image: 'a:never', age: 30d, size: 1MiB}, {image: 'a:old', age: 300d, pulled: 100d, size: 1MiB},
                 {image: 'a:new', age: 300d, pulled: 50d, size: 1MiB}, {image: 'a:unknown', age: 900d, size: 1MiB}]"""
    until = 'until: {freed: 1500KiB}, order: notPulledLongest,'
    gone, kept = outcome('by: updated', images, keep=until, logCovers='400d')
    assert gone == ['a:never', 'a:old']
    assert 'its rule has taken enough' in kept['a:new'] and 'a:unknown' in kept


def test_a_multi_arch_image_counts_with_all_its_parts():
    images = "[{image: 'a:v1', age: 90d, size: 1MiB, platforms: [x/a, x/b]}, {image: 'a:v2', age: 80d, size: 1MiB}]"
    assert outcome('by: updated', images, keep='until: {freed: 2MiB},')[0] == ['a:v1']
    assert outcome('by: updated', images, keep='until: {freed: 3MiB},')[0] == ['a:v1', 'a:v2']
    assert outcome('by: updated', images, keep='until: {freed: 0},')[0] == []


def test_of_several_hundred_images_as_many_go_as_are_enough():
    names = [f'a:v{number}' for number in range(100, 380)]
    images = json.dumps([{'image': name, 'age': f'{900 - day}d', 'size': '1MiB'} for day, name in enumerate(names)])
    assert outcome('by: updated', images, keep='until: {freed: 270MiB},')[0] == names[:270]


@pytest.mark.parametrize('enough', ['freed: 1MiB', 'registryUnder: 3MiB'])
def test_the_oldest_of_all_repositories_goes_first_where_the_whole_registry_counts(enough):
    images = """[{image: 'a:v1', age: 30d, size: 1MiB}, {image: 'a:v2', age: 20d, size: 1MiB},
                 {image: 'b:v1', age: 90d, size: 1MiB}, {image: 'b:v2', age: 10d, size: 1MiB}]"""
    assert outcome('by: updated', images, keep=f'until: {{{enough}}},')[0] == ['b:v1']


def test_each_repository_is_made_small_enough_by_itself():
    images = """[{image: 'a:v1', age: 30d, size: 1MiB}, {image: 'a:v2', age: 20d, size: 1MiB},
                 {image: 'a:v3', age: 10d, size: 1MiB}, {image: 'b:v1', age: 90d, size: 2MiB}]"""
    assert outcome('by: updated', images, keep='until: {repositoryUnder: 2200KiB},')[0] == ['a:v1']
    assert outcome('by: updated', images, keep='until: {repositoryUnder: 1100KiB},')[0] == ['a:v1', 'a:v2', 'b:v1']
    assert outcome('by: updated', images, keep='until: {repositoryUnder: 4MiB},')[0] == []


def test_what_goes_from_one_repository_makes_no_other_one_smaller():
    both = [image('old', [2], age=30 * DAY), image('new', [3], age=20 * DAY)]
    inventory = worlds.to_inventory([repository_of(*both, name=name) for name in ('a', 'b')])
    rule = EVERYTHING.replace('do:', 'until: {repositoryUnder: 900KiB}, do:')
    doomed = decide(inventory, parse_policy(policy_of(rule)), worlds.NOW).doomed
    assert doomed == {(name, both[0]['digest']) for name in ('a', 'b')}


def test_what_frees_most_with_all_that_falls_with_it_goes_first_where_that_is_asked():
    images = """[{image: 'a:old', age: 90d, size: 1MiB}, {image: 'a:large', age: 50d, size: 1536KiB},
                 {image: 'a:index', age: 20d, size: 1MiB, platforms: [x/a, x/b]}]"""
    assert outcome('by: updated', images, keep='until: {freed: 1MiB}, order: largestFreed,')[0] == ['a:index']
    until = 'until: {freed: 3MiB}, order: largestFreed,'
    assert outcome('by: updated', images, keep=until)[0] == ['a:large', 'a:index']


@pytest.mark.parametrize(
    'rule, said',
    [
        ('until: {freed: 1}, do: untag', 'frees no bytes'),
        ('until: {freed: 1}, do: keep', 'frees no bytes'),
        ('order: oldest, do: delete', "'order' says in which order"),
        ('until: {freed: 1, registryUnder: 2}, do: delete', 'less than or equal to 1'),
        ('until: {freed: 5 MB}, do: delete', "'5 MB' is not a size"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(rule, said):
    found = problems(policy_of(f'- {{name: a, match: {{tagged: true}}, when: {{olderThan: 1d}}, {rule}}}'))
    assert any(said in each for each in found), found


# --- 21. Quarantine ----------------------------------------------------------------------------------------------


def test_what_is_in_quarantine_goes_only_by_a_rule_that_names_its_state():
    rule = '- {name: failed, match: {quarantine: [Failed]}, when: {olderThan: 1d}, do: delete}'
    assert 'include: [quarantined]' in problems(policy_of(rule))[0]
    world = [repository_of(image('failed'), image('waiting', [1]), image('fine', [2]))]
    inventory = worlds.to_inventory(world)
    (repository,) = inventory.repositories
    states = {'failed': 'Failed', 'waiting': 'Quarantined', 'fine': None}
    manifests = {
        digest: manifest._replace(quarantine=states[dict(manifest.content.annotations)['name']])
        for digest, manifest in repository.manifests.items()
    }
    inventory = replace(inventory, repositories=(replace(repository, manifests=manifests),))
    by_name = {dict(manifest.content.annotations)['name']: digest for digest, manifest in manifests.items()}
    for rules, gone in ((rule, ['failed']), (EVERYTHING, ['fine'])):
        policy = parse_policy(policy_of(rules, more='include: [quarantined]\n'))
        assert {digest for _, digest in decide(inventory, policy, worlds.NOW).doomed} == {
            by_name[name] for name in gone
        }


def test_a_when_that_decides_nothing_is_told():
    first = "- {name: a, match: {tags: ['v*']}, when: {olderThan: 30d}, do: keep}"
    text = policy_of(first, '- {name: b, match: {tags: [x]}, do: keep}')
    (said,) = idle_conditions(parse_policy(text))
    assert "no effect in the rule 'a'" in said


# --- What matches nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'flags, named',
    [
        (Flags(match=('tema-a/**:pr-*',)), "'tema-a/**:pr-*' of --filter or --match"),
        (Flags(filter=('.*:^rp-',), keep=1), "'.*:^rp-' of --filter or --match"),
        (Flags(repository=('tema-a/**',)), "--repository 'tema-a/**'"),
        (Flags(match=('**:v1',), exclude=('**:latset',)), '--exclude **:latset'),
    ],
)
def test_an_option_that_matches_nothing_is_named(flags, named):
    world = [repository_of(image('app', tags=['v1']), name='team-a/app')]
    decision = decide(worlds.to_inventory(world), policy_of_flags(flags), worlds.NOW)
    (warning,) = plan_document(decision, 'now')['warnings']
    assert warning['message'].startswith(f'{named} matches nothing in the registry')


@pytest.mark.parametrize(
    'more, told', [({}, ['unusedPattern']), ({'complete': False}, []), ({'late': frozenset({'team-b/app'})}, [])]
)
def test_a_pattern_is_only_said_to_keep_nothing_where_all_was_read(more, told):
    policy = parse_policy(policy_of(EVERYTHING, more='protect: {tags: [latset]}\n'))
    inventory = replace(worlds.to_inventory([repository_of(image('app', tags=['v1']))]), **more)
    assert [each.code for each in decide(inventory, policy, worlds.NOW).remarks] == told


def test_an_empty_registry_is_no_typing_error():
    assert decide(worlds.to_inventory([]), policy_of_flags(Flags()), worlds.NOW).remarks == ()


def test_a_rule_that_takes_and_matches_nothing_is_named_too_but_not_where_something_was_not_read():
    text = policy_of(
        "- {name: old, match: {repositories: ['team-b/**'], tags: ['v*']}, when: {olderThan: 1d}, do: delete}"
    )
    inventory = worlds.to_inventory([repository_of(image('app', tags=['v1']), name='team-a/app')])
    said = [each.message for each in decide(inventory, parse_policy(text), worlds.NOW).remarks]
    assert said == [f"'{each}' in the rule 'old' matches nothing in the registry." for each in ('team-b/**', 'v*')]
    late = replace(inventory, late=frozenset({'team-b/app'}))
    assert decide(late, parse_policy(text), worlds.NOW).remarks == ()
