"""Pure: what came back of a getSchedule question, mailbox by mailbox."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from microsoft.errors import IntegrationError
from microsoft.reasons import REASONS, reason
from microsoft.schedule_request import ScheduleCall
from microsoft.wire import Malformed, ScheduleInformation

_PLAIN = re.compile(r"[^A-Za-z0-9_.-]")

# responseCode of one entry → code of ours. Only 5006 and 5009 are known as numbers; the names are those of
# https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode
_ENTRY_CODES: dict[str, str] = {
    "5009": "not_found",
    "ErrorMailRecipientNotFound": "not_found",
    "ErrorNonExistentMailbox": "not_found",
    "5006": "too_many_entries",
    "ErrorResultSetTooBig": "too_many_entries",
    "ErrorNoFreeBusyAccess": "no_access",
    "ErrorServiceDiscoveryFailed": "not_on_exchange_online",
    "ErrorInvalidOrganizationRelationshipForFreeBusy": "not_on_exchange_online",
    "ErrorProxyRequestProcessingFailed": "not_on_exchange_online",
    "ErrorProxyRequestNotAllowed": "not_on_exchange_online",
    "ErrorTimeoutExpired": "timeout",
    "ErrorServerBusy": "unavailable",
    "ErrorMailboxLogonFailed": "unavailable",
    "ErrorMailboxStoreUnavailable": "unavailable",
    "ErrorMailboxMoveInProgress": "unavailable",
    "ErrorFreeBusyGenerationFailed": "unavailable",
}
_RETRYABLE = frozenset({"timeout", "throttled", "unavailable", "no_data"})


@dataclass(frozen=True, slots=True)
class MailboxFailure:
    """Why a mailbox could not be read: its times are unknown, never free.

    `code`: not_found, too_many_entries, no_access, not_on_exchange_online, no_data, timeout, throttled,
    unavailable or other. `message`: our words. `raw`: Microsoft's own code, when there was one.
    """

    code: str
    message: str
    retryable: bool
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class MailboxSchedule:
    """What Microsoft gave for a mailbox: one entry per part of the window, in order."""

    entries: tuple[ScheduleInformation, ...]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One request after all its attempts; `status` (None without an answer), `code` and size are the last one's.

    `details`: the answer was larger than times and statuses can be; what else it held was not decoded.
    """

    status: int | None
    code: str
    latency_ms: int
    request_id: str
    client_request_id: str
    attempts: int
    retry_after: float | None = None  # seconds Microsoft asked for
    body_bytes: int = 0
    details: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleReport:
    """The answer to a whole question. `results`: every address that was asked, by its `str.casefold`.

    `error`: why asking had to stop: no access token could be had or kept, or our own settings are unusable.
    """

    results: dict[str, MailboxSchedule | MailboxFailure]
    calls: tuple[CallRecord, ...]
    error: IntegrationError | None = None


CallOutcome = Sequence[ScheduleInformation | Malformed] | MailboxFailure


def failure(code: str, *, raw: str | None = None, retryable: bool | None = None) -> MailboxFailure:
    """A failure in our words; whether a retry may help follows from the code unless said otherwise."""
    raw = plain(raw) if raw else None
    title = REASONS[raw].title if raw in REASONS else reason(code).title
    return MailboxFailure(code, title, code in _RETRYABLE if retryable is None else retryable, raw)


def plain(code: str) -> str:
    """A code of Microsoft's, fit to be logged and shown whatever was sent in its place."""
    return _PLAIN.sub("", code)[:64]


def join(outcomes: Mapping[ScheduleCall, CallOutcome], part_count: int) -> dict[str, MailboxSchedule | MailboxFailure]:
    """Puts the parts of each mailbox together; a mailbox that failed in one part has failed."""
    found: dict[str, list[ScheduleInformation | MailboxFailure | None]] = {}
    for call, outcome in outcomes.items():
        answers = {} if isinstance(outcome, MailboxFailure) else _by_mailbox(outcome)
        for mailbox in call.mailboxes:
            key = mailbox.casefold()
            slots = found.setdefault(key, [None] * part_count)
            slots[call.part] = outcome if isinstance(outcome, MailboxFailure) else _judge(answers.get(key))
    return {key: _whole(slots) for key, slots in found.items()}


def _by_mailbox(
    entries: Sequence[ScheduleInformation | Malformed],
) -> dict[str, ScheduleInformation | Malformed]:
    """scheduleId is compared without case; the first of two entries for one mailbox counts."""
    found: dict[str, ScheduleInformation | Malformed] = {}
    for entry in entries:
        if entry.schedule_id is not None:
            found.setdefault(entry.schedule_id.casefold(), entry)
    return found


def _judge(entry: ScheduleInformation | Malformed | None) -> ScheduleInformation | MailboxFailure:
    if not isinstance(entry, ScheduleInformation):
        return failure("no_data")
    if entry.error is not None:
        raw = entry.error.response_code or ""
        return failure(_ENTRY_CODES.get(raw, "other"), raw=raw)
    if entry.schedule_items is None or entry.availability_view is None:
        return failure("no_data")
    return entry


def _whole(slots: Sequence[ScheduleInformation | MailboxFailure | None]) -> MailboxSchedule | MailboxFailure:
    entries: list[ScheduleInformation] = []
    for slot in slots:
        if isinstance(slot, MailboxFailure):
            return slot
        if slot is None:
            return failure("timeout")
        entries.append(slot)
    return MailboxSchedule(tuple(entries))
