"""Reports of runs as artifacts in the registry."""

from __future__ import annotations

import time

import pytest

from azext_acrprune.custom.report_artifacts import publish
from azext_acrprune.prune_error import Kind, PruneError
from azext_acrprune.registry.protocol.tokens import PUBLISHING, Password, TokenBook
from tests.registry.auth import ADMIN, ALL
from tests.wire.conftest import not_again, opened, unhurried

REPORTS = 'acrprune/reports'


@pytest.fixture
def report(registry, monkeypatch):
    """Pushes reports as somebody; gives how many there are then, and the digest of the last one."""
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)

    def push(*texts: str, lacking: str = '') -> tuple[int, str]:
        registry.auth.add_user('nightly', 'password', permissions=[(REPORTS, ALL - {lacking})])
        who = Password('nightly', 'password') if lacking else Password(*ADMIN)
        book = TokenBook(registry.login_server, who, time.time(), PUBLISHING)
        with opened(f'https://{registry.login_server}', book, not_again, 4, unhurried()) as client:
            for text in texts:
                client.loop.run(publish(client.real, f'{REPORTS}:nightly', text))
        storage = registry.storage
        return len(storage.manifests(REPORTS)), storage.tags(REPORTS)['nightly'].digest

    return push


def test_a_report_takes_the_place_of_the_one_before(report):
    first = report('one')
    assert first[0] == 1 and report('one') == first, 'the same report is not deleted'
    last = report('two', 'three')
    assert last[0] == 1 and last[1] != first[1]


def test_who_may_not_delete_leaves_the_reports_before(report):
    number, last = report('one', 'two', lacking='delete')
    assert number == 2 and report('two') == (2, last)


def test_who_may_not_push_is_refused(report):
    with pytest.raises(PruneError, match='not pushed .* needs the role AcrPush') as raised:
        report('one', lacking='push')
    assert raised.value.kind is Kind.FORBIDDEN
