"""What others wrote into a registry, a policy or a file of pins is obeyed by no terminal and no pipeline."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import OCI_IMAGE, OCI_LAYER, descriptor
from tests.unit.test_spelling import is_safe

from .images import Shelf

COMMAND = '##vso[task.setvariable variable=x]y\r\n::add-mask::z\u2028\x1b[2K\x9b1m\u202e\u200b##[error]'
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
QUERY = ('--query', 'delete[].[repository, artifactType, because]')


@pytest.fixture
def hostile(registry, now) -> Shelf:
    """Garbage and a kept image of a hostile type, with a layer of a hostile name, a broken one, and a broken index."""
    shelf = Shelf(registry.storage, now)
    shared = (f'sha256:{COMMAND}', 5000)
    for name, tag in (('stale', None), ('kept', 'v1')):
        shelf.image(name, tag=tag, base=shared, artifact_type=COMMAND, annotations={'title': COMMAND})
    other = Shelf(registry.storage, now, 'team/other')
    document = {
        'schemaVersion': 2,
        'mediaType': OCI_IMAGE,
        'layers': [descriptor(*shelf.layer('other', 10), OCI_LAYER, **{COMMAND: COMMAND})],
        'Subject': {COMMAND: COMMAND},
    }
    other.put(json.dumps(document).encode(), OCI_IMAGE, tag='odd')
    other.put(f'{{"{COMMAND}'.encode(), OCI_IMAGE)
    return shelf


@pytest.fixture
def prune(az):
    """Run a command; gives what it printed, which nobody obeys."""

    def run(*arguments: str, target=TARGET):
        run = az('acr', 'prune', *arguments, *target)
        for line in f'{run.out}\n{run.err}'.replace('\t', ' ').split('\n'):
            assert is_safe(line), f'{arguments}: {line!r}'
        assert 'Traceback' not in run.err
        return run

    return run


def lines_are_safe(text: str) -> bool:
    return all(map(is_safe, text.split('\n')))


def test_no_command_and_no_format_prints_what_is_obeyed(prune, hostile, tmp_path):
    policy, pins, out = tmp_path / 'policy.yaml', tmp_path / 'pins.yaml', tmp_path / 'plan.json'
    rule = {'name': COMMAND, 'match': {'tagged': False}, 'when': {'olderThan': '1d'}, 'do': 'delete'}
    policy.write_text(json.dumps({'version': 1, 'rules': [rule]}))
    pins.write_text(json.dumps({'image': f'localhost/{COMMAND}', COMMAND: COMMAND}))
    plan = prune('plan', '--show-kept', '--pins', str(pins), '--out', str(out)).json
    assert [entry['artifactType'] for entry in plan['delete']] == [COMMAND]
    assert COMMAND in plan['sharedLayers'][0]['digest']
    assert json.loads(out.read_text())['delete'] == plan['delete'] and lines_are_safe(out.read_text())
    assert prune('plan', '--policy', str(policy)).json['rules'][0]['name'] == COMMAND
    as_yaml = yaml.safe_load(prune('plan', '-o', 'yaml').out)
    assert as_yaml['delete'] == plan['delete']
    assert 'task.setvariable' in prune('plan', '-o', 'tsv', *QUERY).out
    for arguments in (
        ('plan', '-o', 'table', '--show-kept'),
        ('plan', '-o', 'jsonc', '--debug'),
        ('explain', '--image', 'team/app:v1', '-o', 'table'),
        ('check', '-o', 'table'),
        ('check', '-o', 'yamlc'),
        ('usage', '--by', 'layer', '-o', 'table'),
        ('pins', 'list', '--pins', str(pins), '-o', 'tsv', '--query', 'problems'),
    ):
        prune(*arguments)
    assert len(prune('untagged', '--yes', '--max-percent', '100', '-o', 'table').out.split('\n')) > 2


def test_no_file_of_ours_holds_what_is_obeyed(prune, hostile, tmp_path):
    page, inventory, changes = tmp_path / 'page.html', tmp_path / 'inventory.json', tmp_path / 'changes.md'
    prune('report', '--out', str(page))
    body = page.read_text().partition('<body')[2].partition('<script')[0]
    assert 'task.setvariable' in body and lines_are_safe(body)
    prune('plan', '--inventory-out', str(inventory))
    assert lines_are_safe(inventory.read_text())
    policies = [tmp_path / name for name in ('old.yaml', 'new.yaml')]
    for path, days in zip(policies, (90, 7)):
        rule = {'name': COMMAND, 'match': {'tags': ['v*']}, 'when': {'olderThan': f'{days}d'}, 'do': 'delete'}
        path.write_text(json.dumps({'version': 1, 'rules': [rule]}))
    files = ('--old', str(policies[0]), '--new', str(policies[1]))
    prune('policy', 'diff', *files, '--inventory', str(inventory), '--markdown', str(changes), target=())
    assert 'task.setvariable' in changes.read_text()
    assert all(is_safe(line.removeprefix('####').removeprefix('###')) for line in changes.read_text().split('\n'))
