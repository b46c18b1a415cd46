"""What a stop means for a run that changes something."""

from __future__ import annotations

from types import SimpleNamespace

from azext_acrprune.apply.execute import GIVING_UP_SECONDS
from azext_acrprune.custom.stopping import stop_requests
from azext_acrprune.registry.halting import Halt
from azext_acrprune.timelimit import TimeLimit


def test_after_a_second_stop_a_storage_account_has_longer_than_the_locks_and_less_than_five_seconds():
    session = SimpleNamespace(halt=Halt(), limit=TimeLimit(None, lambda: 0.0))
    stop_requests(session, given_up=False)
    assert session.halt.is_set and session.limit.given_up_in > 5
    stop_requests(session, given_up=True)
    assert GIVING_UP_SECONDS < session.limit.given_up_in < 5
