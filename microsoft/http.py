"""The one HTTP door: which certificates are trusted, how long an answer may take, how large it may be."""

from __future__ import annotations

import math
import queue
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, MissingSchema
from requests.structures import CaseInsensitiveDict

from microsoft.errors import IntegrationError, Misconfigured, Unavailable

CONNECT_SECONDS = 3.05
MAX_BODY_BYTES = 32 * 1024 * 1024
_CHUNK = 64 * 1024
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "keep-alive", "User-Agent": "cadence-exchange"}
_ORIGINS = 8  # that one session keeps connections to; an installation asks two
_UNUSABLE_ADDRESS = (InvalidHeader, InvalidSchema, InvalidURL, MissingSchema)

_READ_TIMED_OUT = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a monotonic clock by which a result must be there, whatever happens."""

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """`seconds` from now."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self.clock())

    @property
    def expired(self) -> bool:
        return self.remaining() <= 0.0

    def at_most(self, seconds: float) -> Deadline:
        """This deadline, or `seconds` from now if that is sooner."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole and decompressed. `headers` are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Way:
    """How one origin is reached."""

    adapter: BaseAdapter
    settings: Mapping[str, Any]


class _Adapter(HTTPAdapter):
    """Remembers what `HTTPAdapter.send` finds out anew for each request, a sixth of its time: whose connections these
    are; and leaves out the cookies that nobody reads.
    """

    def __init__(self, pool_size: int) -> None:
        super().__init__(pool_connections=_ORIGINS, pool_maxsize=pool_size, max_retries=0)
        self._pools: dict[str, Any] = {}

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        origin = _origin(request.url)
        pool = self._pools.get(origin)
        if pool is None or pool.pool is None:  # closed to make room for another origin
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            self._pools[origin] = pool
        return pool

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw = resp
        response.url = req.url or ""
        response.request = req
        return response


class DoorSession(requests.Session):
    """Connections for many threads, by the shortest way through requests.

    `ask` goes past `Session.request`, which costs more than twice the time for what is not wanted here: cookies (one
    session serves many tenants), ~/.netrc (an entry there would replace our Authorization header), redirects (one that
    is followed carries a token or a code to wherever it points). Proxies of the environment apply, as they are when an
    origin is first asked. Our CA bundle wins: requests lets REQUESTS_CA_BUNDLE beat `Session.verify`
    (https://github.com/psf/requests/issues/3829).
    """

    def __init__(self, ca_bundle: str | None, pool_size: int) -> None:
        super().__init__()
        self._ca_bundle = ca_bundle
        self.verify = ca_bundle or _system_store()
        self._ways: dict[str, _Way] = {}
        adapter = _Adapter(pool_size)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | str | None,
        timeout: tuple[float, float],
    ) -> requests.Response:
        """The answer with its body unread. `timeout`: seconds to connect, and between two bytes."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = _quoted(url)
        request.prepare_headers({**_HEADERS, **headers})
        request.body = body.encode() if isinstance(body, str) else body
        request.prepare_content_length(request.body)
        way = self._way(request.url)
        return way.adapter.send(request, stream=True, timeout=timeout, **way.settings)

    def _way(self, url: str) -> _Way:
        origin = _origin(url)
        way = self._ways.get(origin)
        if way is None:
            found = self.merge_environment_settings(url, {}, None, None, None)
            verify = self._ca_bundle or found["verify"]
            settings = {"verify": verify, "cert": None, "proxies": found["proxies"]}
            way = self._ways[origin] = _Way(self.get_adapter(url), settings)
        return way


def build_session(ca_bundle: str | None, pool_size: int) -> DoorSession:
    """A session for many threads. `ca_bundle`: PEM file; else the environment's, else the system store."""
    return DoorSession(ca_bundle, pool_size)


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


@lru_cache(maxsize=256)
def _quoted(url: str) -> str:
    """The address as it is sent; raises what requests raises for one nobody can use."""
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    return request.url or ""


def exchange(
    session: DoorSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | str | None,
    deadline: Deadline,
) -> Answer:
    """One request and its whole answer, whatever the status.

    Raises Unavailable for everything that may pass (no connection, TLS, truncated or oversized body; code
    `timeout` when the deadline was the cause) and Misconfigured for an address or CA bundle nobody can use.
    """
    left = deadline.remaining()
    if left <= 0.0:
        raise Unavailable("timeout", "no time left to ask")
    try:
        timeout = (min(CONNECT_SECONDS, left), left)
        response = session.ask(method, url, headers=headers, body=body, timeout=timeout)
        with response:
            # An unread 503 closes its connection, so that the next attempt opens a new one:
            # https://learn.microsoft.com/graph/best-practices-concept#handling-expected-errors
            content = b"" if response.status_code == 503 else _read(response, deadline)
            return Answer(response.status_code, response.headers, content)
    except _UNUSABLE_ADDRESS:
        raise Misconfigured("misconfigured", "the address cannot be used") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, zlib.error) as error:
        name = type(error).__name__  # its text may quote the URL or the body
        # A read may last as long as the deadline allows, so one that timed out has used it up.
        if deadline.expired or isinstance(error, _READ_TIMED_OUT):
            raise Unavailable("timeout", f"no whole answer in time ({name})") from None
        raise Unavailable("microsoft_unavailable", f"no usable answer ({name})") from None
    except OSError:
        # requests says so before it connects; a failing connection arrives as one of the above.
        raise Misconfigured("misconfigured", "the CA bundle cannot be read") from None


def _read(response: requests.Response, deadline: Deadline) -> bytes:
    """Body in small steps, so that neither a slow drip nor a compression bomb goes beyond the limits."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", ""}:
        raise Unavailable("microsoft_unavailable", "an encoding that was not asked for")
    gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    # read1 gives what has arrived; it checks Content-Length at the end and raises on a body cut short.
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        if deadline.expired:
            raise Unavailable("timeout", "the body came too slowly")
        part = gzip.decompress(chunk, MAX_BODY_BYTES + 1 - size) if gzip else chunk
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise Unavailable("microsoft_unavailable", "the body is too large")
        parts.append(part)
    if gzip and parts and not gzip.eof:
        raise Unavailable("microsoft_unavailable", "the compressed body is cut short")
    return b"".join(parts)


def within(deadline: Deadline, work: Callable[[], T]) -> T:
    """The result of blocking work, or Unavailable("timeout") at the deadline; then the work is left behind.

    Timeouts of sockets count from byte to byte, so a server that sends a header byte now and then can hold a
    plain call for ever. Our errors arrive without the frames they were raised in: those hold clear tokens.
    """
    if deadline.expired:
        raise Unavailable("timeout", "no time left to ask")
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the thread that waits
            done.put((None, error))

    threading.Thread(target=run, daemon=True, name="microsoft-call").start()
    try:
        result, error = done.get(timeout=deadline.remaining())
    except queue.Empty:
        raise Unavailable("timeout", "no answer in time") from None
    if isinstance(error, IntegrationError):
        raise without_frames(error)
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only when T allows it


def without_frames(error: IntegrationError) -> IntegrationError:
    """The error without what it was raised from: those frames, and the request in requests' errors, hold tokens."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def retry_after_seconds(value: str | None, *, wall_clock: Callable[[], float] = time.time) -> float | None:
    """Retry-After as "120", "2.128" (Microsoft sends fractions) or an HTTP date → seconds ≥ 0; else None."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - wall_clock()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _system_store() -> str | bool:
    """The system's bundle or directory of certificates; True (certifi's) when the system has none."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    if paths.capath and any(Path(paths.capath).iterdir()):
        return paths.capath
    return True
