"""A very cheap Microsoft on loopback, in its own process: discovery, token and getSchedule answers after a fixed delay.

    python -m benchmarks.token_endpoint PORT LATENCY_MS

`GET /counts` tells how often each kind was asked, `POST /reset` forgets it. Plain HTTP and canned bodies of the sizes
that Entra and Graph send, so that it costs next to nothing beside the client that is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import cast

ORIGIN = "https://login.benchmark.test"  # as the documents name it; the client maps it to this port
_ISSUER = f"{ORIGIN}/{{tenantid}}/v2.0"
_DISCOVERY = {
    "issuer": _ISSUER,
    "authorization_endpoint": f"{ORIGIN}/organizations/oauth2/v2.0/authorize",
    "token_endpoint": f"{ORIGIN}/organizations/oauth2/v2.0/token",
}
_TOKENS = {
    "token_type": "Bearer",
    "scope": "Calendars.Read openid profile",
    "expires_in": 3599,
    "ext_expires_in": 3599,
    "access_token": "a" * 2200,
    "refresh_token": "r" * 1400,
}
_ITEM = {
    "status": "busy",
    "start": {"dateTime": "2030-01-07T09:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2030-01-07T10:00:00.0000000", "timeZone": "UTC"},
}


def _answer(document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Endpoint:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.counts: Counter[str] = Counter()
        self._canned = {"discovery": _answer(_DISCOVERY), "token": _answer(_TOKENS)}

    def answer(self, method: bytes, path: bytes, body: bytes) -> tuple[bytes, float]:
        """The whole answer and the seconds to wait before it."""
        if path == b"/counts":
            return _answer(self.counts), 0.0
        if path == b"/reset":
            self.counts.clear()
            return _answer({}), 0.0
        if path.endswith(b"/getSchedule"):
            self.counts["schedule"] += 1
            return _schedules(body), self.latency
        kind = "token" if method == b"POST" else "discovery"
        self.counts[kind] += 1
        return self._canned[kind], self.latency


def _schedules(body: bytes) -> bytes:
    asked = json.loads(body)["schedules"]
    value = [{"scheduleId": name, "availabilityView": "2", "scheduleItems": [_ITEM]} for name in asked]
    return _answer({"value": value})


class _Peer(asyncio.Protocol):
    def __init__(self, endpoint: _Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint = endpoint
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
            answer, wait = self._endpoint.answer(method, path, body)
            self._loop.call_later(wait, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def serve(port: int, latency: float) -> None:
    """Until cancelled; `latency` in seconds."""
    loop = asyncio.get_running_loop()
    endpoint = _Endpoint(latency)
    server = await loop.create_server(lambda: _Peer(endpoint, loop), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
