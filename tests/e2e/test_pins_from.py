"""Pins of live systems, in the real az: a `kubectl` of our own on the PATH, and the local resource manager."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.registry.answers import Answer, json_answer
from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.faults import Fault
from tests.registry.resources import ROOT

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', '--yes')
APPS, SITES = '/providers/Microsoft.App', '/providers/Microsoft.Web/sites'
CLUSTERS, ACI = '/providers/Microsoft.ContainerService/managedClusters', '/providers/Microsoft.ContainerInstance'
GROUP = '/resourceGroups/rg'
_TOOLS = ('env', 'bash', 'sh', 'cat', 'cp', 'head', 'sleep', 'stat', 'tr', 'uname')


@pytest.fixture
def shelf(registry, now):
    return Shelf(registry.storage, now)


@pytest.fixture
def image(registry, shelf):
    """An untagged image, and the reference to it by digest."""

    def make(name):
        digest = shelf.image(name)
        return digest, f'{registry.login_server}/team/app@{digest}'

    return make


@pytest.fixture
def az(az):
    az.signed_in()
    return az


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Puts a script on the PATH as `kubectl`; it finds its arguments in `arguments`, the kubeconfig in `seen`."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for tool in _TOOLS:
        (folder / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv('PATH', str(folder))

    def install(script):
        (folder / 'kubectl').write_text(f'#!/bin/sh\necho "$*" >> {folder}/arguments\n{script}\n')
        (folder / 'kubectl').chmod(0o755)
        return folder

    return install


def workload(kind, name, **images):
    return {
        'kind': kind,
        'metadata': {'namespace': 'default', 'name': name},
        'spec': {
            'template': {'spec': {'containers': [{'name': key, 'image': image} for key, image in images.items()]}}
        },
    }


def answers(tmp_path, *items, kinds=('pods', 'secrets', 'nodes'), others=None, releases=(), refused=''):
    """A script that lists `items`, and of all other kinds `others`; it is `refused` what stands there."""
    paths = {}
    for name, each in (('items', items), ('others', others or ()), ('releases', releases)):
        paths[name] = Path(tmp_path) / f'{name}.json'
        paths[name].write_text(json.dumps({'kind': 'List', 'apiVersion': 'v1', 'items': list(each)}))
    told = f"echo '{refused}' >&2; exit 1" if refused else 'exit 0'
    return (
        f'case "$*" in *api-resources*) for kind in {" ".join(kinds)}; do echo $kind; done;; '
        f'*helm.sh*) cat {paths["releases"]};; *"get pods,deployments"*) cat {paths["items"]};; '
        f'*) cat {paths["others"]}; {told};; esac'
    )


def present(registry, repository='team/app'):
    return set(registry.storage.state(repository).manifests) if registry.storage.repositories() else set()


def test_what_runs_in_a_cluster_stays_and_the_plan_says_where_it_runs(az, registry, shelf, image, kubectl, tmp_path):
    (used, reference), (running, other), _ = image('used'), image('running'), image('unused')
    tagged = shelf.image('tagged', tag='v1')
    shelf.image('old', tag='v0')
    status = {
        'kind': 'Pod',
        'metadata': {'namespace': 'default', 'name': 'web'},
        'status': {'containerStatuses': [{'imageID': other, 'image': f'{registry.login_server}/team/app:v1'}]},
    }
    kubectl(answers(tmp_path, workload('CronJob', 'night', a=reference, b='docker.io/nginx:1'), status))
    flags = ('--pins-from', 'kubectl:dev', '--match', 'team/app:*', '--ago', '1d', '--untagged')
    plan = az(*PRUNE, 'plan', '-r', 'localhost', *flags, '--show-kept', check=True).json
    assert {entry['digest']: entry['because'] for entry in plan['kept']} == {
        used: 'kubectl dev: CronJob default/night',
        running: 'kubectl dev: Pod default/web',
        tagged: 'tag v1: kubectl dev: Pod default/web',
    }
    assert plan['policy']['pins']['from'] == ['kubectl:dev']
    az(*PRUNE, 'tags', *TARGET, *flags, '--max-percent', '100', check=True)
    assert present(registry) == {used, running, tagged}
    said = (tmp_path / 'bin' / 'arguments').read_text().splitlines()[0]
    assert said.startswith('--context=dev get pods,') and said.endswith('--all-namespaces --output=json')


@pytest.mark.parametrize(
    'script,word',
    [
        (None, 'kubectl is not installed'),
        ('echo "Error from server (Forbidden): cronjobs.batch is forbidden" >&2; exit 1', 'Forbidden'),
        ('cat ANSWER; exit 1', 'failed with 1'),
        ('exec sleep infinity', 'no answer in 2 seconds'),
        ('head -c 60 ANSWER', 'cut off'),
        ('true', 'cut off'),
        ('echo "[]"', 'not a list of objects'),
        ('echo \'{"items": []}\'', 'no objects at all'),
        ('echo \'{"items": [1]}\'', 'not a list of objects'),
        ('head -c 100000 /dev/zero | tr "\\0" "["', 'nested too deeply'),
        ('printf "\\377\\376{"', 'cut off'),
        ('kill -9 $$', 'failed with -9'),
    ],
)
def test_a_cluster_that_cannot_be_asked_deletes_nothing(az, registry, image, kubectl, tmp_path, script, word):
    _, reference = image('one')
    answers(tmp_path, workload('Deployment', 'web', a=reference))
    answer = f'{tmp_path}/items.json'
    if script is not None:
        kubectl(script.replace('ANSWER', answer))
    if 'sleep' in (script or ''):  # the others have all the time that they need
        az('config', 'set', 'acrprune.kubectl_timeout=2', check=True)
    before = present(registry)
    is_refused(az(*PRUNE, 'untagged', *TARGET, '--pins-from', 'kubectl'), word)
    assert present(registry) == before and registry.counters['manifest_delete'] == 0


def test_a_policy_whose_cluster_cannot_be_asked_makes_no_plan(az, registry, image, kubectl, tmp_path):
    image('one')
    kubectl('exit 1')
    (tmp_path / 'policy.yaml').write_text(
        'version: 1\nrules: [{name: all, match: {everything: true}, when: {olderThan: 1d}, do: delete}]\n'
        'pins: {from: [kubectl]}\n'
    )
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--policy', str(tmp_path / 'policy.yaml'))
    is_refused(run, 'failed with 1')


def is_refused(run, word):
    assert run.code != 0 and run.out == '' and 'Traceback' not in run.err, run.err
    assert 'Nothing was deleted, because kubectl could not be asked' in run.err and word in run.err, run.err


def cluster(name, group='rg'):
    return {
        'id': f'{ROOT}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}',
        'name': name,
    }


KUBECONFIG = """
apiVersion: v1
users:
- name: clusterUser
  user: {exec: {command: kubelogin, args: [get-token, --server-id, x, --login, devicecode]}}
"""


def credential(registry, name, value, group='rg'):
    path = f'/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}'
    registry.resources.at[f'{path}/listClusterUserCredential'] = {'kubeconfigs': [{'name': 'user', 'value': value}]}


def test_an_aks_cluster_is_asked_by_a_kubeconfig_that_nobody_else_can_read_and_that_is_gone(
    az, registry, image, kubectl, tmp_path
):
    (used, reference), _ = image('used'), image('unused')
    registry.resources.at[CLUSTERS] = [cluster('one'), cluster('Prod', 'other'), cluster('three'), cluster('prod')]
    credential(registry, 'prod', base64.b64encode(KUBECONFIG.encode()).decode())
    folder = kubectl(
        'f=${1#--kubeconfig=}; stat -c %a "$f" > "${0%/*}/mode"; cp "$f" "${0%/*}/seen"; '
        + answers(tmp_path, workload('Deployment', 'web', a=reference))
    )
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--pins-from', 'aks:prod/rg', '--show-kept', '--debug')
    assert run.code == 0, run.err
    assert [entry['because'] for entry in json.loads(run.out)['kept']] == ['aks prod: Deployment default/web']
    assert (folder / 'mode').read_text() == '600\n' and '- azurecli' in (folder / 'seen').read_text()
    used_path = (folder / 'arguments').read_text().split()[0].partition('=')[2]
    assert not os.path.exists(used_path) and not os.path.exists(os.path.dirname(used_path))
    assert 'kubelogin' not in run.err and base64.b64encode(KUBECONFIG.encode()).decode()[:40] not in run.err
    az(*PRUNE, 'untagged', *TARGET, '--pins-from', 'aks:prod/rg', check=True)
    assert present(registry) == {used}


@pytest.mark.parametrize(
    'system,value,word',
    [
        ('aks:missing', '', 'none of this name'),
        ('aks:prod', '', 'several'),
        ('aks:one', 'no base64', 'kubeconfig'),
        ('aks:one', base64.b64encode(b'[').decode(), 'kubeconfig'),
        ('aks:one', None, 'kubeconfig'),
    ],
)
def test_an_aks_cluster_that_is_not_one_or_gives_no_kubeconfig_deletes_nothing(
    az, registry, image, kubectl, tmp_path, system, value, word
):
    image('one')
    kubectl(answers(tmp_path, workload('Deployment', 'web')))
    registry.resources.at[CLUSTERS] = [cluster('one'), cluster('Prod', 'other'), cluster('three'), cluster('prod')]
    credential(registry, 'one', value)
    fails(az, registry, system, word)


def fails(az, registry, system, *words):
    before = present(registry)
    run = az(*PRUNE, 'untagged', *TARGET, '--pins-from', system)
    assert run.code != 0 and run.out == '' and 'Traceback' not in run.err, run.err
    assert 'Nothing was deleted' in run.err
    for word in words:
        assert word in run.err, run.err
    assert present(registry) == before and registry.counters['manifest_delete'] == 0


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def azure(registry, image):
    """A subscription in which everything uses an image; gives {because: digest} by system."""
    at, found = registry.resources.at, {}

    def used(system, because):
        digest, reference = image(because)
        found.setdefault(system, {})[because] = digest
        return reference

    def resource(kind, name, **properties):
        return {'id': f'{ROOT}{GROUP}/providers/{kind}/{name}', 'name': name, 'properties': properties}

    def template(reference):
        return {'containers': [{'image': reference}]}

    apps = [
        resource(
            'Microsoft.App/containerApps',
            f'app{number}',
            environmentId=f'{ROOT}/x/{env}',
            template=template(used(f'containerapps:{env}', f'container app app{number}')),
        )
        for number, env in enumerate(('dev', 'dev', 'prod'))
    ]
    at[f'{APPS}/containerApps'] = apps
    at[f'{APPS}/managedEnvironments'] = [
        resource('Microsoft.App/managedEnvironments', name) for name in ('dev', 'prod')
    ]
    for app in apps:
        at[f'{GROUP}{APPS}/containerApps/{app["name"]}/revisions'] = []
    at[f'{GROUP}{APPS}/containerApps/app2/revisions'] = [
        {'properties': {'active': True, 'template': apps[2]['properties']['template']}}
    ]
    at[f'{APPS}/jobs'] = [
        resource(
            'Microsoft.App/jobs',
            'night',
            environmentId=f'{ROOT}/x/prod',
            template=template(used('containerapps:prod', 'container app job night')),
        )
    ]
    sites = [
        {**resource('Microsoft.Web/sites', name), 'kind': kind}
        for name, kind in (
            ('web', 'app,linux,container'),
            ('compose', 'app,linux,container'),
            ('side', 'app,linux'),
            ('code', 'app,linux'),
            ('func', 'functionapp,linux,container'),
        )
    ]
    at[SITES] = sites
    versions = {
        'web': f'DOCKER|{used("webapps", "web app web")}',
        'side': 'sitecontainers',
        'code': 'PYTHON|3.12',
        'compose': 'COMPOSE|' + encoded(f'services:\n  a:\n    image: {used("webapps", "web app compose")}\n'),
        'func': f'DOCKER|{used("functionapps", "function app func")}',
    }
    for name, version in versions.items():
        at[f'{GROUP}{SITES}/{name}/config/web'] = {'properties': {'linuxFxVersion': version}}
        at[f'{GROUP}{SITES}/{name}/slots'] = []
    at[f'{GROUP}{SITES}/side/sitecontainers'] = [{'properties': {'image': used('webapps', 'web app side')}}]
    at[f'{GROUP}{SITES}/code/sitecontainers'] = [{'properties': {'image': used('webapps', 'web app code')}}]
    at[f'{GROUP}{SITES}/web/slots'] = [resource('Microsoft.Web/sites', 'web/slots/stage')]
    at[f'{GROUP}{SITES}/web/slots/stage/config/web'] = {
        'properties': {'linuxFxVersion': f'DOCKER|{used("webapps", "web app web/slots/stage")}'}
    }
    base, own = used('acr-tasks', 'task build of localhost'), used('acr-tasks', 'task run of localhost')
    repository, _, digest = base.partition('@')
    host, _, path = repository.partition('/')
    steps = {
        'build': {
            'type': 'Docker',
            'imageNames': ['{{.Run.Registry}}/x:{{.Run.ID}}'],
            'baseImageDependencies': [{'registry': host, 'repository': path, 'tag': 'v9', 'digest': digest}],
        },
        'run': {
            'type': 'EncodedTask',
            'encodedTaskContent': encoded('steps:\n- cmd: $Registry/' + own.partition('/')[2] + ' run\n'),
        },
    }
    for name, step in steps.items():
        registry.tasks.tasks['localhost', name] = {'name': name, 'properties': {'step': step}}
    at[f'{ACI}/containerGroups'] = [
        resource(
            'Microsoft.ContainerInstance/containerGroups',
            'batch',
            containers=[{'properties': {'image': used('subscription', 'container group batch')}}],
        )
    ]
    at[f'{ACI}/containerGroupProfiles'] = [
        resource(
            'Microsoft.ContainerInstance/containerGroupProfiles',
            'spot',
            containers=[{'properties': {'image': used('subscription', 'container group profile spot')}}],
        )
    ]
    pool = used('containerapps:dev', 'session pool code')
    at[f'{APPS}/sessionPools'] = [
        resource(
            'Microsoft.App/sessionPools',
            'code',
            environmentId=f'{ROOT}/x/dev',
            customContainerTemplate={'containers': [{'image': pool}]},
        )
    ]
    account = resource('Microsoft.Batch/batchAccounts', 'night')
    at['/providers/Microsoft.Batch/batchAccounts'] = [account]
    names = [used('subscription', 'Batch pool big of night')]
    at[f'{GROUP}/providers/Microsoft.Batch/batchAccounts/night/pools'] = [
        {
            'name': 'big',
            'properties': {
                'deploymentConfiguration': {
                    'virtualMachineConfiguration': {'containerConfiguration': {'containerImageNames': names}}
                }
            },
        }
    ]
    learning = '/providers/Microsoft.MachineLearningServices/workspaces'
    at[learning] = [resource('Microsoft.MachineLearningServices/workspaces', 'ml')]
    of_workspace = f'{GROUP}{learning}/ml'
    at[f'{of_workspace}/environments'] = [
        resource('Microsoft.MachineLearningServices/workspaces/ml/environments', 'train')
    ]
    at[f'{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ml/environments/train/versions'] = [
        {'name': '1', 'properties': {'image': used('subscription', 'environment train of the workspace ml')}}
    ]
    at[CLUSTERS] = [cluster('one')]
    credential(registry, 'one', encoded(KUBECONFIG))
    found['aks'] = {}
    registry.in_cluster = used('aks', 'aks one: Deployment default/web')
    return found


@pytest.mark.parametrize(
    'system', ['containerapps', 'containerapps:dev', 'webapps', 'functionapps', 'acr-tasks', 'aks:one', 'subscription']
)
def test_what_azure_runs_stays(az, registry, azure, kubectl, tmp_path, system):
    kubectl(answers(tmp_path, workload('Deployment', 'web', a=registry.in_cluster)))
    plan = az(*PRUNE, 'plan', '-r', 'localhost', '--pins-from', system, '--show-kept', check=True).json
    expected = {
        because: digest
        for name, pins in azure.items()
        for because, digest in pins.items()
        if system == 'subscription'
        or name == system
        or name.partition(':')[0] == system
        or system.partition(':')[0] == name == 'aks'
    }
    assert {entry['because']: entry['digest'] for entry in plan['kept']} == expected


FAILING = [
    (
        json_answer({'error': {'code': 'AuthorizationFailed', 'message': 'No authorization for it.'}}, 403),
        'No authorization for it (403)',
    ),
    (Answer(200, b'{"value": [{"na', {'Content-Type': 'application/json'}), 'cut off'),
    (json_answer({'value': {'no': 'list'}}), 'something else'),
    (
        json_answer({'value': [], 'nextLink': 'https://elsewhere.example/steal?api-version=1'}),
        'not one of the resource',
    ),
]


@pytest.mark.parametrize(
    'system,path',
    [
        ('containerapps', f'{APPS}/containerApps'),
        ('containerapps', f'{GROUP}{APPS}/containerApps/app0/revisions'),
        ('webapps', f'{GROUP}{SITES}/web/slots'),
        ('functionapps', SITES),
        ('aks:one', CLUSTERS),
        ('subscription', f'{ACI}/containerGroups'),
    ],
)
def test_a_resource_manager_that_does_not_answer_deletes_nothing(az, registry, azure, kubectl, tmp_path, system, path):
    kubectl(answers(tmp_path, workload('Deployment', 'web')))
    for answer, word in FAILING:
        registry.resources.at[path] = answer
        fails(az, registry, system, word)


def test_a_page_that_does_not_come_and_pages_without_end_delete_nothing(az, registry, azure):
    registry.faults.rules.append(Fault(f'GET {ROOT}{SITES}', 503))
    fails(az, registry, 'webapps', '503')
    registry.faults.clear()
    link = f'https://{registry.login_server}{ROOT}{SITES}?api-version=2023-12-01'
    registry.resources.at[SITES] = json_answer({'value': [], 'nextLink': link})
    fails(az, registry, 'webapps', 'no end')
    fails(az, registry, 'containerapps:missing', "no environment 'missing'")


def test_without_a_sign_in_azure_cannot_be_asked(az_of, registry, image):
    image('one')
    run = az_of(registry)(*PRUNE, 'untagged', *TARGET, *ADMIN_LOGIN, '--pins-from', 'webapps')
    assert run.code != 0 and 'az login' in run.err and 'Traceback' not in run.err
    assert registry.counters['manifest_delete'] == 0


@pytest.mark.parametrize('text', ['docker', 'kubectl:', 'webapps:x', 'aks:', 'aks:a/', 'aks:a/b/c', ''])
def test_a_system_that_nobody_knows_is_told_at_once(az, registry, text):
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--pins-from', text)
    assert run.code != 0 and '--pins-from' in run.err and 'Traceback' not in run.err, run.err


def test_pins_list_and_lock_ask_live_systems_too(az, registry, image, kubectl, tmp_path):
    digest, reference = image('one')
    kubectl(answers(tmp_path, workload('Deployment', 'web', a=reference, b=f'{registry.login_server}/team/app:gone')))
    document = az(*PRUNE, 'pins', 'list', '-r', 'localhost', '--pins-from', 'kubectl', check=True).json
    assert document['summary']['missing'] == 1
    az(*PRUNE, 'pins', 'lock', *TARGET, '--pins-from', 'kubectl', check=True)
    assert not registry.storage.state('team/app').manifests[digest].flags['deleteEnabled']


def custom(kind, name, **spec):
    return {'apiVersion': 'x/v1', 'kind': kind, 'metadata': {'namespace': 'ci', 'name': name}, **spec}


def release(text):
    """A release of Helm as it stands in a secret."""
    packed = gzip.compress(json.dumps({'name': 'web', 'manifest': text, 'config': {}}).encode())
    twice = base64.b64encode(base64.b64encode(packed)).decode()
    return {**custom('Secret', 'sh.helm.release.v1.web.v1', data={'release': twice}), 'type': 'helm.sh/release.v1'}


def test_every_kind_of_object_that_can_be_listed_is_looked_at(az, registry, image, kubectl, tmp_path):
    used = {
        name: image(name) for name in ('ScaledJob', 'ControllerRevision', 'WorkflowTemplate', 'ConfigMap', 'Secret')
    }

    def pod(name):
        return {'template': {'spec': {'containers': [{'image': used[name][1]}]}}}

    others = [
        custom('ScaledJob', 'a', spec={'jobTargetRef': pod('ScaledJob')}),
        custom('ControllerRevision', 'b', data={'spec': pod('ControllerRevision')}),
        custom('WorkflowTemplate', 'c', spec={'templates': [{'container': {'image': used['WorkflowTemplate'][1]}}]}),
        custom('ConfigMap', 'd', data={'config.yaml': f'sidecar:\n  image: {used["ConfigMap"][1]}\n'}),
    ]
    kinds = ('pods', 'secrets', 'events', 'nodes', 'scaledjobs.keda.sh', 'configmaps')
    releases = [release(f'kind: Pod\nspec:\n  containers:\n  - image: {used["Secret"][1]}\n')]
    folder = kubectl(answers(tmp_path, workload('Deployment', 'web'), kinds=kinds, others=others, releases=releases))
    az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--pins-from', 'kubectl', check=True)
    assert present(registry) == {digest for digest, _ in used.values()}
    asked = (folder / 'arguments').read_text().splitlines()
    assert [line for line in asked if 'scaledjobs' in line] == [
        'get scaledjobs.keda.sh,configmaps --all-namespaces --output=json'
    ]
    assert not any('secrets' in line and 'type=helm.sh/release.v1' not in line for line in asked)


def test_what_may_not_be_listed_is_said_and_is_no_error(az, registry, image, kubectl, tmp_path):
    digest, reference = image('used')
    refused = (
        'Error from server (Forbidden): tasks.tekton.dev is forbidden: User "x" cannot list resource "tasks" in API'
    )
    kubectl(
        answers(
            tmp_path,
            workload('Deployment', 'web'),
            kinds=('tasks.tekton.dev', 'configmaps'),
            others=[custom('ConfigMap', 'a', data={'x': reference})],
            refused=refused,
        )
    )
    run = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--pins-from', 'kubectl', check=True)
    assert 'kubectl: tasks may not be listed' in run.err
    assert present(registry) == {digest}


def test_what_could_not_be_listed_deletes_nothing_where_nobody_reads_a_warning(az, registry, image, kubectl, tmp_path):
    image('used')
    broke = 'Unable to connect to the server: EOF'
    kubectl(answers(tmp_path, workload('Deployment', 'web'), kinds=('configmaps',), refused=broke))
    before = present(registry)
    run = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--pins-from', 'kubectl')
    assert run.code == 1 and f'some objects ({broke}) could not be listed' in run.err, run.err
    assert present(registry) == before and registry.counters['manifest_delete'] == 0
    az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--pins-from', 'kubectl', '--no-strict-pins', check=True)
    assert present(registry) == set()


def test_revisions_that_are_not_active_can_be_gone_back_to_and_stay(az, registry, azure, image):
    digest, reference = image('inactive')
    registry.resources.at[f'{GROUP}{APPS}/containerApps/app0/revisions'] = [
        {'properties': {'active': False, 'template': {'containers': [{'image': reference}]}}}
    ]
    plan = az(*PRUNE, 'plan', '-r', 'localhost', '--pins-from', 'containerapps', '--show-kept', check=True).json
    assert digest in {entry['digest'] for entry in plan['kept'] if entry['reason'] == 'pinned'}


def test_a_subscription_says_what_it_does_not_see(az, registry, azure, kubectl, tmp_path):
    kubectl(answers(tmp_path, workload('Deployment', 'web')))
    registry.resources.at['/providers/Microsoft.Kubernetes/connectedClusters'] = [{'name': 'edge'}]
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--pins-from', 'subscription', check=True)
    assert 'virtual machines' in run.err and 'Arc cluster edge: it is only seen with kubectl:CONTEXT' in run.err


def test_what_ran_within_some_time_stays_when_its_system_is_down(az, registry, image, kubectl, tmp_path):
    digest, reference = image('ran')
    never = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--ran-within', '90d')
    assert never.code == 1 and 'pins remember' in never.err
    kubectl(answers(tmp_path, workload('Deployment', 'web', a=reference)))
    seen = az(*PRUNE, 'pins', 'remember', '-r', 'localhost', '--pins-from', 'kubectl', check=True).json
    assert [pin['digest'] for pin in seen['pins']] == [digest]
    image('other')
    (tmp_path / 'ran.yaml').write_text(
        'version: 1\nrules: [{name: all, match: {everything: true}, when: {olderThan: 0}, do: delete}]\n'
        'protect: {ran: {within: 2w}}\n'
    )
    plan = az(*PRUNE, 'plan', '-r', 'localhost', '--policy', str(tmp_path / 'ran.yaml'), check=True).json
    assert plan['policy']['pins']['ranWithin'] == '2w'
    assert digest not in [entry['digest'] for entry in plan['delete']]
    run = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--ran-within', '90d', check=True)
    assert 'only remembered since' in run.err
    assert present(registry) == {digest}


def test_a_memory_that_nobody_keeps_any_more_is_an_error(az, registry, image, kubectl, tmp_path, now):
    _, reference = image('ran')
    kubectl(answers(tmp_path, workload('Deployment', 'web', a=reference)))
    az(*PRUNE, 'pins', 'remember', '-r', 'localhost', '--pins-from', 'kubectl', check=True)
    memory = next(Path(az.home).rglob('*.ran.jsonl'))
    line = json.loads(memory.read_text())
    last = datetime.fromtimestamp(now - 8 * 86400, timezone.utc)
    memory.write_text(json.dumps({**line, 'at': last.isoformat()}) + '\n')
    run = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--ran-within', '900d')
    assert run.code == 1 and f'looked at last on {last:%Y-%m-%d}' in run.err, run.err
    assert registry.counters['manifest_delete'] == 0


def test_what_was_seen_in_part_deletes_nothing_where_nobody_reads_a_warning(az, registry, image, kubectl, tmp_path):
    digest, reference = image('ran')
    broke = 'Unable to connect to the server: EOF'
    kubectl(answers(tmp_path, workload('Deployment', 'web', a=reference), kinds=('configmaps',), refused=broke))
    az(*PRUNE, 'pins', 'remember', '-r', 'localhost', '--pins-from', 'kubectl', check=True)
    image('other')
    run = az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--ran-within', '90d')
    assert run.code == 1 and 'kubectl: what it runs was not all known' in run.err, run.err
    assert registry.counters['manifest_delete'] == 0
    kubectl(answers(tmp_path, workload('Deployment', 'web', a=reference), kinds=('configmaps',)))
    az(*PRUNE, 'pins', 'remember', '-r', 'localhost', '--pins-from', 'kubectl', check=True)
    az(*PRUNE, 'untagged', *TARGET, '--ago', '0', '--ran-within', '90d', check=True)
    assert present(registry) == {digest}


def test_remember_fails_when_it_cannot_look_or_write(az, registry, image, kubectl, tmp_path):
    assert az(*PRUNE, 'pins', 'remember', '-r', 'localhost').code != 0
    kubectl('exit 1')
    failed = az(*PRUNE, 'pins', 'remember', '-r', 'localhost', '--pins-from', 'kubectl')
    assert failed.code == 1 and 'kubectl' in failed.err
