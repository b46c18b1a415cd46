"""Every policy in docs/policies.md, and each example, is valid, can be planned, and does what its tests say."""

import re
from pathlib import Path

import pytest
import yaml

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.policy_tests import tests_document as outcome_of
from azext_acrprune.policy.cases import parse_cases
from azext_acrprune.policy.file import EXAMPLES, example_text, parse_policy
from tests import worlds

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


@pytest.mark.parametrize('name', EXAMPLES)
def test_each_example_passes_the_tests_that_it_ships_with(name):
    folder = ROOT / 'azext_acrprune' / 'policy' / 'examples'
    assert failures(example_text(name), (folder / f'{name}.tests.yaml').read_text()) == []
