"""Registries that delete by themselves, in the real az: what untagging takes there, and how that is said."""

from __future__ import annotations

import os
import pty
import subprocess
import time

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import DOCKER_IMAGE, DOCKER_LIST, image_manifest, index_manifest

from .images import Shelf

APP = 'team/app'
HERE = ('-r', 'localhost')
ADMIN = (*HERE, *ADMIN_LOGIN)


class DockerShelf(Shelf):
    """Puts Docker's types into a repository, which a retention policy takes."""

    def docker(self, name: str, tag: str = None) -> str:
        layers = [self.layer(f'layer of {name} ', 1000 + len(name))]
        return self.put(image_manifest(self.layer(f'config of {name}', 100), layers, docker=True), DOCKER_IMAGE, tag)

    def docker_list(self, children: list, tag: str = None) -> str:
        return self.put(index_manifest([(child, 1) for child in children], docker=True), DOCKER_LIST, tag)


@pytest.fixture
def shelf(registry, now) -> DockerShelf:
    return DockerShelf(registry.storage, now)


@pytest.fixture
def signed_in(az, registry):
    """Sign in to a registry with a retention policy of so many days."""

    def sign_in(days: int | None) -> None:
        registry.manager.sku, registry.storage.retention.days = 'Premium', days
        az.signed_in()

    return sign_in


def test_untagging_says_what_the_registry_deletes_and_when_and_the_journal_names_it(az, registry, shelf, signed_in):
    signed_in(7)
    gone, oci = shelf.docker('gone', 'pr-1'), shelf.image('oci', 'pr-2')
    part = shelf.docker('part', 'pr-3')
    shelf.docker_list([part], 'v1')
    tags = ('tags', '--match', '**:pr-*', '--ago', '1d', '--untag-only', *HERE)
    refused = az('acr', 'prune', *tags, '--yes', '--max-percent', '100', '--max-deletions', '1')
    assert refused.code == 1 and '2 manifests and tags would go' in refused.err
    assert set(registry.storage.tags(APP)) == {'pr-1', 'pr-2', 'pr-3', 'v1'}
    run = az('acr', 'prune', *tags, '--yes', '--max-percent', '100', check=True)
    assert set(registry.storage.tags(APP)) == {'pr-3', 'v1'}, 'without its tag the policy would take a part of v1'
    assert [entry['digest'] for entry in run.json['deletedLater']] == [gone]
    assert 'The retention policy of the registry deletes 1 manifest without a tag then, not before' in run.err
    before = registry.storage.stored_bytes()
    assert run.json['summary']['freedBytes'] == 0
    registry.storage._clock = lambda: time.time() + 8 * 86_400
    assert before - registry.storage.stored_bytes() == run.json['summary']['freedLaterBytes'] > 0
    assert set(registry.storage.manifests(APP)) >= {oci, part} and gone not in registry.storage.manifests(APP)
    shown = az('acr', 'prune', 'history', 'show', '--run', run.json['run'], check=True).json
    assert shown['deletedLater'] == [{'repository': APP, 'digest': gone, 'mediaType': DOCKER_IMAGE, 'tags': ['pr-1']}]


def test_with_no_days_the_question_says_that_there_is_no_way_back_and_an_archive_is_one(
    az, registry, shelf, signed_in, tmp_path
):
    signed_in(0)
    gone = shelf.docker('gone', 'v1')
    image = ('image', '--image', f'{APP}:v1', '--untag', *HERE)
    leader, follower = pty.openpty()
    process = az.start('acr', 'prune', *image, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(leader, b'n\n')
    out, err = process.communicate(timeout=60)
    assert 'The registry deletes 1 of the images that lose their last tag at once: there is no way back.' in out + err
    archive = ('--archive', str(tmp_path / 'archive'))
    result = az('acr', 'prune', *image, *archive, '--new-archive', '--yes', check=True).json
    assert gone not in registry.storage.manifests(APP)
    assert result['summary']['manifestsDeletedLater'] == 1
    az('acr', 'prune', 'restore', *archive, '--all', *HERE, check=True)
    assert registry.storage.whole(APP, 'v1') == [] and registry.storage.tags(APP)['v1'].digest == gone


def test_a_named_tag_stays_that_keeps_a_part_of_an_index(az, registry, shelf, signed_in):
    signed_in(0)
    part = shelf.docker('part', 'v1-amd64')
    shelf.docker_list([part], 'v1')
    run = az('acr', 'prune', 'image', '--image', f'{APP}:v1-amd64', '--untag', '--yes', *HERE)
    assert run.code == 1 and 'without it the retention policy would delete its image' in run.err
    assert registry.storage.whole(APP, 'v1') == []


def test_a_plan_is_refused_when_the_policy_was_switched_on_since(az, registry, shelf, signed_in, tmp_path):
    signed_in(None)
    shelf.docker('gone', 'pr-1')
    plan = str(tmp_path / 'plan.json')
    az('acr', 'prune', 'plan', '--match', '**:pr-*', '--ago', '1d', '--out', plan, *HERE, check=True)
    registry.storage.retention.days = 0
    run = az('acr', 'prune', 'apply', '--plan', plan, '--yes', '--max-percent', '100', *HERE)
    assert run.code == 1 and 'The retention policy of the registry was changed since the plan was made' in run.err
    assert 'pr-1' in registry.storage.tags(APP)


def test_where_nobody_can_tell_that_is_said(az, registry, shelf):
    shelf.docker('gone', 'pr-1')
    run = az(
        'acr',
        'prune',
        'tags',
        '--match',
        '**:pr-*',
        '--ago',
        '1d',
        '--yes',
        '--max-percent',
        '100',
        *HERE,
        *ADMIN_LOGIN,
        check=True,
    )
    assert 'it is not known whether its retention policy is on' in run.err
    summary = run.json['summary']
    assert (summary['retentionKnown'], summary['freedLaterImpact']) == (False, 'upperBound')


def test_a_restoration_moves_no_last_tag_from_what_the_policy_would_delete(az, registry, shelf, tmp_path):
    archive = ('--archive', str(tmp_path / 'archive'))
    first = shelf.docker('first', 'v1')
    named = ('--image', f'{APP}@{first}', *ADMIN, '--yes', *archive, '--new-archive')
    az('acr', 'prune', 'image', *named, check=True)
    second = shelf.docker('second', 'v1')
    registry.manager.sku, registry.storage.retention.days = 'Premium', 0
    restore = ('acr', 'prune', 'restore', '--all', '--overwrite', *archive)
    run = az(*restore, *ADMIN, '--dry-run', check=True)
    assert 'whether its retention policy is on is not known' in run.err
    az.signed_in()
    for more in (('--yes',), ('--dry-run',)):
        run = az(*restore, *HERE, *more)
        assert run.code == 1 and f'{APP}@{second} would lose v1' in run.err and 'another tag first' in run.err
    assert set(registry.storage.manifests(APP)) == {second}
    registry.storage.put_manifest(APP, registry.storage.manifest(APP, second).data, DOCKER_IMAGE, 'v2')
    az(*restore, *HERE, '--yes', check=True)
    assert registry.storage.tags(APP)['v1'].digest == first and second in registry.storage.manifests(APP)
