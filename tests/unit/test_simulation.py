"""What is said of large registries, and the simulation behind it: whole runs on a virtual clock."""

from __future__ import annotations

from tests.registry import limits
from tests.simulate.night import first_night


def test_a_repository_that_waits_for_its_turn_for_minutes_is_not_given_up(monkeypatch):
    """As with 5,000 deletions in 100 repositories at 500 a minute, but fewer."""
    monkeypatch.setitem(limits.BY_IDENTITY, 'Slow', {**limits.BY_IDENTITY['Standard'], 'deletes': 200})
    night = first_night('Slow', 1_000, 0.95, in_a_repository=25)
    assert night.deleted == 950 and night.delete_seconds > 240
