"""The archive in a container of a storage account, through az's own storage client and sign-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.registry.azcli import Az
from tests.registry.blob_service import SUFFIX, BlobService

from .images import telling
from .signals import PIPES, interrupt, read_until
from .test_archive import PRUNE, state

ARCHIVE = ('--archive', 'azure-blob:myaccount/images')
STATE = 'azure-blob:myaccount/images/state'


class StorageAz(Az):
    """az in a cloud whose storage accounts are ours."""

    def __init__(self, home, registry, extensions, forks, service) -> None:
        super().__init__(home, registry, extensions, forks)
        with open(home / 'clouds.config', 'a', encoding='utf-8') as file:
            file.write(f'suffix_storage_endpoint = {SUFFIX}\n')
        self._bundle = home / 'ca.pem'
        self._bundle.write_text(Path(registry.ca_file).read_text(encoding='utf-8') + service.ca_file.read_text())
        self._proxy = f'http://127.0.0.1:{service.proxy_port}'

    @property
    def environment(self):
        return {
            **super().environment,
            'REQUESTS_CA_BUNDLE': str(self._bundle),
            'HTTPS_PROXY': self._proxy,
            'NO_PROXY': 'localhost',
            'no_proxy': 'localhost',
            'https_proxy': self._proxy,
        }


@pytest.fixture
def service(tmp_path):
    with BlobService(tmp_path) as blobs:
        blobs.containers['images'] = {}
        yield blobs


@pytest.fixture
def storage_az(tmp_path, registry, extensions, forks, service):
    az = StorageAz(tmp_path / 'azure', registry, extensions, forks, service)
    assert az.login().code == 0
    return az


def untagged(az, *more):
    return az(*PRUNE, 'untagged', '-r', 'localhost', '--yes', *ARCHIVE, *more)


def restore(az):
    return az(*PRUNE, 'restore', '-r', 'localhost', *ARCHIVE, '--all')


def test_an_archive_in_a_storage_account_brings_all_of_it_back(storage_az, registry, service, now):
    telling(registry.storage, now)
    before = state(registry)
    run = untagged(storage_az)
    assert run.code == 0, run.err
    assert run.json['summary']['manifestsDeleted'] == 3 and state(registry) != before
    index = json.loads(service.containers['images']['index.json'].data)
    assert all(
        f'blobs/{entry["digest"].replace(":", "/")}' in service.containers['images'] for entry in index['manifests']
    )
    back = restore(storage_az)
    assert back.code == 0, back.err
    assert state(registry) == before
    sent = len([path for method, path in service.requests if method == 'PUT'])
    assert untagged(storage_az).json['summary']['manifestsDeleted'] == 0, 'what was pushed today is young'
    assert untagged(storage_az, '--ago', '0').json['summary']['manifestsDeleted'] == 4
    assert len([path for method, path in service.requests if method == 'PUT']) <= sent + 8, 'nothing is sent twice'
    assert restore(storage_az).code == 0 and state(registry) == before


def test_with_debug_neither_contents_nor_tokens_are_shown(storage_az, registry, service, now):
    telling(registry.storage, now)
    run = untagged(storage_az, '--debug')
    assert run.code == 0
    assert 'layer of old amd64' not in run.err
    assert all(token not in run.err for token in registry.auth.issued)
    assert all(header.partition(' ')[2] not in run.err for header in service.authorizations if header)


@pytest.mark.parametrize(
    'when', ['no container', 'forbidden', 'a block', 'the commit', 'the index', 'two writers', 'other things']
)
def test_an_account_that_fails_is_a_clear_error_and_nothing_is_deleted(storage_az, registry, service, now, when):
    telling(registry.storage, now)
    before = state(registry)
    if when == 'no container':
        service.containers.clear()
    if when == 'other things':
        from tests.registry.blob_service import Blob

        service.containers['images']['holiday.jpg'] = Blob(b'x', '"1"')

    def fail(method, path, query):
        if when == 'two writers' and method == 'PUT' and path.endswith('index.json'):
            from tests.registry.blob_service import Blob

            service.containers['images'].setdefault('index.json', Blob(b'{"manifests": []}', '"other"'))
        hit = {
            'forbidden': True,
            'a block': query.get('comp') == 'block',
            'the commit': query.get('comp') == 'blocklist',
            'the index': method == 'PUT' and path.endswith('index.json'),
        }.get(when)
        return 403 if hit else None

    service.before = fail
    run = untagged(storage_az)
    assert run.code != 0 and 'archive' in run.err.lower() and 'Traceback' not in run.err
    assert state(registry) == before and registry.counters['manifest_delete'] == 0


def test_a_state_whose_answers_never_end_ends_with_the_time_limit(storage_az, service, registry, now):
    telling(registry.storage, now)
    service.drips = True
    run = storage_az(*PRUNE, 'untagged', '-r', 'localhost', '--yes', '--time-limit', '8s', '--state', STATE)
    assert run.code and 'did not answer in time' in run.err
    assert registry.counters['manifest_delete'] == 0


def test_a_second_stop_is_answered_although_the_container_drips(storage_az, service, registry, now):
    telling(registry.storage, now)
    hold = registry.faults.hold('DELETE')
    process = storage_az.start(*PRUNE, 'untagged', '-r', 'localhost', '--yes', *ARCHIVE, '--new-archive', **PIPES)
    assert hold.wait(process)
    service.drips = True
    interrupt(process)
    read_until(process.stderr, 'Ctrl-C again gives up on')
    interrupt(process)
    out, err = process.communicate(timeout=120)  # a call to the container is waited for five minutes
    assert process.returncode == 1 and json.loads(out)['exitReason'] == 'interrupted' and 'Traceback' not in err
