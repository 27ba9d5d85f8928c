"""The sandbox over real sockets: HTTPS for programs, plain HTTP for the pages humans see."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from sandbox.certificates import ensure_certificates, server_context
from sandbox.messages import Response, parse_request
from sandbox.service import Sandbox

_DRIPS = 20


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener
    timeout = 120
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one write; handle_one_request flushes

    def setup(self) -> None:
        # The handshake runs here, in the connection's own thread: a slow one must not hold up the others.
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(self.timeout)
            self.request.do_handshake()
        super().setup()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = parse_request(
            method=self.command,
            url=f"{self.server.scheme}://{self.headers.get('Host', 'localhost')}{self.path}",
            headers=dict(self.headers.items()),
            body=self.rfile.read(length),
        )
        self._send(self.server.sandbox.handle(request))

    do_GET = _serve  # noqa: N815 - http.server's naming, here and below
    do_POST = _serve  # noqa: N815
    do_HEAD = _serve  # noqa: N815
    do_PUT = _serve  # noqa: N815
    do_PATCH = _serve  # noqa: N815
    do_DELETE = _serve  # noqa: N815

    def _send(self, response: Response) -> None:
        if response.broken == "dropped":
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        if response.broken:
            self.send_header("Connection", "close")
        self.end_headers()
        body = b"" if self.command == "HEAD" else response.body
        if response.broken == "truncated":
            body = body[: len(body) // 2]
        if not response.drip_seconds:
            self.wfile.write(body)
            return
        step = max(1, -(-len(body) // _DRIPS))
        for start in range(0, len(body), step):
            time.sleep(response.drip_seconds / _DRIPS)
            self.wfile.write(body[start : start + step])
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write no access log: request lines hold codes and states."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox, context: ssl.SSLContext | None) -> None:
        super().__init__(address, _Handler)
        self.sandbox = sandbox
        self.scheme = "http" if context is None else "https"
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for the host's full name, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client hangs up or distrusts the certificate; report anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Server:
    """Both listeners on the loopback interface; port 0 takes a free one. OSError when a port is taken.

    Use it as a context manager: it serves inside the block, from threads of its own.
    """

    def __init__(self, sandbox: Sandbox, *, state_dir: Path, https_port: int = 0, http_port: int = 0) -> None:
        self.sandbox = sandbox
        self.ca_path = ensure_certificates(state_dir)
        context = server_context(state_dir)
        self._https = _Listener(("127.0.0.1", https_port), sandbox, context)
        try:
            self._http = _Listener(("127.0.0.1", http_port), sandbox, None)
        except OSError:
            self._https.server_close()
            raise
        self.https_url = f"https://localhost:{self._https.server_port}"
        self.http_url = f"http://localhost:{self._http.server_port}"
        sandbox.entra.pages_origin = self.http_url

    def __enter__(self) -> Server:
        for listener in (self._https, self._http):
            Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for listener in (self._https, self._http):
            listener.shutdown()
            listener.server_close()
