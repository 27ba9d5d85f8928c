"""One error tree for everything that goes wrong with Microsoft: may we retry, and who has to act."""

from __future__ import annotations

from microsoft.reasons import Kind, reason


class IntegrationError(Exception):
    """A failure with a stable `code` of `microsoft.reasons`.

    `permanent`: trying the same again cannot help. `detail`: safe words for a log line, never a body, token
    or address. `request_id`: Microsoft's own id of the request or trace, "" when none came.
    """

    permanent = False

    def __init__(self, code: str, detail: str = "", *, request_id: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.request_id = request_id

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class ConsentRequired(IntegrationError):
    """Only the customer can end it: sign in again, or their administrator changes something first."""

    permanent = True


class Refused(IntegrationError):
    """This one request was refused for good; the connection as such is not in question."""

    permanent = True


class Misconfigured(IntegrationError):
    """Our own registration, settings or code. Hits all customers alike: never mark a tenant for it."""

    permanent = True


class Unavailable(IntegrationError):
    """No usable answer from Microsoft; it may pass. `retry_after`: seconds Microsoft asked for, or None."""

    def __init__(
        self,
        code: str = "microsoft_unavailable",
        detail: str = "",
        *,
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(code, detail, request_id=request_id)
        self.retry_after = retry_after


class CutOff(Unavailable):
    """We stopped waiting for an answer that Microsoft may still be at: there the call counts as one in flight."""


class Throttled(IntegrationError):
    """Too many requests. `retry_after`: seconds to stay away."""

    def __init__(
        self, code: str = "throttled", detail: str = "", *, retry_after: float = 5.0, request_id: str = ""
    ) -> None:
        super().__init__(code, detail, request_id=request_id)
        self.retry_after = retry_after


class HeldBack(Throttled):
    """Not asked, to keep within Microsoft's limits: says nothing about Microsoft."""


class TokenRejected(IntegrationError):
    """Graph answered 401. `claims`: the decoded claims challenge for the next token request, if any came."""

    def __init__(
        self,
        code: str = "InvalidAuthenticationToken",
        detail: str = "",
        *,
        claims: str | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(code, detail, request_id=request_id)
        self.claims = claims


_BY_KIND: dict[Kind, type[IntegrationError]] = {
    Kind.TRANSIENT: Unavailable,
    Kind.NEEDS_CONSENT: ConsentRequired,
    Kind.NEEDS_CUSTOMER_ADMIN: ConsentRequired,
    Kind.OUR_FAULT: Misconfigured,
    Kind.UNKNOWN: Refused,
}


def may_pass(error: IntegrationError) -> bool:
    """Whether asking later may help without anybody at the customer: our own faults get repaired."""
    return not error.permanent or isinstance(error, Misconfigured)


def error_for(code: str, detail: str = "", *, request_id: str = "") -> IntegrationError:
    """The error that the kind of this reason calls for."""
    return _BY_KIND[reason(code).kind](code, detail, request_id=request_id)
