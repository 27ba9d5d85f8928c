"""Pure: what came back of a getSchedule question, mailbox by mailbox."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

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
_CROWDED = frozenset(code for code, ours in _ENTRY_CODES.items() if ours == "too_many_entries")
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
    """What Microsoft gave for a mailbox: an entry for each part of the window, in order, or for each stretch of one.

    Whatever stands across a seam is in the entries on both sides.
    """

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

    `error`: why asking had to stop: no access token could be had or kept, our own settings are unusable, or the calls
    that the reader is allowed are spent. `poison`: who, of those that failed, made whole calls fail while the service
    answered others.
    """

    results: dict[str, MailboxSchedule | MailboxFailure]
    calls: tuple[CallRecord, ...]
    error: IntegrationError | None = None
    poison: frozenset[str] = frozenset()


CallOutcome = Sequence[ScheduleInformation | Malformed] | MailboxFailure


def failure(code: str, *, raw: str | None = None, retryable: bool | None = None) -> MailboxFailure:
    """A failure in our words; whether a retry may help follows from the code unless said otherwise."""
    raw = plain(raw) if raw else None
    title = REASONS[raw].title if raw in REASONS else reason(code).title
    return MailboxFailure(code, title, code in _RETRYABLE if retryable is None else retryable, raw)


def plain(code: str) -> str:
    """A code of Microsoft's, fit to be logged and shown whatever was sent in its place."""
    return _PLAIN.sub("", code)[:64]


def crowded(call: ScheduleCall, entries: Sequence[ScheduleInformation | Malformed]) -> tuple[str, ...]:
    """Which mailboxes of a call hold more entries than Microsoft gives at once; asked for less time they answer."""
    keys = {
        (entry.schedule_id or "").casefold()
        for entry in entries
        if isinstance(entry, ScheduleInformation) and entry.error and entry.error.response_code in _CROWDED
    }
    return tuple(mailbox for mailbox in call.mailboxes if mailbox.casefold() in keys) if keys else ()


_Found = ScheduleInformation | MailboxFailure


def join(outcomes: Mapping[ScheduleCall, CallOutcome], part_count: int) -> dict[str, MailboxSchedule | MailboxFailure]:
    """Puts the parts of each mailbox together; a mailbox that failed in one part has failed.

    Of two calls for the same the later counts. Where stretches of a part were asked for, they stand for it.
    """
    found: dict[str, list[_Found | None]] = {}
    stretches: dict[tuple[str, int], dict[datetime, _Found]] = {}
    for call, outcome in outcomes.items():
        answers = {} if isinstance(outcome, MailboxFailure) else _by_mailbox(outcome)
        for mailbox in call.mailboxes:
            key = mailbox.casefold()
            said = outcome if isinstance(outcome, MailboxFailure) else _judge(answers.get(key))
            if call.stretch is None:
                found.setdefault(key, [None] * part_count)[call.part] = said
            else:
                stretches.setdefault((key, call.part), {})[call.stretch.start] = said
    return {
        key: _whole([_in_order(stretches.get((key, part)), slot) for part, slot in enumerate(slots)])
        for key, slots in found.items()
    }


def _in_order(stretches: Mapping[datetime, _Found] | None, slot: _Found | None) -> list[_Found | None]:
    return [slot] if stretches is None else [stretches[start] for start in sorted(stretches)]


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


def _whole(parts: Sequence[Sequence[_Found | None]]) -> MailboxSchedule | MailboxFailure:
    entries: list[ScheduleInformation] = []
    for said in chain.from_iterable(parts):
        if isinstance(said, MailboxFailure):
            return said
        if said is None:
            return failure("timeout")
        entries.append(said)
    return MailboxSchedule(tuple(entries))
