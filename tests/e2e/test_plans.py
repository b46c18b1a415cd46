"""Plans in files: made once, carried out exactly, refused when they are not what they were; policies; explain."""

from __future__ import annotations

import json
import random
import subprocess
import time

import pytest
import yaml

from tests import figures
from tests.demo.images import Clock, push_everything
from tests.examples import times
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.faults import Fault
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
FLAGS = ('--match', 'team/**:old*', '--ago', '10d', '--untagged')


def many(storage, now, number=40):
    """Multi-arch images, half of them with an old tag, on layers that they share; gives the shelf."""
    shelf = Shelf(storage, now)
    base = shelf.layer('base ', 40_000)
    for place in range(number // 4):
        children = [shelf.image(f'child {place} {arch}', base=base) for arch in ('amd64', 'arm64')]
        shelf.index(children, tag=f'old{place}')
        shelf.image(f'untagged {place}', base=base)
    shelf.image('stays', tag='stays', base=base)
    return shelf


def planned(az, tmp_path, *flags):
    path = tmp_path / 'plan.json'
    az(*PRUNE, 'plan', *TARGET, *(flags or FLAGS), '--out', str(path), check=True)
    return path


def apply(az, path, *more):
    return az(*PRUNE, 'apply', *TARGET, '--plan', str(path), '--max-percent', '100', '--yes', *more)


def test_apply_does_exactly_what_the_plan_says(az, registry, now, tmp_path):
    many(registry.storage, now)
    path = planned(az, tmp_path)
    plan = json.loads(path.read_text())
    before = registry.storage.stored_bytes()
    result = apply(az, path).json
    assert [(entry['repository'], entry['digest']) for entry in result['deleted']] == [
        (entry['repository'], entry['digest']) for entry in plan['delete']
    ]
    assert before - registry.storage.stored_bytes() == plan['summary']['freedBytes'] == result['summary']['freedBytes']
    assert set(registry.storage.tags('team/app')) == {'stays'}


@pytest.mark.parametrize('group_by', ['repository', 'reason', 'rule'])
def test_a_plan_in_sums_can_be_carried_out_like_any_other(az, registry, now, tmp_path, group_by):
    many(registry.storage, now)
    path = planned(az, tmp_path, *FLAGS, '--group-by', group_by)
    table = az(*PRUNE, 'plan', *TARGET, *FLAGS, '--group-by', group_by, '-o', 'table', check=True).out
    assert table.split()[0] == group_by.upper()
    plan = json.loads(path.read_text())
    assert plan['sharedLayers'][0]['users'] == ['team/app:stays']
    assert apply(az, path).json['summary']['freedBytes'] == plan['summary']['freedBytes']


def test_the_answer_of_plan_is_a_plan_too(az, registry, now, tmp_path):
    many(registry.storage, now)
    path = tmp_path / 'redirected.json'
    path.write_text(az(*PRUNE, 'plan', *TARGET, *FLAGS, check=True).out)
    assert apply(az, path).json['summary']['manifestsDeleted'] == 40


def edited(plan):
    plan['delete'][0]['digest'] = 'sha256:' + '0' * 64


def of_another_registry(plan):
    from azext_acrprune.documents.plan import sealed

    plan['registry'] = 'other.azurecr.io'
    plan.update(sealed(plan))


def of_another_version(plan):
    from azext_acrprune.documents.plan import sealed

    plan['schemaVersion'] = 2
    plan.update(sealed(plan))


def too_old(plan):
    plan['createdAt'] = '2020-01-01T00:00:00.000000Z'


def of_tomorrow(plan):
    plan['createdAt'] = '2999-01-01T00:00:00.000000Z'


@pytest.mark.parametrize(
    'change, said',
    [
        (edited, 'checksum'),
        (of_another_registry, 'other.azurecr.io'),
        (of_another_version, 'schema version'),
        (too_old, 'too old'),
        (of_tomorrow, 'has not come'),
        (dict.clear, 'not a plan'),
    ],
)
def test_a_plan_that_is_not_what_it_was_is_refused(az, registry, now, tmp_path, change, said):
    many(registry.storage, now)
    path = planned(az, tmp_path)
    plan = json.loads(path.read_text())
    change(plan)
    path.write_text(json.dumps(plan))
    run = apply(az, path)
    assert run.code != 0 and said in run.err and 'Traceback' not in run.err
    assert registry.counters['manifest_delete'] == 0


def test_a_plan_that_was_cut_off_is_refused(az, registry, now, tmp_path):
    many(registry.storage, now)
    path = planned(az, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    run = apply(az, path)
    assert run.code != 0 and 'not a whole JSON document' in run.err
    assert registry.counters['manifest_delete'] == 0


def test_an_old_plan_is_carried_out_when_told_so(az, registry, now, tmp_path):
    many(registry.storage, now)
    path = planned(az, tmp_path)
    plan = json.loads(path.read_text())
    plan['createdAt'] = time.strftime('%Y-%m-%dT%H:%M:%S.000000Z', time.gmtime(now - 3 * 86_400))
    path.write_text(json.dumps(plan))
    assert apply(az, path).code != 0
    assert apply(az, path, '--max-age', '4d').json['summary']['manifestsDeleted'] == 40


def test_what_changed_since_the_plan_is_skipped_with_its_reason(az, registry, now, tmp_path):
    storage = registry.storage
    shelf = many(storage, now)
    path = planned(az, tmp_path)
    digests = {tag: storage.tag('team/app', tag).digest for tag in storage.tags('team/app')}
    index = 'application/vnd.oci.image.index.v1+json'
    storage.put_manifest('team/app', storage.manifest('team/app', digests['old0']).data, index, 'added')
    storage.put_manifest('team/app', storage.manifest('team/app', digests['old1']).data, index, 'old2')
    storage.set_locks('team/app', tag='old3', deleteEnabled=False)
    storage.set_locks('team/app', digest=digests['old4'], writeEnabled=False)
    new = shelf.index(
        [entry['digest'] for entry in json.loads(path.read_text())['delete'] if entry['because'] == digests['old5']],
        tag='new',
        days=0,
    )
    run = apply(az, path)
    skipped = {entry['digest']: entry['reason'] for entry in run.json['skipped']}
    assert {skipped[digests[tag]] for tag in ('old0', 'old1', 'old2')} == {'tagsChanged'}
    assert {skipped[digests[tag]] for tag in ('old3', 'old4')} == {'locked'}
    for tag in ('added', 'old1', 'old2', 'old3', 'old4', 'new'):
        assert storage.whole('team/app', tag) == []
    assert new in storage.manifests('team/app')


def test_a_planned_tag_that_moved_is_left_where_it_is(az, registry, now, tmp_path):
    storage = registry.storage
    shelf = many(storage, now)
    path = planned(az, tmp_path, '--match', 'team/**:old*', '--ago', '10d')
    moved = shelf.image('moved to', tag='old1', days=0)
    storage.set_locks('team/app', tag='old2', writeEnabled=False)
    run = apply(az, path)
    assert {(entry['tag'], entry['reason']) for entry in run.json['skipped']} == {
        ('old1', 'tagsChanged'),
        ('old2', 'locked'),
    }
    assert storage.tag('team/app', 'old1').digest == moved
    assert set(storage.tags('team/app')) == {'old1', 'old2', 'stays'}


@pytest.mark.soak
@pytest.mark.parametrize('seed', range(times(5)))
def test_killed_at_any_moment_and_run_again_it_ends_as_if_nothing_had_happened(az, registry, now, tmp_path, seed):
    many(registry.storage, now)
    path = planned(az, tmp_path)
    plan = json.loads(path.read_text())
    before = registry.storage.stored_bytes()
    survivors = set(registry.storage.manifests('team/app')) - {entry['digest'] for entry in plan['delete']}
    kill_at = 8 * (seed % 5) + random.Random(seed).randrange(8)
    hold = registry.faults.hold('DELETE .*/manifests/', after=kill_at, done=seed % 2 == 1)
    process = az.start(
        *PRUNE,
        'apply',
        *TARGET,
        '--plan',
        str(path),
        '--max-percent',
        '100',
        '--yes',
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert hold.wait(process)
    process.kill()
    process.wait()
    figures.count(runs=1, kills=1)
    registry.faults.clear()
    held, there = registry.storage.stored_bytes(), set(registry.storage.manifests('team/app'))
    tags = sum(len(entry['tags']) for entry in plan['delete'] if entry['digest'] in there)
    result = apply(az, path).json
    assert result['summary'] == {
        'registry': plan['registry'],
        'manifestsDeleted': len(there - survivors),
        'tagsDeleted': tags,
        'goneBefore': 40 - len(there - survivors),
        'skipped': 0,
        'failed': 0,
        'freedBytes': held - registry.storage.stored_bytes(),
        'impact': 'upperBound',
        'softDeleteRetentionDays': None,
        'manifestsDeletedLater': 0,
        'retentionDays': None,
        'retentionKnown': False,
        'freedLaterBytes': 0,
        'freedLaterImpact': 'upperBound',
        'listingAgeSeconds': result['summary']['listingAgeSeconds'],
        'interrupted': False,
        'timeLimitReached': False,
    }
    assert {entry['digest'] for entry in result['deleted'] + result['goneBefore']} == {
        entry['digest'] for entry in plan['delete']
    }
    assert set(registry.storage.manifests('team/app')) == survivors
    assert before - registry.storage.stored_bytes() == plan['summary']['freedBytes']
    assert registry.storage.whole('team/app', 'stays') == []


POLICY = {
    'version': 1,
    'rules': [
        {'name': 'releases', 'match': {'tagsRegex': [r'^v\d+$']}, 'do': 'keep'},
        {
            'name': 'old builds',
            'match': {'repositories': ['team/**'], 'tags': ['old*']},
            'when': {'olderThan': '10d'},
            'do': 'delete',
        },
        {'name': 'rest', 'match': {'tagged': False}, 'when': {'olderThan': '1d'}, 'do': 'delete'},
    ],
    'limits': {'maxManifests': 100, 'maxPercent': 100},
}


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(yaml.safe_dump(POLICY, sort_keys=False))
    return path


def test_a_policy_names_the_rule_behind_everything_that_it_claims(az, registry, now, policy):
    shelf = many(registry.storage, now)
    shelf.image('release', tag='v1')
    plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--show-kept', check=True).json
    rules = {entry['rule'] for entry in plan['delete'] if entry['reason'] in ('matched', 'untagged')}
    assert rules == {'old builds', 'rest'}
    release = next(entry for entry in plan['kept'] if entry['tags'] == ['v1'])
    assert (release['rule'], release['reason']) == ('releases', 'excluded')
    assert plan['policy'] == {'file': POLICY}


def test_the_limits_of_a_policy_hold_when_its_plan_is_carried_out(az, registry, now, tmp_path, policy):
    many(registry.storage, now)
    policy.write_text(yaml.safe_dump({**POLICY, 'limits': {'maxManifests': 39, 'maxPercent': 100}}))
    path = tmp_path / 'plan.json'
    made = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', str(path), check=True)
    assert 'over a limit' in made.err
    run = az(*PRUNE, 'apply', *TARGET, '--plan', str(path), '--yes')
    assert run.code != 0 and '40 manifests would go' in run.err
    assert registry.counters['manifest_delete'] == 0


def test_the_same_registry_and_policy_give_the_same_bytes(az, registry, now, policy):
    telling(registry.storage, now)
    texts = [az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--show-kept', check=True).out for _ in range(2)]
    plans = [json.loads(text) for text in texts]
    assert [text.replace(plan['createdAt'], '') for text, plan in zip(texts, plans)] == [
        texts[0].replace(plans[0]['createdAt'], '')
    ] * 2


def test_a_wrong_policy_is_told_with_its_line_and_what_was_expected(az, registry, tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text('version: 1\nrules:\n  - name: x\n    do: delete\n    when: {olderThn: 3d}\n')
    for run in (
        az(*PRUNE, 'policy', 'validate', '--file', str(path)),
        az(*PRUNE, 'plan', *TARGET, '--policy', str(path)),
    ):
        assert run.code != 0 and "line 5: rules[0].when: unknown key 'olderThn'" in run.err
        assert 'olderThan' in run.err and "the key 'match' is missing" in run.err
    assert registry.requests == []


@pytest.mark.parametrize('name', ['ci', 'ml', 'production'])
def test_every_example_is_a_valid_policy(az, tmp_path, name):
    path = tmp_path / 'policy.yaml'
    path.write_text(az(*PRUNE, 'policy', 'show-example', '--name', name, '-o', 'yaml', check=True).out)
    assert az(*PRUNE, 'policy', 'validate', '--file', str(path), check=True).json['valid'] is True


def test_the_schema_is_shown(az):
    schema = az(*PRUNE, 'policy', 'show-schema', check=True).json
    assert set(schema['properties']) == {
        'version',
        'description',
        'facts',
        'rules',
        'include',
        'pins',
        'protect',
        'limits',
        'lock',
        'registries',
        'state',
    }


def test_manifests_of_the_demo_registry_are_explained_in_a_sentence_for_each_reason(az_of, tmp_path):
    clock = Clock()
    with LocalRegistry(Storage(tmp_path / 'blobs', clock)) as demo:
        push_everything(demo, clock)
        az = az_of(demo)
        plan = az(*PRUNE, 'plan', *TARGET, '--show-kept', check=True).json
        entries = [*plan['delete'], *plan['kept']]
        assert len(entries) == plan['summary']['manifests']
        for entry in {(entry in plan['delete'], entry['reason']): entry for entry in entries}.values():
            document = az(
                *PRUNE, 'explain', *TARGET, '--image', f'{entry["repository"]}@{entry["digest"]}', check=True
            ).json
            assert (document['reason'], document['because']) == (entry['reason'], entry['because'])
            going = entry in plan['delete']
            assert document['explanation'].startswith(
                f'{entry["repository"]}@{entry["digest"]} ({", ".join(entry["tags"]) or "no tags"}) '
                f'{"goes" if going else "stays"}: it '
            )
            assert 'Deleting it alone' in document['explanation']
            if entry['reason'] in ('childOf', 'referrerOf', 'subjectOf'):
                chain = document['goesAfter' if going else 'keptBy']
                assert chain[0]['digest'] == entry['because']
                assert chain[-1]['reason'] not in ('childOf', 'referrerOf', 'subjectOf')


def test_a_pipeline_can_tell_nothing_to_do_would_change_and_error_apart(az, registry, now):
    shelf = Shelf(registry.storage, now)
    shelf.image('kept', tag='v1')
    plan = (*PRUNE, 'plan', *TARGET, '--detailed-exit-code')
    assert az(*plan).code == 0
    shelf.image('old')
    assert az(*plan).code == 2 and az(*PRUNE, 'plan', *TARGET).code == 0
    registry.faults.rules.append(Fault('GET /acr/v1/team/app/_manifests', 403))
    for command in (plan, (*PRUNE, 'untagged', *TARGET, '--yes'), (*PRUNE, 'usage', *TARGET)):
        run = az(*command, '--only-show-errors')
        assert run.code == 1 and run.err.strip().split('\n')[-1].startswith('ERROR: '), 'no failure is silent'
