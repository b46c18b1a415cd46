"""skopeo, a client that we did not write, against the local registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .auth import ADMIN
from .server import LocalRegistry

INSTALLED = bool(shutil.which('skopeo'))
needs_skopeo = pytest.mark.skipif(not INSTALLED, reason='skopeo is not installed (Debian: skopeo)')
_COPY = ('copy', '--all', '--preserve-digests')


def skopeo(registry: LocalRegistry, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs skopeo; in its arguments, CERTS and CREDS stand for what it needs to talk to the registry."""
    certificates = Path(registry.ca_file).parent / 'skopeo'
    certificates.mkdir(exist_ok=True)
    shutil.copy(registry.ca_file, certificates / 'ca.crt')
    options = [argument.replace('CERTS', str(certificates)).replace('CREDS', ':'.join(ADMIN)) for argument in arguments]
    return subprocess.run(['skopeo', '--insecure-policy', *options], capture_output=True, text=True, check=False)


def pull(registry: LocalRegistry, image: str, target: str) -> subprocess.CompletedProcess[str]:
    """Copies REPOSITORY:TAG or REPOSITORY@DIGEST, with all that an index names, to a place like oci:FOLDER:TAG."""
    source = f'docker://{registry.login_server}/{image}'
    return skopeo(registry, *_COPY, '--src-cert-dir', 'CERTS', '--src-creds', 'CREDS', source, target)


def push(registry: LocalRegistry, source: str, image: str) -> subprocess.CompletedProcess[str]:
    """Copies from a place like oci:FOLDER:TAG to REPOSITORY:TAG, with all that an index names."""
    target = f'docker://{registry.login_server}/{image}'
    return skopeo(registry, *_COPY, '--dest-cert-dir', 'CERTS', '--dest-creds', 'CREDS', source, target)
