"""Faults on demand: what answers a matching request instead of the behaviour."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from threading import Lock

from sandbox import aadsts
from sandbox.clock import Clock
from sandbox.messages import Headers, Request, Response, json_response

KINDS = ("json", "html", "empty", "truncated", "dropped")
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
    `reader` limits the fault to one signed-in user, `mailbox` to calls naming that address.
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
    reader: str = ""
    mailbox: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if self.aadsts is not None and self.aadsts not in aadsts.TABLE:
            raise ValueError(f"AADSTS{self.aadsts} is not in the sandbox's table")

    def matches(self, request: Request, reader: str) -> bool:
        """Return whether the fault is meant for this request."""
        return (
            self.path in request.path
            and (not self.reader or self.reader.casefold() == reader.casefold())
            and (not self.mailbox or self.mailbox.casefold().encode() in request.body.lower())
        )

    def answer(self, clock: Clock) -> Response | None:
        """Return the answer that replaces the behaviour, or None when it runs."""
        headers: Headers = () if self.retry_after is None else (("Retry-After", self.retry_after),)
        if self.aadsts is not None:
            answered = aadsts.error_response(self.aadsts, clock, status=self.status)
        elif self.status is not None:
            answered = self._body(self.status)
        elif self.kind in {"html", "empty"}:
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

    def take(self, request: Request, reader: str) -> Fault | None:
        """Return the fault for this request, counting it down."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.matches(request, reader):
                    if fault.times is not None:
                        left = fault.times - 1
                        self._faults[index : index + 1] = [replace(fault, times=left)] if left > 0 else []
                    return fault
        return None

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()


def parse_fault(fields: dict[str, object]) -> Fault:
    """Build a fault from the control endpoint's JSON; ValueError names what is wrong."""
    try:
        return Fault(**json.loads(json.dumps(fields)))
    except TypeError as error:
        raise ValueError(str(error)) from error
