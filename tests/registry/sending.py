"""How answers leave: whole, in pieces, or broken on the way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import web

from .answers import Answer

LARGE = 1 << 26
"""So many bytes are sent in pieces: TLS takes less than 2 GiB at once."""

_Sender = Callable[[web.BaseRequest, Answer, dict[str, str], float], Awaitable[web.StreamResponse]]


def hang_up(request: web.BaseRequest) -> web.Response:
    """End the connection at once, without the end of TLS."""
    request.transport.abort()
    return web.Response()


async def in_pieces(request: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    response = await _begun(request, answer, headers)
    body = memoryview(answer.body)
    for start in range(0, len(body), LARGE):
        await response.write(bytes(body[start : start + LARGE]))
    await response.write_eof()
    return response


async def _begun(request: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    """The head of an answer is sent, which promises the whole body."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    return response


async def _half(request: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> web.StreamResponse:
    response = await _begun(request, answer, headers)
    await response.write(answer.body[: len(answer.body) // 2])
    return response


async def _lost(request: web.BaseRequest, *_: object) -> web.StreamResponse:
    return hang_up(request)


async def _cut(request: web.BaseRequest, answer: Answer, headers: dict[str, str], _: float) -> web.StreamResponse:
    """Promise the whole body, send half of it, and go."""
    response = await _half(request, answer, headers)
    request.transport.close()
    return response


async def _torn(request: web.BaseRequest, answer: Answer, headers: dict[str, str], _: float) -> web.StreamResponse:
    """The same, without the end of TLS."""
    response = await _half(request, answer, headers)
    await asyncio.sleep(0)  # what was written leaves
    request.transport.abort()
    return response


async def _noise(request: web.BaseRequest, answer: Answer, headers: dict[str, str], _: float) -> web.StreamResponse:
    """In the middle of the answer come bytes that are no TLS."""
    response = await _half(request, answer, headers)
    await asyncio.sleep(0)
    with suppress(OSError):
        os.write(request.transport.get_extra_info('socket').fileno(), b'this is no TLS')
    request.transport.close()
    return response


async def _short(request: web.BaseRequest, answer: Answer, headers: dict[str, str], _: float) -> web.StreamResponse:
    """Say that the body has half of its length, or else nothing where it is empty, and send more than that."""
    body = answer.body or b'{"more": true}'
    response = await _begun(request, Answer(answer.status, body[: len(answer.body) // 2]), headers)
    await response.write(body[: len(answer.body) // 2])
    request.transport.write(body[len(answer.body) // 2 :])
    return response


async def _twice(request: web.BaseRequest, answer: Answer, headers: dict[str, str], _: float) -> web.StreamResponse:
    """Send the answer, and then once more what nobody asked for."""
    response = await _begun(request, answer, headers)
    await response.write(answer.body)
    lines = [f'HTTP/1.1 {answer.status} Again', f'Content-Length: {len(answer.body)}', *map(': '.join, headers.items())]
    request.transport.write('\r\n'.join([*lines, '', '']).encode() + answer.body)
    return response


async def _nonsense(request: web.BaseRequest, answer: Answer, *_: object) -> web.StreamResponse:
    """Give a length that is no number."""
    request.transport.write(b'HTTP/1.1 %d OK\r\nContent-Length: many\r\n\r\n' % answer.status + answer.body)
    request.transport.close()
    return web.Response()


async def _drip(
    request: web.BaseRequest, answer: Answer, headers: dict[str, str], seconds: float
) -> web.StreamResponse:
    """Send the body byte by byte, with a wait before each."""
    response = await _begun(request, answer, headers)
    with suppress(OSError):
        for byte in answer.body:
            await asyncio.sleep(seconds)
            await response.write(bytes((byte,)))
    return response


async def _endless(request: web.BaseRequest, answer: Answer, headers: dict[str, str], _: float) -> web.StreamResponse:
    """Send the whole body, and more and more of it until nobody listens any more."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.headers.pop('Content-Length', None)
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(answer.body)
    try:
        while True:
            await response.write(bytes(1 << 16))
            await asyncio.sleep(0.001)  # a connection that is lost is only noticed in between
    except OSError:
        return response


SENDERS: Mapping[object, _Sender] = {
    'lost': _lost,
    'cut': _cut,
    'torn': _torn,
    'noise': _noise,
    'short': _short,
    'twice': _twice,
    'nonsense': _nonsense,
    'drip': _drip,
    'endless': _endless,
}
"""By kind of `Fault`: what is done, and not answered as it should be."""
