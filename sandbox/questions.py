"""A getSchedule body checked by Graph's limits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sandbox.messages import Headers, Request
from sandbox.options import Options
from sandbox.schedules import Question
from sandbox.zones import find_zone

LONGEST_WINDOW = timedelta(days=62)
"""A window must be shorter than this."""

_PREFER = re.compile(r'outlook\.timezone\s*=\s*"?([^",;]+)"?', re.IGNORECASE)
_INTERVAL = (
    "The specified merged free/busy interval is not valid. Specify an interval that is less than the "
    "free/busy time window and between 5 and 1440 minutes."
)


class GraphError(Exception):
    """The whole request is answered with Graph's error body."""

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


def parse_question(request: Request, options: Options) -> tuple[list[str], Question]:
    """Check a getSchedule call by the limits of learn.microsoft.com/graph/api/calendar-getschedule.

    Returns the addresses as asked and the rest of the question; raises GraphError with Graph's words.
    """
    fields = _fields(request.body)
    addresses = fields.get("schedules")
    if not isinstance(addresses, list) or not all(isinstance(a, str) for a in addresses) or not addresses:
        raise GraphError(400, "ErrorInvalidRequest", "The schedules property needs at least one address.")
    if len(addresses) > options.max_mailboxes:
        message = (
            "There are too many target users in the EmailAddress array. "
            f"The allowed size = {options.max_mailboxes}; the actual size = {len(addresses)}."
        )
        raise GraphError(400, "ErrorMailboxDataArrayTooBig", message)
    start, end = _moment(fields.get("starttime")), _moment(fields.get("endtime"))
    question = replace(_question_of(start, end, fields), floating_all_day=options.all_day == "floating")
    preferred = _PREFER.search(request.headers.get("prefer", ""))
    if preferred is None:
        return addresses, question
    name = preferred[1].strip()
    return addresses, replace(question, zone=_zone(name), zone_name=name)


def _fields(body: bytes) -> Mapping[str, Any]:
    """Return the body's members by lower-case name: documentation and metadata differ in case, both work."""
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error
    if not isinstance(fields, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return {name.lower(): value for name, value in fields.items()}


def _question_of(start: datetime, end: datetime, fields: Mapping[str, Any]) -> Question:
    window = end - start
    if window <= timedelta():
        message = "The time duration specified for FreeBusyViewOptions.TimeWindow is invalid."
        raise GraphError(400, "ErrorInvalidTimeInterval", message)
    if window >= LONGEST_WINDOW:
        message = (
            "The requested time duration specified for FreeBusyViewOptions.TimeWindow is too long. "
            f"The allowed limit = 62 days; the actual limit = {window.days} days."
        )
        raise GraphError(400, "ErrorTimeIntervalTooBig", message)
    given = fields.get("availabilityviewinterval", 30)
    if given is None:  # microsoft-graph-docs issue 4494
        raise GraphError(500, "InternalServerError", "An internal server error occurred.")
    interval = _interval(given)
    if not 5 <= interval <= 1440 or timedelta(minutes=interval) > window:
        raise GraphError(400, "ErrorInvalidMergedFreeBusyInterval", _INTERVAL)
    return Question(start=start, end=end, interval=interval, zone=_zone("UTC"), zone_name="UTC")


def _interval(given: object) -> int:
    """Return the interval; the official sample gives it as a string."""
    if isinstance(given, str | int) and not isinstance(given, bool):
        try:
            return int(given)
        except ValueError:
            pass
    raise GraphError(400, "BadRequest", "Cannot convert the value of availabilityViewInterval to Edm.Int32.")


def _moment(value: object) -> datetime:
    """Return the instant of a dateTimeTimeZone; a trailing Z is taken beside any zone."""
    text = value.get("dateTime") if isinstance(value, dict) else None
    zone_name = value.get("timeZone", "UTC") if isinstance(value, dict) else None
    if not isinstance(text, str) or not isinstance(zone_name, str):
        raise GraphError(400, "BadRequest", "startTime and endTime need dateTime and timeZone.")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise GraphError(400, "BadRequest", "Cannot convert the literal to Edm.DateTime.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(zone_name))).astimezone(UTC)


def _zone(name: str) -> tzinfo:
    zone = find_zone(name)
    if zone is None:
        message = f"A valid TimeZone value must be specified. This value is not supported: '{name}'."
        raise GraphError(400, "TimeZoneNotSupportedException", message)
    return zone
