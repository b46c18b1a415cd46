"""Asks a Kubernetes cluster what it runs, by kubectl: it knows every way to sign in to one."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from ..pins.live import Thing, not_listed, things_of_cluster
from ..spelling import printable
from .failure import AskError

_KINDS = 'pods,deployments,statefulsets,daemonsets,replicasets,replicationcontrollers,jobs,cronjobs'
"""What runs, and what makes it: a cluster whose answer lacks one of these was not seen."""

_NOT_ASKED = frozenset(
    _KINDS.split(',')
    + [
        *('secrets', 'nodes', 'events', 'events.events.k8s.io', 'leases.coordination.k8s.io', 'endpoints'),
        *('endpointslices.discovery.k8s.io', 'componentstatuses', 'apiservices.apiregistration.k8s.io'),
        'customresourcedefinitions.apiextensions.k8s.io',
    ]
)
"""What is asked already, what names images that nobody runs, and what is secret."""

_HELM_RELEASES = 'type=helm.sh/release.v1'
_LISTED = re.compile(r'[a-z0-9.-]+\Z')


def ask_kubectl(
    seconds: float, context: str | None = None, kubeconfig: str | None = None, origin: str | None = None
) -> list[Thing]:
    """Everything in the cluster of a context, of the current one when None, within some seconds each time it is asked.

    Every kind of object that can be listed is listed, for nobody knows which ones name images. Raises AskError where
    what runs cannot be seen; where another kind may not be listed, or could not be, a Thing says so.
    """
    source = origin or (f'kubectl {context}' if context else 'kubectl')
    kubectl = [_kubectl(source)]
    kubectl += [f'--context={context}'] if context else []
    kubectl += [f'--kubeconfig={kubeconfig}'] if kubeconfig else []
    things = listed(source, _run(source, seconds, [*kubectl, 'get', _KINDS, *_EVERYWHERE]))
    return [*things, *_others(source, seconds, kubectl), *_releases(source, seconds, kubectl)]


_EVERYWHERE = ('--all-namespaces', '--output=json')


def listed(source: str, output: bytes) -> list[Thing]:
    """What a list of objects, as `kubectl get` answers with it, has. Raises AskError."""
    try:
        return things_of_cluster(source, json.loads(output))
    except RecursionError as error:
        raise AskError(source, 'its answer is nested too deeply') from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AskError(source, 'its answer is cut off, or is not JSON') from error
    except ValueError as error:
        raise AskError(source, str(error)) from error


def _others(source: str, seconds: float, kubectl: list[str]) -> Iterator[Thing]:
    """Objects of all other kinds: what is scaled to nothing, templates, custom resources, settings."""
    done = _called(source, seconds, [*kubectl, 'api-resources', '--verbs=list', '--output=name'])
    names = [name.strip() for name in done.stdout.decode('utf-8', 'replace').split('\n')]
    names = [name for name in names if _LISTED.match(name)]
    kinds = [name for name in names if name not in _NOT_ASKED and not _METRICS.search(name)]
    if not names:
        yield _not_read(source, 'which kinds of objects there are')
    elif done.returncode and not _lacks_metrics_alone(done.stderr.decode('utf-8', 'replace')):
        yield _not_read(source, f'some kinds of objects ({_last_line(done)})')
    if kinds:
        yield from _as_far_as_allowed(source, seconds, [*kubectl, 'get', ','.join(kinds), *_EVERYWHERE])


def _lacks_metrics_alone(said: str) -> bool:
    """Whether the API servers that do not answer are those of metrics, which name no images."""
    groups = _SILENT_GROUP.findall(said)
    return bool(groups) and all(_METRICS.search(group) for group in groups)


def _releases(source: str, seconds: float, kubectl: list[str]) -> Iterator[Thing]:
    """The releases of Helm, to which it can roll back; no other secret is looked at."""
    command = [*kubectl, 'get', 'secrets', f'--field-selector={_HELM_RELEASES}', *_EVERYWHERE]
    return _as_far_as_allowed(source, seconds, command, 'the releases of Helm')


def _as_far_as_allowed(source: str, seconds: float, command: list[str], what: str | None = None) -> Iterator[Thing]:
    """What kubectl lists; it goes on after what it may not list, and names it at the end. What it could not list for
    another reason is not read.
    """
    done = _called(source, seconds, command)
    if done.stdout.strip() or not done.returncode:
        yield from _objects(source, done.stdout)
    said = [line.strip() for line in done.stderr.decode('utf-8', 'replace').split('\n')]
    said = [line for line in dict.fromkeys(said) if line and not line.startswith('Warning:')]
    for line in said if done.returncode else ():
        refused, reason = _REFUSED.search(line), _REASON.match(line)
        if refused or reason:
            yield not_listed(source, what or (refused[1] if refused else f'some objects ({printable(line)})'))
        else:
            yield _not_read(source, f'{what or "some objects"} ({printable(line)})')
    if done.returncode and not said:
        yield _not_read(source, what or 'some objects')


def _objects(source: str, output: bytes) -> list[Thing]:
    """The objects of a list that may have none."""
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise AskError(source, 'its answer is cut off, or is not JSON') from error
    if isinstance(answer, dict) and answer.get('items') == []:
        return []
    try:
        return things_of_cluster(source, answer)
    except ValueError as error:
        raise AskError(source, str(error)) from error


def _not_read(source: str, what: str) -> Thing:
    return Thing(source, (), unread=f'{what} could not be listed')


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    return printable(done.stderr.decode('utf-8', 'replace').strip().split('\n')[-1])


_REFUSED = re.compile(r'forbidden: .*? cannot list resource "([^"]+)"')
_REASON = re.compile(r'Error from server \((?:Forbidden|MethodNotAllowed|NotFound)\)')
"""Nobody, or not this identity, can list such objects, now or later; the others come back."""

_METRICS = re.compile(r'(?:\A|\.)metrics\.k8s\.io(?:/|\Z)')
_SILENT_GROUP = re.compile(r'(?:APIs: |, )([a-z0-9.-]+/v\w+)(?=:)')


def _called(source: str, seconds: float, command: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise AskError(
            source,
            f'kubectl gave no answer in {seconds:g} seconds',
            'Check the network to the cluster, and that its sign-in asks no question; give it more time '
            "with 'az config set acrprune.kubectl_timeout=SECONDS'.",
        ) from error
    except (OSError, ValueError) as error:
        raise AskError(source, f'kubectl cannot be run: {error}') from error


@contextmanager
def kubeconfig_file(source: str, encoded: Any) -> Iterator[str]:
    """The path of a file with a kubeconfig that the resource manager gave in Base64: only its owner may read it, and
    it is gone afterwards. Raises AskError.
    """
    text = _with_sign_in_of_az(source, encoded)
    with tempfile.TemporaryDirectory(prefix='acrprune-') as folder:  # 0700
        path = os.path.join(folder, 'kubeconfig')
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w', encoding='utf-8') as file:
            file.write(text)
        yield path


def _kubectl(source: str) -> str:
    found = shutil.which('kubectl')
    if not found:
        raise AskError(source, 'kubectl is not installed, or not on the PATH', "Install it with 'az aks install-cli'.")
    return found


def _run(source: str, seconds: float, command: list[str]) -> bytes:
    done = _called(source, seconds, command)
    if done.returncode:
        why = _last_line(done) or 'it does not say why'
        raise AskError(
            source,
            f'kubectl failed with {done.returncode}: {why}',
            f"See what 'kubectl get {_KINDS} -A' says: all of these have to be readable.",
        )
    return done.stdout


def _with_sign_in_of_az(source: str, encoded: Any) -> str:
    """The kubeconfig with az's own sign-in, where it wants one of Entra ID: nobody is there to type a device code."""
    try:
        config = yaml.safe_load(base64.b64decode(encoded, validate=True))
    except (TypeError, ValueError, binascii.Error, yaml.YAMLError, RecursionError) as error:
        raise AskError(source, 'its kubeconfig cannot be read') from error
    if not isinstance(config, dict):
        raise AskError(source, 'its kubeconfig cannot be read')
    users = config.get('users')
    for user in users if isinstance(users, list) else ():
        arguments = _kubelogin_arguments(user)
        if '--login' in arguments[:-1]:
            arguments[arguments.index('--login') + 1] = 'azurecli'
    return yaml.safe_dump(config)


def _kubelogin_arguments(user: Any) -> list[str]:
    part: Any = user
    for key in ('user', 'exec', 'args'):
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, list) else []
