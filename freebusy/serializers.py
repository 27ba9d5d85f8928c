"""The requests of API v1, validated; no network, no rules of the calendar."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from rest_framework import serializers

from freebusy.fields import (
    AddressField,
    InstantField,
    StrictBoolean,
    StrictChoice,
    StrictInteger,
    StrictSerializer,
    TimeZoneField,
    WallTimeField,
)

MOST_MAILBOXES = 500
LONGEST_WINDOW = timedelta(days=366)
MOST_ON_ROSTER = 5_000
LONGEST_ROSTER_WINDOW = timedelta(days=61)  # what one call of getSchedule takes
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class AttendeeSerializer(StrictSerializer):
    """A person to look at."""

    email = AddressField()
    required = StrictBoolean(default=True, help_text="Whether a conflict of this person withholds a slot.")  # type: ignore[assignment]  # a field name, not DRF's own member


class WindowSerializer(StrictSerializer):
    """Whom to look at, and when."""

    attendees = AttendeeSerializer(many=True, default=list, help_text="People, in the order wanted back.")
    rooms = serializers.ListField(child=AddressField(), default=list, help_text="Room mailboxes.")
    start = InstantField(help_text="RFC 3339 with offset.")
    end = InstantField(help_text="RFC 3339 with offset; at most 366 days after `start`.")
    time_zone = TimeZoneField(required=False, help_text="IANA zone of the answer; default: the account's.")
    max_age_seconds = StrictInteger(
        default=60, min_value=0, max_value=3600, help_text="How old an answer may be; 0 forces a read."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        if attrs["end"] <= attrs["start"]:
            errors["end"] = _error("The end must be after the start.", "invalid_window")
        elif attrs["end"] - attrs["start"] > LONGEST_WINDOW:
            errors["end"] = _error(f"A window is at most {LONGEST_WINDOW.days} days long.", "window_too_long")
        count = len(attrs["attendees"]) + len(attrs["rooms"])
        if not count:
            errors["attendees"] = _error("At least one attendee or room is needed.", "required")
        elif count > MOST_MAILBOXES:
            errors["attendees"] = _error(
                f"At most {MOST_MAILBOXES} attendees and rooms together; these are {count}.", "too_many"
            )
        else:
            errors |= _repeated(attrs)
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


class AvailabilitySerializer(WindowSerializer):
    """POST /accounts/{slug}/availability/"""

    include_ignored = StrictBoolean(default=False, help_text="Also give the items that are no conflict.")


class WorkingHoursSerializer(StrictSerializer):
    """Hours of the day, in the request's zone, in which slots may lie."""

    days = serializers.ListField(child=StrictChoice(choices=DAYS), allow_empty=False, min_length=1)
    start = WallTimeField(help_text="HH:MM")
    end = WallTimeField(end=True, help_text="HH:MM, or 24:00")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        if attrs["end"] <= attrs["start"]:
            errors["end"] = _error("The end must be after the start.", "invalid_hours")
        if len(set(attrs["days"])) != len(attrs["days"]):
            errors["days"] = _error("Each day may be named once.", "repeated")
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


class SlotsSerializer(WindowSerializer):
    """POST /accounts/{slug}/slots/"""

    duration_minutes = StrictInteger(min_value=1, max_value=1440)
    step_minutes = StrictInteger(default=15, min_value=1, max_value=1440)
    working_hours = WorkingHoursSerializer(required=False, help_text="Default: every day, 00:00 to 24:00.")
    order = StrictChoice(default="time", choices=("time", "fewest_conflicts"))
    limit = StrictInteger(default=500, min_value=1, max_value=5000)
    include_unverified = StrictBoolean(default=False)
    explain = StrictBoolean(default=False)


class RosterSerializer(StrictSerializer):
    """POST /accounts/{slug}/roster/refresh/"""

    mailboxes = serializers.ListField(
        child=AddressField(),
        min_length=1,
        max_length=MOST_ON_ROSTER,
        help_text="People and rooms whose calendars will be asked for.",
    )
    start = InstantField(help_text="RFC 3339 with offset.")
    end = InstantField(help_text="RFC 3339 with offset; at most 61 days after `start`.")
    max_age_seconds = StrictInteger(
        default=60,
        min_value=0,
        max_value=3600,
        help_text="Calendars that were read within this time are not read again; 0 reads all.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        if attrs["end"] <= attrs["start"]:
            errors["end"] = _error("The end must be after the start.", "invalid_window")
        elif attrs["end"] - attrs["start"] > LONGEST_ROSTER_WINDOW:
            errors["end"] = _error(
                f"A roster is read over at most {LONGEST_ROSTER_WINDOW.days} days.", "window_too_long"
            )
        seen: set[str] = set()
        for number, email in enumerate(attrs["mailboxes"]):
            if email.casefold() in seen:
                error = _error("This address is given twice.", "repeated")
                errors.setdefault("mailboxes", {})[number] = error
            seen.add(email.casefold())
        if errors:
            raise serializers.ValidationError(errors)
        return attrs


def _error(message: str, code: str) -> list[serializers.ErrorDetail]:
    return [serializers.ErrorDetail(message, code)]


def _repeated(attrs: dict[str, Any]) -> dict[str, Any]:
    """The same address twice, whatever the case and whether person or room."""
    seen: set[str] = set()
    errors: dict[str, Any] = {}
    for field, number, email in _addresses(attrs):
        if email.casefold() in seen:
            error: Any = _error("This address is given twice.", "repeated")
            errors.setdefault(field, {})[number] = {"email": error} if field == "attendees" else error
        seen.add(email.casefold())
    return errors


def _addresses(attrs: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    yield from (("attendees", number, attendee["email"]) for number, attendee in enumerate(attrs["attendees"]))
    yield from (("rooms", number, email) for number, email in enumerate(attrs["rooms"]))
