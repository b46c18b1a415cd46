"""The real `az` against a local registry, in a configuration folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from .auth import ADMIN, SERVICE_PRINCIPAL, TENANT
from .documents import hold_to_exit_code, hold_to_schema
from .forked import Forked, Forks
from .printed import hold_to_parser
from .server import LocalRegistry

_VERSIONS = {
    'versions': {'azure-cli': {'local': '2.91.0'}, 'core': {'local': '2.91.0'}, 'telemetry': {'local': '1.1.0'}},
    'update_time': '2099-01-01 00:00:00.000000',
    'check_time': '2099-01-01 00:00:00.000000',
}


def az_executable() -> str:
    """ACRPRUNE_AZ, else the `az` beside this Python, else the one on the path; absolute, for az runs elsewhere."""
    beside = Path(sys.executable).with_name('az')
    found = os.environ.get('ACRPRUNE_AZ') or (str(beside) if beside.exists() else shutil.which('az'))
    if not found:
        raise RuntimeError('no az found: install azure-cli or set ACRPRUNE_AZ')
    return str(Path(found).absolute())


@cache
def _first_notes(az: str, extensions: Path | None) -> dict[str, bytes]:
    """The files that az writes on its first run in a new folder, which is three times as long as the others."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        subprocess.run(
            [az, 'acr', 'manifest', '-h'],
            check=True,
            capture_output=True,
            env={**os.environ, **_folders(Path(home), extensions)},
            cwd=home,
        )
        return {file.name: file.read_bytes() for file in Path(home).iterdir() if file.is_file()}


def _folders(home: Path, extensions: Path | None) -> dict[str, str]:
    own = {'AZURE_CONFIG_DIR': str(home), 'PYTHONSAFEPATH': '1'}  # the installed package, in the source tree too
    return {**own, 'AZURE_EXTENSION_DIR': str(extensions)} if extensions else own


@dataclass(frozen=True)
class Run:
    """What one az process did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Az:
    """Runs az with the cloud `local`, whose registry `localhost` is ours: by `forks` if given, else as a shell does."""

    def __init__(
        self, home: Path, registry: LocalRegistry, extensions: Path | None = None, forks: Forks | None = None
    ) -> None:
        self._forks = forks
        self.home = home
        self._registry = registry
        self._extensions = extensions
        home.mkdir(parents=True, exist_ok=True)
        for name, data in _first_notes(az_executable(), extensions).items():
            (home / name).write_bytes(data)
        (home / 'versionCheck.json').write_text(json.dumps(_VERSIONS))
        base = f'https://{registry.login_server}'
        (home / 'clouds.config').write_text(
            '[local]\n'
            f'endpoint_resource_manager = {base}\n'
            f'endpoint_active_directory = {base}/adfs\n'
            f'endpoint_log_analytics_resource_id = {base}\n'
            f'endpoint_active_directory_resource_id = {base}/arm\n'
            f'suffix_acr_login_server_endpoint = :{registry.port}\n'
        )
        (home / 'config').write_text(
            '[cloud]\nname = local\n[core]\ninstance_discovery = false\ncollect_telemetry = no\n'
            '[logging]\nenable_log_file = no\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **_folders(self.home, self._extensions),
            'REQUESTS_CA_BUNDLE': self._registry.ca_file,
            'SSL_CERT_FILE': self._registry.ca_file,
            'AZURE_CORE_COLLECT_TELEMETRY': 'no',
            'NO_COLOR': '1',
        }

    def __call__(self, *arguments: str, check: bool = False, stdin: Any = subprocess.DEVNULL) -> Run:
        process = self.start(*arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate()
        if check and process.returncode:
            raise AssertionError(f'az {" ".join(arguments)} answered {process.returncode}:\n{err}')
        if '-h' not in arguments:  # where a command is named
            for text in (out or '', err or '', *self._pages(arguments)):
                hold_to_parser(text)
        hold_to_schema(arguments, out)
        hold_to_exit_code(arguments, process.returncode, out or '', err or '')
        return Run(process.returncode, out, err)

    def _pages(self, arguments: tuple[str, ...]) -> Iterator[str]:
        """The Markdown that a command wrote, in which there are commands too."""
        for option, name in pairwise(arguments):
            if option in ('--summary-file', '--markdown') and (self.home / name).is_file():
                yield (self.home / name).read_text()

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen | Forked:
        """Start az, with more in its environment perhaps, and leave it running; options as for subprocess.Popen."""
        environment = {**self.environment, **(environment or {})}
        if self._forks and self._forks.can_start(environment):
            return self._forks.start(arguments, environment, self.home, **options)
        return subprocess.Popen([az_executable(), *arguments], env=environment, cwd=self.home, text=True, **options)

    def login(self, secret: str = SERVICE_PRINCIPAL[1]) -> Run:
        return self('login', '--service-principal', '-u', SERVICE_PRINCIPAL[0], '-p', secret, '--tenant', TENANT)

    def signed_in(self) -> None:
        """As after `login`: where az is forked, by the files that an earlier one left, for signing in takes a while."""
        auth, joined = self._registry.auth, self._registry.manager.joined.values()
        place = (self._registry.login_server, *(each.subscription for each in joined))
        known = _SIGN_INS.get(place) if self._forks else None
        if known is None:
            before, issued = self._files(), len(auth.issued)
            assert self.login().code == 0
            files = dict(self._files().items() - before.items())
            _SIGN_INS[place] = files, auth.issued[issued:]
            return
        files, tokens = known
        for name, data in files.items():
            (self.home / name).write_bytes(data)
        auth.issued += tokens

    def _files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.home.iterdir() if file.is_file()}


_SIGN_INS: dict[tuple[str, ...], tuple[dict[str, bytes], list[str]]] = {}
"""What a sign-in leaves, by registry and subscriptions: its files, and the tokens that were issued."""


ADMIN_LOGIN = ('-u', ADMIN[0], '-p', ADMIN[1])
