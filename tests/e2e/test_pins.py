"""Pins, in the real az."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.registry.auth import ADMIN
from tests.registry.azcli import ADMIN_LOGIN, az_executable
from tests.registry.faults import Fault

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


@pytest.fixture
def shelf(registry, now):
    return Shelf(registry.storage, now)


def present(registry, repository='team/app'):
    return set(registry.storage.repositories() and registry.storage.state(repository).manifests)


def test_what_is_pinned_by_digest_or_by_tag_stays_and_the_plan_says_by_which_line(az, registry, shelf, tmp_path):
    digests = [shelf.image(f'untagged {number}', days=30) for number in range(3)]
    tagged = shelf.image('tagged', tag='v1', days=30)
    shelf.image('old', tag='v0', days=40)
    host = registry.login_server
    (tmp_path / 'deploy.yaml').write_text(
        f'apiVersion: v1\nspec:\n- image: {host}/team/app@{digests[0]}\n- image: {host}/team/app:v1\n'
        f'- image: {host}/team/app:gone\n'
    )
    flags = ('--filter', 'team/app:.*', '--ago', '1d', '--untagged', '--pins', str(tmp_path / 'deploy.yaml'))
    plan = az(*PRUNE, 'plan', *TARGET, *flags, '--show-kept', check=True).json
    kept = {entry['digest']: (entry['reason'], entry['because']) for entry in plan['kept']}
    assert kept == {
        digests[0]: ('pinned', f'{tmp_path}/deploy.yaml:3'),
        tagged: ('pinned', f'tag v1: {tmp_path}/deploy.yaml:4'),
    }
    assert plan['policy']['pins'] == {
        'paths': [f'{tmp_path}/deploy.yaml'],
        'aliases': [],
        'strict': False,
        'files': {f'{tmp_path}/deploy.yaml': 3},
    }
    refused = az(*PRUNE, 'tags', *TARGET, *flags, '--max-percent', '100', '--yes')
    assert refused.code == 1 and "deploy.yaml:5: 'team/app:gone' is not in the registry" in refused.err
    flags = (*flags, '--no-strict-pins')
    az(*PRUNE, 'tags', *TARGET, *flags, '--max-percent', '100', '--yes', check=True)
    assert present(registry) == {digests[0], tagged}
    assert set(registry.storage.tags('team/app')) == {'v1'}


def test_an_image_that_a_file_names_in_pieces_stays_because_the_registry_has_it(az, registry, shelf, now, tmp_path):
    used, old = shelf.image('used', tag='v1.2', days=30), shelf.image('old', tag='v1.1', days=40)
    Shelf(registry.storage, now, 'team/web').image('whole', tag='v7')
    folder = tmp_path / 'deploy'
    folder.mkdir()
    (folder / 'web.yaml').write_text(f'image: {registry.login_server}/team/web:v7\n')
    (folder / 'hosts.yaml').write_text('hosts:\n- runs: team/app\n  build: v1.2\n')
    pins, by = ('--pins', str(folder)), f'{folder}/hosts.yaml:2'

    listed = az(*PRUNE, 'pins', 'list', *TARGET, *pins, check=True).json['pins']
    assert [(entry['digest'], entry['pinnedBy']) for entry in listed if entry['repository'] == 'team/app'] == [
        (used, [by])
    ]
    refused = az(*PRUNE, 'image', *TARGET, '--image', 'team/app:v1.2', *pins, '--yes')
    assert refused.code and by in refused.err and present(registry) == {used, old}
    flags = ('--match', '**:*', '--ago', '0', '--untagged', '--max-percent', '100')
    az(*PRUNE, 'tags', *TARGET, *flags, *pins, '--yes', check=True)
    assert present(registry) == {used}


def test_what_the_registry_does_not_tell_of_images_in_pieces_is_a_problem_and_unlocks_nothing(az, registry, shelf):
    used = shelf.image('used', tag='v1.2')
    pins = 'hosts:\n- runs: team/app\n  build: v1.2\n- from: HOST\n'
    first = run(az, registry, 'pins lock', '--yes', '--alone', a=pins)
    assert first.out, first.err
    assert first.json['summary']['locked'] == 1
    for fault, said in (('_catalog', 'may not be listed'), ('team/app/_tags', "'team/app', which a file names")):
        registry.faults.rules.append(Fault(fault, 403))
        listed = run(az, registry, 'pins list', a=pins)
        assert said in listed.err and any(said in each['message'] for each in listed.json['problems'])
        done = run(az, registry, 'pins lock', '--yes', '--alone', a=pins)
        assert done.json['unlocked'] == [] and locks(registry, used) == [False], done.err
        registry.faults.clear()
    registry.storage.set_locks('team/app', listEnabled=False)
    done = run(az, registry, 'pins lock', '--yes', '--alone', a=pins)
    assert done.json['unlocked'] == [] and locks(registry, used) == [False], done.err


def home_of(az):
    return Path(az.environment['AZURE_CONFIG_DIR'])


def run(az, registry, *arguments, **files):
    """Run a command with pins in files; `HOST` in them is the registry."""
    folder = home_of(az) / 'pins'
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f'{name}.yaml').write_text(text.replace('HOST', registry.login_server))
    return az(*PRUNE, *arguments[0].split(), *TARGET, *arguments[1:], '--pins', str(folder))


def piped(az, data, *arguments):
    """Run az with something on its standard input; None closes it before az starts."""
    command = [az_executable(), *PRUNE, *arguments[:1], *TARGET, *arguments[1:], '--pins', '-']
    if data is None:
        command = ['sh', '-c', 'exec "$@" <&-', 'sh', *command]
    done = subprocess.run(command, input=data, env=az.environment, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_nothing_is_deleted_when_standard_input_is_not_whole(az, registry, shelf):
    digest = shelf.image('untagged')
    pods = json.dumps({'items': [{'image': f'{registry.login_server}/team/app@{digest}'}]}).encode()
    for data in (None, b'', b' \n', pods[:-5], pods[:30], b'error: You must be logged in to the server\n{'):
        code, out, err = piped(az, data, 'untagged', '--yes')
        assert code != 0 and out == '' and 'Traceback' not in err, (data, err)
    assert present(registry) == {digest}
    other = pods.replace(digest.encode(), b'sha256:' + b'0' * 64)
    assert piped(az, other, 'untagged', '--yes')[0] == 1
    assert present(registry) == {digest}
    assert piped(az, other, 'untagged', '--yes', '--no-strict-pins')[0] == 0
    assert present(registry) == set()


def test_standard_input_of_kubectl_pins(az, registry, shelf):
    digest = shelf.image('untagged')
    shelf.image('other')
    image = f'docker-pullable://{registry.login_server}/team/app@{digest}'
    pods = json.dumps({'items': [{'imageID': image}]}, indent=4)
    code, out, err = piped(az, pods.encode(), 'untagged', '--yes')
    assert code == 0, err
    assert present(registry) == {digest}


def test_nothing_is_deleted_when_a_source_cannot_be_read(az, registry, shelf, tmp_path):
    digest = shelf.image('untagged')
    missing = az(*PRUNE, 'untagged', *TARGET, '--yes', '--pins', str(tmp_path / 'missing.yaml'))
    assert missing.code != 0 and 'missing.yaml' in missing.err and 'Traceback' not in missing.err
    for name, text in (('broken', 'a: [\n'), ('unknown', 'image: HOST/team/app:${TAG}\n')):
        strict = run(az, registry, 'untagged', '--yes', **{name: text})
        assert strict.code != 0 and f'{name}.yaml' in strict.err and 'Nothing was deleted' in strict.err
        (home_of(az) / 'pins' / f'{name}.yaml').unlink()
    assert present(registry) == {digest}
    warned = run(az, registry, 'plan', broken='a: [\n')
    assert warned.code == 0 and 'broken.yaml' in warned.err
    assert [warning['code'] for warning in warned.json['warnings']] == ['catalogNotProven', 'pinsNotRead']
    assert run(az, registry, 'untagged', '--yes', '--no-strict-pins').code == 0
    assert present(registry) == set()


def test_named_images_and_repositories_that_are_pinned_are_refused_with_the_line(az, registry, shelf):
    children = [shelf.image(f'child {number}') for number in range(2)]
    index = shelf.index(children, tag='v1')
    before = present(registry)
    pins = f'# who\nimage: HOST/team/app@{index}\n'
    for arguments in (('image', '--image', 'team/app:v1'), ('repository', '--repository', 'team/app')):
        refused = run(az, registry, *arguments, '--yes', deploy=pins)
        assert refused.code != 0 and 'deploy.yaml:2' in refused.err and 'Nothing was deleted' in refused.err
    pins = 'image: HOST/team/app:v1\n'
    refused = run(az, registry, 'image', '--image', 'team/app:v1', '--untag', '--yes', deploy=pins)
    assert refused.code != 0 and 'deploy.yaml:1' in refused.err
    assert present(registry) == before and set(registry.storage.tags('team/app')) == {'v1'}
    pins = f'image: HOST/team/app@{children[0]}\n'
    part = run(az, registry, 'image', '--image', 'team/app:v1', '--yes', deploy=pins)
    assert part.code == 0, part.err
    assert present(registry) == {children[0]}


def test_a_plan_is_applied_without_what_is_pinned_since(az, registry, shelf, tmp_path):
    index = shelf.index([shelf.image('child')])
    other = shelf.image('other')
    (child,) = present(registry) - {index, other}
    run(az, registry, 'plan', '--out', str(tmp_path / 'plan.json'), deploy='image: HOST/team/other:v1\n')
    dry = az(*PRUNE, 'apply', *TARGET, '--plan', str(tmp_path / 'plan.json'), '--dry-run')
    assert dry.code == 0 and 'The plan was made with pins' in dry.err
    applied = run(
        az, registry, 'apply', '--plan', str(tmp_path / 'plan.json'), '--yes', deploy=f'image: HOST/team/app@{index}\n'
    )
    assert applied.code == 0, applied.err
    skipped = {entry['digest']: (entry['reason'], entry['because']) for entry in applied.json['skipped']}
    assert skipped == {index: ('pinned', f'{home_of(az)}/pins/deploy.yaml:1'), child: ('childOf', index)}
    assert present(registry) == {index, child}


def test_a_policy_names_its_pins_from_its_own_folder(az, registry, shelf, tmp_path):
    digest = shelf.image('untagged')
    (tmp_path / 'deploy').mkdir()
    (tmp_path / 'deploy' / 'app.yaml').write_text(f'image: images.contoso.com/team/app@{digest}\n')
    (tmp_path / 'policy.yaml').write_text(
        'version: 1\nrules:\n- {name: all, match: {everything: true}, when: {olderThan: 1d}, do: delete}\n'
        'pins:\n  paths: [deploy]\n  aliases: [images.contoso.com]\n'
        '  strict: true\n'
    )
    flags = ('--policy', str(tmp_path / 'policy.yaml'))
    plan = az(*PRUNE, 'plan', *TARGET, *flags, '--show-kept', check=True).json
    assert plan['delete'] == [] and plan['kept'][0]['because'] == f'{tmp_path}/deploy/app.yaml:1'
    explained = az(*PRUNE, 'explain', *TARGET, *flags, '--image', f'team/app@{digest}', check=True).json
    assert 'it is pinned' in explained['explanation'] and 'app.yaml:1' in explained['explanation']
    typo = az(*PRUNE, 'plan', *TARGET, *flags, '--alias', 'imgaes.contoso.com', check=True).err
    assert "--alias 'imgaes.contoso.com' is named by nothing" in typo and "--alias 'images" not in typo
    (tmp_path / 'deploy' / 'more.yaml').write_text('a: [')
    assert 'more.yaml' in az(*PRUNE, 'plan', *TARGET, *flags).err


def test_list_says_who_pins_what_and_what_is_gone_with_a_call_for_each(az, registry, shelf):
    digest = shelf.image('tagged', tag='v1')
    shelf.image('more')
    gone = 'sha256:' + '0' * 64
    registry.forget()
    listed = run(
        az,
        registry,
        'pins list',
        a=f'- HOST/team/app:v1\n- HOST/team/app@{gone}\n- HOST/none:v1\n',
        b='- HOST/team/app:v1\n- HOST/team/app:v2\n- see HOST/team/app\n',
    )
    assert listed.code == 0, listed.err
    folder = f'{home_of(az)}/pins'
    assert listed.json['summary'] == {'images': 4, 'found': 1, 'missing': 3, 'notRead': 0, 'problems': 1}
    assert [
        (entry['repository'], entry['tag'], entry['digest'], entry['status'], entry['pinnedBy'])
        for entry in listed.json['pins']
    ] == [
        ('none', 'v1', None, 'repositoryMissing', [f'{folder}/a.yaml:3']),
        ('team/app', None, gone, 'missing', [f'{folder}/a.yaml:2']),
        ('team/app', 'v1', digest, 'found', [f'{folder}/a.yaml:1', f'{folder}/b.yaml:1']),
        ('team/app', 'v2', None, 'missing', [f'{folder}/b.yaml:2']),
    ]
    assert '3 of 4 pinned images are not in the registry' in listed.err
    assert registry.counters['tag_properties'] == 3 and registry.counters['manifest_properties'] == 1
    assert not registry.counters['manifest_get'] and not registry.counters['manifests_page']
    table = run(az, registry, 'pins list', '-o', 'table')
    assert 'STATUS' in table.out.upper() and 'repositoryMissing' in table.out


def locks(registry, *digests):
    manifests = registry.storage.state('team/app').manifests
    return [manifests[digest].flags['deleteEnabled'] for digest in digests]


def test_list_says_so_where_nothing_is_listed_because_it_may_be_of_another_registry(az, registry, tmp_path):
    values = (
        'global:\n  imageRegistry: HOST\nimage:\n  registry: docker.io\n  repository: bitnami/redis\n  tag: 7.2.4\n'
    )
    (tmp_path / 'values.yaml').write_text(values.replace('HOST', registry.login_server))
    listed = az(*PRUNE, 'pins', 'list', *TARGET, '--pins', str(tmp_path / 'values.yaml'), check=True)
    assert listed.json['pins'] == [] and 'none of them is in this one' in listed.err


def test_lock_locks_what_is_pinned_and_unlocks_only_what_it_locked(az, registry, shelf):
    ours, tagged, theirs, free = (
        shelf.image('ours'),
        shelf.image('tagged', tag='v1'),
        shelf.image('theirs'),
        shelf.image('free'),
    )
    registry.storage.set_locks('team/app', digest=theirs, deleteEnabled=False)
    pins = f'- HOST/team/app@{ours}\n- HOST/team/app:v1\n- HOST/team/app@{theirs}\n'
    dry = run(az, registry, 'pins lock', '--dry-run', a=pins)
    assert dry.json['summary']['lock'] == 2 and locks(registry, ours, tagged) == [True, True]
    asked = run(az, registry, 'pins lock')
    assert asked.code != 0 and '--yes' in asked.err and locks(registry, ours, tagged) == [True, True]
    done = run(az, registry, 'pins lock', '--yes').json
    assert {entry['digest'] for entry in done['locked']} == {ours, tagged}
    assert [entry['digest'] for entry in done['alreadyLocked']] == [theirs]
    assert locks(registry, ours, tagged, theirs, free) == [False, False, False, True]
    marks = next((home_of(az) / 'acrprune').glob('*.locks'))
    assert marks.stat().st_mode & 0o777 == 0o600

    nothing = run(az, registry, 'pins lock', '--alone', '--yes', a='- HOST/team/app:v1\n- HOST/team/app:${TAG}\n').json
    assert nothing['unlocked'] == [] and locks(registry, ours, tagged, theirs) == [False, False, False]
    unsure = run(az, registry, 'pins lock', '--yes', a='- HOST/team/app:v1\n')
    assert unsure.json['unlocked'] == [] and [each['digest'] for each in unsure.json['leftLocked']] == [ours]
    assert 'Marks of other machines are not known' in unsure.err and locks(registry, ours) == [False]
    done = run(az, registry, 'pins lock', '--alone', '--yes', a='- HOST/team/app:v1\n').json
    assert [entry['digest'] for entry in done['unlocked']] == [ours] and done['locked'] == []
    assert locks(registry, ours, tagged, theirs) == [True, False, False]

    registry.storage.set_locks('team/app', digest=ours, deleteEnabled=False)
    registry.storage.set_locks('team/app', digest=tagged, writeEnabled=False)
    done = run(az, registry, 'pins lock', '--alone', '--yes', a='- HOST/team/app:v9\n').json
    assert done['unlocked'] == [] and locks(registry, ours, tagged, theirs) == [False, False, False]


def test_which_locks_were_set_and_taken_off_is_in_the_journal(az, registry, shelf):
    ours, old = shelf.image('ours'), shelf.image('old', tag='old')
    registry.storage.soft_delete_days = 7
    deleted = run(az, registry, 'image', '--image', 'team/app:old', '--yes', a=f'- HOST/team/app@{ours}\n').json['run']
    locked = run(az, registry, 'pins lock', '--yes', a=f'- HOST/team/app@{ours}\n').json['run']
    unlocked = run(az, registry, 'pins lock', '--alone', '--yes', a='- HOST/team/app:none\n').json['run']
    assert [
        (each['run'], each['command'], each['who'], each['registry'], each['done'], each['notDone'], each['error'])
        for each in az(*PRUNE, 'history', 'list', check=True).json
    ] == [
        (unlocked, 'az acr prune pins lock', ADMIN[0], registry.login_server, 1, 0, None),
        (locked, 'az acr prune pins lock', ADMIN[0], registry.login_server, 1, 0, None),
        (deleted, 'az acr prune image', ADMIN[0], registry.login_server, 1, 0, None),
    ]
    for name, request in ((locked, 'lock'), (unlocked, 'unlock')):
        shown = az(*PRUNE, 'history', 'show', '--run', name, check=True).json['requests']
        assert [(each['request'], each['repository'], each['digest'], each['outcome']) for each in shown] == [
            (request, 'team/app', ours, 'done')
        ]
    assert '1 lock taken off' in az(*PRUNE, 'history', 'show', '--run', unlocked, '-o', 'table', check=True).out

    wrong = az(*PRUNE, 'restore', *TARGET, '--soft-deleted', '--journal', locked)
    assert wrong.code != 0 and f"The run '{locked}' deleted nothing" in wrong.err and 'Traceback' not in wrong.err
    back = az(*PRUNE, 'restore', *TARGET, '--soft-deleted', check=True).json
    assert [each['digest'] for each in back['restored']] == [old], 'the last run that deleted, and not the last one'


def test_without_a_journal_nothing_is_locked_or_unlocked(az, registry, shelf):
    ours, others = shelf.image('ours'), shelf.image('others')
    assert run(az, registry, 'pins lock', '--yes', a=f'- HOST/team/app@{ours}\n').code == 0
    journal = home_of(az) / 'acrprune' / 'journal'
    journal.rename(journal.with_name('old'))
    journal.write_text('in the way')
    failed = run(az, registry, 'pins lock', '--yes', a=f'- HOST/team/app@{others}\n')
    assert failed.code != 0 and 'journal' in failed.err and 'Traceback' not in failed.err
    assert locks(registry, ours, others) == [False, True]


def test_what_cannot_be_locked_fails_and_is_not_marked(az, registry, shelf):
    digest = shelf.image('ours')
    registry.faults.rules.append(Fault('PATCH', 501))
    failed = run(az, registry, 'pins lock', '--yes', a=f'- HOST/team/app@{digest}\n')
    assert failed.code != 0 and [entry['digest'] for entry in failed.json['failed']] == [digest]
    marks = next((home_of(az) / 'acrprune').glob('*.locks'))
    marks.write_bytes(b'no database at all, but long enough to look like one' * 10)
    broken = run(az, registry, 'pins lock', '--yes')
    assert broken.code != 0 and 'Traceback' not in broken.err and marks.name in broken.err


@pytest.mark.parametrize('done', [False, True], ids=['before the lock', 'after it'])
@pytest.mark.parametrize('is_pinned', [True, False])
def test_a_lock_run_that_was_killed_in_the_middle_is_completed_or_taken_back_by_the_next(
    az, registry, shelf, done, is_pinned
):
    digest = shelf.image('ours')
    pins = home_of(az) / 'pins'
    pins.mkdir()
    (pins / 'a.yaml').write_text(f'- {registry.login_server}/team/app@{digest}\n')
    hold = registry.faults.hold('PATCH', done=done)
    quiet = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
    process = az.start(*PRUNE, 'pins', 'lock', *TARGET, '--pins', str(pins), '--yes', **quiet)
    assert hold.wait(process)
    process.kill()
    process.wait()
    registry.faults.clear()
    assert locks(registry, digest) == [not done]
    if is_pinned:
        assert run(az, registry, 'pins lock', '--alone', '--yes').code == 0
        assert locks(registry, digest) == [False]
    assert run(az, registry, 'pins lock', '--alone', '--yes', a='- HOST/team/app:none\n').code == 0
    assert locks(registry, digest) == [True], 'nobody is left with a lock that nobody takes off'


def test_machines_that_share_marks_unlock_nothing_that_another_one_wants(az, az_of, registry, shelf, tmp_path):
    both, mine = shelf.image('both'), shelf.image('mine')
    other, shared = az_of(registry), tmp_path / 'shared'
    refused = run(az, registry, 'pins lock', '--marks', str(shared), '--yes')
    assert refused.code != 0 and 'is not there' in refused.err
    shared.mkdir()

    def lock(machine, name, *digests):
        pins = ''.join(f'- HOST/team/app@{digest}\n' for digest in digests) or '- HOST/team/app:none\n'
        done = run(machine, registry, 'pins lock', '--marks', str(shared), '--machine', name, '--yes', a=pins)
        assert done.code == 0, done.err
        return done

    lock(az, 'first', both, mine)
    assert locks(registry, both, mine) == [False, False]
    lock(other, 'second', both)
    assert locks(registry, both, mine) == [False, False]
    left = lock(az, 'first')
    assert [each['digest'] for each in left.json['unlocked']] == [mine] and 'second' in left.err
    assert locks(registry, both, mine) == [False, True]
    assert [each['digest'] for each in lock(other, 'second').json['unlocked']] == [both]
