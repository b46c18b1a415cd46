"""Where the cells of a treemap lie: repositories, in them states, in them images. `squarify` does the layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

_SMALLEST = 1e-6
"""A share of the whole. What is below it is drawn as large: a layout in floats has no room for one byte in 10^13."""

Item = TypeVar('Item')


@dataclass(frozen=True)
class Box:
    """A rectangle for one group or one cell of the report document."""

    of: dict[str, Any]
    x: float
    y: float
    width: float
    height: float


def layout(groups: Sequence[dict[str, Any]], width: float, height: float) -> tuple[list[Box], list[Box]]:
    """(boxes of the groups, boxes of all cells) in a rectangle; areas are as their `bytes`.

    The cells of one state lie together in their group. What has no bytes has no box.
    """
    outer = _fill(Box({}, 0, 0, width, height), groups, lambda group: group['bytes'])
    cells: list[Box] = []
    for group in outer:
        states = [{'cells': list(same)} for _, same in groupby(group.of['cells'], key=lambda cell: cell['state'])]
        for state in _fill(group, states, lambda state: sum(cell['bytes'] for cell in state['cells'])):
            cells += _fill(state, state.of['cells'], lambda cell: cell['bytes'])
    return outer, cells


def _fill(box: Box, items: Iterable[Item], size: Callable[[Item], int]) -> list[Box]:
    from squarify import normalize_sizes, squarify

    there = sorted((item for item in items if size(item)), key=size, reverse=True)
    total = sum(map(size, there))
    drawn = [max(size(item), total * _SMALLEST) for item in there]
    if not drawn:
        return []
    rectangles = squarify(normalize_sizes(drawn, box.width, box.height), box.x, box.y, box.width, box.height)
    return [Box(item, each['x'], each['y'], each['dx'], each['dy']) for item, each in zip(there, rectangles)]
