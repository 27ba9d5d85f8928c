"""From a validated request to an answer: read once, then let the pure core decide. The API and pages share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from rest_framework.exceptions import ValidationError

from freebusy import answers, lookup
from freebusy.core.intervals import Interval, to_instant
from freebusy.core.rules import PRESETS, ConflictPolicy
from freebusy.core.slots import ALWAYS, Calendar, Hours, SlotQuery, count_candidates, find_slots
from freebusy.lookup import Reading
from freebusy.roster import refreshing, unfinished
from freebusy.serializers import DAYS
from microsoft.http import Deadline
from tenants.models import Account

MOST_CANDIDATES = 50_000


@dataclass(frozen=True, slots=True)
class Question:
    """Whom and when, with the account's rules."""

    account: Account
    policy: ConflictPolicy
    attendees: tuple[tuple[str, bool], ...]  # address, and whether required
    rooms: tuple[str, ...]
    start: datetime
    end: datetime
    zone: ZoneInfo
    max_age_seconds: int = 0  # how old what was read may be; 0 forces a read

    @classmethod
    def of(cls, account: Account, data: Mapping[str, Any]) -> Question:
        """From what WindowSerializer validated."""
        return cls(
            account=account,
            policy=PRESETS[account.policy],
            attendees=tuple((attendee["email"], attendee["required"]) for attendee in data["attendees"]),
            rooms=tuple(data["rooms"]),
            start=data["start"],
            end=data["end"],
            zone=data.get("time_zone") or ZoneInfo(account.time_zone),
            max_age_seconds=data["max_age_seconds"],
        )

    @property
    def window(self) -> Interval:
        return Interval(to_instant(self.start), to_instant(self.end))

    @property
    def account_zone(self) -> ZoneInfo:
        return ZoneInfo(self.account.time_zone)

    @property
    def addresses(self) -> list[str]:
        """Everybody, people first, as they were written."""
        return [*(email for email, _ in self.attendees), *self.rooms]

    def read(self, deadline: Deadline, *, as_use: bool = True) -> Reading:
        """Reads everybody in one go; `as_use` as `lookup.read` has it."""
        return lookup.read(
            self.account,
            self.addresses,
            self.window,
            deadline,
            max_age_seconds=self.max_age_seconds,
            as_use=as_use,
        )


def availability_of(question: Question, reading: Reading, *, include_ignored: bool) -> dict[str, Any]:
    """The answer of POST availability from what was read: nothing else decides it."""

    def mailbox(address: str, policy: ConflictPolicy) -> dict[str, Any]:
        return answers.mailbox_json(
            address,
            reading.of(address),
            reading.as_of(address),
            policy=policy,
            account_zone=question.account_zone,
            zone=question.zone,
            include_ignored=include_ignored,
        )

    return {
        "account": question.account.slug,
        "start": answers.moment(question.start, question.zone),
        "end": answers.moment(question.end, question.zone),
        "time_zone": question.zone.key,
        "policy": answers.policy_json(question.policy),
        "as_of": answers.moment(reading.oldest, question.zone),
        "attendees": [
            {
                **mailbox(email, question.policy),
                "required": required,
                "working_hours": answers.hours_json(reading.of(email)),
            }
            for email, required in question.attendees
        ],
        "rooms": [mailbox(email, question.policy.room) for email in question.rooms],
    }


def slot_query(question: Question, data: Mapping[str, Any]) -> SlotQuery:
    """What is looked for; ValidationError when it is more than one answer may look at."""
    query = SlotQuery(
        window=question.window,
        duration_minutes=data["duration_minutes"],
        step_minutes=data["step_minutes"],
        hours=_hours(data.get("working_hours")),
        zone=question.zone,
    )
    count = count_candidates(query)
    if count > MOST_CANDIDATES:
        message = f"These are {count} candidates; at most {MOST_CANDIDATES} are looked at. Take a longer step."
        raise ValidationError({"step_minutes": [message]}, code="too_many_candidates")
    return query


def slots_of(question: Question, query: SlotQuery, data: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """The answer of POST slots from what was read: nothing else decides it."""

    def calendar(address: str, policy: ConflictPolicy) -> Calendar:
        return Calendar(address, reading.of(address), policy, question.account_zone)

    result = find_slots(
        query,
        required=[calendar(email, question.policy) for email, required in question.attendees if required],
        optional=[calendar(email, question.policy) for email, required in question.attendees if not required],
        rooms=[calendar(email, question.policy.room) for email in question.rooms] or None,
        order=data["order"],
        limit=data["limit"],
        include_unverified=data["include_unverified"],
        explain=data["explain"],
    )
    return {
        **answers.slots_json(result, question.zone),
        "policy": answers.policy_json(question.policy),
        "as_of": answers.moment(reading.oldest, question.zone),
    }


def roster(account: Account, data: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
    """The answer of POST roster/refresh; `data` is what RosterSerializer validated. What is left goes to the worker."""
    now, zone = timezone.now(), ZoneInfo(account.time_zone)
    window = Interval(to_instant(data["start"]), to_instant(data["end"]))
    age = data["max_age_seconds"]
    found = refreshing.refresh(account, data["mailboxes"], window, deadline, max_age_seconds=age)
    if found.pending:
        read_since = now - timedelta(seconds=age)
        unfinished.keep(account, found.pending, data["start"], data["end"], read_since=read_since)
    return {
        "account": account.slug,
        "start": answers.moment(data["start"], zone),
        "end": answers.moment(data["end"], zone),
        "as_of": answers.moment(found.as_of or now, zone),
        "asked": len(data["mailboxes"]),
        "known": found.known,
        "unknown": [{"email": email, "code": code} for email, code in found.unknown],
        "external": found.external,
        "pending": len(found.pending),
    }


def _hours(given: Mapping[str, Any] | None) -> Hours:
    if given is None:
        return ALWAYS
    return Hours(frozenset(DAYS.index(day) for day in given["days"]), given["start"], given["end"])
