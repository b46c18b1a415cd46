"""A proxy that leads the names of hosts to servers on loopback, where no name service does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def open_tunnel(port_of: Callable[[str, int], int]) -> asyncio.Server:
    """CONNECT to any host and port ends up at the port on loopback that is given for them."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = (await reader.readuntil(b'\r\n\r\n')).split(b' ', 2)[1].decode().rpartition(':')
        inner_reader, inner_writer = await asyncio.open_connection('127.0.0.1', port_of(host, int(port)))
        writer.write(b'HTTP/1.1 200 Connection established\r\n\r\n')
        await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))

    return await asyncio.start_server(connect, '127.0.0.1', 0)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            data = await reader.read(65536)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
