"""`az acr prune archive`, and what other tools read of an archive, in the real az."""

from __future__ import annotations

import json

import pytest

from tests.registry.builder import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    DOCKER_SCHEMA_1,
    OCI_IMAGE,
    OCI_INDEX,
    cosign_tag,
    docker_schema_1,
    image_manifest,
    index_manifest,
)
from tests.registry.skopeo import needs_skopeo, skopeo

from .images import Shelf, telling
from .test_archive import PRUNE, TARGET, purge, restore, state, tangled


@pytest.fixture
def place(tmp_path):
    return tmp_path / 'archive'


@pytest.fixture
def archive(az, place):
    """Run `az acr prune archive COMMAND` on the archive."""
    return lambda command, *more, **options: az(*PRUNE, 'archive', command, '--archive', str(place), *more, **options)


def untagged(az, place, *more):
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(place), '--new-archive', *more)
    assert run.code == 0, run.err
    return run.json


def test_what_is_in_an_archive_is_listed_and_shown_with_its_runs_and_costs(az, archive, registry, now, place):
    images = telling(registry.storage, now)
    run = untagged(az, place)['run']
    listed = archive('list', '-r', 'localhost', check=True).json
    assert [image['digest'] for image in listed['images']] == sorted([images.stale, *images.stale_children])
    assert archive('list', '--repository', 'other/**', check=True).json['images'] == []
    shown = archive('show', '--price', '0.01 EUR', check=True).json
    stored = sum(path.stat().st_size for path in (place / 'blobs').rglob('*') if path.is_file())
    assert shown['summary']['storedBytes'] == stored and shown['cost']['perMonth'] == '0.0000'
    assert [(each['run'], each['images'], each['hasJournal']) for each in shown['runs']] == [(run, 3, True)]
    image = archive('show', '--image', f'team/app@{images.stale_children[0][:19]}', check=True).json
    assert len(image['blobs']) == 3 and image['isWhole']
    assert images.stale[:19] in archive('list', '-o', 'table', check=True).out
    missing = archive('show', '--image', 'team/app:none')
    assert missing.code == 3 and "does not hold 'team/app:none'" in missing.err


def test_the_journal_of_a_run_is_in_its_archive_to_the_end(az, registry, now, place):
    telling(registry.storage, now)
    run = untagged(az, place)['run']
    here = (az.home / 'acrprune' / 'journal' / f'{run}.jsonl').read_bytes()
    assert (place / 'journal' / f'{run}.jsonl').read_bytes() == here
    assert json.loads(here.splitlines()[-1])['event'] == 'end'


def test_damage_is_found_named_and_an_error(az, archive, registry, now, place):
    images = telling(registry.storage, now)
    untagged(az, place)
    assert archive('verify', check=True).json['summary']['wholeImages'] == 3
    layer = registry_layer(place, images.stale_children[0])
    (place / 'blobs' / 'sha256' / layer[7:]).write_bytes(b'x')
    run = archive('verify')
    assert run.code == 1 and layer in run.err and images.stale_children[0] in run.err
    assert [each['digest'] for each in run.json['damaged']] == [layer]


def registry_layer(place, digest):
    return json.loads((place / 'blobs' / 'sha256' / digest[7:]).read_bytes())['layers'][-1]['digest']


def test_an_archive_expires_and_is_compacted_only_with_consent(az, archive, registry, now, place):
    telling(registry.storage, now)
    untagged(az, place)
    before = sorted(place.rglob('*'))
    changes = (('expire', '--older-than', '0'), 'would be taken out of'), (('compact',), 'Nothing to remove')
    for command, said in (*changes, (('repair',), 'Nothing to repair')):
        assert archive(*command).code == 1, 'nobody can be asked'
        assert said in archive(*command, '--dry-run', check=True).err
    assert sorted(place.rglob('*')) == before
    assert archive('expire', '--older-than', '180d', '--yes', check=True).json['expired'] == []
    assert archive('expire', '--older-than', '0', '--yes', check=True).json['summary']['imagesExpired'] == 3
    assert archive('compact', '--yes', check=True).json['summary']['removedBytes'] > 0
    assert not [path for path in (place / 'blobs').rglob('*') if path.is_file()]


def test_an_archive_without_its_index_is_repaired_and_brings_all_back(az, archive, registry, now, place):
    tangled(registry, now)
    before = state(registry)
    assert purge(az, place).code == 0
    for name in ('index.json', 'index.copy.json'):
        (place / name).unlink()
    lost = restore(az, place, '--all')
    assert lost.code != 0 and f'archive repair --archive {place}' in lost.err
    assert archive('repair', '--yes', check=True).json['summary']['images'] == 7
    assert restore(az, place, '--all').code == 0 and state(registry) == before


def test_one_bad_entry_loses_one_image_and_is_named(az, registry, now, place):
    shelf = Shelf(registry.storage, now)
    for number in range(5):
        shelf.image(f'image {number}', tag=f'v{number}')
    assert purge(az, place).code == 0
    (place / 'index.copy.json').unlink()
    index = json.loads((place / 'index.json').read_bytes())
    for entry in index['manifests']:
        if entry['annotations'].get('io.acrprune.tag') == 'v2':
            entry['digest'] = 'sha256:damaged'
    (place / 'index.json').write_text(json.dumps(index))
    run = restore(az, place, '--all')
    assert 'team/app:v2 is lost' in run.err
    assert set(registry.storage.tags('team/app')) == {'v0', 'v1', 'v3', 'v4'}


def test_one_image_is_restored_with_a_token_for_its_repository_and_without_a_scan(az, registry, now, place):
    tangled(registry, now)
    before = state(registry)
    assert purge(az, place).code == 0
    registry.forget()
    assert restore(az, place, '--image', 'team/app:v1', '--image', 'team/app:v2').code == 0
    paths = [path for _, path, _ in registry.requests]
    assert not [path for path in paths if '_catalog' in path or '/team/other' in path], 'its own repository alone'
    manifests, tags = state(registry)['team/app']
    assert tags == before['team/app'][1]


def test_a_layer_of_many_repositories_is_uploaded_once(az, registry, now, place):
    base = Shelf(registry.storage, now).layer('base ', 50_000)
    for number in range(3):
        Shelf(registry.storage, now, f'team/app{number}').image(f'image {number}', tag='v1', base=base)
    before = state(registry)
    flags = ('--match', 'team/*:*', '--ago', '10d', '--untagged', '--max-percent', '100', '--yes', '--new-archive')
    assert az(*PRUNE, 'tags', *TARGET, *flags, '--archive', str(place)).code == 0
    assert registry.storage.repositories() == []
    named = [part for number in range(3) for part in ('--image', f'team/app{number}:v1')]
    back = restore(az, place, *named)
    assert back.code == 0 and back.json['summary']['mountedBytes'] == 2 * 50_000
    assert state(registry) == before


def kinds(registry, now):
    """The tags of an image of each kind, all old."""
    shelf = Shelf(registry.storage, now)
    config = shelf.layer('{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}', 86)
    docker = image_manifest(config, [shelf.layer('docker ', 500)], docker=True)
    child = shelf.put(docker, DOCKER_IMAGE, 'docker')
    listed = index_manifest([(child, len(docker))], docker=True)
    shelf.put(listed, DOCKER_LIST, 'docker-list')
    image = shelf.image('oci', tag='oci')
    inner = shelf.index([image], tag='oci-index')
    nested = index_manifest([(inner, len(registry.storage.manifest('team/app', inner).data))])
    shelf.put(nested.replace(f'"{OCI_IMAGE}"'.encode(), f'"{OCI_INDEX}"'.encode()), OCI_INDEX, 'index-in-index')
    shelf.image('sbom', tag='sbom', subject=image, artifact_type='application/spdx+json')
    empty = json.loads(
        image_manifest(shelf.layer('{}', 2), [shelf.layer('model', 5)], artifact_type='application/x.ml')
    )
    empty['config']['mediaType'] = 'application/vnd.oci.empty.v1+json'
    shelf.put(json.dumps(empty).encode(), OCI_IMAGE, 'artifact')
    shelf.image('signature', tag=cosign_tag(image))
    return ('docker', 'docker-list', 'oci', 'oci-index', 'index-in-index', 'sbom', 'artifact', cosign_tag(image))


@needs_skopeo
def test_skopeo_reads_every_kind_of_image_and_the_newest_of_a_tag(az, registry, now, place, tmp_path):
    tags = kinds(registry, now)
    shelf = Shelf(registry.storage, now)
    signed, schema_1 = docker_schema_1([shelf.layer('schema 1 ', 50)[0]])
    shelf.put(signed, DOCKER_SCHEMA_1, 'schema-1')
    before = state(registry)
    purged = purge(az, place)
    assert [each['digest'] for each in purged.json['skipped']] == [schema_1], 'its digest is not that of its bytes'
    assert 'Docker schema 1' in purged.err and purged.code == 1, purged.err
    for tag in tags:
        if tag != 'index-in-index':  # skopeo copies none of these, wherever it is
            done = skopeo(registry, 'copy', '--all', f'oci:{place}:team/app:{tag}', f'dir:{tmp_path / tag}')
            assert done.returncode == 0, f'{tag}: {done.stderr}'
        raw = skopeo(registry, 'inspect', '--raw', f'oci:{place}:team/app:{tag}').stdout
        assert raw.encode() == before['team/app'][0][before['team/app'][1][tag][0]][0], tag
    assert restore(az, place, '--all').code == 0
    assert state(registry) == before
    newer = shelf.image('newer', tag='oci')
    assert purge(az, place, '--single-region').json['summary']['tagsDeleted']
    raw = skopeo(registry, 'inspect', '--raw', f'oci:{place}:team/app:oci').stdout
    assert (place / 'blobs' / 'sha256' / newer[7:]).read_text() == raw
