"""The sandbox behind `requests` without a socket, by the `responses` library: for fast tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
import responses
from urllib3 import HTTPHeaderDict

from sandbox.messages import parse_request
from sandbox.service import Sandbox

AUTHORITY = "https://login.sandbox.test"
GRAPH = "https://graph.sandbox.test/v1.0"
_METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
_REMEMBERED = 1000


@contextmanager
def intercepted(
    sandbox: Sandbox, *, authority: str = AUTHORITY, graph: str = GRAPH, passthru: tuple[str, ...] = ()
) -> Iterator[responses.RequestsMock]:
    """Answer every request to both origins from `sandbox` while the block runs, for all sessions and threads.

    Other addresses fail with ConnectionError unless they begin with one of `passthru`. A dropped connection
    and a truncated body surface as the exceptions requests raises for them.
    """

    def answer(prepared: requests.PreparedRequest) -> tuple[int, HTTPHeaderDict, bytes | Exception]:
        if len(mock.calls) > _REMEMBERED:  # the library keeps every call whole, twice: a long simulation fills memory
            mock.calls.reset()
            for registered in mock.registered():
                registered.calls.reset()
        body = prepared.body or b""
        request = parse_request(
            method=prepared.method or "GET",
            url=prepared.url or "",
            headers=dict(prepared.headers),
            body=body.encode() if isinstance(body, str) else bytes(body),
        )
        response = sandbox.handle(request)
        if response.broken == "dropped":
            return response.status, HTTPHeaderDict(), requests.ConnectionError("the connection was dropped")
        if response.broken == "truncated":
            return response.status, HTTPHeaderDict(), requests.exceptions.ChunkedEncodingError("the body was cut short")
        return response.status, HTTPHeaderDict(response.headers), response.body

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for prefix in passthru:
            mock.add_passthru(prefix)
        for origin in {_origin(authority), _origin(graph)}:
            everything = re.compile(re.escape(origin) + r"(/|\?|$)")
            for method in _METHODS:
                mock.add_callback(method, everything, callback=answer, content_type=None)
        yield mock


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
