"""Slips of who writes a policy: what YAML makes of a word, units, names of platforms; and what is said of each."""

import pytest

from azext_acrprune.model import registry_name
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.policy.slips import short_ages, short_periods
from azext_acrprune.policy.words import sentences
from tests.unit.test_policy_meaning import EVERYTHING, policy_of, problems, surprises


def rule(match, more='do: keep'):
    return policy_of(f'- {{name: a, match: {{{match}}}, {more}}}')


# --- What YAML makes of a word ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('key', ['on', 'no', 'Yes', 'null', '1.10', '0755', '2026-08-01', '~', '12:30'])
@pytest.mark.parametrize('pairs', ['labels', 'annotations'])
def test_a_key_is_the_text_that_stands_there(pairs, key):
    policy = policy_of(f'- {{name: a, match: {{{pairs}: {{{key}: "x"}}}}, do: keep}}', EVERYTHING)
    images = f"[{{image: 'a:v1', age: 9d, {pairs}: {{'{key}': x}}}}, {{image: 'a:v2', age: 9d}}]"
    assert not surprises(policy, images, stay="['a:v1']", go="['a:v2']")


def test_what_several_rules_share_may_be_written_once():
    text = policy_of('- &a {name: a, match: {tags: [v1]}, do: keep}', '- {<<: *a, name: b, match: {tags: [v2]}}')
    assert [each.name for each in parse_policy(text).rules] == ['a', 'b']


@pytest.mark.parametrize('number, read', [('010', 8), ('0x10', 16), ('0b11', 3), ('1:30', 90), ('-010', -8)])
def test_a_number_that_yaml_reads_otherwise_is_refused(number, read):
    for text in (
        rule('tagged: true', f'when: {{olderThan: 1d}}, keep: {{newest: {number}}}, do: delete'),
        rule(f'size: {{atLeast: {number}}}'),
    ):
        (problem,) = problems(text)
        assert f'{number} is the number {read} in YAML' in problem or f'not {number}' in problem
    assert 'put it in quotes' in problems(rule(f'tags: [{number}]'))[0]


def cured(text, said):
    """The policy with what an error says to put in the place of something."""
    (cure,) = {each.rpartition('quotes: ')[2] for each in problems(text) if 'put it in quotes' in each}
    assert any(said in each for each in problems(text))
    return text.replace(cure[1:-1].replace("''", "'"), cure)


@pytest.mark.parametrize('word', ['*-rc', '*latest', '*'])
@pytest.mark.parametrize('form', ['tags: [v1, {}]', 'tags: [{}, v1]', '\n     tags:\n     - {}\n     - v1\n    '])
def test_a_glob_that_begins_with_a_star_needs_quotes_and_the_error_says_so(word, form):
    text = f'version: 1\nrules:\n- name: a\n  match: {{{form.format(word)}}}\n  do: keep\n'
    if form.startswith('\n'):
        text = f'version: 1\nrules:\n- name: a\n  match:{form.format(word)}\n  do: keep\n'
    assert parse_policy(cured(text, 'neither YAML nor JSON')).rules[0].match.scopes[0].tags[0].text


def test_what_means_something_else_in_yaml_is_told_with_all_others():
    said = problems(
        'version: 1\nrules:\n- name: old: ones\n  match: {tags: [*-rc, *], annotations: {a: @x}}\n'
        '  when: {olderThan: 5x}\n  do: delete\n'
    )
    assert [each.partition(': ')[0] for each in said] == ['line 3', 'line 4', 'line 4', 'line 4', 'line 5']
    assert "put a text with a colon in quotes, such as 'a: b'" in said[0]
    assert {each.rpartition('quotes: ')[2] for each in said[1:4]} == {"'*-rc'", "'*'", "'@x'"}


@pytest.mark.parametrize(
    'match, cure',
    [
        ('tags: [{latest,prod-*}]', 'not {latest,prod-*}; write each as an item of its own'),
        ('tags: [a: b]', "not a: b; put it in quotes: 'a: b'"),
        ('tags: ', 'nothing stands there; say what is meant, or leave the key out'),
        ('tags: [ ]', 'must contain at least one item, not [ ]'),
        ('tagsRegex: [^[0-9]+$]', "put an expression in single quotes, such as '^[0-9]+$'"),
        ('Tags: [v1]', "unknown key 'Tags'; did you mean 'tags'?"),
        ('label: {a: b}', "unknown key 'label'; did you mean 'labels'?"),
        ('platforms: [arm64]', "such as 'linux/arm64'"),
        ('platforms: [linux/arm/v7]', "did you mean 'linux/arm'?"),
        ('platforms: [Linux/x86_64]', "did you mean 'linux/amd64'?"),
        ('platforms: ["linux/*"]', "as 'linux/arm64'"),
        ('mediaTypes: ["application/*"]', 'a type is compared as a whole'),
        ("tagsRegex: ['^{latest,stable}$']", "write '(a|b)' for '{a,b}'"),
        ("repositoriesRegex: ['{app,web}/.+']", "write '(a|b)' for '{a,b}'"),
        ("tagsRegex: ['^app/v.+']", 'a tag has no slash'),
        (r"repositoriesRegex: ['myreg\.azurecr\.io/base/.+']", 'begin with the repository'),
        ('everything: true, not: {artifactTypes: ["a/{b,c}"]}', 'a type is compared as a whole'),
    ],
)
def test_each_fault_has_what_stands_there_and_a_cure(match, cure):
    assert any(cure in each for each in problems(rule(match))), problems(rule(match))


@pytest.mark.parametrize('text', [r'^v\d{1,3}$', '^v[0-9]{2,}', '^x{3}', r'^\{x', r'^\p{Lu}.+'])
def test_numbers_in_braces_are_no_alternatives(text):
    assert parse_policy(rule(f"tagsRegex: ['{text}']"))


def test_a_word_that_is_nearly_known_is_asked_about():
    (problem,) = problems(rule('tagged: true', 'when: {olderThan: 1d}, do: Delete'))
    assert "not Delete; did you mean 'delete'?" in problem
    limits = problems(rule('tagged: true', 'when: {olderThan: 1d}, keep: {newest: 0}, do: delete'))
    assert limits == ['line 3: rules[0].keep.newest: must be bigger than or equal to 1, not 0']


# --- Units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('key', ['notPulledFor', 'neverPulledAfter', 'untaggedFor'])
@pytest.mark.parametrize('text, warned', [('6m', True), ('0', True), ('6mo', False), ('1d', False)])
def test_a_period_of_less_than_a_day_warns(key, text, warned):
    policy = parse_policy(rule('tagged: false', f'when: {{olderThan: 1d, {key}: {text}}}, do: delete'))
    said = list(short_periods(policy))
    assert bool(said) is warned and not list(short_ages(policy))
    assert not warned or (f"'{key}' in the rule 'a' is {text}" in said[0] and ('months' in said[0]) is (text == '6m'))


def test_a_protection_of_some_minutes_warns():
    text = policy_of(EVERYTHING, more='protect: {lastPulled: {within: 6m}, ran: {within: 3m}}\n')
    said = list(short_periods(parse_policy(text)))
    assert [each.partition(' is ')[0] for each in said] == ["'protect.lastPulled'", "'protect.ran'"]


def test_never_pulled_is_said_as_it_is_meant():
    (said, _) = sentences(parse_policy(rule('tagged: false', 'when: {neverPulledAfter: 2d}, do: delete')))
    assert said.endswith('when untouched for 1d or longer and never pulled and created 2d ago or longer.')


# --- Other registries -------------------------------------------------------------------------------------------------

OTHERS = """registries:
  one: {rules: {rest: {when: {olderThan: 5x}, keep: {newest: 1, patched: '(' }}}}
  two:
    rules: {nope: {when: {olderThan: 5d}}}
    protect: {tags: [v1, '{a,b}']}
  Three: {lock: [a/b]}
"""


def test_what_is_wrong_for_other_registries_is_told_all_at_once_where_it_stands():
    said = problems(policy_of(EVERYTHING, more=OTHERS + 'protect: {tags: [x]}\n'))
    assert [each.rpartition(': ')[0].partition(": '")[0].partition(': no ')[0] for each in said[:2]]
    assert [each.split(': ')[1] for each in said] == [
        'registries.one.rules.rest.keep.patched',
        'registries.one.rules.rest.keep.patched',
        'registries.one.rules.rest.when.olderThan',
        'registries.two.rules.nope',
        'registries.two.protect.tags[1]',
        'registries.Three',
        'registries.Three.lock[0]',
    ]
    assert [each.partition(':')[0] for each in said[3:]] == ['line 7', 'line 8', 'line 9', 'line 9']


def test_faults_of_all_and_of_one_registry_are_told_together():
    text = policy_of(EVERYTHING.replace('1d', '1x'), more=OTHERS)
    assert {each.split(': ')[1] for each in problems(text)} >= {'rules[0].when.olderThan', 'registries.two.rules.nope'}
    assert len([each for each in problems(text) if '1x' in each]) == 1


GUARDS = """pins: {paths: [a], strict: true, aliases: [x, y]}
protect: {ran: {within: 30d}}
registries:
  one: {%s}
"""


@pytest.mark.parametrize(
    'said, looser',
    [
        ('rules: {rest: {when: {olderThan: 1d, by: created}}}', "when.by of 'rest'"),
        ('pins: {paths: [a], aliases: [x, y]}', 'pins.strict'),
        ('pins: {paths: [a], strict: true, aliases: [x]}', 'pins.aliases'),
        ('protect: {ran: {within: 20d}}', 'protect.ran (20d in place of 30d)'),
        ('protect: {ran: {within: 60d}}', None),
    ],
)
def test_a_guard_that_is_weaker_for_one_registry_is_said(said, looser):
    found = parse_policy(policy_of(EVERYTHING, more=GUARDS % said), (), 'one').loosened
    assert [each.partition(': ')[2].startswith(looser) for each in found] == ([True] if looser else [])


def test_an_error_names_the_first_line():
    with pytest.raises(PolicyError) as raised:
        parse_policy(rule('tags: [*-rc]'))
    assert raised.value.line == 3


@pytest.mark.parametrize(
    'host, name',
    [('MyReg.azurecr.io', 'myreg'), ('contoso-d7fnbjd6.azurecr.io', 'contoso'), ('localhost:5000', 'localhost')],
)
def test_a_registry_is_known_by_its_name_whatever_its_login_server_has_behind_it(host, name):
    assert registry_name(host) == name
