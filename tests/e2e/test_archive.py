"""Archive, delete, restore, in the real az: every byte, tag and lock comes back, and what is not archived stays."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.registry.auth import ADMIN
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import OCI_INDEX, cosign_tag
from tests.registry.distribution import SIGNATURE
from tests.registry.faults import Fault
from tests.registry.skopeo import needs_skopeo, pull, skopeo

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def state(registry):
    """All that can be seen of the registry, times apart: bytes, tags and locks."""
    storage = registry.storage
    return {
        name: (
            {
                digest: (record.data, record.media_type, dict(record.flags))
                for digest, record in storage.manifests(name).items()
            },
            {tag: (held.digest, dict(held.flags)) for tag, held in storage.tags(name).items()},
        )
        for name in storage.repositories()
    }


def tangled(registry, now):
    """A multi-arch image under two tags, signed, with an SBOM, some of it locked; and an old untagged one."""
    shelf = Shelf(registry.storage, now)
    base = shelf.layer('base ', 50_000)
    index = shelf.index([shelf.image(arch, base=base) for arch in ('amd64', 'arm64')], tag='v1')
    shelf.put(registry.storage.manifest('team/app', index).data, OCI_INDEX, 'v2')
    shelf.image('signature', tag=cosign_tag(index))
    shelf.image('sbom of the sbom', subject=shelf.image('sbom', subject=index, artifact_type='application/spdx+json'))
    registry.storage.set_locks('team/app', tag='v2', deleteEnabled=False)
    registry.storage.set_locks('team/app', digest=index, writeEnabled=False)
    shelf.image('old')
    Shelf(registry.storage, now, 'team/other').image('other', tag='v1', base=base)
    return index


def restore(az, archive, *arguments):
    return az(*PRUNE, 'restore', *TARGET, '--archive', str(archive), *arguments)


OLD = ('--match', 'team/app:*', '--ago', '10d', '--untagged', '--include-locked', '--max-percent', '100', '--yes')

ALL_UNTAGGED = ('--ago', '10d', '--new-archive', '--max-percent', '100', '--yes')


def purge(az, archive, *arguments):
    return az(*PRUNE, 'tags', *TARGET, *OLD, '--new-archive', '--archive', str(archive), *arguments)


def layout(archive):
    """Every blob of the layout that its index reaches is there and is what its name says."""
    assert json.loads((archive / 'oci-layout').read_text()) == {'imageLayoutVersion': '1.0.0'}
    return json.loads((archive / 'index.json').read_text())['manifests']


@pytest.mark.parametrize('content', ['all', 'manifests'])
def test_what_was_archived_comes_back_to_the_byte_with_its_tags_and_locks(az, registry, now, tmp_path, content):
    tangled(registry, now)
    before = state(registry)
    layers = {
        blob: registry.storage.get_blob(blob)
        for record in registry.storage.manifests('team/app').values()
        for blob in record.blobs
    }
    result = purge(az, tmp_path / 'archive', '--archive-content', content)
    assert result.code == 0, result.err
    assert registry.storage.repositories() == ['team/other']
    assert result.json['archive'] == str(tmp_path / 'archive')
    assert {entry['annotations']['org.opencontainers.image.ref.name'] for entry in layout(tmp_path / 'archive')} >= {
        'team/app:v1',
        'team/app:v2',
    }
    if content == 'manifests':
        assert 'cannot be restored' in result.err
        for data in layers.values():
            registry.storage.put_blob(data)
        # a layer comes back where another repository holds it; without that, nothing can be done
        kept = restore(az, tmp_path / 'archive', '--all')
        assert kept.code == 1 and kept.json['summary']['manifestsRestored'] == 0
        assert all(
            'neither in the archive nor in the registry' in entry['error'] or 'needs' in entry['error']
            for entry in kept.json['failed']
        )
        return
    preview = restore(az, tmp_path / 'archive', '--all', '--dry-run')
    assert '7 manifests and 3 tags would come back to ' in preview.err
    assert preview.json['summary']['manifestsToRestore'] == 7 and state(registry).keys() == {'team/other'}
    back = restore(az, tmp_path / 'archive', '--all')
    assert back.code == 0, back.err
    assert state(registry) == before
    assert registry.storage.whole('team/app', 'v1') == []
    assert back.json['summary']['mountedBytes'] == 50_000
    again = restore(az, tmp_path / 'archive', '--all').json['summary']
    assert (again['manifestsRestored'], again['tagsRestored'], again['failed']) == (0, 0, 0)
    assert state(registry) == before


def test_manifests_alone_come_back_while_their_layers_are_still_used(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    data = registry.storage.manifest('team/app', shelf.image('twice', tag='v1')).data
    Shelf(registry.storage, now, 'team/other').put(data, 'application/vnd.oci.image.manifest.v1+json', 'v1')
    before = state(registry)
    result = purge(az, tmp_path / 'archive', '--archive-content', 'manifests')
    assert result.code == 0 and 'cannot be restored' not in result.err
    assert registry.storage.repositories() == ['team/other']
    assert restore(az, tmp_path / 'archive', '--image', 'team/app:v1').code == 0
    assert state(registry) == before


@needs_skopeo
def test_skopeo_reads_the_archive_and_pulls_what_was_restored(az, registry, now, tmp_path):
    tangled(registry, now)
    assert purge(az, tmp_path / 'archive').code == 0
    source = f'oci:{tmp_path / "archive"}:team/app:v1'
    copied = skopeo(registry, 'copy', '--all', '--preserve-digests', source, f'oci:{tmp_path / "copy"}:v1')
    assert copied.returncode == 0, copied.stderr
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    pulled = pull(registry, 'team/app:v2', f'oci:{tmp_path / "pulled"}:v2')
    assert pulled.returncode == 0, pulled.stderr


def test_one_image_comes_back_with_what_belongs_to_it_and_nothing_else(az, registry, now, tmp_path):
    index = tangled(registry, now)
    before = state(registry)
    assert purge(az, tmp_path / 'archive').code == 0
    back = restore(az, tmp_path / 'archive', '--image', 'team/app:v1').json
    assert back['summary']['manifestsRestored'] == 6
    manifests, tags = state(registry)['team/app']
    assert tags == before['team/app'][1] and index in manifests
    missing = restore(az, tmp_path / 'archive', '--image', 'team/app:v9')
    assert missing.code != 0 and "does not hold 'team/app:v9'" in missing.err


def test_a_tag_that_exists_now_is_only_moved_when_told(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    old = shelf.image('old', tag='latest')
    assert purge(az, tmp_path / 'archive').code == 0
    new = shelf.image('new', tag='latest', days=0)
    back = restore(az, tmp_path / 'archive', '--all')
    assert back.code == 0 and [entry['reason'] for entry in back.json['skipped']] == ['tagExists']
    assert registry.storage.tags('team/app')['latest'].digest == new
    assert old in registry.storage.manifests('team/app')
    assert restore(az, tmp_path / 'archive', '--all', '--overwrite', '--yes').code == 0
    assert registry.storage.tags('team/app')['latest'].digest == old


def test_a_tag_that_was_removed_alone_comes_back_with_its_lock(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('image', tag='v1')
    registry.storage.set_locks('team/app', tag='v1', deleteEnabled=False)
    before = state(registry)
    run = az(
        *PRUNE,
        'tags',
        *TARGET,
        '--match',
        'team/app:*',
        '--ago',
        '10d',
        '--include-locked',
        '--yes',
        '--max-percent',
        '100',
        '--archive',
        str(tmp_path / 'archive'),
        '--new-archive',
    )
    assert run.code == 0 and registry.storage.tags('team/app') == {}
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    assert state(registry) == before


@pytest.mark.parametrize('fault', ['garbage', 'truncated', 404, 'cut'])
def test_what_cannot_be_archived_stays_with_all_that_it_needs(az, registry, now, tmp_path, fault):
    images = telling(registry.storage, now)
    child = registry.storage.manifest('team/app', images.stale_children[0])
    layer = next(entry['digest'] for entry in child.document['layers'] if entry['size'] < 50_000)
    registry.faults.rules.append(Fault(f'GET .*/blobs/{layer}', fault))
    before = state(registry)
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(tmp_path / 'archive'), '--new-archive')
    assert state(registry) == before and run.json['deleted'] == []
    assert run.code == 1 and 'could not be archived' in run.err and layer in run.err
    assert {(entry['digest'], entry['reason']) for entry in run.json['skipped']} == {
        (images.stale, 'notArchived'),
        (images.stale_children[0], 'notArchived'),
        (images.stale_children[1], 'childOf'),
    }
    registry.faults.clear()
    registry.forget()
    again = az(
        *PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(tmp_path / 'archive'), '--new-archive', check=True
    )
    assert again.json['summary']['manifestsDeleted'] == 3
    fetched = [path for method, path, _ in registry.requests if method == 'GET' and '/blobs/' in path]
    assert fetched == [f'/v2/team/app/blobs/{layer}'], 'what is in the archive is not fetched again'


@contextmanager
def small_disk(place: Path, size: int):
    place.mkdir()
    made = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip('only root may mount a small disk')
    try:
        yield place
    finally:
        subprocess.run(['umount', str(place)], check=True)


@pytest.mark.parametrize('when', ['before', 'meanwhile'])
def test_a_full_disk_is_a_clear_error_and_deletes_nothing(az, registry, now, tmp_path, when):
    telling(registry.storage, now)
    before = state(registry)
    with small_disk(tmp_path / 'disk', 2 * 1024**2 if when == 'meanwhile' else 512 * 1024) as disk:

        def fill(method, path):
            if '/blobs/' in path and not (disk / 'other').exists():
                with open(disk / 'other', 'wb') as file, suppress(OSError):
                    file.write(bytes(4 * 1024**2))

        if when == 'meanwhile':
            registry.on_request = fill
        run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(disk / 'archive'), '--new-archive')
    assert run.code != 0 and state(registry) == before
    assert ('No space left on device' if when == 'meanwhile' else 'has not enough room') in run.err
    assert 'Traceback' not in run.err and registry.counters['manifest_delete'] == 0


@pytest.mark.parametrize('wrong', ['a file', 'other things', 'broken index'])
def test_what_is_no_archive_is_an_error_and_deletes_nothing(az, registry, now, tmp_path, wrong):
    telling(registry.storage, now)
    place = tmp_path / 'place'
    if wrong == 'a file':
        place.write_text('')
    else:
        place.mkdir()
        (place / ('other' if wrong == 'other things' else 'oci-layout')).write_text('{"imageLayoutVersion":"1.0.0"}')
    if wrong == 'broken index':
        (place / 'index.json').write_text('{"manifests": 7')
    before = state(registry)
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(place), '--new-archive')
    assert run.code != 0 and 'Traceback' not in run.err and state(registry) == before


def test_options_that_do_not_go_together_are_errors(az, tmp_path):
    for wrong in (
        ('untagged', '--archive-content', 'manifests'),
        ('untagged', '--archive', 'azure-blob:x'),
        ('restore',),
        ('restore', '--archive', 'x'),
        ('restore', '--archive', 'x', '--soft-deleted'),
        ('restore', '--archive', 'x', '--all', '--image', 'a:b'),
        ('restore', '--soft-deleted', '--all'),
        ('restore', '--archive', 'x', '--all', '--journal', 'y'),
    ):
        run = az(*PRUNE, wrong[0], *TARGET, *wrong[1:])
        assert run.code in (1, 2) and 'Traceback' not in run.err, wrong


TYPOS = (
    'https://myaccount.blob.core.windows.net/images',
    'https://myaccount.blob.core.windows.net/images?sv=2024&sig=GEHEIM%3D',
    'https://user:GEHEIM@example.com/images',
    's3://bucket/images',
    'azureblob:myaccount/images',
    'azure_blob:myaccount/images',
    'Azure-Blob:myaccount/images',
    'azure-blob://myaccount/images',
    'azure-blob:myaccount/images?sv=2024&sig=GEHEIM',
    'azure-blob:myaccount/images&sig=GEHEIM',
    'file:///mnt/archive',
    'oci:archive',
    'myaccount.blob.core.windows.net/images',
    '//myaccount.blob.core.windows.net/images',
    'images?sv=2024&sig=GEHEIM',
    ' ',
)


@pytest.mark.parametrize('typo', TYPOS)
def test_a_target_that_is_neither_a_directory_nor_a_container_is_an_error(az, registry, now, typo):
    telling(registry.storage, now)
    before = state(registry)
    for command in (('untagged', '--yes', '--new-archive'), ('restore', '--all')):
        run = az(*PRUNE, command[0], *TARGET, *command[1:], '--archive', typo)
        assert run.code == 1 and '--archive: ' in run.err and 'GEHEIM' not in run.err + run.out, run.err
    assert state(registry) == before
    assert not [path for path in az.home.rglob('*') if path.is_file() and b'GEHEIM' in path.read_bytes()]


@pytest.mark.parametrize('is_there', [False, True])
def test_a_new_directory_is_an_error_where_nobody_is_asked(az, registry, now, tmp_path, is_there):
    telling(registry.storage, now)
    before, place = state(registry), tmp_path / 'mounted'
    if is_there:
        place.mkdir()
    command = (*PRUNE, 'untagged', *TARGET, '--archive', str(place))
    run = az(*command, '--yes')
    assert run.code == 1 and f"There is no archive in '{place}' yet" in run.err and '--new-archive' in run.err
    assert state(registry) == before and place.exists() is is_there
    preview = az(*command, '--dry-run')
    assert preview.code == 0 and 'There is no archive' in preview.err
    run = az(*command, '--yes', '--new-archive')
    assert run.code == 0 and 'There is no archive' in run.err and run.json['deleted']
    telling(registry.storage, now)
    again = az(*command, '--yes')
    assert again.code == 0 and 'There is no archive' not in again.err and again.json['deleted']


def test_new_archive_without_an_archive_is_an_error(az):
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--new-archive')
    assert run.code != 0 and '--new-archive belongs to --archive' in run.err


def test_layers_come_from_where_they_are_stored_and_neither_token_nor_signature_is_told(az, registry, now, tmp_path):
    images = telling(registry.storage, now)
    registry.distribution.blobs_at = f'127.0.0.1:{registry.port}'
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(tmp_path / 'archive'), '--new-archive', '--debug')
    assert run.code == 0 and registry.counters['stored_blob'] > 0
    assert set(registry.storage.manifests('team/app')).isdisjoint({images.stale, *images.stale_children})
    assert SIGNATURE not in run.err and all(token not in run.err for token in registry.auth.issued)


def test_a_registry_with_repository_permissions_mounts_and_uploads_too(az, registry, now, tmp_path):
    tangled(registry, now)
    registry.auth.abac = True
    az.signed_in()
    before = state(registry)
    flags = ('-r', 'localhost', '--archive', str(tmp_path / 'archive'))
    az(
        *PRUNE,
        'tags',
        *flags,
        '--new-archive',
        '--match',
        'team/app:*',
        '--ago',
        '10d',
        '--untagged',
        '--include-locked',
        '--max-percent',
        '100',
        '--yes',
        check=True,
    )
    back = az(*PRUNE, 'restore', *flags, '--all')
    assert back.code == 0 and back.json['summary']['mountedBytes'] == 50_000, back.err
    assert state(registry) == before


@pytest.mark.parametrize('command', ['image', 'repository', 'apply'])
def test_every_command_that_deletes_archives_what_it_deletes(az, registry, now, tmp_path, command):
    index = Shelf(registry.storage, now)
    index = index.index([index.image('amd64'), index.image('arm64')], tag='v1')
    before = state(registry)
    own = {
        'image': ('--image', 'team/app:v1'),
        'repository': ('--repository', 'team/app'),
        'apply': ('--plan', str(tmp_path / 'plan.json'), '--max-percent', '100'),
    }[command]
    if command == 'apply':
        az(*PRUNE, 'plan', *TARGET, '--match', '**:*', '--ago', '10d', '--untagged', '--out', own[1], check=True)
    run = az(
        *PRUNE, command, *TARGET, *own, '--yes', '--archive', str(tmp_path / 'archive'), '--new-archive', check=True
    )
    assert run.json['summary']['manifestsDeleted'] == 3 and registry.storage.repositories() == []
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    assert state(registry) == before and index in before['team/app'][0]


def test_a_dry_run_writes_nothing_and_says_what_could_not_be_restored(az, registry, now, tmp_path):
    images = telling(registry.storage, now)
    run = az(
        *PRUNE,
        'untagged',
        *TARGET,
        '--dry-run',
        '--archive',
        str(tmp_path / 'archive'),
        '--new-archive',
        '--archive-content',
        'manifests',
        check=True,
    )
    plan = run.json
    assert 'Would be archived to' in run.err and 'Archived to' not in run.err
    assert {entry['digest'] for entry in plan['warnings'] if entry['code'] == 'notRestorable'} == {
        images.stale,
        *images.stale_children,
    }
    assert not (tmp_path / 'archive').exists() and not (tmp_path / 'azure' / 'acrprune' / 'journal').exists()


@pytest.mark.parametrize('layer', ['sha256:../../../../outside', '../outside', 'md5:0123', 'sha256:' + 'G' * 64])
def test_a_hostile_manifest_writes_nothing_elsewhere_and_stays(az, registry, now, tmp_path, layer):
    shelf = Shelf(registry.storage, now)
    data = json.dumps({'schemaVersion': 2, 'config': {'digest': layer, 'size': 7}, 'layers': []}).encode()
    hostile, other = shelf.put(data, 'application/vnd.oci.image.manifest.v1+json'), shelf.image('other')
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(tmp_path / 'a' / 'b' / 'archive'), '--new-archive')
    assert [entry['digest'] for entry in run.json['deleted']] == [other]
    assert [(entry['digest'], entry['reason']) for entry in run.json['skipped']] == [(hostile, 'notArchived')]
    assert 'Traceback' not in run.err and not list(tmp_path.rglob('outside*'))


def test_a_damaged_archive_restores_what_is_whole_and_names_the_rest(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    damaged, cut, whole = (shelf.image(name, tag=name) for name in ('damaged', 'cut', 'whole'))
    stays = shelf.image('stays', tag='gone')
    shelf.put(
        registry.storage.manifest('team/app', stays).data, 'application/vnd.oci.image.manifest.v1+json', 'kept', days=0
    )
    az(
        *PRUNE,
        'tags',
        *TARGET,
        '--match',
        'team/app:*',
        '--ago',
        '10d',
        '--untagged',
        '--max-percent',
        '100',
        '--yes',
        '--archive',
        str(tmp_path / 'archive'),
        '--new-archive',
        check=True,
    )
    blobs = tmp_path / 'archive' / 'blobs' / 'sha256'
    (blobs / damaged[7:]).write_bytes(b'{"schemaVersion": 2}')
    (blobs / stays[7:]).write_bytes(b'{"schemaVersion": 2}')
    layer = json.loads((blobs / cut[7:]).read_bytes())['layers'][0]['digest']
    (blobs / layer[7:]).write_bytes(b'other bytes')
    back = restore(az, tmp_path / 'archive', '--all')
    assert back.code == 1 and 'Traceback' not in back.err
    assert [entry['digest'] for entry in back.json['restored']] == [whole]
    assert {damaged, cut} <= {entry['digest'] for entry in back.json['failed']}
    assert set(registry.storage.manifests('team/app')) == {whole, stays}
    assert set(registry.storage.tags('team/app')) == {'whole', 'kept', 'gone'}, 'the registry has its manifest whole'


def test_what_was_not_there_to_be_archived_and_is_there_again_is_not_deleted(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    hidden, other = shelf.image('hidden'), shelf.image('other')
    asked = []

    def hide(method, path):
        record = registry.storage.manifests('team/app').get(hidden)
        if method == 'GET' and path.endswith(f'/manifests/{hidden}') and record:
            asked.append(path)
            record.ghost = len(asked) == 2  # the scan reads it, and the archive does not find it

    registry.on_request = hide
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', str(tmp_path / 'archive'), '--new-archive')
    assert [entry['digest'] for entry in run.json['deleted']] == [other]
    assert [(entry['digest'], entry['because']) for entry in run.json['skipped']] == [
        (hidden, 'it is not in the archive')
    ]
    assert hidden in registry.storage.manifests('team/app')


@pytest.mark.parametrize('tagged', [True, False])
def test_an_index_stays_whose_child_was_not_there_to_be_archived(az, registry, now, tmp_path, tagged):
    shelf, asked = Shelf(registry.storage, now), []
    children = [shelf.image(arch, tag=arch if tagged else None) for arch in ('amd64', 'arm64')]
    index = shelf.index(children)

    def hide(method, path):
        record = registry.storage.manifests('team/app').get(children[0])
        if method == 'GET' and path.endswith(f'/manifests/{children[0]}') and record:
            asked.append(path)
            record.ghost = len(asked) == 2  # the scan reads it, and the archive does not find it

    registry.on_request = hide
    run = az(*PRUNE, 'untagged', *TARGET, *ALL_UNTAGGED, '--archive', str(tmp_path / 'archive'))
    assert index in registry.storage.manifests('team/app')
    assert run.code == 1 and run.json['exitReason'] == 'notArchived' and children[0] in run.err


def test_an_image_stays_whose_signature_was_not_there_to_be_archived(az, registry, now, tmp_path):
    shelf, asked = Shelf(registry.storage, now), []
    image = shelf.image('image')
    signature = shelf.image('signature', subject=image)

    def hide(method, path):
        record = registry.storage.manifests('team/app').get(signature)
        if method == 'GET' and path.endswith(f'/manifests/{signature}') and record:
            asked.append(path)
            record.ghost = len(asked) == 2

    registry.on_request = hide
    run = az(*PRUNE, 'untagged', *TARGET, *ALL_UNTAGGED, '--archive', str(tmp_path / 'archive'))
    assert run.json['exitReason'] == 'notArchived'
    assert registry.storage.manifests('team/app').keys() == {image, signature}


def test_an_index_that_stays_for_a_part_that_could_not_be_archived_is_told(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    children = [shelf.image(arch, tag=arch) for arch in ('amd64', 'arm64')]
    index = shelf.index(children)
    layer = json.loads(registry.storage.manifest('team/app', children[0]).data)['layers'][0]['digest']
    registry.faults.rules.append(Fault(f'GET /v2/team/app/blobs/{layer}', 403))
    run = az(*PRUNE, 'untagged', *TARGET, *ALL_UNTAGGED, '--archive', str(tmp_path / 'archive'))
    assert index in registry.storage.manifests('team/app')
    assert run.code == 1 and run.json['exitReason'] == 'notArchived' and layer in run.err


# --- The journal -------------------------------------------------------------------------------------------------


def test_a_run_is_written_down_for_its_owner_alone_without_secrets(az, registry, now, tmp_path):
    images = telling(registry.storage, now)
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', check=True).json['run']
    path = tmp_path / 'azure' / 'acrprune' / 'journal' / f'{run}.jsonl'
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert ADMIN[1] not in text and all(token not in text for token in registry.auth.issued)
    (listed,) = az(*PRUNE, 'history', 'list', check=True).json
    assert (listed['who'], listed['command'], listed['done']) == (ADMIN[0], 'az acr prune untagged', 3)
    assert listed['planChecksum'].startswith('sha256:') and listed['endedAt']
    shown = az(*PRUNE, 'history', 'show', '--run', run, check=True).json
    assert {(entry['digest'], entry['outcome']) for entry in shown['requests']} == {
        (digest, 'done') for digest in (images.stale, *images.stale_children)
    }
    for view in (('list',), ('show', '--run', run)):
        assert run in az(*PRUNE, 'history', *view, '-o', 'table', check=True).out or view[0] == 'show'


def test_without_a_journal_nothing_is_deleted(az, registry, now, tmp_path):
    telling(registry.storage, now)
    before = state(registry)
    (tmp_path / 'azure' / 'acrprune').mkdir(parents=True)
    (tmp_path / 'azure' / 'acrprune' / 'journal').write_text('in the way')
    run = az(*PRUNE, 'untagged', *TARGET, '--yes')
    assert run.code != 0 and 'journal' in run.err and 'Traceback' not in run.err
    assert state(registry) == before and registry.counters['manifest_delete'] == 0


def fill(disk, pages):
    """Leave so many pages of a disk free."""
    with open(disk / 'other', 'wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(0, file.tell() - 4096 * pages))


def requested(folder):
    """The digests that the journals say were, or are about to be, deleted; a line that was cut off says nothing."""
    return {
        line['digest']
        for path in folder.rglob('*.jsonl')
        for text in path.read_text().split('\n')[:-1]
        for line in [json.loads(text)]
        if line['event'] == 'request'
    }


@pytest.mark.parametrize('place', ['journal', ''], ids=['the journal alone', 'the cache too'])
def test_on_a_disk_that_is_full_from_the_beginning_nothing_is_deleted(az, registry, now, tmp_path, place):
    telling(registry.storage, now)
    before = state(registry)
    (tmp_path / 'azure' / 'acrprune').mkdir(parents=True)
    if not place:
        (tmp_path / 'azure' / 'acrprune').rmdir()
    with small_disk(tmp_path / 'azure' / 'acrprune' / place, 64 * 1024) as disk:
        fill(disk, 0)
        run = az(*PRUNE, 'untagged', *TARGET, '--yes')
    assert run.code == 1 and 'No space left on device' in run.err and 'journal' in run.err
    assert 'Traceback' not in run.err
    assert state(registry) == before and registry.counters['manifest_delete'] == 0


@pytest.mark.parametrize('pages', [0, 1, 2, 4, 6, 30])
def test_a_journal_that_cannot_be_written_any_more_ends_the_run(az, registry, now, tmp_path, pages):
    """The disk fills up when the first manifest goes, but for some pages; all of the journal would need about eight."""
    shelf = Shelf(registry.storage, now)
    images = {shelf.image(f'image {number}') for number in range(80)}
    (tmp_path / 'azure' / 'acrprune').mkdir(parents=True)
    with small_disk(tmp_path / 'azure' / 'acrprune' / 'journal', 256 * 1024) as disk:

        def fill_once(method, path):
            if method == 'DELETE' and not (disk / 'other').exists():
                fill(disk, pages)

        registry.on_request = fill_once
        run = az(*PRUNE, 'untagged', *TARGET, '--yes')
        named = requested(disk)
        (listed,) = az(*PRUNE, 'history', 'list', check=True).json
    gone = images - set(registry.storage.manifests('team/app'))
    assert gone and gone <= named, 'nothing is deleted that is not written down'
    assert 'Traceback' not in run.err and listed['requestsSent'] == len(named)
    if pages == 30:
        assert run.code == 0 and gone == images
        return
    assert run.code == 1 and len(gone) < len(images) and len(run.json['failed']) == len(images) - len(gone)
    assert all('No space left' in entry['error'] for entry in run.json['failed'])


# --- Soft delete -------------------------------------------------------------------------------------------------


def test_what_a_run_deleted_comes_back_from_soft_delete(az, registry, now):
    tangled(registry, now)
    registry.storage.soft_delete_days = 7
    az.signed_in()
    before = state(registry)
    run = az(
        *PRUNE,
        'tags',
        '-r',
        'localhost',
        '--match',
        'team/app:*',
        '--ago',
        '10d',
        '--untagged',
        '--include-locked',
        '--max-percent',
        '100',
        '--yes',
    )
    assert run.code == 0, run.err
    assert 'az acr prune undo' in run.err and 'nothing is freed before' in run.err
    assert registry.storage.repositories() == ['team/other']
    preview = az(*PRUNE, 'restore', '-r', 'localhost', '--soft-deleted', '--dry-run', check=True).json
    assert preview['summary']['manifestsToRestore'] == 7 and registry.storage.repositories() == ['team/other']
    back = az(*PRUNE, 'restore', '-r', 'localhost', '--soft-deleted')
    assert back.code == 0, back.err
    after = state(registry)
    unlocked = {'deleteEnabled': True, 'writeEnabled': True, 'readEnabled': True, 'listEnabled': True}
    assert {
        name: {digest: item[:2] for digest, item in manifests.items()} for name, (manifests, _) in after.items()
    } == {name: {digest: item[:2] for digest, item in manifests.items()} for name, (manifests, _) in before.items()}
    assert after == before and unlocked not in [
        after['team/app'][1]['v2'][1],
        after['team/app'][0][after['team/app'][1]['v1'][0]][2],
    ]


def purge_for_good(az):
    arguments = ('--match', 'team/app:*', '--ago', '10d', '--untagged', '--include-locked', '--max-percent', '100')
    return az(*PRUNE, 'tags', *TARGET, *arguments, '--yes')


def nested(registry, now):
    """Indexes in an index, and referrers of referrers that hang on it, the deeper ones with digests in any order."""
    shelf = Shelf(registry.storage, now)
    inner = shelf.index([shelf.image('amd64'), shelf.image('arm64')])
    subject = shelf.index([inner], tag='v1')
    for name in ('sbom', 'provenance', 'scan'):
        referrer = subject
        for depth in range(4):
            referrer = shelf.image(f'{name} {depth}', subject=referrer)
    registry.storage.soft_delete_days = 7
    return state(registry)


def test_referrers_come_back_after_their_subjects_and_indexes_after_their_children_at_every_depth(az, registry, now):
    before = nested(registry, now)
    purge_for_good(az)
    assert registry.storage.repositories() == []
    back = az(*PRUNE, 'restore', *TARGET, '--soft-deleted')
    assert back.code == 0, back.err
    assert state(registry) == before and back.json['summary']['manifestsRestored'] == 16


def test_an_interrupted_restore_is_completed_with_tags_and_locks(az, registry, now):
    tangled(registry, now)
    registry.storage.soft_delete_days = 7
    before = state(registry)
    assert purge_for_good(az).code == 0
    registry.faults.rules.append(Fault('PATCH .*', 403))
    broken = az(*PRUNE, 'restore', *TARGET, '--soft-deleted')
    assert broken.code == 1 and state(registry) != before
    registry.faults.clear()
    again = az(*PRUNE, 'restore', *TARGET, '--soft-deleted')
    assert again.code == 0 and state(registry) == before, again.err
    assert again.json['summary']['manifestsRestored'] == 0 and again.json['summary']['locksSet'] > 0
    nothing = az(*PRUNE, 'restore', *TARGET, '--soft-deleted').json['summary']
    assert (nothing['locksSet'], nothing['tagsRestored'], nothing['failed']) == (0, 0, 0)


def test_a_restore_that_finds_nothing_is_an_error(az, registry, now):
    tangled(registry, now)
    registry.storage.soft_delete_days = 7
    assert purge_for_good(az).code == 0
    registry.storage.deleted.clear()
    run = az(*PRUNE, 'restore', *TARGET, '--soft-deleted')
    assert run.code == 1 and 'Nothing of what the run' in run.err and '0 of ' in run.err
    assert run.err.count('ERROR: ') == 1, 'one error in all'
    assert {entry['error'] for entry in run.json['failed']} >= {'the registry does not keep it, or not any more'}


def test_soft_delete_that_is_off_is_an_error(az, registry, now):
    tangled(registry, now)
    assert purge_for_good(az).code == 0
    az.signed_in()
    run = az(*PRUNE, 'restore', '-r', 'localhost', '--soft-deleted')
    assert run.code == 1 and 'Soft delete is off' in run.err and not run.out


def test_a_push_that_is_refused_because_its_digest_is_soft_deleted_is_a_restore(az, registry, now, tmp_path):
    before = nested(registry, now)
    assert purge(az, tmp_path / 'archive').code == 0
    assert registry.storage.repositories() == []
    back = restore(az, tmp_path / 'archive', '--all')
    assert back.code == 0, back.err
    assert state(registry) == before and registry.storage.deleted['team/app'] == {}


@pytest.mark.parametrize('kind', [429, 502, 'reset', 'lost'])
@pytest.mark.parametrize('source', ['archive', 'soft delete'])
def test_a_restore_ends_in_one_run_although_writes_are_refused_and_lost(az, registry, now, tmp_path, kind, source):
    tangled(registry, now)
    before = state(registry)
    if source == 'soft delete':
        registry.storage.soft_delete_days = 7
    assert purge(az, tmp_path / 'archive').code == 0
    registry.faults.rules += [
        Fault(pattern, kind, times=2)
        for pattern in ('POST /v2', 'PATCH /v2', 'PUT /v2/.*/blobs', 'PUT /v2/.*/manifests', 'PATCH /acr', 'POST /acr')
    ]
    where = ('--archive', str(tmp_path / 'archive'), '--all') if source == 'archive' else ('--soft-deleted',)
    back = az(*PRUNE, 'restore', *TARGET, *where)
    assert back.code == 0, back.err + back.out
    assert state(registry) == before


@pytest.mark.parametrize('source', ['archive', 'soft delete'])
def test_a_tag_that_nobody_could_pull_does_not_come_back_pullable(az, registry, now, tmp_path, source):
    Shelf(registry.storage, now).image('withdrawn', tag='v1')
    registry.storage.set_locks('team/app', tag='v1', readEnabled=False)
    before = state(registry)
    if source == 'soft delete':
        registry.storage.soft_delete_days = 7
    assert purge(az, tmp_path / 'archive').code == 0
    assert registry.storage.repositories() == []
    where = ('--archive', str(tmp_path / 'archive'), '--all') if source == 'archive' else ('--soft-deleted',)
    back = az(*PRUNE, 'restore', *TARGET, *where)
    assert back.code == 0 and state(registry) == before, back.err


def test_nothing_comes_back_over_a_tag_that_exists_now(az, registry, now):
    shelf = Shelf(registry.storage, now)
    old = shelf.image('old', tag='latest')
    registry.storage.soft_delete_days = 7
    az(
        *PRUNE,
        'tags',
        *TARGET,
        '--match',
        'team/app:*',
        '--ago',
        '10d',
        '--untagged',
        '--max-percent',
        '100',
        '--yes',
        check=True,
    )
    new = shelf.image('new', tag='latest', days=0)
    back = az(*PRUNE, 'restore', *TARGET, '--soft-deleted', check=True).json
    assert [entry['reason'] for entry in back['skipped']][0] == 'tagExists'
    assert registry.storage.tags('team/app')['latest'].digest == new
    az(*PRUNE, 'restore', *TARGET, '--soft-deleted', '--overwrite', '--yes', check=True)
    assert registry.storage.tags('team/app')['latest'].digest == old


def test_no_journal_is_an_error_that_says_so(az):
    run = az(*PRUNE, 'restore', *TARGET, '--soft-deleted')
    assert run.code != 0 and 'No journal tells' in run.err
    for name in ('nothing', '../../config'):
        run = az(*PRUNE, 'history', 'show', '--run', name)
        assert run.code != 0 and 'no journal of a run' in run.err and os.sep + 'root' not in run.out
