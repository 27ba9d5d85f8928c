"""What goes in and out of the sandbox: request and response values, independent of any socket."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Headers = tuple[tuple[str, str], ...]
Broken = Literal["", "truncated", "dropped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request; header names are lower case, `path` is percent-decoded."""

    method: str
    origin: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """Return the query parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """Return the fields of a form body; of a repeated one the last."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response; `broken` and `drip_seconds` tell the door how to misbehave while sending it."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    broken: Broken = ""
    drip_seconds: float = 0.0

    def header(self, name: str) -> str:
        """Return the first value of a header, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def parse_request(*, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Build a request from an absolute URL."""
    parts = urlsplit(url)
    return Request(
        method=method.upper(),
        origin=f"{parts.scheme}://{parts.netloc}",
        path=unquote(parts.path) or "/",
        query_string=parts.query,
        headers={key.lower(): value for key, value in headers.items()},
        body=body,
    )


def json_response(status: int, payload: Any, headers: Headers = ()) -> Response:
    """Return `payload` as compact UTF-8 JSON."""
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(status=status, body=body, headers=(("Content-Type", "application/json; charset=utf-8"), *headers))


def redirect(location: str) -> Response:
    """Return a 302 to `location`."""
    body = f'<a href="{html.escape(location)}">continue</a>'.encode()
    headers = (
        ("Location", location),
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
    )
    return Response(status=302, body=body, headers=headers)
