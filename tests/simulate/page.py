"""Whether a page says what a simulation found."""

from __future__ import annotations

import re
from collections.abc import Iterable

TOLERANCE = 0.05
"""Sets have another order in each process, which moves a moment; and memory is measured."""

_NUMBER = re.compile(r'\d[\d,]*(?:\.\d+)?')


def missing_in(page: str, lines: Iterable[str]) -> list[str]:
    """The lines that the page has not, with the same words and about the same numbers."""
    said: dict[str, list[list[float]]] = {}
    for line in page.splitlines():
        said.setdefault(_words(line), []).append(_numbers(line))
    return [line for line in lines if not any(_alike(_numbers(line), each) for each in said.get(_words(line), ()))]


def _words(line: str) -> str:
    return _NUMBER.sub('#', line)


def _numbers(line: str) -> list[float]:
    return [float(number.replace(',', '')) for number in _NUMBER.findall(line)]


def _alike(found: list[float], said: list[float]) -> bool:
    return all(abs(one - other) <= max(TOLERANCE * other, 1) for one, other in zip(found, said, strict=True))
