"""Faults on demand: what answers a matching request instead of the behaviour."""

from __future__ import annotations

import gzip
import json
import uuid
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any

from sandbox import aadsts
from sandbox.clock import Clock
from sandbox.messages import Headers, Request, Response, json_response
from sandbox.people import Account

KINDS = ("json", "html", "empty", "truncated", "dropped", "big", "bomb")
BIG = 50 * 2**20
GRAPH_CODES = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied",
    404: "ResourceNotFound",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
    509: "BandwidthLimitExceeded",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to requests whose path contains `path`, for `times` calls (None: until cleared).

    `delay` passes before the behaviour runs, `hold` between its work and its answer, `drip` while the answer
    is sent; all in seconds. With `status` or `aadsts` the behaviour does not run at all. `kind` says what the
    body is; `truncated` and `dropped` apply to the behaviour's own answer when no status is given.
    `big` and `bomb` answer with `size` bytes of JSON, plain or packed into some thousandth of it by gzip.
    `reader` limits the fault to one signed-in user (also by the refresh token or code it brings), `tenant` to
    one tenant (by domain, name or id), `mailbox` to calls naming that address.
    """

    path: str = ""
    status: int | None = None
    aadsts: int | None = None
    code: str = ""
    kind: str = "json"
    retry_after: str | None = None
    delay: float = 0.0
    hold: float = 0.0
    drip: float = 0.0
    times: int | None = 1
    size: int = BIG
    reader: str = ""
    tenant: str = ""
    mailbox: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if self.aadsts is not None and self.aadsts not in aadsts.TABLE:
            raise ValueError(f"AADSTS{self.aadsts} is not in the sandbox's table")

    def matches(self, request: Request, reader: Account | None) -> bool:
        """Return whether the fault is meant for this request."""
        return (
            self.path in request.path
            and (not self.reader or (reader is not None and self.reader.casefold() == reader.upn.casefold()))
            and (not self.tenant or self.tenant.casefold() in _tenant_names(request, reader))
            and (not self.mailbox or self.mailbox.casefold().encode() in request.body.lower())
        )

    def answer(self, clock: Clock) -> Response | None:
        """Return the answer that replaces the behaviour, or None when it runs."""
        headers: Headers = () if self.retry_after is None else (("Retry-After", self.retry_after),)
        if self.aadsts is not None:
            answered = aadsts.error_response(self.aadsts, clock, status=self.status)
        elif self.status is not None:
            answered = self._body(self.status)
        elif self.kind in {"html", "empty", "big", "bomb"}:
            answered = self._body(200)
        else:
            return None
        return self.spoil(replace(answered, headers=(*answered.headers, *headers)))

    def spoil(self, response: Response) -> Response:
        """Return the response as it will be sent: cut short, dropped or dripping."""
        if self.kind == "truncated":
            response = replace(response, broken="truncated")
        elif self.kind == "dropped":
            response = replace(response, broken="dropped")
        return replace(response, drip_seconds=self.drip) if self.drip else response

    def _body(self, status: int) -> Response:
        if self.kind == "html":
            page = b"<!doctype html><title>Error</title><p>An upstream gateway had a bad moment.</p>"
            return Response(status=status, body=page, headers=(("Content-Type", "text/html"),))
        if self.kind == "empty":
            return Response(status=status)
        if self.kind in {"big", "bomb"}:
            return _big(status, self.size, packed=self.kind == "bomb")
        code = self.code or GRAPH_CODES.get(status, "UnknownError")
        error = {
            "code": code,
            "message": "Asked for by the test.",
            "innerError": {"request-id": str(uuid.uuid4())},
        }
        return json_response(status, {"error": error})


class Faults:
    """The faults in force; the first that matches is used up by one call."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a fault behind those already in force."""
        with self._lock:
            self._faults.append(fault)

    def take(self, request: Request, reader: Account | None) -> Fault | None:
        """Return the fault for this request, counting it down."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.matches(request, reader):
                    if fault.times is not None:
                        left = fault.times - 1
                        self._faults[index : index + 1] = [replace(fault, times=left)] if left > 0 else []
                    return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults in force, in order."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()


def _tenant_names(request: Request, reader: Account | None) -> set[str]:
    """Return how the tenant of a request may be called: its reader's, or the one in Entra's path."""
    named = {request.path.lstrip("/").partition("/")[0].casefold()}
    return named if reader is None else named | {reader.tenant.name, reader.tenant.domain, reader.tenant.tid}


def _big(status: int, size: int, *, packed: bool) -> Response:
    """Return a JSON body of about so many bytes, the padding a member that nobody reads."""
    body = b'{"value":[],"padding":"' + b"x" * size + b'"}'
    headers: Headers = (("Content-Type", "application/json"),)
    if packed:
        body, headers = gzip.compress(body, compresslevel=1, mtime=0), (*headers, ("Content-Encoding", "gzip"))
    return Response(status=status, body=body, headers=headers)


def parse_fault(fields: dict[str, object]) -> Fault:
    """Build a fault from the control endpoint's JSON; ValueError names what is wrong."""
    try:
        return Fault(**json.loads(json.dumps(fields)))
    except TypeError as error:
        raise ValueError(str(error)) from error
