"""What the author of a policy meant, where keys stand together: each of these took what it was meant to keep."""

import json
from dataclasses import replace

import pytest
import yaml

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.impact import open_ledger
from azext_acrprune.decide.measures import with_measures
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.policy.facts import Facts
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.policy.patterns import is_like
from tests import worlds
from tests.unit.test_policy_meaning import EVERYTHING, policy_of, problems, surprises
from tests.worlds import DAY, image, repository_of

TAKES = 'when: {olderThan: 1d}, do: delete}'
ARM = "{image: 'app:v1', age: 90d, platforms: [linux/amd64, linux/arm64], attestation: true}"
INTEL = "{image: 'app:v2', age: 90d, platforms: [linux/amd64], attestation: true}"

# --- An index is for the platforms of its images ----------------------------------------------------------------------


@pytest.mark.parametrize(
    'rules',
    [
        ["- {name: a, match: {tags: ['v*'], platforms: [linux/arm64]}, do: keep}", EVERYTHING],
        [f'- {{name: a, match: {{everything: true, not: {{platforms: [linux/arm64]}}}}, {TAKES}'],
        [f"- {{name: a, match: {{tags: ['v*'], not: {{platforms: [linux/arm64]}}}}, {TAKES}"],
        [f'- {{name: a, match: {{tagged: true, platforms: [linux/amd64]}}, {TAKES}'],
    ],
)
def test_an_index_with_an_image_for_a_platform_is_for_that_platform(rules):
    assert not surprises(policy_of(*rules), f'[{ARM}, {INTEL}]', stay="['app:v1']", go="['app:v2']")


def test_a_tag_is_not_taken_off_an_index_that_a_rule_keeps_for_a_platform():
    rules = (
        '- {name: a, match: {platforms: [linux/arm64]}, do: keep}',
        '- {name: b, match: {tagged: true}, when: {olderThan: 1d}, do: untag}',
    )
    assert not surprises(policy_of(*rules), f'[{ARM}, {INTEL}]', stay="['app:v1']", go="['app:v2']")


def test_an_index_of_images_of_a_type_is_kept_and_excepted_with_its_tags():
    one = image('one', [0], docker=True, age=90 * DAY)
    top = worlds.index('top', [one['digest']], tags=['v1'], age=90 * DAY)
    inventory = worlds.to_inventory([repository_of(one, top)])
    types = f'mediaTypes: [{worlds.DOCKER_IMAGE}]'
    keeps = policy_of(f"- {{name: a, match: {{tags: ['v*'], {types}}}, do: keep}}", EVERYTHING)
    excepts = policy_of(f'- {{name: a, match: {{everything: true, not: {{{types}}}}}, {TAKES}')
    for policy in (keeps, excepts):
        assert decide(inventory, parse_policy(policy), worlds.NOW).doomed == frozenset()


def test_an_index_that_was_not_read_may_be_for_any_platform_and_of_any_type():
    top = worlds.unreadable(worlds.index('top', tags=['v1'], age=90 * DAY))
    inventory = worlds.to_inventory([repository_of(top)])
    for match in ('platforms: [linux/arm64]', f'mediaTypes: [{worlds.OCI_IMAGE}]'):
        rules = (
            f'- {{name: a, match: {{{match}}}, do: keep}}',
            '- {name: b, match: {tagged: true}, when: {olderThan: 1d}, do: untag}',
        )
        assert decide(inventory, parse_policy(policy_of(*rules)), worlds.NOW).tags['team/web']['v1'].kept


# --- Values of labels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'text, wanted, expected',
    [
        ('release', 'rel*', True),
        ('', '*', True),
        ('a/b', 'a*b', True),
        ('ab', 'a*b*', True),
        ('aba', '*ab*ba', False),
        ('xrel', 'rel*', False),
        ('rel', 'rel', True),
        ('release', 'rel', False),
        ('a\nb', 'a*', True),
    ],
)
def test_a_star_in_the_value_of_a_label_is_anything(text, wanted, expected):
    assert is_like(text, wanted) is expected


def test_what_has_a_label_whatever_it_says():
    policy = policy_of('- {name: a, match: {labels: {keep: "*"}}, do: keep}', EVERYTHING)
    images = "[{image: 'a:v1', age: 9d, labels: {keep: soon}}, {image: 'a:v2', age: 9d, labels: {kept: soon}}]"
    assert not surprises(policy, images, stay="['a:v1']", go="['a:v2']")


# --- What takes a place among those that stay -------------------------------------------------------------------------

NEWEST = '- {name: a, match: {tagged: false}, when: {olderThan: 1d%s}, keep: {newest: 1%s}, do: delete}'


@pytest.mark.parametrize('of', ['', ', of: all'])
@pytest.mark.parametrize('more', ['protect: {digests: [DIGEST]}\n', ''])
@pytest.mark.parametrize('days', [2, 0.5])
def test_an_untagged_image_that_stays_anyway_takes_no_place(of, more, days):
    newer, older = (image(f'{age}', [age], age=age * DAY) for age in (3, 4))
    held = image('held', [2], age=days * DAY)
    held['locks'] = [] if more else ['deleteEnabled']
    policy = policy_of(NEWEST % ('', of), more=more.replace('DIGEST', held['digest']))
    decision = decide(worlds.to_inventory([repository_of(held, newer, older)]), parse_policy(policy), worlds.NOW)
    assert decision.doomed == {('team/web', older['digest'])}


@pytest.mark.parametrize('of', ['', ', of: old', ', of: all'])
@pytest.mark.parametrize('why', ['quarantined', 'hidden', None])
def test_a_young_image_takes_a_place_only_where_all_count_and_nothing_else_keeps_it(of, why):
    young, newer, older = (image(f'{age}', [age], age=age * DAY) for age in (0, 3, 4))
    young['quarantine'] = 'Failed' if why == 'quarantined' else None
    inventory = worlds.to_inventory([repository_of(young, newer, older)])
    (repository,) = inventory.repositories
    hidden = frozenset([young['digest']] if why == 'hidden' else [])
    inventory = replace(inventory, repositories=(replace(repository, hidden=hidden),))
    decision = decide(inventory, parse_policy(policy_of(NEWEST % ('', of))), worlds.NOW)
    going = [newer, older] if of == ', of: all' and why is None else [older]
    assert decision.doomed == {('team/web', each['digest']) for each in going}


def test_an_untagged_image_that_something_needs_which_stays_takes_no_place():
    needed, newer, older = (image(f'{age}', [age], age=age * DAY) for age in (2, 3, 4))
    locked = worlds.artifact('locked', subject=needed['digest'], locks=['deleteEnabled'])
    inventory = worlds.to_inventory([repository_of(needed, newer, older, locked)])
    decision = decide(inventory, parse_policy(policy_of(NEWEST % ('', ''))), worlds.NOW)
    assert decision.doomed == {('team/web', older['digest'])}


def test_an_untagged_image_that_its_rule_waits_for_takes_no_place():
    images = '[{image: a, id: pulled, age: 300d, pulled: 1d}, {image: a, id: old, age: 301d}, '
    images += '{image: a, id: oldest, age: 302d}]'
    policy = policy_of(NEWEST % (', notPulledFor: 90d', ''))
    case = {'name': 'test', 'images': yaml.safe_load(images), 'logCovers': '400d', 'stay': ['pulled', 'old']}
    assert not failures(policy, {**case, 'go': ['oldest']})


def test_an_untagged_image_that_has_no_rank_takes_no_place():
    images = yaml.safe_load(
        '[{image: a, id: unknown, age: 99d}, {image: a, id: b, age: 10d}, {image: a, id: c, age: 11d}]'
    )
    images[0]['age'], images[0]['created'] = '2d', '300d'
    policy = policy_of(NEWEST % ('', ', recentlyPulled: 1'))
    case = {'name': 'test', 'images': images, 'logCovers': '41d', 'stay': ['unknown', 'b'], 'go': ['c']}
    assert not failures(policy, case)


def failures(policy, case):
    from azext_acrprune.documents.policy_tests import tests_document as outcome_of
    from azext_acrprune.policy.cases import parse_cases

    return outcome_of(parse_policy(policy), parse_cases(json.dumps({'tests': [case]})).tests)['tests'][0]['failures']


# --- The day of the last tag ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('by', ['created', 'updated'])
def test_the_tag_goes_and_the_image_waits_for_as_long_as_the_rule_says(by):
    policy = policy_of(
        "- {name: tags, match: {tags: ['v*']}, when: {olderThan: 30d}, do: untag}",
        f'- {{name: images, match: {{tagged: false}}, when: {{olderThan: 7d, by: {by}}}, do: delete}}',
    )
    images = '[{image: a, id: lately, age: 90d, untagged: 1h}, {image: a, id: long ago, age: 90d, untagged: 8d}]'
    assert not surprises(policy, images, stay='{lately: images}', go="['long ago']")
    (found,) = surprises(policy, images, go="['lately', 'long ago']")
    assert 'it lost its last tag 2027-01-15' in found['chain'][0]


def test_a_rule_that_says_itself_how_long_ago_the_last_tag_went_is_taken_by_its_word():
    policy = policy_of('- {name: a, match: {tagged: false}, when: {olderThan: 30d, untaggedFor: 1d}, do: delete}')
    images = '[{image: a, id: one, age: 90d, untagged: 2d}, {image: a, id: two, age: 9d, untagged: 2d}]'
    assert not surprises(policy, images, stay='[two]', go='[one]')


def test_what_has_a_tag_again_is_as_old_as_the_tag():
    manifest = image('one', tags=['v1'], age=90 * DAY)
    facts = Facts(untagged={'team/web': {manifest['digest']: worlds.NOW}})
    policy = replace(parse_policy(policy_of(EVERYTHING)), facts=facts)
    decision = decide(worlds.to_inventory([repository_of(manifest)]), policy, worlds.NOW)
    assert decision.doomed == {('team/web', manifest['digest'])}


# --- Rules that can claim nothing, and patterns that match nothing ----------------------------------------------------


@pytest.mark.parametrize(
    'above, below',
    [
        (['{tags: [v1]}', "{tags: ['v2*']}"], '{tags: [v1, v2, v20]}'),
        (['{repositories: [a], tagged: true}', '{repositories: [b]}'], '{repositories: [a, b], tags: [x]}'),
        (['{repositories: [a], tags: [x]}', '{repositories: [a], tags: [y]}'], '{repositories: [a], tags: [x, y]}'),
    ],
)
def test_several_rules_together_cover_one_pattern_each(above, below):
    rules = [f'- {{name: {number}th, match: {match}, do: keep}}' for number, match in enumerate(above)]
    (problem,) = problems(policy_of(*rules, f'- {{name: c, match: {below}, do: keep}}'))
    assert "'0th' and '1th' above it" in problem
    assert parse_policy(policy_of(rules[0], f'- {{name: c, match: {below}, do: keep}}'))


def test_a_rule_that_keeps_what_the_same_words_except_is_no_dead_rule():
    excepting = 'match: {everything: true, not: {labels: {a: b}}}'
    rules = (f'- {{name: a, {excepting}, {TAKES}', f'- {{name: b, {excepting}, do: keep}}')
    assert parse_policy(policy_of(*rules))


def test_a_pattern_under_not_that_matches_nothing_keeps_nothing():
    policy = policy_of(f'- {{name: a, match: {{everything: true, not: {{tags: [latset, v1]}}}}, {TAKES}')
    decision = decide(worlds.to_inventory([repository_of(image('a', tags=['v1']))]), parse_policy(policy), worlds.NOW)
    (warning,) = plan_document(decision, 'now')['warnings']
    assert warning['code'] == 'unusedPattern'
    assert warning['message'].startswith("'latset' under 'not' in the rule 'a' matches nothing")


# --- Until that is enough ---------------------------------------------------------------------------------------------

UNTIL = '- {name: a, match: {tagged: true}, when: {olderThan: 1d}, until: {freed: 1GiB}%s, do: delete}'


def test_what_may_free_more_than_is_known_is_enough():
    """A layer that only the registry knows: whether it is there, and how large it is."""
    foreign = len(worlds.LAYERS) - 2
    images = [image(f'{age}', [foreign if age == 40 else 0], tags=[f'v{age}'], age=age * DAY) for age in (30, 40, 50)]
    policy = parse_policy(policy_of(UNTIL % ''))
    world = [repository_of(*images)]
    unknown = replace(
        worlds.to_inventory(world), repositories=tuple(worlds.to_repository(repository) for repository in world)
    )
    for inventory, gone in ((with_measures(unknown, {}), ['v40', 'v50']), (worlds.to_inventory(world), None)):
        tags = decide(inventory, policy, worlds.NOW).tags['team/web']
        assert [tag for tag in tags if not tags[tag].kept] == (gone or list(tags))


def test_an_image_of_which_nothing_was_read_may_be_enough():
    images = [image(f'{age}', [0], docker=True, tags=[f'v{age}'], age=age * DAY) for age in (30, 40)]
    inventory = worlds.to_inventory([repository_of(*images)], bound=True)
    tags = decide(inventory, parse_policy(policy_of(UNTIL % '')), worlds.NOW).tags['team/web']
    assert [tag for tag in tags if not tags[tag].kept] == ['v40']


@pytest.mark.parametrize('more, gone', [(0, ['v1']), (-1, ['v1', 'v2'])])
def test_a_registry_that_stores_just_so_much_is_enough(more, gone):
    images = [image(f'{age}', [place], tags=[f'v{place}'], age=age * DAY) for place, age in ((1, 90), (2, 80))]
    inventory = worlds.to_inventory([repository_of(*images)])
    ledger = open_ledger(inventory)
    left = ledger.registry_bytes - ledger.bytes_freed_by([('team/web', images[0]['digest'])])
    policy = parse_policy(policy_of(UNTIL.replace('freed: 1GiB', f'registryUnder: {left + more}') % ''))
    tags = decide(inventory, policy, worlds.NOW).tags['team/web']
    assert [tag for tag in tags if not tags[tag].kept] == gone


def test_a_tag_that_stays_for_a_reason_of_its_own_keeps_that_where_a_rule_has_taken_enough():
    images = [image('both', tags=['stays', 'v1'], age=30 * DAY)]
    rules = ('- {name: b, match: {tags: [stays]}, do: keep}', UNTIL.replace('1GiB', '0') % '')
    tags = decide(worlds.to_inventory([repository_of(*images)]), parse_policy(policy_of(*rules)), worlds.NOW).tags
    assert (tags['team/web']['v1'].reason, tags['team/web']['stays'].rule) == ('enough', 'b')


def test_what_has_no_place_in_the_order_says_so():
    policy = replace(parse_policy(policy_of(UNTIL % ', order: notPulledLongest')), facts=Facts())
    decision = decide(worlds.to_inventory([repository_of(image('a', tags=['v1']))]), policy, worlds.NOW)
    verdict = decision.tags['team/web']['v1']
    assert (verdict.reason, verdict.because) == (
        'unknown',
        'a: it has no place in the order of its rule: its last pull is not known',
    )


# --- Numbers beyond all calendars -------------------------------------------------------------------------------------


@pytest.mark.parametrize('text', ['9999y', '999999999y', '999999999w'])
def test_a_label_that_means_never_by_a_large_number_ends_no_run(text):
    policy = policy_of('- {name: a, match: {tagged: true}, when: {expired: {keys: [u]}}, do: delete}')
    images = f"[{{image: 'a:v1', age: 90d, labels: {{u: '{text}'}}}}]"
    (found,) = surprises(policy, images, go="['a:v1']")
    assert 'it expires on 9999-12-31' in found['chain'][0]


def test_a_period_that_never_ends_ends_no_run():
    policy = policy_of(f'- {{name: a, match: {{tagged: true}}, {RETIRES}}}')
    assert not surprises(policy, "[{image: 'a:v1', age: 90d}]", retire="['a:v1']")
    with pytest.raises(PolicyError, match='two thousand years'):
        surprises(policy, "[{image: 'a:v1', age: 5000y}]", retire="['a:v1']")


RETIRES = 'when: {olderThan: 1d}, do: retire, retire: {for: 99999999999d}'


@pytest.mark.parametrize(
    'by, said', [('updated', 'untouched for 1d'), ('created', 'its image created, and the tag not moved, for 1d')]
)
def test_a_tag_that_goes_says_what_its_age_was_counted_from(by, said):
    policy = policy_of(f'- {{name: a, match: {{tagged: true}}, when: {{olderThan: 1d, by: {by}}}, do: untag}}')
    inventory = worlds.to_inventory([repository_of(image('a', tags=['v1']))])
    verdict = decide(inventory, parse_policy(policy), worlds.NOW).tags['team/web']['v1']
    assert not verdict.kept and said in verdict.because


# --- What cannot be ranked --------------------------------------------------------------------------------------------


@pytest.mark.parametrize('many', [True, False])
def test_images_without_a_tag_that_cannot_be_ranked_are_counted_in_a_warning_too(many):
    policy = policy_of('- {name: a, match: {everything: true}, when: {olderThan: 1d}, keep: {semver: 1}, do: delete}')
    untagged = [image('b'), image('c', [1])] if many else [image('b')]
    world = [repository_of(image('a', tags=['v1.0.0']), *untagged)]
    document = plan_document(decide(worlds.to_inventory(world), parse_policy(policy), worlds.NOW), 'now')
    (warning,) = document['warnings']
    assert warning['code'] == 'withoutRank'
    images, stay = ('2 images', 'stay') if many else ('1 image', 'stays')
    first = min(each['digest'] for each in untagged)
    said = f"{images} without a tag that the rule 'a' cannot rank {stay}, such as team/web@{first}. "
    assert warning['message'].startswith(said)


# --- Tests of policies ------------------------------------------------------------------------------------------------


def test_what_is_in_quarantine_is_tried_like_all_else():
    failed = '- {name: a, match: {quarantine: [Failed]}, when: {olderThan: 1d}, do: delete}'
    images = "[{image: 'a:v1', age: 9d, quarantine: Failed}, {image: 'a:v2', age: 9d, quarantine: Scanning}]"
    policy = policy_of(failed, EVERYTHING, more='include: [quarantined]\n')
    assert not surprises(policy, images, go='{"a:v1": a}', stay='{"a:v2": rest}')
