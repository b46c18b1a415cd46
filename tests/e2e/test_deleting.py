"""Every way to delete, in the real az: tags, image, repository."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import cosign_tag
from tests.registry.faults import Fault

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def tagged(shelf, **days):
    """Images with a tag each, so many days old; gives {tag: digest}."""
    return {tag: shelf.image(f'image {tag}', tag=tag, days=age) for tag, age in days.items()}


def left(registry, repository='team/app'):
    return set(registry.storage.tags(repository)) if repository in registry.storage.repositories() else set()


def answered(az, registry, answers, *arguments):
    """Run az at a terminal on which somebody types the answers."""
    leader, follower = pty.openpty()
    process = az.start(*PRUNE, *arguments, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(leader, ''.join(f'{answer}\n' for answer in answers).encode())
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_new_archive_is_begun_only_after_a_question(az, registry, now, tmp_path):
    telling(registry.storage, now)
    before, place = set(registry.storage.manifests('team/app')), tmp_path / 'mounted'
    arguments = ('untagged', *TARGET, '--archive', str(place))
    code, out, err = answered(az, registry, 'n', *arguments)
    assert code == 1 and not out and 'Operation cancelled.' in err and not place.exists()
    assert set(registry.storage.manifests('team/app')) == before
    code, _, err = answered(az, registry, 'yy', *arguments)
    assert code == 0 and (place / 'oci-layout').exists(), err
    assert set(registry.storage.manifests('team/app')) < before


# --- tags --------------------------------------------------------------------------------------------------------


def test_tags_takes_the_flags_of_acr_purge_and_only_untags(az, registry, now):
    digests = tagged(Shelf(registry.storage, now), old1=40, old2=30, new=0.1, other=50, fresh=0.2)
    before = registry.storage.stored_bytes()
    result = az(
        *PRUNE,
        'tags',
        *TARGET,
        '--filter',
        'team/app:^old|new',
        '--ago',
        '10d',
        '--concurrency',
        '4',
        '--yes',
        check=True,
    ).json
    assert left(registry) == {'new', 'other', 'fresh'}
    assert {(entry['tag'], entry['digest']) for entry in result['untagged']} == {
        (tag, digests[tag]) for tag in ('old1', 'old2')
    }
    assert result['summary']['tagsDeleted'] == 2 and result['summary']['freedBytes'] == 0
    assert registry.storage.stored_bytes() == before


def test_a_tag_that_moves_in_the_moment_before_it_is_removed_is_told_with_the_way_back(az, registry, now):
    shelf = Shelf(registry.storage, now)
    tagged(shelf, old=40, stays=0.1)
    newer = []

    def push(method, path):
        if method == 'DELETE' and not newer:
            newer.append(shelf.image('newer', tag='old', days=0))

    registry.on_request = push
    run = az(*PRUNE, 'tags', *TARGET, '--match', 'team/app:old', '--ago', '10d', '--yes')
    (failed,) = run.json['failed']
    assert run.code == 1 and failed['tag'] == 'old' and run.json['summary']['tagsDeleted'] == 0
    assert f'az acr import --name localhost --source {registry.login_server}/team/app@{newer[0]} ' in failed['error']
    run_of = az(*PRUNE, 'history', 'list', check=True).json[0]
    assert (run_of['done'], run_of['notDone']) == (0, 1)


def test_tags_with_untagged_frees_to_the_byte_what_the_dry_run_promised(az, registry, now):
    telling(registry.storage, now)
    tagged(Shelf(registry.storage, now), old1=40, old2=30)
    flags = ('--filter', 'team/app:.*', '--ago', '20d', '--untagged', '--max-percent', '100')
    promised = az(*PRUNE, 'tags', *TARGET, *flags, '--dry-run', check=True).json['summary']['freedBytes']
    before = registry.storage.stored_bytes()
    result = az(*PRUNE, 'tags', *TARGET, *flags, '--yes', check=True).json
    assert before - registry.storage.stored_bytes() == promised == result['summary']['freedBytes'] > 0
    assert left(registry) == set()
    assert registry.storage.whole('team/other', 'v1') == []


def test_more_than_half_of_a_repository_needs_to_be_said_without_a_question(az, registry, now):
    tagged(Shelf(registry.storage, now), a=40, b=30, c=0.1)
    flags = ('--match', 'team/app:*', '--ago', '10d', '--untagged', '--yes')
    run = az(*PRUNE, 'tags', *TARGET, *flags)
    assert run.code != 0 and "'team/app'" in run.err and '2 of 3 tagged manifests' in run.err
    assert left(registry) == {'a', 'b', 'c'}
    az(*PRUNE, 'tags', *TARGET, *flags, '--max-percent', '67', check=True)
    assert left(registry) == {'c'}


def test_a_maximum_of_deletions_is_kept_to(az, registry, now):
    tagged(Shelf(registry.storage, now), a=40, b=30, c=0.1, d=0.1, e=0.1)
    run = az(*PRUNE, 'tags', *TARGET, '--match', 'team/app:*', '--ago', '10d', '--max-deletions', '1', '--yes')
    assert run.code != 0 and '2 manifests and tags would go' in run.err
    assert left(registry) == set('abcde')


def test_a_runaway_pattern_is_an_error_that_names_it(az, registry, now):
    Shelf(registry.storage, now).image('victim', tag='a' * 120, days=40)
    pattern = '^(?:a|aa|aaa)+?$(?<!a)'
    run = az(*PRUNE, 'tags', *TARGET, '--filter', f'team/app:{pattern}', '--ago', '1d', '--yes')
    assert run.code != 0 and pattern in run.err and 'takes too long' in run.err


def test_locked_content_goes_only_when_asked_and_confirmed(az, registry, now):
    digests = tagged(Shelf(registry.storage, now), a=40, b=30, c=0.1)
    registry.storage.set_locks('team/app', tag='a', deleteEnabled=False)
    registry.storage.set_locks('team/app', digest=digests['b'], writeEnabled=False)
    flags = (*TARGET, '--match', 'team/app:*', '--ago', '10d', '--untagged', '--max-percent', '100')
    assert az(*PRUNE, 'tags', *flags, '--yes', check=True).json['summary']['tagsDeleted'] == 0
    code, _, err = answered(az, registry, ['y', 'no'], 'tags', *flags, '--include-locked')
    assert code != 0 and '2 of them locked' in err and left(registry) == {'a', 'b', 'c'}
    code, _, _ = answered(az, registry, ['y', 'unlock'], 'tags', *flags, '--include-locked')
    assert code == 0 and left(registry) == {'c'}


def test_what_was_unlocked_and_could_not_be_deleted_is_locked_again(az, registry, now):
    digests = tagged(Shelf(registry.storage, now), a=40, b=0.1, c=0.1)
    registry.storage.set_locks('team/app', tag='a', deleteEnabled=False)
    registry.storage.set_locks('team/app', digest=digests['a'], writeEnabled=False)
    registry.faults.rules.append(Fault('DELETE', 501))
    run = az(
        *PRUNE, 'tags', *TARGET, '--match', 'team/app:*', '--ago', '10d', '--untagged', '--include-locked', '--yes'
    )
    assert run.code == 1 and len(run.json['failed']) == 1
    assert registry.storage.tag('team/app', 'a').flags['deleteEnabled'] is False
    assert registry.storage.manifest('team/app', digests['a']).flags['writeEnabled'] is False
    assert registry.counters['patch'] == 4


def test_untagged_only_leaves_every_tag(az, registry, now):
    images = telling(registry.storage, now)
    result = az(*PRUNE, 'tags', *TARGET, '--untagged-only', '--filter', 'team/app:.*', '--yes', check=True).json
    assert {entry['digest'] for entry in result['deleted']} == {images.stale, *images.stale_children}


def test_what_something_on_the_way_answers_deletes_nothing_and_is_a_failure(az, registry, now):
    images = telling(registry.storage, now)
    before = registry.storage.stored_bytes()
    registry.faults.rules.append(Fault(f'DELETE .*{images.stale}', 'proxy', status=200))
    run = az(*PRUNE, 'untagged', *TARGET, '--yes')
    summary = run.json['summary']
    assert run.code == 1 and registry.storage.stored_bytes() == before
    assert (summary['manifestsDeleted'], summary['freedBytes'], len(run.json['deleted'])) == (0, 0, 0)
    assert {entry['digest'] for entry in run.json['failed']} == {images.stale}
    assert {entry['reason'] for entry in run.json['skipped']} == {'childOf'}


# --- image -------------------------------------------------------------------------------------------------------


def test_an_image_goes_with_all_its_tags_its_platform_images_and_its_signature(az, registry, now):
    shelf = Shelf(registry.storage, now)
    shared = shelf.image('shared child')
    index = shelf.index([shelf.image('own child'), shared], tag='v1')
    shelf.put(registry.storage.manifest('team/app', index).data, 'application/vnd.oci.image.index.v1+json', 'v2')
    shelf.image('signature', tag=cosign_tag(index))
    shelf.index([shared], tag='other')
    code, out, err = answered(az, registry, ['y'], 'image', *TARGET, '--image', 'team/app:v1')
    result = json.loads(out[out.index('{') :])
    assert code == 0 and result['summary']['manifestsDeleted'] == 3
    assert 'with its tags v1, v2' in err and 'This frees' in err and cosign_tag(index) in err
    assert left(registry) == {'other'} and registry.storage.whole('team/app', 'other') == []


def test_an_image_that_something_needs_stays(az, registry, now):
    shelf = Shelf(registry.storage, now)
    child = shelf.image('child', tag='arm64')
    index = shelf.index([child], tag='v1')
    plan = az(*PRUNE, 'image', *TARGET, '--image', 'team/app:arm64', '--dry-run', check=True).json
    assert plan['delete'] == []
    kept = az(*PRUNE, 'explain', *TARGET, '--image', f'team/app@{index}', check=True).json
    assert kept['reason'] == 'tagged'


def test_untagging_removes_the_tag_alone_and_says_that_it_frees_nothing(az, registry, now):
    tagged(Shelf(registry.storage, now), v1=40)
    code, out, err = answered(az, registry, ['y'], 'image', *TARGET, '--image', 'team/app:v1', '--untag')
    assert code == 0 and 'frees 0 bytes' in err
    assert left(registry) == set() and len(registry.storage.manifests('team/app')) == 1
    assert '"freedBytes": 0' in out


@pytest.mark.parametrize('kind', ['config', 'layer'])
def test_the_digest_of_a_blob_is_said_to_be_one_with_the_manifests_that_use_it(az, registry, now, kind):
    digest = Shelf(registry.storage, now).image('image', tag='v1')
    document = json.loads(registry.storage.manifest('team/app', digest).data)
    blob = document['config'] if kind == 'config' else document['layers'][0]
    run = az(*PRUNE, 'image', *TARGET, '--image', f'team/app@{blob["digest"]}', '--yes')
    assert run.code != 0 and f'is the digest of a {kind}' in run.err and f'team/app@{digest}' in run.err
    assert left(registry) == {'v1'}


# --- repository --------------------------------------------------------------------------------------------------


def test_a_whole_repository_goes_and_frees_what_was_promised(az, registry, now):
    telling(registry.storage, now)
    promised = az(*PRUNE, 'repository', *TARGET, '--repository', 'team/app', '--dry-run', check=True).json['summary'][
        'freedBytes'
    ]
    before = registry.storage.stored_bytes()
    az(*PRUNE, 'repository', *TARGET, '--repository', 'team/app', '--yes', check=True)
    assert registry.storage.repositories() == ['team/other']
    assert before - registry.storage.stored_bytes() == promised
    assert registry.storage.whole('team/other', 'v1') == []


@pytest.mark.parametrize('lock', ['manifest', 'tag', 'repository'])
def test_locked_content_stops_the_deletion_of_a_repository_and_is_named(az, registry, now, lock):
    digests = tagged(Shelf(registry.storage, now), v1=40, v2=30)
    where = {'manifest': {'digest': digests['v1']}, 'tag': {'tag': 'v1'}, 'repository': {}}[lock]
    registry.storage.set_locks('team/app', deleteEnabled=False, **where)
    run = az(*PRUNE, 'repository', *TARGET, '--repository', 'team/app', '--yes')
    assert run.code != 0 and f'{lock}' in run.err and 'deleteEnabled=false' in run.err
    assert left(registry) == {'v1', 'v2'}


def test_what_is_pushed_meanwhile_survives_the_deletion_of_its_repository(az, registry, now):
    shelf = Shelf(registry.storage, now)
    child = shelf.image('child')
    shelf.image('other', tag='v1')
    pushed = []

    def push(_, path):
        if path.endswith('/_manifests') and registry.counters['manifest_get'] and not pushed:
            pushed.append(shelf.index([child], tag='new', days=0))

    registry.on_request = push
    run = az(*PRUNE, 'repository', *TARGET, '--repository', 'team/app', '--yes', check=True)
    assert [(entry['digest'], entry['reason']) for entry in run.json['skipped']] == [(child, 'childOf')]
    assert registry.storage.whole('team/app', 'new') == []


def test_an_image_that_is_named_and_stays_is_skipped_with_its_reason_and_the_exit_code_is_1(az, registry, now):
    shelf = Shelf(registry.storage, now)
    locked, part = shelf.image('locked', tag='v1'), shelf.image('part')
    index = shelf.index([part], tag='multi')
    registry.storage.set_locks('team/app', digest=locked, deleteEnabled=False)
    for name, digest, reason, because in (
        ('team/app:v1', locked, 'locked', 'manifest deleteEnabled=false'),
        (f'team/app@{part[:19]}', part, 'childOf', index),
    ):
        run = az(*PRUNE, 'image', *TARGET, '--image', name, '--yes')
        assert run.code == 1 and 'stays, because' in run.err
        skipped = {'repository': 'team/app', 'digest': digest, 'reason': reason, 'because': because}
        assert run.json['skipped'] == [skipped] and run.json['summary']['skipped'] == 1
    assert set(registry.storage.manifests('team/app')) == {locked, part, index}
