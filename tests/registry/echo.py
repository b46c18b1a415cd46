"""A careless proxy: its answers say back what came with the request, and have secrets of its own in them."""

from __future__ import annotations

import json

from .answers import Answer, Call

SHARED_SIGNATURE = 'c2hhcmVk-signature-of-a-proxy'


def echoing(call: Call, answer: Answer) -> Answer:
    """The answer, with headers that say back the token and the form."""
    answer.headers.update(
        {
            'X-Echo': _said(call),
            'Set-Cookie': f'session={SHARED_SIGNATURE}; Path=/',
            'X-Forwarded-Url': f'https://proxy:{SHARED_SIGNATURE}@proxy.contoso.com/?sv=2022&sig={SHARED_SIGNATURE}',
        }
    )
    return answer


def refusal(call: Call) -> Answer:
    """A refusal whose error says them back."""
    return Answer(400, json.dumps({'errors': [{'code': 'DENIED', 'message': f'not with {_said(call)}'}]}).encode())


def _said(call: Call) -> str:
    return ' '.join(f'{call.headers.get("Authorization", "")} {call.body.decode("utf-8", "replace")}'.split())
