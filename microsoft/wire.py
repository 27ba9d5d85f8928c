"""What we read of Microsoft Graph's answers: a member without a field here is never decoded.

So subject, location and the private flag of a schedule item never become Python objects: the decoder skips
their bytes. Shapes: learn.microsoft.com/graph/api/calendar-getschedule and the resource pages
scheduleInformation, scheduleItem, workingHours, timeZoneBase and customTimeZone. Every member is nullable.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from microsoft import schedule_item
from microsoft.schedule_item import FreeBusyStatus
from microsoft.wall_times import UTC_TIMES, Unparsable

__all__ = [
    "DateTimeTimeZone",
    "FreeBusyError",
    "GraphError",
    "Malformed",
    "MalformedBody",
    "ScheduleInformation",
    "ScheduleItem",
    "TimeZone",
    "UtcInformation",
    "WorkingHours",
    "ZoneOffset",
    "decode_error",
    "decode_schedules",
]


class MalformedBody(ValueError):
    """A body that is not the JSON we were promised; worth the same retry as a 503. Never holds the body."""


class DateTimeTimeZone(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A wall time such as "2019-03-15T12:00:00.0000000" (seven fraction digits, no offset) and its zone."""

    date_time: str
    time_zone: str | None = None


class ScheduleItem(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One calendar entry. Status in any case; bounds as they are, not clipped to the window asked for."""

    status: str | None = None
    start: DateTimeTimeZone | None = None
    end: DateTimeTimeZone | None = None


class ZoneOffset(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """When a custom zone changes its clock: the nth weekday of a month (5 = the last), or a date of one year.

    `daylight_bias` (minutes) only on the daylight side. Year 0 means every year.
    """

    time: str | None = None
    day_occurrence: int | None = None
    day_of_week: str | None = None
    month: int | None = None
    year: int | None = None
    daylight_bias: int | None = None


class TimeZone(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A zone by name, or a customTimeZone by its rules. `bias` is minutes with UTC = local + bias.

    The resource page customtimezone describes the opposite sign; real payloads carry +480 for Pacific time.
    """

    name: str | None = None
    bias: int | None = None
    standard_offset: ZoneOffset | None = None
    daylight_offset: ZoneOffset | None = None


class WorkingHours(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The mailbox owner's hours: lower-case day names, "08:00:00.0000000", always in the owner's own zone."""

    days_of_week: list[str] | None = None
    start_time: str | None = None
    end_time: str | None = None
    time_zone: TimeZone | None = None


class FreeBusyError(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Why one mailbox could not be read: a number as text ("5009") or an EWS name."""

    message: str | None = None
    response_code: str | None = None


class ScheduleInformation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One mailbox. With `error` set, or without view or items, it says nothing about being free."""

    schedule_id: str
    availability_view: str | None = None
    schedule_items: Sequence[ScheduleItem | schedule_item.ScheduleItem] | None = None
    working_hours: WorkingHours | None = None
    error: FreeBusyError | None = None


class UtcInformation(ScheduleInformation, frozen=True, gc=False, rename="camel"):
    """One mailbox whose times could all be read here, none left out: nearly all, since UTC is what we ask for."""

    schedule_items: Sequence[schedule_item.ScheduleItem] | None = None


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """An entry without the shape of scheduleInformation; with the mailbox's name if that was readable."""

    schedule_id: str | None = None


class GraphError(msgspec.Struct, frozen=True, gc=False):
    """The codes of an error body, outermost and innermost (the same when nothing is nested). No message."""

    code: str
    innermost_code: str


class _UtcDateTime(DateTimeTimeZone, frozen=True, gc=False, rename="camel"):
    """A wall time in the zone we ask for, named as we name it."""

    time_zone: Literal["UTC"]


class _UtcItem(ScheduleItem, frozen=True, gc=False, rename="camel"):
    """One calendar entry as nearly all are: whole, in UTC, its status spelled as in the documentation."""

    status: FreeBusyStatus
    start: _UtcDateTime
    end: _UtcDateTime


class _InUtc(ScheduleInformation, frozen=True, gc=False, rename="camel"):
    schedule_items: list[_UtcItem] | None = None


class _InAnyZone(ScheduleInformation, frozen=True, gc=False, rename="camel"):
    schedule_items: list[ScheduleItem] | None = None


class _Envelope(msgspec.Struct, gc=False):
    value: list[_InUtc]


class _RawEnvelope(msgspec.Struct, gc=False):
    value: list[msgspec.Raw]


class _WithoutHours(msgspec.Struct, gc=False, rename="camel"):
    schedule_id: str
    availability_view: str | None = None
    schedule_items: list[ScheduleItem] | None = None
    error: FreeBusyError | None = None


class _NameOnly(msgspec.Struct, gc=False, rename="camel"):
    schedule_id: str


class _ErrorLevel(msgspec.Struct):
    """Graph writes `innerError`, some of its services `innererror`; levels nest."""

    code: str | int | None = None
    inner_error: "_ErrorLevel | None" = msgspec.field(default=None, name="innerError")
    innererror: "_ErrorLevel | None" = None


class _ErrorBody(msgspec.Struct):
    error: _ErrorLevel


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_RAW_ENVELOPE: Final = msgspec.json.Decoder(_RawEnvelope)
_UTC_ENTRY: Final = msgspec.json.Decoder(_InUtc)
_ENTRY: Final = msgspec.json.Decoder(_InAnyZone)
_ENTRY_WITHOUT_HOURS: Final = msgspec.json.Decoder(_WithoutHours)
_ENTRY_NAME: Final = msgspec.json.Decoder(_NameOnly)
_ERROR: Final = msgspec.json.Decoder(_ErrorBody)

# A pair of halves, a half alone, any other escape (so that the backslash in `\\\\ud83d` counts as taken).
_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)

# Absurd nesting ends in RecursionError, bytes that are no UTF-8 in UnicodeDecodeError.
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_schedules(body: bytes) -> list[ScheduleInformation | Malformed]:
    """Decode a getSchedule answer, in its order. One misshapen entry becomes `Malformed`, the others survive.

    Raises MalformedBody when the body as a whole is no such answer (no JSON, cut short, no `value` list).
    """
    try:
        return [_with_instants(entry) for entry in _ENVELOPE.decode(body).value]
    except _UNREADABLE:
        pass  # entry by entry it is found out which is malformed, and which only in another zone
    try:
        entries = _raw_entries(body)
    except _UNREADABLE:
        # `from None`: the decoder's text may quote what it choked on.
        raise MalformedBody("not a getSchedule answer") from None
    return [_decode_entry(entry) for entry in entries]


def decode_error(body: bytes) -> GraphError | None:
    """The codes of an error body, or None when the body is not one."""
    try:
        level: _ErrorLevel | None = _ERROR.decode(body).error
    except _UNREADABLE:
        return None
    codes: list[str] = []
    while level is not None:
        if level.code is not None:
            codes.append(str(level.code))
        level = level.inner_error or level.innererror
    return GraphError(codes[0], codes[-1]) if codes else None


def _raw_entries(body: bytes) -> list[msgspec.Raw]:
    """The entries, still undecoded. A subject cut in the middle of an emoji must not cost twenty mailboxes:

    the half of it, `\\ud83d`, is no character, for which the decoder refuses the body even where it skips the text.
    """
    try:
        return _RAW_ENVELOPE.decode(body).value
    except _UNREADABLE:
        return _RAW_ENVELOPE.decode(_ESCAPES.sub(_whole_character, body)).value


def _whole_character(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["half"] else escape[0]


def _decode_entry(entry: msgspec.Raw) -> ScheduleInformation | Malformed:
    """Odd working hours cost only themselves; anything else odd costs the entry."""
    try:
        return _with_instants(_UTC_ENTRY.decode(entry))
    except _UNREADABLE:
        pass
    try:
        return _ENTRY.decode(entry)
    except _UNREADABLE:
        pass
    try:
        plain = _ENTRY_WITHOUT_HOURS.decode(entry)
    except _UNREADABLE:
        return _nameless_or_named(entry)
    return ScheduleInformation(
        schedule_id=plain.schedule_id,
        availability_view=plain.availability_view,
        schedule_items=plain.schedule_items,
        error=plain.error,
    )


def _with_instants(entry: _InUtc) -> ScheduleInformation:
    """Instants in place of texts take a sixth of the memory, and are made while the texts are still at hand.

    Every time is read, whatever the status of its item: one that cannot be read may stand for a busy hour. Its mailbox
    is left as it is, for whoever judges what cannot be read.
    """
    items = None
    if entry.schedule_items is not None:
        read, make = UTC_TIMES, schedule_item.ScheduleItem
        try:
            items = [make(read[i.start.date_time], read[i.end.date_time], i.status) for i in entry.schedule_items]
        except Unparsable:
            return entry
    return UtcInformation(entry.schedule_id, entry.availability_view, items, entry.working_hours, entry.error)


def _nameless_or_named(entry: msgspec.Raw) -> Malformed:
    try:
        return Malformed(_ENTRY_NAME.decode(entry).schedule_id)
    except _UNREADABLE:
        return Malformed()
