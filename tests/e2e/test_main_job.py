"""The main job in the real az: plan, then delete what is untagged and needed by nothing."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import DAY

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def methods(registry) -> set:
    return {method for method, path, _ in registry.requests if not path.startswith('/oauth2/')}


@pytest.mark.shell
def test_plan_names_what_may_go_and_its_bytes_and_only_reads(az, registry, now):
    images = telling(registry.storage, now)
    before = registry.storage.stored_bytes()
    run = az(*PRUNE, 'plan', *TARGET, '--show-kept', check=True)
    plan = run.json
    assert {entry['digest'] for entry in plan['delete']} == {images.stale, *images.stale_children}
    assert {entry['digest'] for entry in plan['kept']} == set(images.kept)
    assert (plan['impact'], [warning['code'] for warning in plan['warnings']]) == ('upperBound', ['catalogNotProven'])
    assert plan['summary']['registryBytes'] == before
    assert methods(registry) <= {'GET', 'HEAD'}
    assert {path for method, path, _ in registry.requests if method == 'POST'} <= {'/oauth2/token', '/oauth2/exchange'}


@pytest.mark.shell
def test_untagged_frees_to_the_byte_what_the_plan_promised(az, registry, now):
    images = telling(registry.storage, now)
    promised = az(*PRUNE, 'plan', *TARGET, check=True).json['summary']['freedBytes']
    before = registry.storage.stored_bytes()
    result = az(*PRUNE, 'untagged', *TARGET, '--yes', check=True).json
    assert before - registry.storage.stored_bytes() == promised == result['summary']['freedBytes']
    assert {entry['digest'] for entry in result['deleted']} == {images.stale, *images.stale_children}
    assert registry.storage.whole('team/app', 'latest') == []
    assert set(images.kept) == {
        digest for name in registry.storage.repositories() for digest in registry.storage.manifests(name)
    }


@pytest.mark.shell
def test_signed_in_with_a_service_principal_needs_no_password(az, registry, now):
    telling(registry.storage, now)
    assert az.login().code == 0
    registry.forget()
    az('configure', '--defaults', 'acr=localhost', check=True)
    plan = az(*PRUNE, 'plan', check=True).json
    assert (plan['summary']['manifestsToDelete'], plan['impact'], plan['warnings']) == (3, 'exact', [])
    assert registry.counters['challenge'] == 2, "only the challenges of az's own sign-in"
    assert registry.counters['token'] == 1


def test_admin_credentials_serve_where_aad_is_refused(az, registry, now):
    telling(registry.storage, now)
    assert az.login().code == 0
    registry.auth.refuse_aad = True
    assert az(*PRUNE, 'plan', '-r', 'localhost', check=True).json['summary']['manifestsToDelete'] == 3


def test_soft_delete_is_named_with_its_date(az, registry, now):
    telling(registry.storage, now)
    registry.storage.soft_delete_days = 7
    assert az.login().code == 0
    before = registry.storage.stored_bytes()
    run = az(*PRUNE, 'untagged', '-r', 'localhost', '--yes', check=True)
    assert 'nothing is freed before' in run.err
    assert registry.storage.stored_bytes() == before


def test_login_server_in_place_of_the_name(az, registry, now):
    telling(registry.storage, now)
    plan = az(*PRUNE, 'plan', '-r', registry.login_server, *ADMIN_LOGIN, check=True).json
    assert plan['registry'] == registry.login_server


@pytest.mark.shell
def test_dry_run_answers_with_the_plan_and_deletes_nothing(az, registry, now):
    telling(registry.storage, now)
    before = registry.storage.stored_bytes()
    plan = az(*PRUNE, 'untagged', *TARGET, '--dry-run', check=True).json
    assert plan['summary']['manifestsToDelete'] == 3
    assert registry.storage.stored_bytes() == before
    assert 'DELETE' not in methods(registry)


def test_repository_narrows_what_goes_but_not_what_uses_a_layer(az, registry, now):
    telling(registry.storage, now)
    run = az(*PRUNE, 'plan', *TARGET, '--repository', 'team/*', 'nothing/**', check=True).json
    assert run['summary']['manifestsToDelete'] == 3
    shared = az(*PRUNE, 'plan', *TARGET, '--repository', 'team/app', check=True).json
    assert shared['summary']['sharedBytes'] == 50_000
    other = az(*PRUNE, 'plan', *TARGET, '--repository', 'team/other', check=True).json
    assert other['delete'] == [] and other['summary']['manifests'] == run['summary']['manifests']


def test_bound_reads_less_and_says_that_it_is_a_bound(az, registry, now):
    telling(registry.storage, now)
    plan = az(*PRUNE, 'plan', *TARGET, '--repository', 'team/app', '--impact', 'bound', check=True).json
    assert plan['impact'] == 'upperBound'
    assert plan['summary']['manifestsToDelete'] == 3
    assert not any('team/other' in path for _, path, _ in registry.requests)


def test_table_is_made_for_reading(az, registry, now):
    images = telling(registry.storage, now)
    table = az(*PRUNE, 'plan', *TARGET, '--show-kept', '-o', 'table', check=True).out
    assert images.stale not in table and images.stale[:19] in table
    assert '40d' in table and 'KiB' in table
    assert 'total' in table.splitlines()[-1]


def test_table_after_deleting_says_what_was_freed(az, registry, now):
    telling(registry.storage, now)
    table = az(*PRUNE, 'untagged', *TARGET, '--yes', '-o', 'table', check=True).out
    assert table.count('deleted') == 4
    assert 'freed' in table.splitlines()[-1]


def test_out_writes_the_same_plan(az, registry, now, tmp_path):
    telling(registry.storage, now)
    out = tmp_path / 'plan.json'
    answer = az(*PRUNE, 'plan', *TARGET, '--out', str(out), check=True).json
    assert json.loads(out.read_text()) == answer


def test_same_registry_gives_the_same_plan_but_for_its_date(az, registry, now):
    telling(registry.storage, now)
    first, second = (az(*PRUNE, 'plan', *TARGET, '--show-kept', check=True).json for _ in range(2))
    first['createdAt'] = second['createdAt']
    assert json.dumps(first) == json.dumps(second)


def test_without_a_terminal_and_without_yes_nothing_is_asked_of_the_registry(az, registry, now):
    telling(registry.storage, now)
    run = az(*PRUNE, 'untagged', *TARGET)
    assert run.code != 0 and '--yes' in run.err
    assert registry.requests == []


@pytest.mark.parametrize('answer, left', [('n', 10), ('y', 7)])
def test_at_a_terminal_the_question_decides(az, registry, now, answer, left):
    telling(registry.storage, now)
    leader, follower = pty.openpty()
    process = az.start(*PRUNE, 'untagged', *TARGET, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(leader, f'?\n{answer}\n'.encode())
    out, err = process.communicate()
    assert 'This frees' in err and '3 manifests of 10 will be deleted' in err
    assert 'Delete them?' in err and '(untagged: untagged for 1d or longer)' in err, 'a ? lists all'
    if answer == 'y':
        assert process.returncode == 0 and json.loads(out)['summary']['manifestsDeleted'] == 3
    else:
        assert process.returncode == 1 and not out and 'Operation cancelled.' in err
    assert sum(len(registry.storage.manifests(name)) for name in registry.storage.repositories()) == left


def test_disable_confirm_prompt_is_honoured(az, registry, now):
    telling(registry.storage, now)
    az('config', 'set', 'core.disable_confirm_prompt=true', check=True)
    assert az(*PRUNE, 'untagged', *TARGET, check=True).json['summary']['manifestsDeleted'] == 3


def test_a_failed_delete_does_not_stop_the_others(az, registry, now):
    from tests.registry.faults import Fault

    images = telling(registry.storage, now)
    registry.faults.rules.append(Fault(f'DELETE .*{images.stale_children[0]}', 501))
    run = az(*PRUNE, 'untagged', *TARGET, '--yes')
    assert run.code == 1
    assert [entry['digest'] for entry in run.json['failed']] == [images.stale_children[0]]
    assert run.json['summary']['manifestsDeleted'] == 2


def test_a_repository_that_may_not_be_read_is_named_and_the_rest_goes_on(az, registry, now):
    from tests.registry.auth import ALL

    telling(registry.storage, now)
    registry.auth.add_user('narrow', 'password', [('team/other', frozenset()), ('*', ALL)])
    run = az(*PRUNE, 'plan', '-r', 'localhost', '-u', 'narrow', '-p', 'password')
    assert run.code == 1
    assert run.json['impact'] == 'upperBound'
    assert [warning['repository'] for warning in run.json['warnings']] == ['team/other']
    assert run.json['summary']['manifestsToDelete'] == 3
    assert 'metadata_read' in run.err


def test_an_odd_name_and_an_odd_tag_leave_their_repositories_unread_and_the_rest_is_pruned(az, registry, now):
    images = telling(registry.storage, now)
    Shelf(registry.storage, now, 'Team/Upper').image('image', days=40)
    Shelf(registry.storage, now, 'team/odd').image('image', tag='v 1', days=40)
    run = az(*PRUNE, 'untagged', *TARGET, '--yes')
    assert run.code == 1 and 'Traceback' not in run.err
    assert 'Team/Upper' in run.err and 'team/odd' in run.err and "'v 1'" in run.err
    assert {entry['digest'] for entry in run.json['deleted']} == {images.stale, *images.stale_children}
    assert run.json['summary']['impact'] == 'upperBound'
    assert len(registry.storage.manifests('Team/Upper')) == len(registry.storage.manifests('team/odd')) == 1


@pytest.mark.shell
def test_debug_output_shows_no_token_and_no_password(az, registry, now):
    telling(registry.storage, now)
    assert az.login().code == 0
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--debug', check=True)
    tokens = [token for token in registry.auth.issued if token in run.err + run.out]
    assert tokens == []
    assert '/oauth2/token' in run.err, 'the request itself is shown'


def test_a_push_halted_between_its_images_and_its_index_is_left_whole(az, registry, now):
    shelf = Shelf(registry.storage, now)
    shelf.image('old')
    children = [shelf.image(f'new {arch}', days=0.01) for arch in ('amd64', 'arm64')]
    az(*PRUNE, 'untagged', *TARGET, '--yes', check=True)
    shelf.index(children, tag='v2', days=0)
    assert registry.storage.whole('team/app', 'v2') == []
    assert len(registry.storage.manifests('team/app')) == 3


def test_a_push_that_finishes_between_plan_and_delete_is_saved_by_the_drift_check(az, registry, now):
    shelf = Shelf(registry.storage, now)
    children = [shelf.image(f'new {arch}', days=0) for arch in ('amd64', 'arm64')]
    finished = []

    def finish_the_push(method, path):
        if path.endswith('/_manifests') and registry.counters['manifest_get'] and not finished:
            finished.append(shelf.index(children, tag='v2', days=0))

    registry.on_request = finish_the_push
    run = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--single-region', '--yes', check=True)
    assert '--ago 0 takes pushes in flight' in run.err
    assert {(entry['digest'], entry['reason'], entry['because']) for entry in run.json['skipped']} == {
        (child, 'childOf', finished[0]) for child in children
    }
    assert registry.storage.whole('team/app', 'v2') == []


def test_tag_locks_that_no_manifest_listing_shows_protect(az, registry, now):
    from tests.registry.builder import cosign_tag

    shelf = Shelf(registry.storage, now)
    image = shelf.image('signed')
    shelf.image('signature', tag=cosign_tag(image))
    registry.storage.set_locks('team/app', tag=cosign_tag(image), deleteEnabled=False)
    plan = az(*PRUNE, 'plan', *TARGET, '--show-kept', check=True).json
    assert plan['delete'] == []
    assert plan['summary']['keptByReason'] == {'locked': 1, 'subjectOf': 1}


def test_future_and_missing_times_are_young(az, registry, now):
    shelf = Shelf(registry.storage, now)
    shelf.image('future', days=-10)
    odd = shelf.image('odd')
    registry.storage.manifests('team/app')[odd].updated = 'yesterday'
    old = shelf.image('old')
    plan = az(*PRUNE, 'plan', *TARGET, check=True).json
    assert [entry['digest'] for entry in plan['delete']] == [old]


def test_a_push_in_flight_stays_where_the_clock_of_this_machine_is_days_ahead(az, registry, now):
    days = 3
    registry.faults.clock = -days * DAY
    shelf = Shelf(registry.storage, now - days * DAY)
    shelf.image('in flight', days=0.1)
    old = shelf.image('old', days=2)
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', check=True)
    assert [entry['digest'] for entry in run.json['deleted']] == [old]
    assert 'ahead of that of the registry' in run.err


def test_a_clock_that_is_behind_makes_nothing_older(az, registry, now):
    registry.faults.clock = 3 * DAY
    Shelf(registry.storage, now).image('in flight', days=0.1)
    run = az(*PRUNE, 'plan', *TARGET, check=True)
    assert run.json['delete'] == [] and 'ahead' not in run.err


@pytest.mark.parametrize('options, shown', [((), True), (('--only-show-errors',), False)])
def test_progress_is_shown_at_a_terminal_and_not_with_only_show_errors(az, registry, now, options, shown):
    shelf = Shelf(registry.storage, now)
    for number in range(40):
        shelf.image(f'image {number}')
    registry.faults.latency = 0.1
    leader, follower = pty.openpty()
    process = az.start(
        *PRUNE, 'plan', *TARGET, *options, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower
    )
    assert process.wait() == 0
    os.set_blocking(leader, False)
    try:
        seen = os.read(leader, 100_000).decode()
    except BlockingIOError:
        seen = ''
    assert ('Reading 1 of 1 repository' in seen) is shown


def test_a_run_with_nothing_to_delete_says_so(az, registry, now):
    Shelf(registry.storage, now).image('tagged', tag='v1')
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', check=True)
    assert 'Nothing to delete' in run.err
    assert run.json['summary']['manifestsDeleted'] == 0
