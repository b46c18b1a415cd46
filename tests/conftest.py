"""One local registry for all tests, empty and without faults at the start of each; signals as a terminal gives them."""

from __future__ import annotations

import fcntl
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import figures
from tests.examples import examples
from tests.registry.azcli import az_executable
from tests.registry.forked import Forks
from tests.registry.server import LocalRegistry
from tests.wheel import install_extension


def pytest_configure() -> None:
    settings.register_profile('acrprune', examples(100))
    settings.load_profile('acrprune')
    _let_signals_through()
    # Each az would compile 300 modules anew: two thirds of all that it does.
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == 'call':
        counted = figures.take(getattr(item, 'hypothesis_statistics', None))
        report.user_properties = [*report.user_properties, *counted]
    return report


def pytest_terminal_summary(terminalreporter) -> None:
    """What the random examples did; then one line for each folder of tests: what ran in it and how that ended."""
    ended_tests = [
        (each, how == 'failed') for how in ('passed', 'failed') for each in terminalreporter.stats.get(how, ())
    ]
    for line in figures.table(
        (report.nodeid.partition('::')[0], failed, report.user_properties)
        for report, failed in ended_tests
        if report.when == 'call'
    ):
        terminalreporter.write_line(line)
    ended = {
        name: Counter(_suite(report.nodeid) for report in terminalreporter.stats.get(name, ()))
        for name in ('passed', 'failed', 'error', 'skipped')
    }
    for suite in sorted({suite for counts in ended.values() for suite in counts}):
        counts = [f'{counts[suite]} {name}' for name, counts in ended.items() if counts[suite]]
        terminalreporter.write_line(f'{suite}: {", ".join(counts)}')


def _suite(test: str) -> str:
    """`e2e` for tests/e2e/test_x.py::test_y, `properties and others` for what is in no folder."""
    folders = test.partition('::')[0].split('/')[1:-1]
    return folders[0] if folders else 'properties and others'


def _let_signals_through() -> None:
    """What a background job or `nohup` ignores stays ignored here, but is not ignored by what the tests start.

    A process inherits which signals are ignored, but not which are handled.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope='session')
def server() -> Iterator[LocalRegistry]:
    with LocalRegistry() as registry:
        yield registry


@pytest.fixture
def registry(server) -> LocalRegistry:
    server.reset()
    return server


@pytest.fixture(scope='session')
def extensions(tmp_path_factory) -> Path:
    """The folder into which `az extension add` installed the wheel that setup.py builds, once for all workers."""
    own = tmp_path_factory.getbasetemp()
    work = (own.parent if 'PYTEST_XDIST_WORKER' in os.environ else own) / 'wheel'
    with open(f'{work}.lock', 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (work / 'done').exists():
            install_extension(work)
            (work / 'done').touch()
    return work / 'extensions'


@pytest.fixture(scope='session')
def all_forks(extensions) -> Iterator[Forks]:
    with Forks(az_executable(), extensions) as forks:
        yield forks
