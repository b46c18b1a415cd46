"""Every policy in docs/policies.md, and each example, is valid, can be planned, and does what its tests say."""

import json
import re
import shutil
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.inventory_file import InventoryLacks, NotAnInventory, inventory_document, read_inventory
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.policy_diff import diff_document
from azext_acrprune.documents.policy_tests import tests_document as outcome_of
from azext_acrprune.model import CATALOG_FORBIDDEN, Notice
from azext_acrprune.policy.cases import parse_cases
from azext_acrprune.policy.file import EXAMPLES, example_text, parse_policy
from azext_acrprune.policy.overrides import weaker_guards
from azext_acrprune.show.policy_tables import diff_markdown, policy_diff_rows
from tests import worlds
from tests.test_safety_properties import examples

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'policies.md').read_text()
TOOLS = ('AWS ECR', 'Google Artifact Registry', 'Harbor', 'Quay', 'zot', 'GitLab', 'Cloud Custodian', 'acr purge')


def snippets(text):
    """The YAML in a page."""
    return re.findall(r'^```yaml\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def section(heading):
    return re.search(rf'^### {heading}\n(.*?)(?=^##|\Z)', PAGE, re.MULTILINE | re.DOTALL)[1]


def failures(policy, tests):
    document = outcome_of(parse_policy(policy), parse_cases(tests).tests)
    return [(test['name'], test['failures']) for test in document['tests'] if not test['passed']]


def policies():
    return [text for text in snippets(PAGE) if 'rules' in yaml.safe_load(text)]


def test_every_snippet_is_a_policy_or_a_test():
    assert len(policies()) >= 9
    for text in snippets(PAGE):
        if 'rules' not in yaml.safe_load(text):
            assert parse_cases(text).tests


@pytest.mark.parametrize('text', [*policies(), *map(example_text, EXAMPLES)], ids=lambda text: text[:60])
def test_every_policy_that_is_shown_can_be_planned(text):
    world = [worlds.repository_of(worlds.image('a', tags=['v1']), worlds.image('b'), worlds.image('c', tags=['pr-1']))]
    decision = decide(worlds.to_inventory(world), parse_policy(text), worlds.NOW)
    document = plan_document(decision, 'now', show_kept=True)
    assert [row['name'] for row in document['rules']] == [rule['name'] for rule in yaml.safe_load(text)['rules']]
    assert document['summary']['manifests'] == 3


@pytest.mark.parametrize('tool', TOOLS)
def test_what_is_translated_from_another_tool_does_the_same(tool):
    (policy,) = snippets(section(tool))
    tests = (ROOT / 'tests' / 'policies' / f'{tool.lower().replace(" ", "-")}.tests.yaml').read_text()
    assert failures(policy, tests) == []


ROWS = yaml.safe_load((ROOT / 'tests' / 'policies' / 'rows.yaml').read_text())


def rows_of(tool):
    """(what stands on the left, the words on the right) of each line of a table."""
    lines = re.findall(r'^\| (.*?) \| (.*) \|$', section(tool), re.MULTILINE)
    return [(left, words_in(right)) for left, right in lines if left != 'there']


def words_in(text):
    """The keys of a policy in the words of one line."""
    found = {}
    for word in re.findall('`(.+?)`', text):
        document = yaml.safe_load(word)
        found.update(document if isinstance(document, dict) else {})
    return found


def policy_with(words):
    of_rules = {key: value for key, value in words.items() if key in ('match', 'when', 'keep', 'do')}
    rule = {'name': 'a', 'match': {'everything': True}, 'when': {'olderThan': '1d'}, 'do': 'delete', **of_rules}
    if rule['do'] == 'keep':
        del rule['when']
    others = {key: value for key, value in words.items() if key not in of_rules}
    return json.dumps({'version': 1, 'rules': [rule], **others})


@pytest.mark.parametrize('tool', TOOLS)
def test_each_line_of_a_translation_does_what_it_says(tool):
    rows = rows_of(tool)
    assert len(rows) == len(ROWS[tool])
    for (there, words), case in zip(rows, ROWS[tool]):
        assert bool(words) is bool(case), there
        if case:
            tests = json.dumps({'tests': [{'name': there, **case}]})
            assert failures(policy_with(words), tests) == []


@pytest.mark.parametrize('name', EXAMPLES)
def test_each_example_passes_the_tests_that_it_ships_with(name):
    folder = ROOT / 'azext_acrprune' / 'policy' / 'examples'
    assert failures(example_text(name), (folder / f'{name}.tests.yaml').read_text()) == []


# --- In review ---------------------------------------------------------------------------------------------------

SPARING = (
    'version: 1\nrules:\n- {name: a, match: {tags: ["v*"]}, when: {olderThan: 10d}, keep: {newest: 1}, do: delete}\n'
)
BOLD = (
    SPARING.replace('keep: {newest: 1}, ', '')
    + '- {name: b, match: {tagged: false}, when: {olderThan: 1d}, do: untag}\n'
)


@examples(200)
@given(worlds.tagged_worlds())
def test_an_inventory_is_read_back_as_it_was(world):
    inventory = worlds.to_inventory(world)
    snapshot = read_inventory(json.dumps(inventory_document(inventory, worlds.NOW, labels=True)))
    found = snapshot.inventory
    assert snapshot.at == worlds.NOW and snapshot.labels and snapshot.everything
    assert found.repositories == inventory.repositories
    assert (found.registry, found.complete, found.labels) == (inventory.registry, inventory.complete, inventory.labels)


@pytest.mark.parametrize('text', ['', '{}', '[]', 'null', '{"schemaVersion": 2}', '{"schemaVersion": 1}', '1e999'])
def test_a_file_that_is_no_inventory_is_an_error(text):
    with pytest.raises(NotAnInventory):
        read_inventory(text)


LABELS = (
    'version: 1\nrules:\n- {name: a, match: {tags: ["*"], labels: {stage: dev}}, when: {olderThan: 1d}, do: delete}\n'
)


@pytest.mark.parametrize(
    'labels, more, policy, lacks',
    [
        (False, {}, LABELS, 'labels were not read'),
        (True, {}, LABELS, None),
        (False, {}, SPARING, None),
        (True, {'late': frozenset({'team/late'})}, SPARING, 'not all repositories were read'),
        (True, {'warnings': (Notice(CATALOG_FORBIDDEN, ''),)}, SPARING, 'not all repositories were read'),
    ],
)
def test_an_inventory_that_lacks_what_a_policy_decides_by_is_refused(labels, more, policy, lacks):
    inventory = replace(worlds.to_inventory([worlds.repository_of(worlds.image('v1', tags=['v1']))]), **more)
    snapshot = read_inventory(json.dumps(inventory_document(inventory, worlds.NOW, labels)))
    with pytest.raises(InventoryLacks, match=lacks) if lacks else nullcontext():
        snapshot.refuse_what_it_lacks([parse_policy(SPARING), parse_policy(policy)])


def test_what_a_new_policy_takes_otherwise_is_told_with_rules_and_bytes():
    images = [worlds.image(f'v{age}', [age % 6], tags=[f'v{age}'], age=age * worlds.DAY) for age in (5, 20, 30)]
    inventory = worlds.to_inventory([worlds.repository_of(*images)])
    old, new = (decide(inventory, parse_policy(text), worlds.NOW) for text in (SPARING, BOLD))
    document = diff_document(old, new)
    (row,) = document['goes']
    assert (row['tags'], row['old']['reason'], row['new']['rule']) == (['v20'], 'keepNewest', 'a')
    assert document['stays'] == [] and document['summary']['moreFreedBytes'] > 0
    back = diff_document(new, old)
    assert (back['goes'], [each['tags'] for each in back['stays']]) == ([], [['v20']])
    page = diff_markdown(document)
    assert '#### Goes now: 1' in page and '| v20 | a |' in page


RETIRING = SPARING.replace('keep: {newest: 1}, do: delete', 'do: retire, retire: {for: 14d}')


def test_what_only_one_policy_retires_is_told_too():
    inventory = worlds.to_inventory([worlds.repository_of(worlds.image('v20', tags=['v20'], age=20 * worlds.DAY))])
    texts = {'keeps': SPARING, 'retires': RETIRING, 'deletes': BOLD}
    made = {name: decide(inventory, parse_policy(text), worlds.NOW) for name, text in texts.items()}

    def told(old, new):
        document = diff_document(made[old], made[new])
        return {key: [row['tags'] for row in document[key]] for key in ('goes', 'retires', 'stays') if document[key]}

    assert told('keeps', 'retires') == {'retires': [['v20']]}
    assert told('retires', 'deletes') == {'goes': [['v20']]}
    assert told('deletes', 'retires') == told('retires', 'keeps') == {'stays': [['v20']]}
    page = diff_markdown(diff_document(made['keeps'], made['retires'], ['limits.maxPercent (80 in place of 20)']))
    assert '#### Cannot be pulled now: 1' in page and '- Weaker than before: limits.maxPercent' in page
    assert [row['NOW'] for row in policy_diff_rows(diff_document(made['keeps'], made['retires']))] == ['retires']


@pytest.mark.parametrize(
    'new, weaker',
    [
        ('limits: {maxPercent: 80}', ['limits.maxPercent (80 in place of 20)']),
        ('limits: {maxPercent: 10}', []),
        ('pins: {paths: [prod.yaml]}', ['limits.maxPercent (50 in place of 20)']),
        ('', ['protect.lastPulled', 'protect.ran', 'pins (some']),
    ],
)
def test_the_guards_of_a_new_policy_that_are_weaker_are_named(new, weaker):
    old = 'limits: {maxPercent: 20}\n'
    if not new:
        old = 'pins: {paths: [prod.yaml]}\nprotect: {lastPulled: {within: 30d}, ran: {within: 30d}}\n'
    found = list(weaker_guards(parse_policy(BOLD + old), parse_policy(BOLD + new)))
    assert len(found) == len(weaker) and all(map(str.startswith, found, weaker)), found


def test_a_sample_for_opa_denies_what_is_retired_in_production(tmp_path):
    images = [worlds.image('v20', [1], tags=['v20'], age=20 * worlds.DAY)]
    inventory = worlds.to_inventory([worlds.repository_of(*images, name='prod/app')])
    plan = plan_document(decide(inventory, parse_policy(RETIRING), worlds.NOW), 'now')
    (said,) = denials(ROOT / 'docs' / 'opa' / 'no_production.rego', plan, tmp_path)
    assert 'cannot be pulled any more' in said


@pytest.mark.parametrize(
    'name, repository, denied',
    [
        ('no_production', 'dev/app', []),
        ('no_production', 'prod/app', ['prod/app@sha256:']),
        ('exact_bytes', 'dev/app', ['bytes would be freed']),
        ('no_idle_rules', 'dev/app', ['rule b claims', 'rule c claims', "'x*' in the rule 'c' matches nothing"]),
    ],
)
def test_the_samples_for_opa_deny_what_they_say(name, repository, denied, tmp_path):
    images = [worlds.image('v20', [1], tags=['v20'], age=20 * worlds.DAY)]
    idle = BOLD.replace('rules:\n', "rules:\n- {name: c, match: {tags: ['x*']}, do: keep}\n")
    inventory = worlds.to_inventory([worlds.repository_of(*images, name=repository)])
    plan = plan_document(decide(inventory, parse_policy(idle), worlds.NOW), 'now')
    found = denials((ROOT / 'docs' / 'opa' / f'{name}.rego'), plan, tmp_path)
    assert len(found) == len(denied) and all(any(part in said for said in found) for part in denied)


def denials(rego, plan, folder):
    """What a sample says of a plan, by opa itself where it is installed, else by Microsoft's rego-cpp."""
    if shutil.which('opa'):
        (folder / 'plan.json').write_text(json.dumps(plan))
        command = ['opa', 'eval', '-i', str(folder / 'plan.json'), '-d', str(rego), 'data.main.deny']
        answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return answer['result'][0]['expressions'][0]['value']
    interpreter = pytest.importorskip('regopy').Interpreter()
    interpreter.add_module(rego.stem, rego.read_text())
    interpreter.set_input(plan)
    return json.loads(str(interpreter.query('data.main.deny')))['expressions'][0]
