"""A Python that has az's libraries imported, and forks an az for each request: `PYTHON az_forks.py SOCKET EXTENSION`.

To import the libraries, azure-cli and the installed extension in the folder EXTENSION is most of what a short az does.
All that azure-cli reads of its environment while it is imported is where its configuration is, and what that says of
extensions: each az does that anew. From there on all is as `python -m azure.cli` has it: a process of its own with its
arguments, environment, folder, files and signals.

A request is a message with a JSON object and the three standard files. Two messages answer it: the process id, and,
when the process has ended, its exit code, or minus the signal that ended it. The server ends with its standard input.

This file runs in the Python of az, which knows nothing of these tests.
"""

import atexit
import gc
import importlib
import importlib.util
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import types
from contextlib import suppress
from pathlib import Path

LIBRARIES = (
    'aiohttp',
    'argcomplete',
    'asyncio',
    'azure.core.async_paging',
    'azure.core.pipeline.policies',
    'azure.core.pipeline.transport',
    'azure.core.rest',
    'azure.core.rest._aiohttp',
    'azure.core.tracing.decorator_async',
    'azure.mgmt.containerregistry',
    'azure.mgmt.core',
    'azure.mgmt.resource.features.v2021_07_01',
    'azure.mgmt.resource.managedapplications.v2019_07_01',
    'azure.mgmt.resource.subscriptions.v2022_12_01',
    'azure.profiles',
    'chardet',
    'charset_normalizer',
    'concurrent.futures.thread',
    'email.mime.multipart',
    'encodings.utf_8_sig',
    'http.cookiejar',
    'idna',
    'jmespath',
    'knack.commands',
    'knack.completion',
    'knack.help',
    'knack.output',
    'knack.query',
    'logging.config',
    'logging.handlers',
    'msal',
    'msrest',
    'multidict',
    'oauthlib',
    'packaging.version',
    'pkgutil',
    'pkginfo',
    'portalocker',
    'requests',
    'sqlite3',
    'sysconfig',
    'tabulate',
    'timeit',
    'unittest',
    'urllib3',
    'yaml',
    'yarl',
)
"""aiohttp makes its default TLS settings while it is imported; the extension makes its own in each az."""

CONFIGURATION = 'AZURE_CONFIG_DIR'
READS_CONFIGURATION = 'azure.cli.core.extension'
"""Reads the configuration while it is imported, and so do the modules below it."""


class Server:
    """Forks one az for each connection, and tells it how that ended."""

    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)
        self._running = {}  # by the descriptor that says that a process has ended: (its id, the connection)

    def next_az(self) -> dict:
        """Returns in each new process, with what was asked for."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    request = self._fork()
                    if request:
                        return request
                elif key.fd in self._running:
                    self._tell(key.fd)
                else:
                    sys.exit()

    def _fork(self) -> dict:
        connection, _ = self._listener.accept()
        data, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        pid = os.fork()
        if not pid:
            self._close()
            connection.close()
            return {**json.loads(data), 'files': files}
        for file in files:
            os.close(file)
        connection.sendall(b'%d' % pid)
        ended = os.pidfd_open(pid)
        self._running[ended] = pid, connection
        self._selector.register(ended, selectors.EVENT_READ)
        return {}

    def _tell(self, ended: int) -> None:
        self._selector.unregister(ended)
        os.close(ended)
        pid, connection = self._running.pop(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(OSError), connection:
            connection.sendall(b'%d' % code)

    def _close(self) -> None:
        """Leave nothing of the server open in a new process."""
        self._selector.close()
        self._listener.close()
        for ended, (_, connection) in self._running.items():
            os.close(ended)
            connection.close()


def import_libraries() -> None:
    """Import what az and the extension will; an older az may lack some of it."""
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)


def import_az_and_extension(folder: Path) -> None:
    """Import the modules of both, but for the package of the extension itself, which azure-cli imports."""
    package = next(folder.glob('azext_*'))
    kept = [*sys.path]
    sys.path.append(str(folder))
    sys.modules[package.name] = types.ModuleType(package.name)
    sys.modules[package.name].__path__ = [str(package)]
    az = Path(importlib.util.find_spec('azure.cli').submodule_search_locations[0])
    for files, root in (
        (az.glob('core/**/*.py'), az.parents[1]),
        (az.glob('command_modules/acr/**/*.py'), az.parents[1]),
        (package.glob('**/*.py'), folder),
    ):
        for file in sorted(files):
            name = '.'.join(file.relative_to(root).with_suffix('').parts).removesuffix('.__init__')
            with suppress(ImportError):
                importlib.import_module(name)
    azure = importlib.import_module('azure')
    own = [*azure.__path__]
    azure.__path__ = [*own, str(folder / 'azure')]  # as azure-cli does before it loads the extension
    importlib.import_module('azure.containerregistry.aio')
    azure.__path__ = own
    for name in [each for each in sys.modules if each.startswith(f'{READS_CONFIGURATION}.')]:
        del sys.modules[name]
    del sys.modules[package.name]
    sys.path[:] = kept


def paths_of_configuration() -> list[tuple[types.ModuleType, str, str]]:
    """What of azure-cli's modules is a path of its configuration: (the module, the name in it, the path below)."""
    folder = os.environ[CONFIGURATION]
    return [
        (module, name, value.removeprefix(folder))
        for module in [each for name, each in sys.modules.items() if name.startswith('azure.cli.')]
        for name, value in vars(module).items()
        if isinstance(value, str) and value.startswith(folder)
    ]


def configure(paths: list[tuple[types.ModuleType, str, str]]) -> None:
    """Let azure-cli have the configuration that the environment names."""
    for module, name, below in paths:
        setattr(module, name, os.environ[CONFIGURATION] + below)
    importlib.reload(sys.modules[READS_CONFIGURATION])


def become(request: dict) -> None:
    """Be as a new process would: its session, files, folder, environment, arguments and signals."""
    if request['session']:
        os.setsid()
    for number, file in enumerate(request['files']):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request['folder'])
    os.environ.clear()
    os.environ.update(request['environment'])
    sys.argv[1:] = request['arguments']
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, number, mode in (('stdin', 0, 'r'), ('stdout', 1, 'w'), ('stderr', 2, 'w')):
        old = getattr(sys, name)
        new = open(number, mode, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
        setattr(sys, f'__{name}__', new)
    sys.stderr.reconfigure(line_buffering=True)


def run_az(ended: list[int]) -> None:
    """Be az from here on; `ended` gets its exit code, unless it ends in another way than by saying one."""
    try:
        runpy.run_module('azure.cli', run_name='__main__', alter_sys=True)
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            ended.append((error.code or 0) & 0xFF)
        raise


def leave(ended: list[int]) -> None:
    """End a process that is az without taking apart what it was forked from: that would copy all of its memory."""
    if ended:
        with suppress(OSError, ValueError):  # else Python says what is wrong with its files
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended[0])


if __name__ == '__main__':
    codes: list[int] = []
    atexit.register(leave, codes)  # first, so that it is the last one that is called
    del sys.path[0]  # this file's folder
    os.environ[CONFIGURATION] = f'{sys.argv[1]}.none'
    import_libraries()
    import_az_and_extension(Path(sys.argv[2]))
    paths = paths_of_configuration()
    gc.freeze()
    server = Server(sys.argv[1])
    print('ready', flush=True)
    become(server.next_az())
    configure(paths)
    run_az(codes)
