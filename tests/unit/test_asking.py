"""How live systems are asked: what they do not answer is never taken for nothing."""

from __future__ import annotations

import json

import pytest
from azure.core.exceptions import ServiceRequestError

from azext_acrprune.pins.live import SUBSCRIPTION, System
from azext_acrprune.sources.arm import ResourceManager
from azext_acrprune.sources.failure import AskError
from azext_acrprune.sources.kubernetes import ask_kubectl
from azext_acrprune.sources.systems import ask_azure

ITEMS = json.dumps({'items': [{'kind': 'Pod', 'metadata': {'name': 'a'}}]})
NOTHING = json.dumps({'items': []})
REFUSED = 'Error from server (Forbidden): tasks.tekton.dev is forbidden: User "x" cannot list resource "tasks" in API'


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A `kubectl` of our own: (standard output, standard error, exit code) of each of its three other questions."""

    def ask(kinds=('configmaps', '', 0), others=(NOTHING, '', 0), releases=(NOTHING, '', 0)):
        cases = []
        for word, (out, said, code) in (('api-resources', kinds), ('helm.sh', releases), ('configmaps', others)):
            (tmp_path / f'{word}.out').write_text(out)
            (tmp_path / f'{word}.err').write_text(said)
            cases.append(f'*{word}*) cat {tmp_path}/{word}.out; cat {tmp_path}/{word}.err >&2; exit {code};;')
        script = (
            f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\ncase "$*" in {" ".join(cases)} *) echo \'{ITEMS}\';; esac\n'
        )
        (tmp_path / 'kubectl').write_text(script)
        (tmp_path / 'kubectl').chmod(0o755)
        monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')
        things = ask_kubectl(60)
        return [each.unseen for each in things if each.unseen], [each.unread for each in things if each.unread]

    return ask


def test_a_cluster_that_answers_lacks_nothing(kubectl):
    assert kubectl() == ([], [])


@pytest.mark.parametrize(
    ('said', 'unseen', 'unread'),
    [
        (REFUSED, 'tasks may', None),
        ('Error from server (MethodNotAllowed): the server does not allow this method', 'some objects (Error', None),
        ('Error from server (NotFound): Unable to list "x.y/v1, Resource=zs"', 'some objects (Error', None),
        ('Unable to connect to the server: EOF', None, 'some objects (Unable to connect'),
        ('error: the server doesn\'t have a resource type "tasks"', None, 'some objects (error'),
        ('Error from server (Timeout): the server was unable to return a response', None, 'some objects (Error'),
        ('Error from server (InternalError): an error on the server', None, 'some objects (Error'),
        ('Error from server (ServiceUnavailable): the server is currently unable', None, 'some objects (Error'),
        ('', None, 'some objects could'),
        ('Warning: v1 ComponentStatus is deprecated', None, 'some objects could'),
    ],
)
def test_what_is_refused_is_said_and_what_failed_is_not_read(kubectl, said, unseen, unread):
    for out in ('', NOTHING, ITEMS):
        hidden, broken = kubectl(others=(out, said, 1))
        assert [each[: len(unseen or '')] for each in hidden] == [unseen] * bool(unseen)
        assert [each[: len(unread or '')] for each in broken] == [unread] * bool(unread)


def test_a_warning_of_the_server_is_no_failure(kubectl):
    assert kubectl(others=(ITEMS, 'Warning: v1 ComponentStatus is deprecated', 0)) == ([], [])


def test_releases_that_could_not_be_listed_are_not_read_and_those_that_may_not_be_are_said(kubectl):
    assert kubectl(releases=('', 'Unable to connect to the server: EOF', 1)) == (
        [],
        ['the releases of Helm (Unable to connect to the server: EOF) could not be listed'],
    )
    hidden, broken = kubectl(releases=('', REFUSED.replace('tasks', 'secrets'), 1))
    assert [each.partition(':')[0] for each in hidden] == ['the releases of Helm may not be listed'] and not broken


@pytest.mark.parametrize(
    'out', ['', '[]', '{}', '{"kind": "Status"}', '{"items": [1]}', '{"items": [', '{"items": null}']
)
def test_an_answer_that_is_no_list_is_an_error(kubectl, out):
    with pytest.raises(AskError):
        kubectl(others=(out, '', 0))


DOWN = 'the server is currently unable to handle the request'


@pytest.mark.parametrize(
    ('groups', 'unread'),
    [
        (['metrics.k8s.io/v1beta1'], False),
        (['external.metrics.k8s.io/v1beta1', 'custom.metrics.k8s.io/v1beta2'], False),
        (['apps.openshift.io/v1'], True),
        (['metrics.k8s.io/v1beta1', 'image.openshift.io/v1'], True),
        (['notmetrics.k8s.io/v1'], True),
        ([], True),
    ],
)
def test_kinds_that_a_server_does_not_tell_are_not_read_unless_they_are_metrics(kubectl, groups, unread):
    listed = ', '.join(f'{group}: {DOWN}' for group in groups)
    said = f'error: unable to retrieve the complete list of server APIs: {listed}' if groups else 'error: x'
    hidden, broken = kubectl(kinds=('configmaps\n', said, 1))
    assert not hidden and [each.partition(' (')[0] for each in broken] == ['some kinds of objects'] * unread
    assert kubectl(kinds=('', said, 1))[1] == ['which kinds of objects there are could not be listed']


def test_kinds_that_are_named_for_metrics_are_asked_for_and_metrics_are_not(kubectl, tmp_path):
    kubectl(kinds=('configmaps\nmetricsservers.operator.example\npods.metrics.k8s.io\n', '', 0))
    assert 'get configmaps,metricsservers.operator.example --all' in (tmp_path / 'asked').read_text()


class Answers:
    """A client of azure-core: the answer to each URL, by its end."""

    def __init__(self, answers, default=None):
        self._answers = answers
        self._default = default
        self.asked = []

    def send_request(self, request, **_):
        self.asked.append(request.url)
        for end, (status, document) in self._answers.items():
            if request.url.endswith(end):
                return Response(status, document)
        if self._default:
            return Response(*self._default)
        raise ServiceRequestError('no route')


class Response:
    reason = 'Not good'

    def __init__(self, status, document):
        self.status_code = status
        self._document = document

    def json(self):
        return json.loads(self._document) if isinstance(self._document, str) else self._document


ENDPOINT = 'https://management.azure.com/'
ITEM = {'name': 'a'}


def manager(answers):
    return ResourceManager(Answers(answers), ENDPOINT, 'sub')


@pytest.mark.parametrize('status', [200, 403])
def test_an_answer_that_is_nested_without_end_is_an_error_like_any_other(status):
    with pytest.raises(AskError):
        manager({'=1': (status, '[' * 200_000)}).every('x', '/subscriptions/sub/x', '1')


@pytest.mark.parametrize(
    'link',
    ['https://management.azure.com/next', 'https://management.azure.com:443/next', 'https://MANAGEMENT.azure.com/next'],
)
def test_the_next_page_may_be_spelled_with_the_port(link):
    asked = manager({'=1': (200, {'value': [ITEM], 'nextLink': link}), '/next': (200, {'value': [ITEM]})})
    assert asked.every('x', '/subscriptions/sub/x', '1') == [ITEM, ITEM]
    assert asked.every_if_any('x', '/subscriptions/sub/x', '1') == [ITEM, ITEM]


@pytest.mark.parametrize(
    'link',
    [
        'https://management.azure.com:444/next',
        'http://management.azure.com/next',
        'https://management.azure.com@evil.example/next',
        'https://management.azure.com:x/next',
        '//management.azure.com/next',
        {'no': 'text'},
        ['list'],
    ],
)
def test_our_token_goes_to_nobody_else(link):
    asked = manager({'=1': (200, {'value': [], 'nextLink': link}), '/next': (200, {'value': []})})
    with pytest.raises(AskError, match='not one of the resource manager'):
        asked.every('x', '/subscriptions/sub/x', '1')
    with pytest.raises(AskError, match='not one of the resource manager'):
        asked.every_if_any('x', '/subscriptions/sub/x', '1')


@pytest.mark.parametrize('status', [404, 409])
def test_a_collection_that_is_not_there_has_nothing_and_one_that_breaks_off_is_an_error(status):
    gone = (status, {'error': {'message': 'It is gone'}})
    assert manager({'=1': gone}).every_if_any('x', '/subscriptions/sub/x', '1') == []
    broken = manager({'=1': (200, {'value': [ITEM], 'nextLink': f'{ENDPOINT}next'}), '/next': gone})
    with pytest.raises(AskError, match='It is gone'):
        broken.every_if_any('x', '/subscriptions/sub/x', '1')


PROVIDERS = '/subscriptions/sub/resourceGroups/rg/providers'
ML = f'{PROVIDERS}/Microsoft.MachineLearningServices/workspaces/ml'
SITE = f'{PROVIDERS}/Microsoft.Web/sites/web'


def test_archived_environments_and_sidecars_are_asked_for_and_what_a_workspace_builds_is_said():
    registry = '/subscriptions/sub/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/Mine'
    workspace = {'id': ML, 'name': 'ml', 'properties': {'containerRegistry': registry}}
    environment = {'id': f'{ML}/environments/old', 'name': 'old', 'properties': {'isArchived': True}}
    version = {'properties': {'image': 'mine.azurecr.io/env:1', 'isArchived': True}}
    site = {'id': SITE, 'name': 'web', 'kind': 'app,linux'}
    slot = {'id': f'{SITE}/slots/stage', 'name': 'web/stage'}
    answers = {
        'MachineLearningServices/workspaces?api-version=2024-10-01': [workspace],
        f'{ML}/environments?api-version=2024-10-01&listViewType=All': [environment],
        f'{ML}/environments/old/versions?api-version=2024-10-01&listViewType=All': [version],
        'Microsoft.Web/sites?api-version=2023-12-01': [site],
        f'{SITE}/slots?api-version=2023-12-01': [slot],
        f'{SITE}/slots/stage/sitecontainers?api-version=2024-04-01': [{'properties': {'image': 'mine.azurecr.io/s:1'}}],
    }
    client = Answers({end: (200, {'value': items}) for end, items in answers.items()}, (200, {'value': []}))
    things = ask_azure(System(SUBSCRIPTION), ResourceManager(client, ENDPOINT, 'sub'), 60)
    by_origin = {each.origin: each for each in things}
    assert version['properties'] in by_origin['environment old of the workspace ml'].documents
    assert {'properties': {'image': 'mine.azurecr.io/s:1'}} in by_origin['web app web/stage'].documents
    assert "'azureml/*' in the registry Mine" in by_origin['workspace ml'].unseen
    assert 'tasks of Batch' in by_origin[SUBSCRIPTION].unseen
