"""A real read with the connection's token: the reader's own free/busy of the next day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from microsoft.entra import IdClaims, TokenSet
from microsoft.errors import IntegrationError, TokenRejected, Unavailable, error_for
from microsoft.graph import MailboxFailure, ScheduleReport
from microsoft.http import Deadline
from microsoft.reasons import Kind, reason
from microsoft.secret import Secret
from tenants import microsoft365
from tenants.models import Account

WINDOW = timedelta(days=1)
# It could sign in, yet its address belongs to no mailbox.
_NO_MAILBOX = frozenset({"not_found", "5009", "ErrorMailRecipientNotFound", "ErrorNonExistentMailbox"})


@dataclass(frozen=True, slots=True)
class Proof:
    """What the read showed: whose calendar, which window, when, how fast, and Microsoft's id of the call."""

    mailbox: str
    start: datetime
    end: datetime
    at: datetime
    latency_ms: int
    http_status: int
    request_id: str


class NewTokens:
    """Token source of a consent that is not stored yet: a refused token cannot be renewed."""

    def __init__(self, tokens: TokenSet) -> None:
        self._tokens = tokens

    def bearer(self, rejected: Secret | None = None) -> Secret:
        """The new access token."""
        if rejected is not None:
            raise TokenRejected(detail="Graph refused a token that Entra has just issued.")
        return self._tokens.access_token


def verify(account: Account, claims: IdClaims, tokens: TokenSet, deadline: Deadline) -> Proof:
    """Reads the reader's own mailbox; raises IntegrationError when Microsoft does not give its free/busy."""
    start = timezone.now().replace(second=0, microsecond=0)
    reader_key = f"{claims.tenant_id}/{claims.oid}"
    report = microsoft365.graph_for(account, reader_key).get_schedule(
        [claims.upn], start, start + WINDOW, token=NewTokens(tokens), deadline=deadline
    )
    try:
        raise_for_mailbox(report, claims.upn)
    except IntegrationError as error:
        raise _cause(error, report) from None
    call = report.calls[-1]
    return Proof(claims.upn, start, start + WINDOW, timezone.now(), call.latency_ms, call.status or 0, call.request_id)


def _cause(error: IntegrationError, report: ScheduleReport) -> IntegrationError:
    """What a failure means that came from reading the very account that has just signed in."""
    refused = bool(report.calls) and report.calls[-1].status == 403
    if refused and settings.MICROSOFT_CALENDAR_SCOPE == "Calendars.Read.Shared":
        # Not in the table of https://learn.microsoft.com/graph/api/calendar-getschedule#permissions
        return error_for("scope_not_enough", error.code, request_id=error.request_id)
    if error.code in _NO_MAILBOX:
        return error_for("mailbox_missing", error.code, request_id=error.request_id)
    if reason(error.code).kind is Kind.UNKNOWN:
        return error_for("reader_unreadable", error.code, request_id=error.request_id)
    return error


def raise_for_mailbox(report: ScheduleReport, mailbox: str) -> None:
    """Nothing when the mailbox was read, else the error that its failure amounts to."""
    if report.error is not None:
        raise report.error
    result = report.results[mailbox.casefold()]
    if not isinstance(result, MailboxFailure):
        return
    request_id = report.calls[-1].request_id if report.calls else ""
    if result.retryable:
        raise Unavailable(result.raw or result.code, result.message, request_id=request_id)
    raise error_for(result.raw or result.code, result.message, request_id=request_id)
