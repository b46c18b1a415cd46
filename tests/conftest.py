"""One local registry for all tests, empty and without faults at the start of each; signals as a terminal gives them."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests import figures
from tests.examples import examples
from tests.registry.server import LocalRegistry


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
