"""Pure: how large a getSchedule answer can be that holds times and statuses and nothing else.

A larger one holds more: subjects, places. We tell by the size alone, since those members are never decoded. The bounds
are generous, so that what is counted is certain; a short subject or two in a small answer go unnoticed. Shapes: the
answers in Microsoft's documentation, learn.microsoft.com/graph/api/calendar-getschedule, without their line ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from microsoft.wire import Malformed, ScheduleInformation

# `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.scheduleInformation)",…`
_ENVELOPE = 160
# `{"scheduleId":"","availabilityView":"","scheduleItems":[],"workingHours":null,"error":null},`
_MAILBOX = 96
# Seven day names, two times and a zone; with rules of its own it is longer by up to 320
_WORKING_HOURS, _CUSTOM_ZONE = 224, 320
_ERROR = 64
# `"workingElsewhere"`, `{"dateTime":"2019-03-15T12:00:00.0000000","timeZone":"UTC"}` twice (we ask for UTC), and empty:
# `"isPrivate":false,"subject":"","location":""` make 209; isMeeting, isRecurring, isException, isReminderSet 83 more
_ITEM = 292
# What escapes may add to a short text of ASCII, `\u002B` for the plus in an address
_ESCAPES = 20


def most_bytes(entries: Sequence[ScheduleInformation | Malformed]) -> float:
    """At most so many bytes without any detail; no bound (infinity) when an entry had another shape."""
    if any(isinstance(entry, Malformed) for entry in entries):
        return float("inf")
    return _ENVELOPE + sum(_mailbox(entry) for entry in entries if isinstance(entry, ScheduleInformation))


def _mailbox(entry: ScheduleInformation) -> int:
    size = _MAILBOX + _text(entry.schedule_id) + _text(entry.availability_view)
    size += _ITEM * len(entry.schedule_items or ())
    if entry.error is not None:
        size += _ERROR + _text(entry.error.message) + _text(entry.error.response_code)
    if entry.working_hours is not None:
        zone = entry.working_hours.time_zone
        size += _WORKING_HOURS + (_text(zone.name) if zone else 0)
        size += _CUSTOM_ZONE if zone and (zone.standard_offset or zone.daylight_offset) else 0
    return size


def _text(value: str | None) -> int:
    """Bytes of a text as JSON may write it; beyond ASCII up to two escapes of six for a character."""
    text = value or ""
    return len(text) + _ESCAPES if text.isascii() else 12 * len(text)
