"""Clocks that stand still, token sources with a script, and a small HTTP server that can misbehave."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from microsoft.http import Deadline
from microsoft.secret import Secret

SAMPLES = Path(__file__).parent.parent / "samples" / "microsoft"


class StillClock:
    """A monotonic clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def deadline(self, seconds: float) -> Deadline:
        return Deadline.after(seconds, clock=self)


class Tokens:
    """Hands out the given tokens one after the other; an exception among them is raised instead."""

    def __init__(self, *script: str | Exception) -> None:
        self._script = list(script)
        self.rejected: list[Secret | None] = []
        self.threads: set[int] = set()

    def bearer(self, rejected: Secret | None = None) -> Secret:
        self.rejected.append(rejected)
        self.threads.add(threading.get_ident())
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return Secret(step)


class OpenGate:
    """Lets everybody through and counts who is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.inside = self.most = 0

    @contextmanager
    def acquire(self, deadline: Deadline) -> Iterator[None]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            yield
        finally:
            with self._lock:
                self.inside -= 1


class Server:
    """A real HTTP server on this machine whose every answer is a function of the test's."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str = "http") -> None:
        self.url = f"{scheme}://localhost:{server.server_port}"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.ports: list[int] = []
        self.released = threading.Event()


Behaviour = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def serving(behave: Behaviour, *, context: Any = None) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.requests.append((self.command, self.path, dict(self.headers), body))
            served.ports.append(self.client_address[1])
            with contextlib.suppress(OSError):  # a client that has gone away is part of some tests
                behave(self, body)

        do_GET = do_POST  # noqa: N815 - http.server's naming

        def log_message(self, *args: Any) -> None:
            return None

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            return None

    server = Quiet(("localhost", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    served = Server(server, "https" if context is not None else "http")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.released.set()
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def free_schedules(body: bytes) -> bytes:
    """The answer of an organisation in which nobody has anything to do."""
    asked = json.loads(body)["schedules"]
    entries = [{"scheduleId": name, "availabilityView": "0", "scheduleItems": []} for name in asked]
    return json.dumps({"value": entries}).encode()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()
