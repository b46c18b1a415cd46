"""Azurite, Microsoft's own emulator of the blob service, over TLS with an authority of our own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

_FOLDER = Path(__file__).resolve().parents[2] / '.azurite' / 'node_modules' / '.bin'
AZURITE = shutil.which('azurite-blob', path=str(_FOLDER)) or shutil.which('azurite-blob')
_AHEAD = Path(__file__).with_name('ahead.js')
ACCOUNT = 'devstoreaccount1'
KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
"""Of the account that every Azurite has; it is no secret."""


@dataclass(frozen=True)
class Azurite:
    """A running Azurite; `ca_file` is what its clients have to trust."""

    port: int
    ca_file: Path
    _ahead: Path
    _process: subprocess.Popen[bytes]

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Within it, no request is answered."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def pass_time(self, seconds: int) -> None:
        """From now on it is later for the service by so many seconds more: leases run out."""
        ahead = seconds + int(self._ahead.read_text())
        self._ahead.with_suffix('.new').write_text(str(ahead))
        self._ahead.with_suffix('.new').replace(self._ahead)

    @property
    def connection_string(self) -> str:
        return self.connection_string_at(self.port)

    @staticmethod
    def connection_string_at(port: int) -> str:
        """The same where something stands in between that listens at another port."""
        endpoint = f'https://127.0.0.1:{port}/{ACCOUNT}'
        return f'DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};'

    def client(self, port: int | None = None, **options: Any) -> Any:
        """The client of the storage SDK, which asks again at once."""
        from azure.storage.blob import BlobServiceClient, LinearRetry

        text = self.connection_string_at(port or self.port)
        retries = LinearRetry(backoff=0, random_jitter_range=0)
        return BlobServiceClient.from_connection_string(
            text, connection_verify=str(self.ca_file), retry_policy=retries, **options
        )


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """Azurite with its files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    ca_file, key, certificate = folder / 'ca.pem', folder / 'key.pem', folder / 'certificate.pem'
    authority.cert_pem.write_to_path(str(ca_file))
    leaf = authority.issue_cert('localhost', '127.0.0.1')
    leaf.private_key_pem.write_to_path(str(key))
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    command = [AZURITE, '--blobHost', '127.0.0.1', '--blobPort', str(port), '--silent', '--skipApiVersionCheck']
    command += ['--disableTelemetry', '--location', str(folder), '--cert', str(certificate), '--key', str(key)]
    ahead = folder / 'ahead'
    ahead.write_text('0')
    environment = {**os.environ, 'NODE_OPTIONS': f'--require {_AHEAD}', 'AHEAD_FILE': str(ahead)}
    with subprocess.Popen(command, env=environment) as process:
        try:
            _wait_for(port, process)
            yield Azurite(port, ca_file, ahead, process)
        finally:
            process.terminate()


class Cut:
    """Stands between a client and a service, by port.

    After `cut` the next answer is lost, or the one after so many others, and its connection ends.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._passing: int | None = None
        self.lost = 0
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, after: int = 0) -> None:
        self._passing = after

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(('127.0.0.1', self._to))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, target, source is far), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError), source, target:
            while data := source.recv(65536):
                if answers and self._passing == 0:
                    self._passing, self.lost = None, self.lost + 1
                    target.shutdown(socket.SHUT_RDWR)
                    return
                if answers and self._passing:
                    self._passing -= 1
                target.sendall(data)


def _wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(('127.0.0.1', port)) == 0:
                return
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError('Azurite does not listen')
