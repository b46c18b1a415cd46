"""`az acr prune policy`, and plans by rules that ask for more than the lists of a registry tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .images import Shelf
from .terminal import at_a_terminal

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost')
EXAMPLES = Path(__file__).resolve().parents[2] / 'azext_acrprune' / 'policy' / 'examples'

POLICY = """version: 1
rules:
- {name: spare, match: {tags: [v1]}, do: keep}
- {name: rest, match: {everything: true}, when: {olderThan: 1d}, do: delete}
"""
TESTS = """policy: policy.yaml
tests:
- name: right
  images: [{image: 'app:v1', age: 9d}, {image: 'app:v2', age: 9d}]
  stay: {'app:v1': spare}
  go: {'app:v2': rest}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'policy.yaml').write_text(POLICY)
    (tmp_path / 'right.yaml').write_text(TESTS)
    (tmp_path / 'wrong.yaml').write_text(TESTS.replace("go: {'app:v2': rest}", "go: ['app:v1', 'app:v2']"))
    return tmp_path


def test_a_policy_is_tried_without_a_registry_and_a_surprise_has_its_chain(az, folder):
    run = az(*PRUNE, 'policy', 'test', '--file', str(folder / 'right.yaml'), check=True)
    assert run.json['summary'] == {'passed': 1, 'failed': 0} and run.json['exitReason'] == 'done'
    assert run.json['tests'] == [{'name': 'right', 'passed': True, 'failures': []}]
    run = az(*PRUNE, 'policy', 'test', '--file', str(folder / 'wrong.yaml').replace('wrong', 'wrong'), '-o', 'json')
    assert run.code != 0
    (failure,) = json.loads(run.out)['tests'][0]['failures']
    assert (failure['image'], failure['expected'], failure['decided'], failure['rule']) == (
        'app:v1',
        'go',
        'stay',
        'spare',
    )
    assert 'the rule keeps it' in failure['chain'][0]


@pytest.mark.parametrize('name', ['ci', 'ml', 'production'])
def test_each_example_passes_its_tests(az, name):
    run = az(
        *PRUNE,
        'policy',
        'test',
        '--file',
        str(EXAMPLES / f'{name}.tests.yaml'),
        '-o',
        'table',
        '--top',
        '1',
        check=True,
    )
    assert 'FAILED' not in run.out and ' passed, 0 failed' in run.out.splitlines()[-1]
    assert 'more rows: --top 0 shows all.' in run.err


def test_tests_that_are_wrong_are_told_with_their_lines(az, folder):
    (folder / 'wrong.yaml').write_text(TESTS.replace('age: 9d', 'age: 9x').replace('stay:', 'stya:'))
    run = az(*PRUNE, 'policy', 'test', '--file', str(folder / 'wrong.yaml'))
    assert run.code != 0
    assert "line 4: tests[0].images[0].age: '9x' is not a duration" in run.err
    assert "line 5: tests[0]: unknown key 'stya'" in run.err


def test_tests_that_name_no_policy_ask_for_one(az, folder):
    (folder / 'bare.yaml').write_text(TESTS.replace('policy: policy.yaml\n', ''))
    run = az(*PRUNE, 'policy', 'test', '--file', str(folder / 'bare.yaml'))
    assert run.code != 0 and '--policy' in run.err
    policy = ('--policy', str(folder / 'policy.yaml'))
    az(*PRUNE, 'policy', 'test', '--file', str(folder / 'bare.yaml'), *policy, check=True)


def test_tests_may_be_for_one_registry(az, folder):
    (folder / 'policy.yaml').write_text(POLICY + 'registries: {dev: {rules: {rest: {when: {olderThan: 90d}}}}}\n')
    stays = TESTS.replace("  stay: {'app:v1': spare}\n", '').replace('go:', 'stay:')
    (folder / 'dev.yaml').write_text('registry: dev\n' + stays)
    az(*PRUNE, 'policy', 'test', '--file', str(folder / 'dev.yaml'), check=True)


def test_a_policy_is_told_in_sentences(az, folder):
    said = az(*PRUNE, 'policy', 'explain', '--file', str(folder / 'policy.yaml'), check=True).json['sentences']
    assert said[:2] == [
        "'spare' keeps tags that match v1 in all repositories.",
        "'rest' deletes tags and images without a tag in all repositories when untouched for 1d or longer.",
    ]


def test_an_example_does_not_take_the_place_of_a_file(az, tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(POLICY)
    run = az(*PRUNE, 'policy', 'show-example', '-n', 'ci', '--out', str(path))
    assert run.code == 1 and 'is there already' in run.err and run.out == ''
    assert path.read_text() == POLICY


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-16-le', 'utf-8-sig'])
def test_an_example_is_copied_with_its_comments_and_read_as_powershell_writes_it(az, tmp_path, encoding):
    path = tmp_path / 'mine.yaml'
    assert az(*PRUNE, 'policy', 'show-example', '-n', 'ml', '--out', str(path), check=True).json['file'] == str(path)
    text = path.read_text()
    assert text == (EXAMPLES / 'ml.yaml').read_text()
    path.write_bytes(text.replace('\n', '\r\n').encode(encoding))
    assert az(*PRUNE, 'policy', 'validate', '--file', str(path), check=True).json['valid']


SLIPS = """version: 1
rules:
- name: old: ones
  match: {tags: [*-rc], labels: {on: "1"}, platforms: [arm64]}
  when: {olderThan: 1d, notPulledFor: 6m}
  keep: {newest: 010}
  do: Delete
"""


def test_a_policy_is_told_in_sentences_at_a_terminal_too(az, folder):
    words = ('policy', 'explain', '--file', str(folder / 'policy.yaml'), '-o', 'table')
    shown = at_a_terminal(az, *PRUNE, *words, columns=60)
    assert "'rest' deletes tags and images without a tag in all repositories when untouched" in shown.screen


def test_slips_are_told_all_at_once_each_with_a_cure_and_what_is_odd_is_warned_of(az, folder):
    (folder / 'slips.yaml').write_text(SLIPS)
    validate = ('policy', 'validate', '--file', str(folder / 'slips.yaml'))
    run = az(*PRUNE, *validate)
    assert run.code != 0 and 'Traceback' not in run.err
    for cure in ("'a: b'", "'*-rc'", "'linux/arm64'", '010 is the number 8', "did you mean 'delete'?"):
        assert cure in run.err
    mended = SLIPS.replace('old: ones', "'old: ones'").replace('*-rc', "'*-rc'").replace('arm64', 'linux/arm64')
    (folder / 'slips.yaml').write_text(mended.replace('010', '10').replace('Delete', 'delete'))
    run = az(*PRUNE, *validate, check=True)
    assert "'notPulledFor' in the rule 'old: ones' is 6m" in run.err and "months are 'mo'" in run.err


IDLE = """version: 1
rules:
- {name: rest, match: {everything: true}, when: {olderThan: 1d}, do: delete}
protect: {tags: [latset]}
"""


def test_what_protects_nothing_is_a_warning_or_with_strict_policy_an_error(az, registry, now, folder):
    az.signed_in()
    Shelf(registry.storage, now).image('one', days=200)
    (folder / 'idle.yaml').write_text(IDLE)
    plan = ('plan', *TARGET, '--policy', str(folder / 'idle.yaml'))
    (warning,) = az(*PRUNE, *plan, check=True).json['warnings']
    assert warning['message'].startswith('protect.tags latset matches nothing in the registry')
    run = az(*PRUNE, *plan, '--strict-policy')
    assert run.code != 0 and 'protect.tags latset' in run.err and 'Traceback' not in run.err


LATE = """version: 1
rules:
- {name: old, match: {tags: ['v*']}, when: {olderThan: 1d}, do: untag}
- {name: untagged, match: {tagged: false}, when: {WHEN}, do: delete}
"""


def test_the_day_on_which_a_tag_was_taken_off_is_known_from_the_journal(az, registry, now, folder):
    az.signed_in()
    shelf = Shelf(registry.storage, now)
    ours = shelf.image('ours', days=200, tag='v1')
    waits = 'olderThan: 7d, by: created, untaggedFor: 90d', 'olderThan: 7d', 'olderThan: 7d, by: created'
    unknown = shelf.image('unknown', days=5)  # only the registry knows when that lost its tag
    for when, gone in (*((each, set()) for each in waits), ('untaggedFor: 0', {ours})):
        (folder / 'late.yaml').write_text(LATE.replace('WHEN', when))
        out = str(folder / 'plan.json')
        az(*PRUNE, 'plan', *TARGET, '--policy', str(folder / 'late.yaml'), '--out', out, check=True)
        az(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes', '--max-percent', '100', check=True)
        left = set(registry.storage.state('team/app').manifests)
        assert left == {ours, unknown} - gone


def test_two_policies_are_compared_on_a_registry_and_on_a_file_of_it(az, registry, now, folder):
    az.signed_in()
    Shelf(registry.storage, now).image('one', days=200, tag='v2')
    longer = 'registries: {localhost: {rules: {rest: {when: {olderThan: 2020-01-01}}}}}\n'
    (folder / 'old.yaml').write_text(POLICY + longer)
    files = ('--old', str(folder / 'old.yaml'), '--new', str(folder / 'policy.yaml'))
    inventory, page = str(folder / 'inventory.json'), folder / 'diff.md'
    az(*PRUNE, 'plan', *TARGET, '--policy', str(folder / 'policy.yaml'), '--inventory-out', inventory, check=True)
    found = az(*PRUNE, 'policy', 'diff', *TARGET, *files, check=True).json
    assert [row['tags'] for row in found['goes']] == [['v2']] and found['stays'] == []
    registry.requests.clear()
    run = az(*PRUNE, 'policy', 'diff', '--inventory', inventory, *files, '--markdown', str(page), '--fail-on', 'more')
    assert run.code != 0 and json.loads(run.out) == {**found, 'exitReason': 'takesMore'}
    assert registry.requests == [] and '#### Goes now: 1' in page.read_text()
    az(*PRUNE, 'policy', 'diff', '--inventory', inventory, *files[:3], files[1], '--fail-on', 'more', check=True)
    run = az(*PRUNE, 'policy', 'diff', *files)
    assert run.code != 0 and '--inventory' in run.err and 'Traceback' not in run.err
    run = az(*PRUNE, 'policy', 'diff', *TARGET, '--inventory', inventory, *files)
    assert run.code != 0 and 'and so does --registry' in run.err


@pytest.mark.parametrize('options', [(), ('--repository', 'elsewhere/*'), ('--impact', 'bound')])
def test_an_inventory_has_all_tags_and_repositories_whatever_the_plan_takes(az, registry, now, folder, options):
    az.signed_in()
    shelf = Shelf(registry.storage, now)
    shelf.image('one', days=200, tag='v2')
    (folder / 'old.yaml').write_text(POLICY.replace('olderThan: 1d', 'olderThan: 2000d'))
    files = ('--old', str(folder / 'old.yaml'), '--new', str(folder / 'policy.yaml'))
    inventory = str(folder / 'inventory.json')
    az(*PRUNE, 'plan', *TARGET, '--inventory-out', inventory, *options, check=True)
    found = az(*PRUNE, 'policy', 'diff', *TARGET, *files, check=True).json
    assert [row['tags'] for row in found['goes']] == [['v2']]
    run = az(*PRUNE, 'policy', 'diff', '--inventory', inventory, *files, '--fail-on', 'more')
    assert run.code != 0 and json.loads(run.out)['goes'] == found['goes']
    labels = POLICY.replace('{everything: true}', '{labels: {stage: dev}}')
    (folder / 'policy.yaml').write_text(labels)
    run = az(*PRUNE, 'policy', 'diff', '--inventory', inventory, *files)
    assert run.code != 0 and 'labels were not read' in run.err and run.out == ''
