"""The report document -> one HTML file that needs no other file and no network. It can be read without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..decide.reasons import TOLD
from ..model import BOUNDS
from ..spelling import visible
from .money import account_line, fleet_lines, in_currency, price_lines, saving_line
from .sizes import human_size, not_read_line, percent, short_digest

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATES = Path(__file__).parent / 'templates'

WIDE, NARROW = (1200, 640), (400, 640)
"""Two treemaps. The width of the window decides which one is shown: the text of a scaled one could not be read."""

_SMALLEST = 1e-6
"""A share of the whole. Smaller ones are drawn as large as this: floats have no room for one byte in 10^13."""

STATE_LABELS = {
    'freed': 'Freed by the plan',
    'shared': 'Stays: image goes, others share the layers',
    'unneeded': 'Untagged and needed by nothing',
    'tagged': 'Stays: tagged',
    'needed': 'Stays: part of something that stays',
    'protected': 'Stays: locked or pinned',
    'recent': 'Stays: young, or among the newest',
    'excluded': 'Stays: not selected by the plan',
    'unreadable': 'Stays: something could not be read',
}
STATE_LABELS_WITHOUT_PLAN = {
    'unneeded': 'Untagged and needed by nothing',
    'tagged': 'Tagged',
    'needed': 'Part of something that is needed',
    'protected': 'Locked',
    'recent': 'Without a time, or with one in the future',
    'excluded': 'Attached to nothing that is there',
    'unreadable': 'Something could not be read',
}


@dataclass(frozen=True)
class Box:
    """A rectangle for a group or a cell of the treemap."""

    of: dict[str, Any]
    x: float
    y: float
    width: float
    height: float


_WORDS = re.compile(r'.{3,}[-/._: ]', re.DOTALL)


def report_html(document: dict[str, Any]) -> str:
    """The HTML file. Every text of the registry is escaped and made visible."""
    from markupsafe import escape

    style, script = _inline('report.css'), _inline('report.js')
    return _template().render(
        report=document,
        states=STATE_LABELS if document['plan'] else STATE_LABELS_WITHOUT_PLAN,
        reasons={reason: told.label for reason, told in TOLD.items()},
        bounds=BOUNDS,
        not_read=escape(not_read_line(document['notRead'])),
        lines=list(map(escape, _lines(document))),
        style=style,
        script=script,
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        maps=[_map('wide', WIDE, document), _map('narrow', NARROW, document)],
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=human_size, digest=short_digest, day=_day, share=percent, fits=_fits, label=_label, money=in_currency
    )
    return environment.get_template('report.html')


def _lines(document: dict[str, Any]) -> Iterator[str]:
    """Sentences about the used storage, its cost, and the saving where there is a plan and a price."""
    if 'registries' in document:
        yield from fleet_lines(document)
        return
    yield account_line(document['account'])
    yield from price_lines(document['cost'])
    if document['plan'] and document['cost']['pricePerGiBDay'] is not None:
        yield saving_line(document['cost'], document['impact'])


def _map(name: str, size: tuple, document: dict[str, Any]) -> dict[str, Any]:
    """A treemap: in `frames` those of registries, where there are several, and in `corners` where these begin."""
    whole = Box({}, 0, 0, *size)
    frames = _fill(whole, document['treemap'], _bytes) if 'registries' in document else []
    parts = [_layout_in(frame, frame.of['groups']) for frame in frames] or [_layout_in(whole, document['treemap'])]
    return {
        'name': name,
        'width': size[0],
        'height': size[1],
        'frames': frames,
        'corners': {(frame.x, frame.y) for frame in frames},
        'groups': [box for groups, _ in parts for box in groups],
        'cells': [box for _, cells in parts for box in cells],
    }


def _inline(name: str) -> Any:
    from markupsafe import Markup

    return Markup((_TEMPLATES / name).read_text(encoding='utf-8'))


def _csp_hash(text: str) -> str:
    """The hash that a content security policy uses to allow one style or one script."""
    return 'sha256-' + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(value: Any) -> Any:
    """A value as the file may have it: text made visible, except for HTML of ours."""
    return visible(value) if isinstance(value, str) and not hasattr(value, '__html__') else value


def _day(time: str | None) -> str:
    """The day of a time of the registry."""
    return time[:10] if time else 'unknown'


def _label(cell: dict[str, Any]) -> str:
    """The label of a cell: a tag or a digest with its platform, or the number of images that it stands for."""
    if cell['digest'] is None:
        return f'{cell["images"]:,} more image{"" if cell["images"] == 1 else "s"}'
    name = short_digest(cell['digest'] if cell['name'] is None else cell['name'])
    return f'{name} {cell["platform"] or ("(part)" if cell["partOf"] else "")}'.rstrip()


def _fits(text: str, box: Box, size: float) -> str:
    """The whole words of a text that fit into a box in a font of that size. Empty when hardly anything fits."""
    room = int((box.width - size) / (size * 0.6))
    if room < 4 or box.height < size * 1.6:
        return ''
    if len(text) <= room:
        return text
    words = _WORDS.match(text[: room - 1])
    return f'{words[0]}…' if words else ''


def layout(groups: Sequence[dict[str, Any]], width: float, height: float) -> tuple[list[Box], list[Box]]:
    """(boxes of the groups, boxes of all cells) in a rectangle. Their areas are in proportion to their `bytes`.

    In a group, the cells of one state lie together. What has no bytes has no box.
    """
    return _layout_in(Box({}, 0, 0, width, height), groups)


def _layout_in(box: Box, groups: Sequence[dict[str, Any]]) -> tuple[list[Box], list[Box]]:
    outer = _fill(box, groups, _bytes)
    cells: list[Box] = []
    for group in outer:
        states = [{'cells': list(same)} for _, same in groupby(group.of['cells'], key=lambda cell: cell['state'])]
        for state in _fill(group, states, lambda state: sum(cell['bytes'] for cell in state['cells'])):
            cells += _fill(state, state.of['cells'], _bytes)
    return outer, cells


def _bytes(item: dict[str, Any]) -> int:
    return int(item['bytes'])


def _fill(box: Box, items: Iterable[dict[str, Any]], size: Callable[[dict[str, Any]], int]) -> list[Box]:
    from squarify import normalize_sizes, squarify

    there = sorted((item for item in items if size(item)), key=size, reverse=True)
    total = sum(map(size, there))
    drawn = [max(size(item), total * _SMALLEST) for item in there]
    if not drawn:
        return []
    rectangles = squarify(normalize_sizes(drawn, box.width, box.height), box.x, box.y, box.width, box.height)
    return [Box(item, each['x'], each['y'], each['dx'], each['dy']) for item, each in zip(there, rectangles)]
