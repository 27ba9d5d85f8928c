"""getSchedule's answer for one mailbox: items, digits and working hours from the directory's events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from math import ceil
from zoneinfo import ZoneInfo

from sandbox.calendars import Event
from sandbox.directory import Directory
from sandbox.people import Account, Mailbox
from sandbox.zones import wall_text, windows_name

MAX_ENTRIES = 1000
# workingElsewhere is 0 like free; 4 is never sent (learn.microsoft.com scheduleInformation, Nov 2024).
_DIGITS = {"free": 0, "workingElsewhere": 0, "tentative": 1, "busy": 2, "oof": 3}
_TITLES = {
    "free": "Free",
    "workingElsewhere": "WorkingElsewhere",
    "tentative": "Tentative",
    "busy": "Busy",
    "oof": "Oof",
}
_TROUBLE_TEXTS = {
    "ErrorNoFreeBusyAccess": "The caller does not have free/busy access to the mailbox.",
    "ErrorMailboxMoveInProgress": "Mailbox move in progress. Try again later.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A checked getSchedule request; aware bounds, interval in minutes, answers in `zone`."""

    start: datetime
    end: datetime
    interval: int
    zone: tzinfo
    zone_name: str
    floating_all_day: bool = False


def schedule_information(directory: Directory, reader: Account, address: str, question: Question) -> dict[str, object]:
    """Return the scheduleInformation of one address as seen by the reader's tenant."""
    account = directory.find(address)
    if account is None or account.mailbox is None or account.tenant != reader.tenant:
        message = f"Unable to resolve e-mail address {address} to an Active Directory object."
        return _error(address, "5009", message)
    box = account.mailbox
    if box.trouble:
        return _error(address, box.trouble, _TROUBLE_TEXTS.get(box.trouble, "Free/busy information is not available."))
    events = directory.events(account, question.start, question.end)
    if len(events) > MAX_ENTRIES:
        sizes = f"The allowed size = {MAX_ENTRIES}; the actual size = {len(events)}."
        text = f"The result set contains too many calendar entries. {sizes}"
        return _error(address, "5006", text)
    shows = box.shows_details or account == reader
    answer: dict[str, object] = {
        "scheduleId": address,
        "availabilityView": availability_view(events, question),
        "scheduleItems": [_item(event, box, question, shows) for event in events],
    }
    if box.hours is not None:
        answer["workingHours"] = {
            "daysOfWeek": list(box.hours.days),
            "startTime": box.hours.start,
            "endTime": box.hours.end,
            "timeZone": _custom_zone() if box.hours.custom_zone else {"name": windows_name(box.zone)},
        }
    return answer


def availability_view(events: Iterable[Event], question: Question) -> str:
    """Return one digit per slot: the highest of oof, busy, tentative, free that touches it."""
    step = question.interval * 60
    total = ceil((question.end - question.start).total_seconds() / step)
    digits = bytearray(total)
    for event in events:
        digit = _DIGITS.get(event.status, 0)
        if digit == 0 or event.end <= event.start:
            continue
        first = max(0, int((event.start - question.start).total_seconds() // step))
        last = min(total, ceil((event.end - question.start).total_seconds() / step))
        for slot in range(first, last):
            digits[slot] = max(digits[slot], digit)
    return bytes(digit + 48 for digit in digits).decode()


def _item(event: Event, box: Mailbox, question: Question, shows: bool) -> dict[str, object]:
    start, end = event.start, event.end
    if event.is_all_day and question.floating_all_day:
        start, end = (_midnight(moment, box, question.zone) for moment in (start, end))
    item: dict[str, object] = {
        "isPrivate": event.is_private,
        "status": _TITLES.get(event.status, event.status) if box.title_case else event.status,
        "start": {"dateTime": wall_text(start, question.zone), "timeZone": question.zone_name},
        "end": {"dateTime": wall_text(end, question.zone), "timeZone": question.zone_name},
        "isMeeting": not event.is_all_day,
        "isRecurring": event.is_recurring,
        "isException": False,
        "isReminderSet": True,
    }
    if shows and not event.is_private:
        item |= {"subject": event.subject, "location": event.location}
    return item


def _midnight(moment: datetime, box: Mailbox, zone: tzinfo) -> datetime:
    """Return the midnight of the asked zone on the owner's date (the other reading of all-day items)."""
    return datetime.combine(moment.astimezone(ZoneInfo(box.zone)).date(), time(), zone).astimezone(UTC)


def _custom_zone() -> dict[str, object]:
    """Return US Eastern rules as a custom zone; bias in minutes with UTC = local + bias, as real payloads."""
    rule = {"time": "02:00:00.0000000", "dayOfWeek": "sunday", "year": 0}
    return {
        "@odata.type": "#microsoft.graph.customTimeZone",
        "bias": 300,
        "name": "Customized Time Zone",
        "standardOffset": {**rule, "dayOccurrence": 1, "month": 11},
        "daylightOffset": {**rule, "daylightBias": -60, "dayOccurrence": 2, "month": 3},
    }


def _error(address: str, code: str, message: str) -> dict[str, object]:
    return {"scheduleId": address, "error": {"message": message, "responseCode": code}}
