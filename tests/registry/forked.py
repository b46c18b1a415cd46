"""Starts az by a fork of a Python that has its libraries imported: see az_forks.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_SERVER = Path(__file__).with_name('az_forks.py')


class Forks:
    """`with Forks(az, extensions) as forks:` runs the server; `forks.start` starts an az."""

    def __init__(self, az: str, extensions: Path) -> None:
        """The Python beside `az` is forked; `extensions` is the folder with the one extension of each az."""
        self._python = Path(az).with_name('python')
        (self._extension,) = (each for each in extensions.iterdir() if each.is_dir())

    def __enter__(self) -> Forks:
        self._folder = tempfile.TemporaryDirectory()
        self._path = f'{self._folder.name}/socket'
        self._environment = {**os.environ, 'PYTHONSAFEPATH': '1'}
        self._server = subprocess.Popen(
            [str(self._python), str(_SERVER), self._path, str(self._extension)],
            env=self._as_the_script_az(self._environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout and self._server.stdout.readline() == 'ready\n'
        return self

    def __exit__(self, *_: Any) -> None:
        with self._server:
            self._server.stdin.close()
        self._folder.cleanup()

    def can_start(self, environment: Mapping[str, str]) -> bool:
        """Whether nothing is asked for that a Python heeds only when it starts."""
        return all(
            environment.get(name) == self._environment.get(name)
            for name in {*environment, *self._environment}
            if name.startswith(('PYTHON', 'LC_', 'LANG'))
        )

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        start_new_session: bool = False,
    ) -> Forked:
        """Start az; the standard files are given as for subprocess.Popen."""
        ends = [_ends(stdin, 0), _ends(stdout, 1), _ends(stderr, 2)]
        request = {
            'arguments': arguments,
            'environment': self._as_the_script_az(environment),
            'folder': str(folder),
            'session': start_new_session,
        }
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self._path)
        socket.send_fds(connection, [json.dumps(request).encode()], [theirs for theirs, _, _ in ends])
        for theirs, _, opened in ends:
            if opened:
                os.close(theirs)
        return Forked(connection, *(ours for _, ours, _ in ends))

    def _as_the_script_az(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment after what the script `az` of azure-cli's wheel does before it becomes a Python."""
        source = str(self._python.with_name('src'))
        path = os.pathsep.join([source, *([environment['PYTHONPATH']] if 'PYTHONPATH' in environment else [])])
        return {'AZ_INSTALLER': 'PIP', **environment, 'PYTHONPATH': path}


def _ends(option: Any, number: int) -> tuple[int, IO[str] | None, bool]:
    """(their descriptor, our end of a pipe, whether theirs was opened for this) of one standard file."""
    if option == subprocess.PIPE:
        reading, writing = os.pipe()
        return (writing, open(reading), True) if number else (reading, open(writing, 'w'), True)
    if option == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None, True
    if option is None:
        return number, None, False
    return option if isinstance(option, int) else option.fileno(), None, False


class Forked:
    """A process like one of subprocess.Popen, as far as tests use it."""

    def __init__(
        self, connection: socket.socket, stdin: IO[str] | None, stdout: IO[str] | None, stderr: IO[str] | None
    ) -> None:
        self._connection = connection
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.returncode: int | None = None
        self.pid = self._number()

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, or minus the signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = self._number()
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired('az', timeout or 0) from None
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout: float | None = None) -> tuple[str | None, str | None]:
        """What it wrote, when it has ended. Raises subprocess.TimeoutExpired."""
        written: dict[Any, str] = {}
        readers = [
            threading.Thread(target=lambda file=file: written.__setitem__(file, file.read()), daemon=True)
            for file in (self.stdout, self.stderr)
            if file
        ]
        for reader in readers:
            reader.start()
        if self.stdin:
            self.stdin.close()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        for file in written:
            file.close()
        return written.get(self.stdout), written.get(self.stderr)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        answer = self._connection.recv(64)
        if not answer:
            raise RuntimeError('The server that forks az has ended.')
        return int(answer)
