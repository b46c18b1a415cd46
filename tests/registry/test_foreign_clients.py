"""The local registry is trusted because clients that we did not write work on it: az acr, and skopeo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.registry.builder import OCI_CONFIG, OCI_INDEX, image_manifest, index_manifest
from tests.registry.push import Pusher
from tests.registry.skopeo import needs_skopeo, pull, push, skopeo
from tests.registry.storage import digest_of


@pytest.fixture
def pushed(registry) -> list:
    """Digests of two images in team/app, tagged v1 and v2."""
    push = Pusher(registry)
    return [push.image('team/app', [push.blob('team/app', 2_000)], tag)[0] for tag in ('v1', 'v2')]


def test_az_acr_repository_lists_shows_locks_untags_and_deletes(az, registry, pushed):
    assert az.login().code == 0
    assert az('acr', 'repository', 'list', '-n', 'localhost', check=True).json == ['team/app']
    shown = az('acr', 'repository', 'show', '-n', 'localhost', '--image', 'team/app:v1', check=True).json
    assert shown['digest'] == pushed[0]
    az(
        'acr',
        'repository',
        'update',
        '-n',
        'localhost',
        '--image',
        'team/app:v1',
        '--delete-enabled',
        'false',
        check=True,
    )
    refused = az('acr', 'repository', 'delete', '-n', 'localhost', '--image', 'team/app:v1', '--yes')
    assert refused.code != 0 and 'disallowed' in refused.err
    az('acr', 'repository', 'untag', '-n', 'localhost', '--image', 'team/app:v2', check=True)
    assert list(registry.storage.tags('team/app')) == ['v1']
    az('acr', 'repository', 'delete', '-n', 'localhost', '--image', f'team/app@{pushed[1]}', '--yes', check=True)
    assert list(registry.storage.manifests('team/app')) == [pushed[0]]


def test_az_acr_manifest_lists_shows_deletes_and_restores(az, registry, pushed):
    registry.storage.soft_delete_days = 7
    registry.metadata.cap = 1
    assert az.login().code == 0
    listed = az('acr', 'manifest', 'list-metadata', '-r', 'localhost', '-n', 'team/app', check=True).json
    assert [entry['digest'] for entry in listed] == sorted(pushed)
    shown = az('acr', 'manifest', 'show', '-r', 'localhost', '-n', 'team/app:v1', check=True).json
    assert digest_of(registry.storage.manifests('team/app')[pushed[0]].data) == pushed[0]
    assert shown['config']['mediaType'] == OCI_CONFIG
    az('acr', 'manifest', 'delete', '-r', 'localhost', '-n', 'team/app:v2', '--yes', check=True)
    gone = az('acr', 'manifest', 'list-deleted', '-r', 'localhost', '-n', 'team/app', check=True).json
    assert [entry['digest'] for entry in gone] == [pushed[1]]
    az('acr', 'manifest', 'restore', '-r', 'localhost', '-n', 'team/app:v2', '--yes', check=True)
    assert registry.storage.tags('team/app')['v2'].digest == pushed[1]


def test_az_signs_in_and_asks_the_resource_manager(az, registry, pushed):
    assert az.login('a wrong secret').code != 0
    assert az.login().code == 0
    assert az('acr', 'show', '-n', 'localhost', check=True).json['loginServer'] == registry.login_server
    usage = az('acr', 'show-usage', '-n', 'localhost', check=True).json
    assert usage['value'][0]['currentValue'] == registry.storage.stored_bytes()
    registry.manager.sku, registry.manager.replicas = 'Premium', ['eastus']
    usage = {each['name']: each for each in az('acr', 'show-usage', '-n', 'localhost', check=True).json['value']}
    assert usage['Size']['currentValue'] == registry.storage.stored_bytes(), 'the home region alone'
    assert (usage['Size']['limit'], usage['MaximumStorageCapacity']['limit']) == (500 * 1024**3, 100 * 1024**4)
    found = az('acr', 'replication', 'list', '-r', 'localhost', check=True).json
    assert [replication['location'] for replication in found] == ['local', 'eastus']
    exposed = az('acr', 'login', '-n', 'localhost', '--expose-token', check=True).json
    assert exposed['loginServer'] == registry.login_server and exposed['accessToken'] in registry.auth.issued


def oci_layout(folder: Path) -> tuple:
    """A hand-written OCI layout of a two-platform index; gives the digests of index and children."""
    blobs = folder / 'blobs' / 'sha256'
    blobs.mkdir(parents=True)

    def write(data: bytes) -> tuple:
        (blobs / digest_of(data).partition(':')[2]).write_bytes(data)
        return digest_of(data), len(data)

    children = []
    for arch in ('amd64', 'arm64'):
        config = write(
            json.dumps(
                {'architecture': arch, 'os': 'linux', 'config': {}, 'rootfs': {'type': 'layers', 'diff_ids': []}}
            ).encode()
        )
        children.append(write(image_manifest(config, [write(f'layer for {arch}'.encode())])))
    index = write(index_manifest(children))
    (folder / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / 'index.json').write_text(
        json.dumps(
            {
                'schemaVersion': 2,
                'manifests': [
                    {
                        'mediaType': OCI_INDEX,
                        'digest': index[0],
                        'size': index[1],
                        'annotations': {'org.opencontainers.image.ref.name': 'v1'},
                    }
                ],
            }
        )
    )
    return index[0], [digest for digest, _ in children]


def succeeds(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_skopeo
def test_skopeo_pushes_inspects_pulls_and_deletes_a_multi_arch_image(registry, tmp_path):
    index, children = oci_layout(tmp_path / 'layout')
    image = f'docker://{registry.login_server}/team/multi:v1'
    succeeds(push(registry, f'oci:{tmp_path}/layout:v1', 'team/multi:v1'))
    assert sorted(registry.storage.manifests('team/multi')) == sorted([index, *children])
    assert registry.storage.whole('team/multi', 'v1') == []
    raw = succeeds(skopeo(registry, 'inspect', '--raw', '--cert-dir', 'CERTS', '--creds', 'CREDS', image))
    assert digest_of(raw.encode()) == index
    succeeds(pull(registry, 'team/multi:v1', f'oci:{tmp_path}/back:v1'))
    for digest in (index, *children):
        assert (tmp_path / 'back' / 'blobs' / 'sha256' / digest.partition(':')[2]).exists()
    succeeds(skopeo(registry, 'delete', '--cert-dir', 'CERTS', '--creds', 'CREDS', image))
    assert index not in registry.storage.manifests('team/multi')


@needs_skopeo
def test_skopeo_mounts_a_layer_of_another_repository(registry, tmp_path):
    oci_layout(tmp_path / 'layout')
    for repository in ('team/one', 'team/two'):
        succeeds(push(registry, f'oci:{tmp_path}/layout:v1', f'{repository}:v1'))
    before = registry.storage.stored_bytes()
    registry.storage.delete_repository('team/two')
    assert registry.storage.stored_bytes() == before, 'blobs and manifests are stored once'
