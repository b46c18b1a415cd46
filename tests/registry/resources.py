"""Any other resource that the resource manager has: collections by page, single ones, and questions by POST."""

from __future__ import annotations

from typing import Any

from .answers import Answer, Call, json_answer
from .auth import SUBSCRIPTION

ROOT = f'/subscriptions/{SUBSCRIPTION}'
_PAGE = 2


class Resources:
    """`at[path]` is a list for a collection, a dictionary for one resource, or an Answer; paths are below ROOT."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.at: dict[str, Any] = {}

    def answer(self, storage: Any, call: Call) -> Answer:
        found = self.at.get(call.path[len(ROOT) :])
        if isinstance(found, list):
            return self._page(call, found)
        if isinstance(found, dict):
            return json_answer(found)
        return found or json_answer(
            {'error': {'code': 'ResourceNotFound', 'message': (f"The resource '{call.path}' was not found.")}}, 404
        )

    def _page(self, call: Call, items: list) -> Answer:
        start = int(call.query.get('$skiptoken', 0))
        document: dict[str, Any] = {'value': items[start : start + _PAGE]}
        if start + _PAGE < len(items):
            version = call.query['api-version']
            document['nextLink'] = f'https://{self.host}{call.path}?api-version={version}&$skiptoken={start + _PAGE}'
        return json_answer(document)
