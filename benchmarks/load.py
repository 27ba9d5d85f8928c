"""Requests over kept connections, by the shortest way: one after the other, as many as go, or at a set pace."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


class Refused(Exception):
    """An answer that was no 200: its figures would say nothing."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask."""

    port: int
    headers: str  # lines ending in \r\n, the key among them

    def post(self, path: str, body: bytes) -> bytes:
        """A whole request, made before its time is taken."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n{self.headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n{self.headers}\r\n".encode()


class Line:
    """One connection; opened again when the server has closed it, as a worker that is renewed does."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> bytes:
        """The answer's body."""
        for last in (False, True):
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._server.port, limit=2**24)
            try:
                return await self._exchange(request)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()
                if last:
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _exchange(self, request: bytes) -> bytes:
        assert self._reader is not None and self._writer is not None
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body = await self._reader.readexactly(size)
        if not head.startswith(b"http/1.1 200"):
            raise Refused(f"{head.splitlines()[0].decode()}: {body[:300].decode(errors='replace')}")
        if b"\r\nconnection: close" in head:
            self.close()
        return body


def one(server: Server, request: bytes) -> bytes:
    """One answer."""

    async def run() -> bytes:
        line = Line(server)
        try:
            return await line.ask(request)
        finally:
            line.close()

    return asyncio.run(run())


def in_a_row(server: Server, request: bytes, number: int) -> list[float]:
    """Seconds of each of `number` requests, one after the other on one connection."""

    async def run() -> list[float]:
        line = Line(server)
        await line.ask(request)
        seconds = []
        for _ in range(number):
            began = time.perf_counter()
            await line.ask(request)
            seconds.append(time.perf_counter() - began)
        line.close()
        return seconds

    return asyncio.run(run())


def side_by_side(server: Server, request: bytes, *, lines: int, number: int) -> float:
    """Requests a second, with so many connections that each ask again at once, for `number` requests in all."""

    async def run() -> float:
        left = number

        async def work() -> None:
            nonlocal left
            line = Line(server)
            while left > 0:
                left -= 1
                await line.ask(request)
            line.close()

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(lines)))
        return number / (time.perf_counter() - began)

    return asyncio.run(run())


def at_a_pace(server: Server, request: bytes, *, a_second: float, number: int) -> list[float]:
    """Seconds of each request from the moment at which it was due, whatever the server did with those before it."""

    async def run() -> list[float]:
        idle: list[Line] = []
        seconds: list[float] = []

        async def ask(due: float) -> None:
            line = idle.pop() if idle else Line(server)
            await line.ask(request)
            seconds.append(time.perf_counter() - due)
            idle.append(line)

        began = time.perf_counter()
        tasks = []
        for turn in range(number):
            due = began + turn / a_second
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(ask(due)))
        await asyncio.gather(*tasks)
        for line in idle:
            line.close()
        return seconds

    return asyncio.run(run())
