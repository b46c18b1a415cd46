"""The health of a registry in the real az: what is found, the commands that mend it, and a look after each run."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import OCI_IMAGE, OCI_INDEX, cosign_tag, image_manifest, index_manifest

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
GONE = 'sha256:' + 'a' * 64


def codes(findings):
    return sorted(finding['code'] for finding in findings)


def checked(az, *more):
    run = az(*PRUNE, 'check', *TARGET, *more)
    assert 'Traceback' not in run.err
    return run.code, run.json


def ghost(registry, shelf, name='ghost', deletable=True, **more):
    digest = shelf.image(name, **more)
    registry.storage.make_ghost(shelf.repository, digest, deletable)
    return digest


def ill(registry, now):
    """A repository with everything that has a command, and some that has none; gives the shelf."""
    shelf = Shelf(registry.storage, now, 'team/ill')
    shelf.image('fine', tag='fine')
    ghost(registry, shelf)
    ghost(registry, shelf, 'tagged ghost', tag='ghost')
    shelf.index([GONE], tag='empty')
    shelf.index([], tag='nothing')
    shelf.index([GONE, shelf.image('child')])
    shelf.index([GONE, shelf.image('other child')], tag='partial')
    shelf.image('signature', tag=cosign_tag(GONE))
    shelf.image('sbom', subject=GONE)
    both = shelf.image('both', tag='both')
    shelf.put(registry.storage.manifest('team/ill', both).data, OCI_IMAGE, cosign_tag(GONE, '.att'))
    shelf.image('locked tag', tag='v1')
    registry.storage.set_locks('team/ill', tag='v1', writeEnabled=False)
    registry.storage.set_locks('team/ill', digest=shelf.image('locked', tag='v2'), deleteEnabled=False)
    shelf.put(b'no manifest', OCI_IMAGE, 'unreadable')
    return shelf


# --- check -------------------------------------------------------------------------------------------------------


def test_a_registry_in_good_health_has_no_findings_and_the_exit_code_is_0(az, registry, now):
    telling(registry.storage, now)
    code, document = checked(az)
    assert (code, document['findings']) == (0, [])
    assert document['summary']['manifests'] == 10
    assert {method for method, path, _ in registry.requests if not path.startswith('/oauth2/')} == {'GET'}


def test_everything_that_is_wrong_is_found_and_the_exit_code_is_1(az, registry, now):
    ill(registry, now)
    code, document = checked(az)
    assert code == 1
    assert document['summary']['findingsByCode'] == {
        'attachmentTagWithoutSubject': 1,
        'emptyIndex': 1,
        'ghost': 2,
        'manifestLockedAlone': 1,
        'missingChildren': 3,
        'orphanAttachment': 1,
        'orphanReferrer': 1,
        'tagLockedAlone': 1,
        'unreadable': 1,
    }
    assert document['summary']['broken'] == 6
    assert all(finding['mend']['command'] or finding['mend']['advice'] for finding in document['findings'])


def test_hints_alone_leave_the_exit_code_at_0(az, registry, now):
    shelf = Shelf(registry.storage, now)
    shelf.image('signature', tag=cosign_tag(GONE))
    code, document = checked(az)
    assert (code, codes(document['findings'])) == (0, ['orphanAttachment'])


def test_each_command_that_mends_runs_and_makes_its_finding_vanish(az, registry, now):
    ill(registry, now)
    for tag in ('unreadable', 'ghost'):  # beside them nothing is deleted
        registry.storage.delete_manifest('team/ill', registry.storage.tag('team/ill', tag).digest)
    _, document = checked(az)
    commands = [finding['mend']['command'] for finding in document['findings'] if finding['mend']['command']]
    assert len(commands) == 6 and len(document['findings']) == 10
    for command in commands:
        _, *words = shlex.split(command)
        az(*words, *ADMIN_LOGIN, *(('--yes',) if words[1] == 'prune' else ()), check=True)
    code, after = checked(az)
    assert (code, codes(after['findings'])) == (1, ['emptyIndex', *['missingChildren'] * 3])
    assert not any(finding['mend']['command'] for finding in after['findings'])
    assert {'fine', 'both', 'v1', 'v2', 'partial', 'empty', 'nothing'} == set(registry.storage.tags('team/ill'))


def test_the_mend_of_a_ghost_leaves_one_that_is_back(az, registry, now):
    shelf = Shelf(registry.storage, now)
    digest = ghost(registry, shelf)
    (finding,) = checked(az)[1]['findings']
    registry.storage.manifest('team/app', digest).ghost = False
    _, *words = shlex.split(finding['mend']['command'])
    run = az(*words, *ADMIN_LOGIN, '--yes')
    assert run.code == 1 and 'is no ghost' in run.err and 'Traceback' not in run.err
    assert digest in registry.storage.manifests('team/app')


def test_the_mend_of_a_ghost_leaves_one_that_is_back_right_before_it_is_deleted(az, registry, now):
    shelf = Shelf(registry.storage, now)
    digest = ghost(registry, shelf)
    record = registry.storage.manifest('team/app', digest)
    (finding,) = checked(az)[1]['findings']
    asked = registry.counters['manifest_get']

    def come_back(_, path):
        if path.endswith('/_manifests') and registry.counters['manifest_get'] > asked:
            record.ghost = False

    registry.on_request = come_back
    _, *words = shlex.split(finding['mend']['command'])
    run = az(*words, *ADMIN_LOGIN, '--yes', check=True)
    assert [(entry['digest'], entry['reason']) for entry in run.json['skipped']] == [(digest, 'updated')]


def test_a_signature_of_what_is_in_another_repository_is_no_orphan_for_a_mend(az, registry, now):
    image = Shelf(registry.storage, now, 'team/images').image('image', tag='v1')
    Shelf(registry.storage, now, 'team/signatures').image('signature', tag=cosign_tag(image))
    assert checked(az)[1]['findings'] == []
    _, document = checked(az, '--repository', 'team/signatures')
    (finding,) = document['findings']
    assert finding['mend']['command'] is None and 'does not exist' not in finding['message']


def test_beside_a_repository_that_may_not_be_read_nothing_is_called_an_orphan(az, registry, now):
    from tests.registry.auth import ALL

    image = Shelf(registry.storage, now, 'team/images').image('image', tag='v1')
    Shelf(registry.storage, now, 'team/signatures').image('signature', tag=cosign_tag(image))
    registry.auth.add_user('narrow', 'password', [('team/images', frozenset()), ('*', ALL)])
    run = az(*PRUNE, 'check', '-r', 'localhost', '-u', 'narrow', '-p', 'password')
    (finding,) = run.json['findings']
    assert finding['mend']['command'] is None and 'does not exist' not in finding['message']


def test_only_the_repositories_that_are_named_are_read(az, registry, now):
    ill(registry, now)
    telling(registry.storage, now)
    code, document = checked(az, '--repository', 'team/app')
    assert (code, document['findings'], document['summary']['repositories']) == (0, [], 1)
    assert not any('team/ill' in path for _, path, _ in registry.requests)


def test_a_ghost_is_found_although_the_cache_knows_it_and_is_one_for_later_runs_too(az, registry, now):
    shelf = Shelf(registry.storage, now)
    digest = shelf.image('image')
    az.signed_in()
    az(*PRUNE, 'plan', *TARGET, check=True)
    registry.manager.used_bytes = 0
    registry.storage.make_ghost('team/app', digest, True)
    assert az(*PRUNE, 'plan', *TARGET, check=True).json['warnings'] == [], 'the cache knows it'
    code, document = checked(az)
    assert (code, codes(document['findings'])) == (1, ['ghost'])
    assert codes(az(*PRUNE, 'plan', *TARGET, check=True).json['warnings']) == ['ghost']


def test_a_repository_that_may_not_be_read_is_named_and_the_exit_code_is_1(az, registry, now):
    from tests.registry.auth import ALL

    telling(registry.storage, now)
    registry.auth.add_user('narrow', 'password', [('team/other', frozenset()), ('*', ALL)])
    run = az(*PRUNE, 'check', '-r', 'localhost', '-u', 'narrow', '-p', 'password')
    assert run.code == 1 and run.json['findings'] == []
    assert [warning['repository'] for warning in run.json['warnings']] == ['team/other']


def test_the_same_registry_gives_the_same_document_but_for_its_date(az, registry, now):
    ill(registry, now)
    documents = [checked(az)[1] for _ in range(2)]
    for document in documents:
        document.pop('createdAt')
    assert json.dumps(documents[0]) == json.dumps(documents[1])


HOSTILE = '\x1b[2J\x1b]0;title\x07$(touch /tmp/hostile)\u202e'


def test_hostile_text_in_manifests_reaches_no_terminal(az, registry, now):
    shelf = Shelf(registry.storage, now)
    config = shelf.layer('config', 100)
    for size in (1, 2):
        document = json.loads(image_manifest(config, [shelf.layer('layer', 10)]))
        document['layers'] = [{'mediaType': HOSTILE, 'digest': HOSTILE, 'size': size}]
        document['annotations'] = {HOSTILE: HOSTILE}
        document['artifactType'] = HOSTILE
        shelf.put(json.dumps(document).encode(), OCI_IMAGE, f'v{size}')
    shelf.put(index_manifest([], annotations={HOSTILE: HOSTILE}), OCI_INDEX, 'empty')
    shelf.put(HOSTILE.encode(), OCI_IMAGE, 'garbage')
    shelf.put(json.dumps({'manifests': [{'digest': HOSTILE}]}).encode(), OCI_INDEX, 'children')
    run = az(*PRUNE, 'check', *TARGET, '-o', 'table')
    assert run.code == 1 and 'sizeMismatch' in run.out and 'unreadable' in run.out
    assert '\x1b' not in run.out + run.err and '\u202e' not in run.out + run.err and '\x07' not in run.out + run.err
    tsv = az(*PRUNE, 'check', *TARGET, '--query', 'findings[].[message, mend.advice]', '-o', 'tsv').out
    assert '\x1b' not in tsv and '\u202e' not in tsv


# --- --include ---------------------------------------------------------------------------------------------------


def test_ghosts_and_orphans_go_only_when_they_are_asked_for(az, registry, now):
    shelf = Shelf(registry.storage, now)
    kept = shelf.image('kept', tag='v1')
    signature = shelf.image('signature', tag=cosign_tag(kept))
    gone, orphan = ghost(registry, shelf), shelf.image('orphan', tag=cosign_tag(GONE))
    stubborn = ghost(registry, shelf, 'stubborn', deletable=False)
    young = ghost(registry, Shelf(registry.storage, now, 'team/young'), 'young', days=0.1)
    assert az(*PRUNE, 'untagged', *TARGET, '--yes', check=True).json['summary']['manifestsDeleted'] == 0
    run = az(*PRUNE, 'untagged', *TARGET, '--include', 'ghosts', 'orphans', '--yes')
    assert run.code == 1 and {entry['digest'] for entry in run.json['deleted']} == {gone, orphan}
    assert [entry['digest'] for entry in run.json['failed']] == [stubborn]
    assert {entry['because'] for entry in run.json['deleted']} == {
        'include ghosts, untagged for 1d or longer',
        'include orphans, untagged for 1d or longer',
    }
    assert set(registry.storage.manifests('team/app')) == {kept, signature, stubborn}
    assert set(registry.storage.manifests('team/young')) == {young}


def test_a_ghost_that_is_there_again_right_before_it_is_deleted_is_skipped(az, registry, now):
    shelf = Shelf(registry.storage, now)
    child = shelf.image('child')
    index = shelf.index([child])
    registry.storage.make_ghost('team/app', index, True)
    record = registry.storage.manifest('team/app', index)

    def come_back(_, path):
        if path.endswith('/_manifests') and registry.counters['manifest_get']:
            record.ghost = False

    registry.on_request = come_back
    run = az(*PRUNE, 'untagged', *TARGET, '--include', 'ghosts', '--yes', check=True)
    assert run.json['deleted'] == []
    assert {(entry['digest'], entry['reason']) for entry in run.json['skipped']} == {
        (index, 'updated'),
        (child, 'childOf'),
    }


def test_a_plan_with_ghosts_is_applied_and_what_is_back_since_is_skipped(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    gone, back = ghost(registry, shelf), ghost(registry, shelf, 'back')
    path = tmp_path / 'plan.json'
    plan = az(*PRUNE, 'plan', *TARGET, '--include', 'ghosts', '--out', str(path), check=True).json
    assert plan['policy']['untagged']['include'] == ['ghosts']
    assert {entry['digest'] for entry in plan['delete']} == {gone, back}
    registry.storage.manifest('team/app', back).ghost = False
    result = az(*PRUNE, 'apply', *TARGET, '--plan', str(path), '--yes', '--validate', check=True).json
    assert [entry['digest'] for entry in result['deleted']] == [gone]
    assert [entry['digest'] for entry in result['skipped']] == [back]
    assert result['validation']['repositories'] == ['team/app'] and result['validation']['findings'] == []


def test_tags_take_a_ghost_only_when_it_is_asked_for(az, registry, now):
    shelf = Shelf(registry.storage, now)
    shelf.image('stays', tag='main')
    ghost(registry, shelf, tag='pr-1')
    flags = ('--match', 'team/app:pr-*', '--ago', '10d', '--untagged', '--yes')
    assert az(*PRUNE, 'tags', *TARGET, *flags, '--dry-run', check=True).json['delete'] == []
    result = az(*PRUNE, 'tags', *TARGET, *flags, '--include', 'ghosts', check=True).json
    assert result['summary']['manifestsDeleted'] == 1
    assert set(registry.storage.tags('team/app')) == {'main'}


def test_a_partial_index_takes_the_place_of_no_whole_image_when_it_is_asked_for(az, registry, now):
    shelf = Shelf(registry.storage, now)
    partial = shelf.index([GONE], days=20)
    whole = shelf.image('whole', days=30)
    plans = [
        az(*PRUNE, 'plan', *TARGET, '--keep', '1', *more, check=True).json for more in ((), ('--include', 'partial'))
    ]
    assert [[entry['digest'] for entry in plan['delete']] for plan in plans] == [[whole], [partial]]


def test_explain_says_what_was_asked_for(az, registry, now):
    gone = ghost(registry, Shelf(registry.storage, now))
    name = ('--image', f'team/app@{gone}')
    assert az(*PRUNE, 'explain', *TARGET, *name, check=True).json['because'] == 'ghost'
    explained = az(*PRUNE, 'explain', *TARGET, *name, '--include', 'ghosts', check=True).json
    assert (explained['decision'], explained['reason']) == ('delete', 'untagged')
    assert 'include ghosts' in explained['explanation']


def test_a_policy_file_includes_too(az, registry, now, tmp_path):
    gone = ghost(registry, Shelf(registry.storage, now))
    path = tmp_path / 'policy.yaml'
    path.write_text(
        'version: 1\ninclude: [ghosts]\n'
        'rules: [{name: old, match: {tagged: false}, when: {olderThan: 1d}, do: delete}]\n'
    )
    plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(path), check=True).json
    assert [(entry['digest'], entry['rule']) for entry in plan['delete']] == [(gone, 'old')]
    run = az(*PRUNE, 'plan', *TARGET, '--policy', str(path), '--include', 'ghosts')
    assert run.code != 0 and '--policy says what may go' in run.err


def test_of_a_ghost_there_is_nothing_to_archive_so_that_it_stays(az, registry, now, tmp_path):
    gone = ghost(registry, Shelf(registry.storage, now))
    result = az(
        *PRUNE,
        'untagged',
        *TARGET,
        '--include',
        'ghosts',
        '--archive',
        str(tmp_path / 'archive'),
        '--new-archive',
        '--yes',
        check=True,
    ).json
    assert [(entry['digest'], entry['because']) for entry in result['skipped']] == [(gone, 'it is not in the archive')]
    assert gone in registry.storage.manifests('team/app')


@pytest.mark.parametrize(
    'arguments, said',
    [
        (('tags', '--match', '*:*', '--ago', '1d', '--include', 'ghosts', '--yes'), '--untagged'),
        (('plan', '--filter', '.*:.*', '--include', 'orphans'), '--untagged'),
        (('untagged', '--include', 'everything', '--yes'), 'ghosts'),
        (('untagged', '--validate', '--dry-run'), 'az acr prune check'),
    ],
)
def test_what_makes_no_sense_is_an_error_that_says_what_does(az, registry, arguments, said):
    command, *more = arguments
    run = az(*PRUNE, command, *TARGET, *more)
    assert run.code != 0 and said in run.err and 'Traceback' not in run.err
    assert registry.requests == []


# --- --validate --------------------------------------------------------------------------------------------------


def test_what_was_broken_before_is_told_after_a_run_and_is_not_its_failure(az, registry, now):
    telling(registry.storage, now)
    Shelf(registry.storage, now).index([GONE], tag='empty')
    Shelf(registry.storage, now, 'team/untouched').index([GONE], tag='empty')
    result = az(*PRUNE, 'untagged', *TARGET, '--yes', '--validate', check=True).json
    validation = result['validation']
    assert (validation['repositories'], codes(validation['findings'])) == (['team/app'], ['missingChildren'])
    assert (validation['broken'], validation['newBroken'], validation['new']) == (1, 0, [])


def test_what_is_broken_since_a_run_began_makes_the_exit_code_1(az, registry, now):
    images = telling(registry.storage, now)
    index, child, *_ = images.kept

    def lose_a_child(method, _):
        if method == 'DELETE' and child in registry.storage.manifests('team/app'):
            registry.storage.delete_manifest('team/app', child)

    registry.on_request = lose_a_child
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--validate')
    assert run.code == 1 and f'Broken now: team/app@{index}' in run.err
    assert [(entry['code'], entry['digest']) for entry in run.json['validation']['new']] == [('missingChildren', index)]


def test_what_is_still_listed_after_it_was_deleted_is_a_ghost(az, registry, now):
    digest = Shelf(registry.storage, now).image('stale')
    Shelf(registry.storage, now).image('kept', tag='v1')

    def half_delete(method, _):
        if method == 'DELETE':
            registry.storage.make_ghost('team/app', digest)

    registry.on_request = half_delete
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--validate')
    assert run.code == 1 and codes(run.json['validation']['new']) == ['ghost']


def test_validation_reads_no_manifest_again(az, registry, now):
    telling(registry.storage, now)
    az(*PRUNE, 'untagged', *TARGET, '--yes', '--validate', check=True)
    reads = [path for method, path, _ in registry.requests if method == 'GET' and '/manifests/' in path]
    assert len(reads) == len(set(reads)) == 10


@pytest.mark.parametrize(
    'arguments',
    [
        ('tags', '--match', 'team/app:*', '--ago', '20d', '--untagged', '--max-percent', '100'),
        ('image', '--image', 'team/app:latest'),
        ('repository', '--repository', 'team/app'),
    ],
)
def test_every_command_that_deletes_validates(az, registry, now, arguments):
    telling(registry.storage, now)
    command, *more = arguments
    result = az(*PRUNE, command, *TARGET, *more, '--yes', '--validate', check=True).json
    assert result['summary']['manifestsDeleted'] > 0
    assert (result['validation']['repositories'], result['validation']['findings']) == (['team/app'], [])


def test_a_run_that_deletes_nothing_touches_nothing(az, registry, now):
    Shelf(registry.storage, now).image('kept', tag='v1')
    result = az(*PRUNE, 'untagged', *TARGET, '--yes', '--validate', check=True).json
    assert result['validation'] == {'repositories': [], 'broken': 0, 'newBroken': 0, 'findings': [], 'new': []}


def test_what_cannot_be_looked_at_afterwards_makes_the_exit_code_1_and_the_result_is_told(az, registry, now):
    from tests.registry.faults import Fault

    telling(registry.storage, now)

    def close(method, _):
        if method == 'DELETE':
            registry.faults.rules = [Fault('GET .*_manifests', 403)]

    registry.on_request = close
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--validate')
    assert run.code == 1 and run.json['summary']['manifestsDeleted'] > 0
    assert run.json['validation'] is None and 'could not be validated' in run.err
