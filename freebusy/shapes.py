"""The shapes of answers, for the OpenAPI document only: answers are built as plain dicts, which is faster."""

from __future__ import annotations

from typing import Any

from drf_spectacular.drainage import set_override
from rest_framework import serializers

from freebusy.core.rules import Code
from freebusy.core.schedule import FreeBusyStatus
from freebusy.serializers import DAYS
from tenants.health import Health, Outcome
from tenants.lifecycle import State
from tenants.models import Mode

BLOCK_CODES = [code.value for code in Code if code not in (Code.ROOM, Code.UNKNOWN_REQUIRED)]
WITHHELD_CODES = [code.value for code in Code if not code.value.startswith("IGNORED_")]
MAILBOX_STATES = ("known", "unknown", "external")
PROBLEM_CODES = (
    "not_found",
    "too_many_entries",
    "no_access",
    "not_on_exchange_online",
    "no_data",
    "timeout",
    "throttled",
    "unavailable",
    "other",
)


class Shape(serializers.Serializer[Any]):
    """A shape is published under its plain noun: `BlockShape` as `Block`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        set_override(cls, "component_name", cls.__name__.removesuffix("Shape"))


class ReasonShape(Shape):
    """Why a connection does not work, for the customer's IT."""

    code = serializers.CharField()
    title = serializers.CharField()
    what_to_do = serializers.CharField()


class LastCheckShape(Shape):
    """The last probe."""

    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField([outcome.value for outcome in Outcome])
    latency_ms = serializers.IntegerField(allow_null=True)
    code = serializers.CharField(allow_null=True)


class TokenShape(Shape):
    """When the token was renewed and how long it lives."""

    refreshed_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class ConnectionShape(Shape):
    """GET connection."""

    account = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in State])
    enabled = serializers.BooleanField()
    mode = serializers.ChoiceField(Mode.values, allow_null=True)
    tenant_id = serializers.CharField(allow_null=True)
    reader = serializers.CharField(allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField())
    extra_scopes = serializers.ListField(child=serializers.CharField(), help_text="Granted although never asked for.")
    connected_at = serializers.DateTimeField(allow_null=True)
    health = serializers.ChoiceField([health.value for health in Health])
    reason = ReasonShape(allow_null=True)
    last_check = LastCheckShape(allow_null=True)
    token = TokenShape(allow_null=True)
    consent_url = serializers.URLField()
    simulated = serializers.BooleanField(help_text="Microsoft 365 is simulated: made-up calendars, for trying out.")


class PolicyShape(Shape):
    """The rules in force."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    rules = serializers.DictField(help_text="What each status, all-day and long items count as; rooms beside it.")


class MailboxProblemShape(Shape):
    """Why a mailbox could not be read."""

    code = serializers.ChoiceField(PROBLEM_CODES)
    message = serializers.CharField()
    retryable = serializers.BooleanField()
    microsoft_code = serializers.CharField(required=False)


class BlockShape(Shape):
    """One calendar item: its bounds and what it counts as; never what it is about."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    status = serializers.ChoiceField([status.value for status in FreeBusyStatus])
    conflict = serializers.BooleanField()
    code = serializers.ChoiceField(BLOCK_CODES)
    label = serializers.CharField()  # type: ignore[assignment]  # a field name, not DRF's own member


class HoursShape(Shape):
    """Working hours of a mailbox's owner."""

    days = serializers.ListField(child=serializers.ChoiceField(DAYS))
    start = serializers.CharField()
    end = serializers.CharField()
    time_zone = serializers.CharField(allow_null=True)


class RoomShape(Shape):
    """One room."""

    email = serializers.CharField()
    state = serializers.ChoiceField(MAILBOX_STATES)
    as_of = serializers.DateTimeField(allow_null=True)
    problem = MailboxProblemShape(allow_null=True)
    blocks = BlockShape(many=True)


class AttendeeShape(RoomShape):
    """One person."""

    required = serializers.BooleanField()  # type: ignore[assignment]  # a field name, not DRF's own member
    working_hours = HoursShape(allow_null=True)


class AvailabilityShape(Shape):
    """POST availability."""

    account = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    time_zone = serializers.CharField()
    policy = PolicyShape()
    as_of = serializers.DateTimeField()
    attendees = AttendeeShape(many=True)
    rooms = RoomShape(many=True)


class SlotShape(Shape):
    """One time that works."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    verified = serializers.BooleanField()
    rooms = serializers.ListField(child=serializers.CharField())
    optional_conflicts = serializers.ListField(child=serializers.CharField())
    unverified = serializers.ListField(child=serializers.CharField())


class UnknownShape(Shape):
    """A mailbox that could not be read."""

    email = serializers.CharField()
    code = serializers.ChoiceField(PROBLEM_CODES)


class WithheldShape(Shape):
    """How many candidates there were and what withheld the others."""

    candidates = serializers.IntegerField()
    offered = serializers.IntegerField()
    by_code = serializers.DictField(child=serializers.IntegerField())


class BlockedByShape(Shape):
    """One reason against a candidate."""

    code = serializers.ChoiceField(WITHHELD_CODES)
    emails = serializers.ListField(child=serializers.CharField())


class CandidateShape(Shape):
    """One candidate; offered exactly when nothing blocks it."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    blocked_by = BlockedByShape(many=True)


class SlotsShape(Shape):
    """POST slots."""

    slots = SlotShape(many=True)
    truncated = serializers.BooleanField()
    unknown = UnknownShape(many=True)
    withheld = WithheldShape()
    candidates = CandidateShape(many=True, required=False, help_text="Only with `explain`.")
    policy = PolicyShape()
    as_of = serializers.DateTimeField()


class RosterShape(Shape):
    """POST roster/refresh: `asked` is the sum of the others."""

    account = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    as_of = serializers.DateTimeField()
    asked = serializers.IntegerField()
    known = serializers.IntegerField(help_text="Calendars that searches will find at hand.")
    unknown = UnknownShape(many=True)
    external = serializers.IntegerField()
    pending = serializers.IntegerField(help_text="Not read in time; being read in the background.")


class FieldErrorShape(Shape):
    """One field that is wrong."""

    field = serializers.CharField(help_text="Such as `attendees[3].email`; empty for the body as a whole.")
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemShape(Shape):
    """RFC 9457."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FieldErrorShape(many=True)  # type: ignore[assignment]  # a field name, not DRF's own member
    consent_url = serializers.URLField(required=False, help_text="With `not_connected`.")
    state = serializers.CharField(required=False, help_text="With `not_connected`.")
    request_id = serializers.CharField(required=False, help_text="With `internal_error`.")
