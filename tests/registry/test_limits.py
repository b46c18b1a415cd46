"""The limits of the service: a burst passes, then all of that kind is refused until the period ends."""

from __future__ import annotations

import pytest

from .auth import ADMIN
from .limits import BY_IDENTITY, Limits

MANIFEST, REFERRERS = '/v2/team/app/manifests/v1', '/v2/team/app/referrers/sha256:0'
HERE, THERE = 'localhost:1', 'localhost:2'


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def accepted(limits, method, path=MANIFEST, who='one', where=HERE, most=50_000):
    """How many calls pass before one is refused."""
    return next(number for number in range(most) if limits.take(who, where, method, path))


@pytest.mark.parametrize(
    'sku, reads, writes, deletes',
    [('Basic', 5000, 1000, 500), ('Standard', 5000, 1000, 500), ('Premium', 10000, 2000, 2000)],
)
def test_each_kind_of_call_has_a_budget_of_its_own(sku, reads, writes, deletes):
    limits = Limits(sku, Clock())
    assert accepted(limits, 'DELETE') == deletes
    assert (accepted(limits, 'PUT'), accepted(limits, 'HEAD')) == (writes, reads)
    assert limits.take('one', HERE, 'PATCH', '/acr/v1/team/app') == limits.take('one', HERE, 'GET', MANIFEST) == 60


def test_what_is_left_of_the_period_counts_down_and_then_a_minute_passes_again():
    clock = Clock()
    limits = Limits('Standard', clock)
    assert accepted(limits, 'DELETE') == 500
    said = []
    for clock.now in (0, 10.0, 59.5, 59.9):
        said.append(limits.take('one', HERE, 'DELETE', MANIFEST))
    assert said == [60, 50, 1, 1]
    clock.now = 60.0
    assert accepted(limits, 'DELETE') == 500
    clock.now = 1_000.0
    assert accepted(limits, 'DELETE') == 500


def test_a_bucket_refills_all_the_time():
    clock = Clock()
    limits = Limits('Standard', clock)
    for second in range(120):
        clock.now = float(second)
        assert not any(limits.take('one', HERE, 'DELETE', MANIFEST) for _ in range(8))


def test_two_identities_have_a_budget_each_and_the_registry_twice_that_of_one():
    limits = Limits('Standard', Clock())
    assert [accepted(limits, 'DELETE', who=who) for who in ('one', 'two')] == [500, 500]
    assert limits.take('three', HERE, 'DELETE', MANIFEST) == 60


def test_each_region_has_budgets_of_its_own():
    limits = Limits('Premium', Clock())
    assert [accepted(limits, 'DELETE', where=where) for where in (HERE, THERE)] == [2000, 2000]


def test_a_list_of_referrers_is_a_read_and_has_a_far_lower_limit():
    limits = Limits('Premium', Clock())
    assert accepted(limits, 'GET', REFERRERS) == BY_IDENTITY['Premium']['referrers'] == 1000
    assert accepted(limits, 'GET') == 9000


def test_the_registry_refuses_with_retry_after(http, registry):
    clock = Clock()
    registry.faults.limits = Limits('Standard', clock)
    for _ in range(500):
        assert registry.faults.limits.take(ADMIN[0], registry.login_server, 'DELETE', MANIFEST) is None
    clock.now = 0.5
    for _ in range(4):
        assert http.admin('DELETE', MANIFEST).status_code == 404
    answer = http.admin('DELETE', MANIFEST)
    assert (answer.status_code, answer.headers['Retry-After']) == (429, '60')
    clock.now = 20.5
    assert http.admin('DELETE', MANIFEST).headers['Retry-After'] == '40'
    assert http.admin('GET', MANIFEST).status_code == 404
