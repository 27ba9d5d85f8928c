"""The cheapest HTTP server that will do for an endpoint on loopback: keep-alive, whole bodies, a set delay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

# method, path, the head in lower case, body → the whole answer, and the seconds to wait before it
Handler = Callable[[bytes, bytes, bytes, bytes], tuple[bytes, float]]


def answer(document: object) -> bytes:
    """A whole 200 with this as JSON; bytes are JSON already."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, handle: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = handle
        self._loop = loop
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._received) < end + 4 + length:
                return
            method, path = self._received[:end].split(b" ", 2)[:2]
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            given, wait = self._handle(method, path, head, body)
            self._loop.call_later(wait, self._write, given)

    def _write(self, given: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(given)


async def serve(port: int, handle: Handler) -> None:
    """Until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(handle, loop), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()
