"""Asks a Kubernetes cluster what it runs, by kubectl: it knows every way to sign in to one."""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from ..pins.live import Thing, things_of_cluster
from ..spelling import printable
from .failure import AskError

_KINDS = 'pods,deployments,statefulsets,daemonsets,replicasets,replicationcontrollers,jobs,cronjobs'


def ask_kubectl(
    seconds: float, context: str | None = None, kubeconfig: str | None = None, origin: str | None = None
) -> list[Thing]:
    """Everything in the cluster of a context, of the current one when None, within some seconds. Raises AskError."""
    source = origin or (f'kubectl {context}' if context else 'kubectl')
    command = [_kubectl(source)]
    command += [f'--context={context}'] if context else []
    command += [f'--kubeconfig={kubeconfig}'] if kubeconfig else []
    output = _run(source, seconds, [*command, 'get', _KINDS, '--all-namespaces', '--output=json'])
    try:
        return things_of_cluster(source, json.loads(output))
    except RecursionError as error:
        raise AskError(source, 'its answer is nested too deeply') from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AskError(source, 'its answer is cut off, or is not JSON') from error
    except ValueError as error:
        raise AskError(source, str(error)) from error


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
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise AskError(
            source,
            f'kubectl gave no answer in {seconds:g} seconds',
            'Check the network to the cluster, and that its sign-in asks no question; give it more time '
            "with 'az config set acrprune.kubectl_timeout=SECONDS'.",
        ) from error
    except (OSError, ValueError) as error:
        raise AskError(source, f'kubectl cannot be run: {error}') from error
    if done.returncode:
        said = done.stderr.decode('utf-8', 'replace').strip().split('\n')
        why = printable(said[-1]) or 'it does not say why'
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
    for user in config.get('users') or ():
        arguments = _kubelogin_arguments(user)
        if '--login' in arguments[:-1]:
            arguments[arguments.index('--login') + 1] = 'azurecli'
    return yaml.safe_dump(config)


def _kubelogin_arguments(user: Any) -> list[str]:
    part: Any = user
    for key in ('user', 'exec', 'args'):
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, list) else []
