"""What things in live systems use, in the shapes in which these systems answer."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from azext_acrprune.pins.live import (
    Thing,
    found_in_things,
    thing_of_pool,
    thing_of_site,
    things_of_cluster,
    things_of_task,
)
from azext_acrprune.pins.pinned import NOT_RESOLVED, PINS_NOT_READ
from azext_acrprune.pins.references import RegistryNames

HOST = 'myreg.azurecr.io'
DIGEST = f'sha256:{"1" * 64}'
POD = f'kind: Pod\nspec:\n  containers:\n  - image: {HOST}/'


def found(*things):
    every = found_in_things(things, RegistryNames(HOST))
    return {pin.reference.shown for pin in every.pins}, [(each.code, each.message) for each in every.problems]


def encoded(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def in_cluster(item):
    return found(*things_of_cluster('kubectl', {'items': [item]}))


def packed(**release):
    return encoded(gzip.compress(json.dumps(release).encode()))


def secret(data):
    return {'kind': 'Secret', 'type': 'helm.sh/release.v1', 'metadata': {'name': 'web.v1'}, 'data': {'release': data}}


def settings(data):
    metadata = {'name': 'web.v1', 'labels': {'owner': 'helm', 'name': 'web'}}
    return {'kind': 'ConfigMap', 'metadata': metadata, 'data': {'release': data}}


RELEASE = packed(
    manifest=f'{POD}web:1\n',
    hooks=[{'name': 'migrate', 'manifest': f'{POD}migrate:1\n', 'events': ['pre-rollback']}, {'name': 'none'}],
    config={'image': f'{HOST}/given:1'},
)


@pytest.mark.parametrize('image', ['v2/app:1.0', f'v2/app@{DIGEST}', 'oauth2/proxy:7.4.0', 'acr/v1/app:2'])
def test_a_repository_whose_name_begins_as_the_api_does_is_seen(image):
    pod = {'kind': 'Pod', 'spec': {'containers': [{'name': 'a', 'image': f'{HOST}/{image}'}]}}
    assert in_cluster(pod) == ({image}, [])


@pytest.mark.parametrize('item', [secret(encoded(RELEASE)), settings(RELEASE)])
def test_a_release_of_helm_has_its_manifest_its_hooks_and_what_was_given(item):
    assert in_cluster(item) == ({'web:1', 'migrate:1', 'given:1'}, [])


@pytest.mark.parametrize(
    'item',
    [
        secret('AAAA'),
        secret(None),
        secret(encoded(RELEASE)[:-40]),
        secret(encoded(encoded(gzip.compress(b'{"manifest": "x"}')[:-9]))),
        secret(encoded(encoded('[]'))),
        secret(encoded(encoded('{"hooks": ["x"]}'))),
        settings(RELEASE[:40]),
    ],
)
def test_a_release_that_cannot_be_read_is_a_problem_and_not_something_that_may_not_be_listed(item):
    assert in_cluster(item) == (set(), [(PINS_NOT_READ, 'this release of Helm cannot be read')])


def test_a_release_that_grows_without_end_is_not_unpacked(monkeypatch):
    monkeypatch.setattr('azext_acrprune.pins.live.MAX_FILE_BYTES', 1000)
    large = encoded(packed(manifest='x' * 2000))
    assert in_cluster(secret(large))[1] == [(PINS_NOT_READ, 'this release of Helm cannot be read')]


def test_settings_that_are_no_release_are_read_as_they_are():
    item = {'kind': 'ConfigMap', 'metadata': {'name': 'a', 'labels': {'owner': 'helm'}}, 'data': {'x': f'{HOST}/a:1'}}
    assert in_cluster(item) == ({'a:1'}, [])


def test_every_container_of_a_pod_counts_by_its_name_and_by_what_runs():
    pod = {
        'kind': 'Pod',
        'metadata': {'name': 'a'},
        'spec': {
            'containers': [{'image': f'{HOST}/main'}],
            'initContainers': [{'image': f'{HOST}/init:1'}],
            'ephemeralContainers': [{'image': f'{HOST}/debug:1'}],
            'volumes': [{'name': 'v', 'image': {'reference': f'{HOST}/volume:1'}}],
        },
        'status': {
            'containerStatuses': [
                {'image': f'sha256:{"2" * 64}', 'imageID': f'docker-pullable://{HOST}/main@{DIGEST}'},
                {'image': f'{HOST}/other:1', 'imageID': f'docker://sha256:{"3" * 64}'},
            ]
        },
    }
    expected = {'main:latest', 'init:1', 'debug:1', 'volume:1', f'main@{DIGEST}', 'other:1'}
    assert in_cluster(pod) == (expected, [])


def test_each_reference_that_cannot_be_followed_is_told_whatever_else_the_thing_uses():
    item = {
        'kind': 'Deployment',
        'metadata': {'name': 'a'},
        'spec': {'image': f'{HOST}/app:1', 'first': f'{HOST}/one', 'second': f'{HOST}/two', 'args': [f'--hub={HOST}']},
    }
    pins, problems = in_cluster(item)
    assert pins == {'app:1'} and {code for code, _ in problems} == {NOT_RESOLVED}
    assert sorted(message.split("'")[1] for _, message in problems) == [f'--hub={HOST}', f'{HOST}/one', f'{HOST}/two']


@pytest.mark.parametrize(
    ('version', 'expected'),
    [
        (f'DOCKER|{HOST}/app:1', 'app:1'),
        (f'DOCKER|{HOST}/app', 'app:latest'),
        (f'docker|{HOST}/app@{DIGEST}', f'app@{DIGEST}'),
        (f'DOCKER|https://{HOST}/app:1', 'app:1'),
        ('COMPOSE|' + encoded(f'services:\n  a:\n    image: {HOST}/app\n'), 'app:latest'),
    ],
)
@pytest.mark.parametrize('key', ['linuxFxVersion', 'windowsFxVersion'])
def test_an_image_of_a_site_without_a_tag_is_latest(key, version, expected):
    assert found(thing_of_site('web app a', [{'properties': {key: version}}])) == ({expected}, [])


def test_sidecars_of_a_site_are_as_good_as_its_main_container():
    documents = [
        {'properties': None},
        {'properties': {'linuxFxVersion': 'sitecontainers'}},
        {'name': 'main', 'properties': {'image': f'{HOST}/main:1', 'isMain': True, 'targetPort': '80'}},
        {'name': 'side', 'properties': {'image': f'{HOST}/side', 'isMain': False, 'authType': 'SystemIdentity'}},
    ]
    assert found(thing_of_site('web app a', documents)) == ({'main:1', 'side:latest'}, [])


def test_what_a_pool_of_batch_fetches_and_runs():
    pool = {
        'deploymentConfiguration': {
            'virtualMachineConfiguration': {
                'containerConfiguration': {
                    'type': 'DockerCompatible',
                    'containerImageNames': [f'{HOST}/a', f'{HOST}/b:1'],
                    'containerRegistries': [{'registryServer': HOST, 'userName': 'u'}],
                }
            }
        },
        'startTask': {'containerSettings': {'imageName': f'{HOST}/start'}},
    }
    assert found(thing_of_pool('pool', pool)) == ({'a:latest', 'b:1', 'start:latest'}, [])


TASK = 'steps:\n- cmd: $Registry/app:7 run  # caf\xe9\n- build: -t $Registry/x:$ID -f Dockerfile .\n'


@pytest.mark.parametrize(
    'content',
    [
        encoded(TASK),
        '\n'.join(encoded(TASK)[start : start + 76] for start in range(0, len(encoded(TASK)), 76)),
        encoded(TASK.encode('latin-1')),
        encoded(TASK.encode('utf-8-sig')),
        encoded(TASK.encode('utf-16')),
        encoded(TASK.replace('$ID', '{{.Run.ID}}').replace('$Registry', '{{ .Run.Registry }}')),
    ],
)
def test_the_steps_of_a_task_are_read_however_they_are_packed_and_what_a_run_makes_for_itself_is_nothing(content):
    step = {'type': 'EncodedTask', 'encodedTaskContent': content, 'imageNames': ['{{.Run.Registry}}/x:{{.Run.ID}}']}
    assert found(things_of_task('task a', {'properties': {'step': step}}, HOST)) == ({'app:7'}, [])


@pytest.mark.parametrize(
    ('properties', 'expected'),
    [
        (
            {
                'configuration': {
                    'triggerType': trigger,
                    f'{trigger.lower()}TriggerConfig': {'parallelism': 1},
                    'registries': [{'server': HOST, 'identity': 'system'}],
                },
                'template': {'containers': [{'image': f'{HOST}/job:1'}], 'initContainers': [{'image': f'{HOST}/i'}]},
            },
            {'job:1', 'i:latest'},
        )
        for trigger in ('Event', 'Schedule', 'Manual')
    ],
)
def test_jobs_of_container_apps_of_every_trigger(properties, expected):
    assert found(Thing('container app job a', (properties,))) == (expected, [])
