"""How many requests are sent, and how many of them the registry refuses because there are too many.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

from dataclasses import dataclass

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy


@dataclass
class CallCount:
    """Requests of one run, tokens and each try of each call included; `refused` are those answered with 429."""

    sent: int = 0
    refused: int = 0


class CountingPolicy(AsyncHTTPPolicy):
    """Counts what is sent through it. It stands behind the policies that wait and try again."""

    def __init__(self, calls: CallCount) -> None:
        super().__init__()
        self._calls = calls

    async def send(self, request: PipelineRequest) -> PipelineResponse:
        self._calls.sent += 1
        response = await self.next.send(request)
        self._calls.refused += response.http_response.status_code == 429
        return response
