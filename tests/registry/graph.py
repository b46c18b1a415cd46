"""As much of Resource Graph as queries for registries take: `where` with a few operators, `project`, `limit`, pages."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PAGE = 5
_CONDITION = re.compile(r"([\w.]+|tags\['[^']+'\])\s*(==|=~|!=|!~|startswith|contains)\s*'([^']*)'")
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    '==': operator.eq,
    '!=': operator.ne,
    '=~': lambda value, text: value.lower() == text.lower(),
    '!~': lambda value, text: value.lower() != text.lower(),
    'startswith': lambda value, text: value.lower().startswith(text.lower()),
    'contains': lambda value, text: text.lower() in value.lower(),
}

Row = dict[str, Any]


class BadQuery(Exception):
    """A query that is none, or that is beyond this."""


def row(resource: Mapping[str, Any]) -> Row:
    """A resource as the table `Resources` has it: names of types and groups are in lower case there."""
    _, _, subscription, _, group, *_ = resource['id'].split('/')
    plain = {'type': resource['type'].lower(), 'resourceGroup': group.lower(), 'subscriptionId': subscription}
    return {**resource, **plain}


def answer(asked: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """A page of what a query finds; there is a next one only where rows have an `id`, as the service has it."""
    wanted = asked.get('subscriptions')
    found = [each for each in rows if wanted is None or each['subscriptionId'] in wanted]
    for step in [step.strip() for step in asked['query'].split('|')]:
        found = _step(step, found)
    options = asked.get('options', {})
    start = int(options.get('$skipToken', 0))
    page = found[start : start + min(_PAGE, options.get('$top', _PAGE))]
    document = {'totalRecords': len(found), 'count': len(page), 'data': page, 'facets': [], 'resultTruncated': 'false'}
    if start + len(page) < len(found):
        document['resultTruncated'] = 'true'
        if 'id' in page[0]:
            document.update({'resultTruncated': 'false', '$skipToken': str(start + len(page))})
    return document


def failure(code: str, message: str, *detail: str) -> dict[str, Any]:
    """An error as the service writes it."""
    details = [{'code': detail[0], 'message': detail[1]}] if detail else []
    return {'error': {'code': code, 'message': message, 'details': details}}


def _step(step: str, rows: list[Row]) -> list[Row]:
    word, _, rest = step.partition(' ')
    if word.lower() == 'resources':
        return rows
    if word == 'where':
        for condition in re.split(r'\s+and\s+', rest):
            rows = _where(condition, rows)
        return rows
    if word == 'project':
        return [{name.strip(): each.get(name.strip()) for name in rest.split(',')} for each in rows]
    if word == 'limit':
        return rows[: int(rest)]
    raise BadQuery(f'Operator {word} is not known')


def _where(condition: str, rows: list[Row]) -> list[Row]:
    parts = _CONDITION.fullmatch(condition.strip())
    if not parts:
        raise BadQuery(f'{condition} is no condition')
    name, compared, text = parts.groups()
    return [each for each in rows if _OPERATORS[compared](_value(each, name), text)]


def _value(found: Row, name: str) -> str:
    if name.startswith('tags'):
        return str(found.get('tags', {}).get(name.strip("]'").removeprefix('tags').lstrip("['."), ''))
    return str(found.get(name, ''))
