"""Runs that are stopped, by Ctrl-C or another signal, or killed: what they say, what they leave, who mends it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.faults import Fault

from .images import Shelf
from .signals import PIPES, interrupt, read_until, wait_until_it_waits
from .test_archive import purge, state

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_finishes_what_is_under_way_and_drops_the_rest_and_says_so_at_once(az, registry, now, number):
    shelf = Shelf(registry.storage, now)
    for place in range(60):
        shelf.image(f'image {place}')
    hold = registry.faults.hold('DELETE', after=15)
    process = az.start(*PRUNE, 'untagged', *TARGET, '--yes', **PIPES)
    assert hold.wait(process)
    interrupt(process, number)
    told = read_until(process.stderr, 'Stopping')
    under_way = int(re.search(r'Stopping: (\d+) requests? under way .* finished. Ctrl-C again gives up on', told)[1])
    hold.let_go()
    out, err = process.communicate()
    summary = json.loads(out)['summary']
    gone = summary['manifestsDeleted']
    assert process.returncode == 1 and 'Traceback' not in err
    assert summary['interrupted'] is True and summary['failed'] == 0
    assert 1 <= under_way <= 5 and 15 < gone <= 15 + under_way, 'and not one more'
    assert len(registry.storage.manifests('team/app')) == 60 - gone
    assert f'ERROR: Interrupted: of 60 manifests and tags in the preview {gone} are gone, {60 - gone} are left.' in err


def locked(registry, now):
    """An image that goes with --include-locked, with a locked tag; (what deletes it, its digest)."""
    shelf = Shelf(registry.storage, now)
    digest = shelf.image('locked', tag='v1', days=40)
    shelf.image('stays', tag='v2')
    registry.storage.set_locks('team/app', digest=digest, deleteEnabled=False, writeEnabled=False)
    registry.storage.set_locks('team/app', tag='v1', deleteEnabled=False)
    flags = ('--match', 'team/app:v1', '--ago', '10d', '--untagged', '--include-locked', '--yes')
    return (*PRUNE, 'tags', *TARGET, *flags), digest


def locks(registry, digest):
    manifest, tag = registry.storage.manifest('team/app', digest), registry.storage.tag('team/app', 'v1')
    return [manifest.flags['deleteEnabled'], manifest.flags['writeEnabled'], tag.flags['deleteEnabled']]


def test_a_second_stop_gives_up_and_answers_all_the_same_with_the_locks_set_again(az, registry, now):
    command, digest = locked(registry, now)
    hold = registry.faults.hold('DELETE')
    process = az.start(*command, **PIPES)
    assert hold.wait(process)
    assert locks(registry, digest) == [True, True, True]
    interrupt(process)
    read_until(process.stderr, 'Stopping: 1 request under way is finished. Ctrl-C again gives up on it.')
    interrupt(process)
    out, err = process.communicate()  # although the registry never answers
    result = json.loads(out)
    assert process.returncode == 1 and 'Giving up on 1 request' in err and 'Traceback' not in err
    assert result['summary']['interrupted'] is True
    assert [(each['digest'], 'whether it was done is not known' in each['error']) for each in result['failed']] == [
        (digest, True)
    ]
    assert locks(registry, digest) == [False, False, False]


def test_a_second_stop_while_az_signs_in_anew_answers_all_the_same_and_names_what_is_unlocked(az, registry, now):
    az.signed_in()
    command, digest = locked(registry, now)
    command = [each for each in command if each not in ADMIN_LOGIN]
    hold = registry.faults.hold('DELETE')
    process = az.start(*command, **PIPES)
    assert hold.wait(process)
    registry.auth.revoked.update(token for token in registry.auth.issued if registry.auth.kind_of(token) != 'aad')
    signing_in = registry.faults.hold('POST /oauth2/exchange')
    interrupt(process)
    read_until(process.stderr, 'Ctrl-C again gives up on it.')
    interrupt(process)
    assert signing_in.wait(process), 'the lock is to be set again'
    out, err = process.communicate()  # although Azure never answers
    result = json.loads(out)
    assert process.returncode == 1 and 'Traceback' not in err
    assert [each['digest'] for each in result['failed']] == [digest]
    registry.faults.clear()
    (run,) = az(*PRUNE, 'history', 'list', check=True).json
    assert {each['tag'] for each in run['leftUnlocked']} == {None, 'v1'} and locks(registry, digest) == [
        True,
        True,
        True,
    ]


def interrupted_at(az, question, *arguments):
    """What az said at last, which was interrupted when it had asked a question."""
    _, follower = pty.openpty()
    process = az.start(*PRUNE, *arguments, **{**PIPES, 'stdin': follower})
    shown = ''
    while question not in shown:
        shown += os.read(process.stderr.fileno(), 1024).decode()
    wait_until_it_waits(process)
    interrupt(process)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and 'Traceback' not in err
    assert err.count('ERROR: ') == 1, err
    return err


def test_ctrl_c_at_the_question_says_that_nothing_was_deleted(az, registry, now):
    Shelf(registry.storage, now).image('stale')
    assert 'Nothing was deleted.' in interrupted_at(az, 'Delete them?', 'untagged', *TARGET)
    assert len(registry.storage.manifests('team/app')) == 1


def test_ctrl_c_at_another_question_says_that_nothing_was_changed(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('stale')
    archive = ('--archive', str(tmp_path / 'archive'))
    az(*PRUNE, 'untagged', *TARGET, '--yes', *archive, '--new-archive', check=True)
    assert 'Nothing was changed.' in interrupted_at(az, 'Bring it back?', 'undo', *TARGET)


def test_what_a_killed_run_left_unlocked_is_named_by_all_who_look_and_locked_by_the_next_that_deletes(
    az, registry, now
):
    command, digest = locked(registry, now)
    hold = registry.faults.hold('DELETE')
    process = az.start(*command, **PIPES)
    assert hold.wait(process)
    process.kill()
    process.wait()
    registry.faults.clear()
    assert locks(registry, digest) == [True, True, True]

    flags = command[3:-1]
    plan = az(*PRUNE, 'plan', *(flag for flag in flags if flag != '--include-locked'), '--show-kept')
    assert plan.json['delete'] == [] and plan.json['untag'] == []
    warned = [(each['code'], each['digest']) for each in plan.json['warnings'] if each['digest']]
    assert warned == [('leftUnlocked', digest)] * 2
    mend = f'az acr repository update --name localhost --image team/app@{digest} --delete-enabled false'
    assert mend in plan.err
    findings = az(*PRUNE, 'check', *TARGET, check=True).json['findings']
    assert {(each['code'], each['tag']) for each in findings} == {('leftUnlocked', None), ('leftUnlocked', 'v1')}
    assert all(each['mend']['command'].startswith('az acr repository update') for each in findings)
    (run,) = az(*PRUNE, 'history', 'list', check=True).json
    assert [(each['tag'], each['locks']) for each in run['leftUnlocked']] == [
        (None, ['deleteEnabled=false', 'writeEnabled=false']),
        ('v1', ['deleteEnabled=false']),
    ]
    assert 'left 2 unlocked' in az(*PRUNE, 'history', 'list', '-o', 'table', check=True).out

    dry = az(*PRUNE, 'untagged', *TARGET, '--dry-run', check=True)
    assert 'leftUnlocked' in dry.out and locks(registry, digest) == [True, True, True]
    registry.faults.rules.append(Fault('PATCH', 501))
    refused = az(*PRUNE, 'untagged', *TARGET, '--yes')
    assert refused.code == 1 and 'could not be locked again' in refused.err
    registry.faults.clear()
    done = az(*PRUNE, 'untagged', *TARGET, '--yes', check=True)
    assert done.err.count('is locked again') == 2 and locks(registry, digest) == [False, False, False]
    assert all(each['leftUnlocked'] == [] for each in az(*PRUNE, 'history', 'list', check=True).json)
    warnings = az(*PRUNE, 'plan', *TARGET, check=True).json['warnings']
    assert [warning['code'] for warning in warnings] == ['catalogNotProven']


# --- What brings back, and what locks ------------------------------------------------------------------------------


RETIRING = """version: 1
rules: [{name: old, match: {everything: true}, when: {olderThan: 1d}, do: retire, retire: {for: 14d}}]
"""


def flags(registry, flag):
    return {record.flags[flag] for record in registry.storage.manifests('team/app').values()}


def locking(az, registry, folder):
    """`pins lock` of twelve images."""
    pins = folder / 'pins.txt'
    pins.write_text(''.join(f'{registry.login_server}/team/app:v{number}\n' for number in range(12)))
    command = ('pins', 'lock', *TARGET, '--pins', str(pins), '--yes')
    return command, 'PATCH /acr', lambda: flags(registry, 'deleteEnabled') == {False}


def taking_back(az, registry, folder):
    """`restore --retired` of twelve images."""
    policy, plan = folder / 'policy.yaml', folder / 'plan.json'
    policy.write_text(RETIRING)
    az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', str(plan), check=True)
    az(*PRUNE, 'apply', *TARGET, '--plan', str(plan), '--yes', '--max-percent', '100', check=True)
    assert flags(registry, 'readEnabled') == {False}
    return ('restore', *TARGET, '--retired'), 'PATCH /acr', lambda: flags(registry, 'readEnabled') == {True}


def prepared(az, registry, now, folder, kind):
    """A command of one kind that changes many things; (it, the requests that do, what says whether all is done)."""
    shelf = Shelf(registry.storage, now)
    for number in range(12):
        shelf.image(f'image {number}', tag=f'v{number}')
    if kind in OTHERS:
        return OTHERS[kind](az, registry, folder)
    before = state(registry)
    if kind == 'restore from soft delete':
        registry.storage.soft_delete_days = 7
    assert purge(az, folder / 'archive').code == 0
    undo = ('undo', *TARGET, '--yes')
    if kind == 'undo --lock':
        return (*undo, '--lock'), 'PATCH /acr', lambda: flags(registry, 'deleteEnabled') == {False}
    if kind == 'pins lock --release':
        az(*PRUNE, *undo, '--lock', check=True)
        release = ('pins', 'lock', *TARGET, '--release', '--yes')
        return release, 'PATCH /acr', lambda: flags(registry, 'deleteEnabled') == {True}
    commands = {
        'undo': undo,
        'restore': ('restore', *TARGET, '--archive', str(folder / 'archive'), '--all'),
        'restore from soft delete': ('restore', *TARGET, '--soft-deleted'),
    }
    changing = 'POST /acr' if 'soft' in kind else 'PUT /v2/[^ ]*/manifests'
    return commands[kind], changing, lambda: state(registry) == before


OTHERS = {'pins lock': locking, 'restore --retired': taking_back}
BOTH = ('undo', 'restore', 'restore from soft delete', 'pins lock')
FIRST_ONLY = ('undo --lock', 'pins lock --release', 'restore --retired')


@pytest.mark.parametrize(
    'kind, stops', [*((kind, stops) for kind in BOTH for stops in (1, 2)), *((kind, 1) for kind in FIRST_ONLY)]
)
def test_a_stop_finishes_what_is_under_way_counts_what_is_left_and_the_same_command_goes_on(
    az, registry, now, tmp_path, kind, stops
):
    command, changing, is_done = prepared(az, registry, now, tmp_path, kind)
    hold = registry.faults.hold(changing, after=3)
    command = (*PRUNE, *command, '--concurrency', '2')
    process = az.start(*command, **PIPES)
    assert hold.wait(process)
    interrupt(process)
    read_until(process.stderr, 'Stopping')
    if stops == 1:
        hold.let_go()
    else:  # the registry never answers
        interrupt(process)
    out, err = process.communicate()
    registry.faults.clear()
    result = json.loads(out)
    assert process.returncode == 1 and 'Traceback' not in err and result['failed'] == []
    told = re.search(r'Interrupted: of (\d+) .* (\d+) are left. The same command goes on from there', err)
    assert told and 3 <= int(told[2]) < int(told[1]) and ('Giving up on' in err) is (stops == 2), err
    assert (result['summary']['interrupted'], result['summary']['left']) == (True, int(told[2]))
    assert result['interrupted'] is True and result['exitReason'] == 'interrupted'
    assert not is_done()
    again = az(*command)
    assert again.code == 0 and is_done(), again.err


@pytest.mark.parametrize('kind', ['undo', 'restore'])
def test_a_stop_while_a_command_looks_what_comes_back_says_that_nothing_was_changed(az, registry, now, tmp_path, kind):
    Shelf(registry.storage, now).image('old', tag='v1')
    assert purge(az, tmp_path / 'archive').code == 0
    archive = ('--archive', str(tmp_path / 'archive'), '--all') if kind == 'restore' else ()
    hold = registry.faults.hold('GET /acr')
    process = az.start(*PRUNE, kind, *TARGET, *archive, **PIPES)
    assert hold.wait(process)
    interrupt(process)
    _, err = process.communicate()
    assert process.returncode == 1 and err.count('ERROR: ') == 1 and 'Nothing was changed.' in err, err


def test_a_stop_while_only_times_are_noted_takes_nothing_of_the_answer_away(az, registry, now):
    registry.storage.soft_delete_days = 7
    Shelf(registry.storage, now).image('stale')
    az(*PRUNE, 'untagged', *TARGET, '--yes', check=True)
    restoring = registry.faults.hold('POST .*_deleted')
    process = az.start(*PRUNE, 'undo', *TARGET, '--yes', **PIPES)
    assert restoring.wait(process)
    noting = registry.faults.hold('GET /acr/v1/team/app/_manifests')
    restoring.let_go()
    assert noting.wait(process)
    interrupt(process)
    read_until(process.stderr, 'Stopping')
    noting.let_go()
    out, err = process.communicate()
    assert json.loads(out)['summary']['manifestsRestored'] == 1 and 'Traceback' not in err


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('held', ['PUT /v2/acrprune/reports/manifests/', 'POST /oauth2/token'])
def test_a_stop_while_the_report_is_pushed_takes_no_answer_away(az, registry, now, tmp_path, number, held):
    gone = Shelf(registry.storage, now).image('goes', days=40)
    plan = tmp_path / 'plan.json'
    az(*PRUNE, 'plan', *TARGET, '--out', str(plan), check=True)
    report = ('--report-tag', 'acrprune/reports:nightly', '--metrics-file', str(tmp_path / 'run.prom'))
    deleting = registry.faults.hold('DELETE', done=True)
    process = az.start(*PRUNE, 'apply', *TARGET, *report, '--plan', str(plan), '--yes', **PIPES)
    assert deleting.wait(process)
    deleting.let_go()
    pushing = registry.faults.hold(f'{held}')
    assert pushing.wait(process)
    interrupt(process, number)
    out, err = process.communicate()
    result = json.loads(out)
    assert process.returncode == 1 and 'Traceback' not in err
    assert (result['exitReason'], [each['digest'] for each in result['deleted']]) == ('notWritten', [gone])
    assert 'Interrupted: acrprune/reports:nightly was not written' in err, err
    assert 'acrprune_exit_code' in (tmp_path / 'run.prom').read_text()
