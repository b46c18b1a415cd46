"""How many random examples a property is tried on: few and always the same ones, or many others in `make soak`.

`make test` tries a third of the number that stands at a property: all of it is what `make soak SOAK=1` tries.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SOAK = int(os.environ.get('ACRPRUNE_SOAK', 0))
"""How many times as many examples a long run tries; 0 in all others."""

FEWER = int(os.environ.get('ACRPRUNE_FEWER', 1))
"""So many times fewer examples are tried, where the same tests run again and again: see tests/mutants.py."""


def times(number: int) -> int:
    """So many, or many more of them in a long run."""
    return number * max(SOAK, 1)


def examples(number: int, *unchecked: HealthCheck) -> settings:
    """A third of so many examples, the same each time, for a run must not fail by chance; many others in a long run."""
    return settings(
        max_examples=max(1, times(number) // FEWER // (1 if SOAK else 3)),
        deadline=None,
        derandomize=not SOAK,
        suppress_health_check=[HealthCheck.too_slow, *unchecked],
    )
