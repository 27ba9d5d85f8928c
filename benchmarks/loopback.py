"""The cheapest HTTP server that will do for an endpoint on loopback: keep-alive, whole bodies, a set delay."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import cast

# method, path, the head in lower case, body → the whole answer, and the seconds to wait before it
Handler = Callable[[bytes, bytes, bytes, bytes], tuple[bytes, float]]


def answer(document: object, status: str = "200 OK", more: str = "") -> bytes:
    """A whole answer with this as JSON; bytes are JSON already. `more`: header lines, each with its end."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    kind = "Content-Type: application/json; charset=utf-8\r\n"
    return f"HTTP/1.1 {status}\r\n{kind}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Peer(asyncio.Protocol, ABC):
    """One connection, which hands over whole requests; answers are written by whoever extends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
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
            self.respond(method, path, head, body)

    @abstractmethod
    def respond(self, method: bytes, path: bytes, head: bytes, body: bytes) -> None:
        """`head` is in lower case."""

    def write(self, given: bytes) -> None:
        """The answer, unless nobody waits for it any more."""
        if not self._transport.is_closing():
            self._transport.write(given)


class _Handled(Peer):
    def __init__(self, handle: Handler, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._handle = handle

    def respond(self, method: bytes, path: bytes, head: bytes, body: bytes) -> None:
        given, wait = self._handle(method, path, head, body)
        self._loop.call_later(wait, self.write, given)


async def serve(port: int, handle: Handler) -> None:
    """Until cancelled; the same handler for all connections."""
    loop = asyncio.get_running_loop()
    await serve_peers(port, lambda: _Handled(handle, loop))


async def serve_peers(port: int, connected: Callable[[], Peer]) -> None:
    """Until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connected, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()
