"""As much of the Azure Blob service as an archive needs, over TLS, and a proxy that leads its host names here.

Requests and answers are those of the documented REST API, version 2021: Put Block, Put Block List, Put Blob, Get
Blob with a range, Get Blob Properties, List Blobs, all with ETags and conditions.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import trustme
from aiohttp import web

from .tunnel import open_tunnel

SUFFIX = 'storage.test'


@dataclass
class Blob:
    data: bytes
    etag: str
    metadata: dict[str, str] = field(default_factory=dict)


class BlobService:
    """`with BlobService(folder) as service:` serves the containers of `service.containers`, by name, for any account.

    `before` is called with (method, path, query) of each request, and may give a status to fail it with. While it
    `drips`, each answer comes byte by byte and has no end.
    """

    def __init__(self, folder: Path) -> None:
        self.containers: dict[str, dict[str, Blob]] = {}
        self.requests: list[tuple[str, str]] = []
        self.authorizations: set = set()
        self.before: Callable[[str, str, Any], int | None] | None = None
        self.drips = False
        self.port = self.proxy_port = 0
        self.ca_file = folder / 'storage-ca.pem'
        self._staged: dict[tuple[str, str], dict[str, bytes]] = {}
        self._etags = itertools.count(1)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(f'*.blob.{SUFFIX}', 'localhost').configure_cert(self._context)

    def __enter__(self) -> BlobService:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(started)), daemon=True)
        self._thread.start()
        assert started.wait(20)
        return self

    def __exit__(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)

    async def _run(self, started: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, '127.0.0.1', 0, ssl_context=self._context, shutdown_timeout=1)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # pylint: disable=protected-access
        proxy = await open_tunnel(lambda *_: self.port)
        self.proxy_port = proxy.sockets[0].getsockname()[1]
        started.set()
        await self._stopped.wait()
        proxy.close()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        path, query = unquote(request.path), request.query
        self.requests.append((request.method, path))
        self.authorizations.add(request.headers.get('Authorization'))
        if self.drips:
            return await _drip(request)
        status = self.before(request.method, path, query) if self.before else None
        if status:
            return _failure(status, 'Injected')
        if not request.headers.get('Authorization', '').startswith('Bearer '):
            return _failure(401, 'NoAuthenticationInformation')
        _, container, *rest = path.split('/', 2)
        if container not in self.containers:
            return _failure(404, 'ContainerNotFound')
        if not rest or query.get('restype') == 'container':
            return self._list(self.containers[container], query)
        return self._blob(request, body, container, rest[0])

    @staticmethod
    def _list(blobs: dict[str, Blob], query: Any) -> web.Response:
        found = ''.join(
            f'<Blob><Name>{escape(name)}</Name><Properties><Etag>{blob.etag}</Etag><Content-Length>{len(blob.data)}'
            '</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>'
            for name, blob in sorted(blobs.items())
            if name.startswith(query.get('prefix', ''))
        )
        return web.Response(
            body=f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{found}</Blobs>'
            '<NextMarker/></EnumerationResults>',
            content_type='application/xml',
        )

    def _blob(self, request: web.BaseRequest, body: bytes, container: str, name: str) -> web.Response:
        blobs, query = self.containers[container], request.query
        sent_hash = request.headers.get('Content-MD5') if request.method == 'PUT' else None
        if sent_hash is not None and base64.b64decode(sent_hash) != hashlib.md5(body).digest():
            return _failure(400, 'Md5Mismatch')
        if request.method == 'PUT' and query.get('comp') == 'block':
            self._staged.setdefault((container, name), {})[query['blockid']] = body
            return web.Response(status=201)
        if request.method == 'PUT':
            if query.get('comp') == 'blocklist':
                staged = self._staged.pop((container, name), {})
                body = b''.join(staged[str(block.text)] for block in ElementTree.fromstring(body))
            return self._put(request, blobs, name, body)
        if name not in blobs:
            return _failure(404, 'BlobNotFound')
        return _content(request, blobs[name])

    def _put(self, request: web.BaseRequest, blobs: dict[str, Blob], name: str, body: bytes) -> web.Response:
        known = blobs.get(name)
        if request.headers.get('If-None-Match') == '*' and known:
            return _failure(409, 'BlobAlreadyExists')
        if 'If-Match' in request.headers and (not known or known.etag != request.headers['If-Match']):
            return _failure(412, 'ConditionNotMet')
        metadata = {
            key[len('x-ms-meta-') :]: value
            for key, value in request.headers.items()
            if key.lower().startswith('x-ms-meta-')
        }
        blobs[name] = Blob(body, f'"0x{next(self._etags):X}"', metadata)
        return web.Response(status=201, headers={'ETag': blobs[name].etag, 'Last-Modified': _THEN})


_THEN = 'Tue, 01 Jan 2030 00:00:00 GMT'


def _content(request: web.BaseRequest, blob: Blob) -> web.Response:
    headers = {
        'ETag': blob.etag,
        'Last-Modified': _THEN,
        'x-ms-blob-type': 'BlockBlob',
        'Accept-Ranges': 'bytes',
        **{f'x-ms-meta-{key}': value for key, value in blob.metadata.items()},
    }
    if request.method == 'HEAD':
        return web.Response(headers={**headers, 'Content-Length': str(len(blob.data))})
    first, _, last = request.headers.get('x-ms-range', 'bytes=0-').partition('=')[2].partition('-')
    start, end = int(first), min(int(last or len(blob.data)), len(blob.data) - 1)
    if start > end:
        return _failure(416, 'InvalidRange')
    headers['Content-Range'] = f'bytes {start}-{end}/{len(blob.data)}'
    return web.Response(status=206, body=blob.data[start : end + 1], headers=headers)


async def _drip(request: web.BaseRequest) -> web.Response:
    request.transport.write(b'HTTP/1.1 200 OK\r\nx-ms-drip: ')
    while not request.transport.is_closing():
        await asyncio.sleep(0.02)
        request.transport.write(b'.')
    return web.Response()


def _failure(status: int, code: str) -> web.Response:
    return web.Response(
        status=status,
        content_type='application/xml',
        headers={'x-ms-error-code': code},
        body=f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
        f'<Message>{code} happened.</Message></Error>',
    )
