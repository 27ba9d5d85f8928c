"""Pure but for Django's model classes: a question with what was read, under pseudonyms, that gives its answer again.

No database row and no network is needed: the answer follows from the case alone, by the API's own functions.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from freebusy.core.intervals import from_instant, to_instant
from freebusy.core.rules import ConflictPolicy
from freebusy.core.schedule import (
    External,
    FreeBusyStatus,
    Schedule,
    ScheduleItem,
    Unreadable,
    WorkingHours,
)
from freebusy.core.zones import CustomZone, iana_zone
from freebusy.inspection import Inspection, validated
from freebusy.lookup import Reading
from freebusy.questions import Question
from tenants.models import Account

Json = dict[str, Any]
ACCOUNT = "account"  # what stands for the account's slug
_NOBODYS = ".invalid"


class Unreplayable(ValueError):
    """The case was made by rules that this version does not have, or is damaged."""


class Entry(msgspec.Struct, frozen=True):
    """One calendar entry: bounds to the microsecond, status."""

    start: datetime
    end: datetime
    status: FreeBusyStatus


class Mailbox(msgspec.Struct, frozen=True):
    """What one mailbox said. `zone`: its own, by name or by rules, for judging what is all day."""

    email: str
    state: Literal["known", "unknown", "external"]
    entries: tuple[Entry, ...] = ()
    working_hours: WorkingHours | None = None
    zone: str | CustomZone | None = None
    problem: Unreadable | None = None
    read_at: datetime | None = None  # None: when the case was


class Case(msgspec.Struct, frozen=True):
    """The body of POST slots, the rules, and what was read; `availability` and `slots` are what came of it."""

    body: Json
    policy: Json
    account_zone: str
    read_at: datetime
    mailboxes: tuple[Mailbox, ...]
    availability: Json
    slots: Json


class Pseudonyms:
    """Names made up at random, the same for the same address (whatever its case); nothing leads back from them.

    `domains`: pseudonyms of domains that are in use already.
    """

    def __init__(self, domains: Mapping[str, str] | None = None) -> None:
        self._names: dict[tuple[str, str], str] = {
            ("domain", domain.casefold()): name.removesuffix(_NOBODYS) for domain, name in (domains or {}).items()
        }

    def address(self, address: str, role: str = "person") -> str:
        """Such as `person-5f0c9a1e27@domain-b1946ac92d.invalid`; the same domain stays the same."""
        local, _, domain = address.rpartition("@")
        return f"{self._name(role, address)}@{self.domain(domain)}" if local else self._name(role, address)

    def domain(self, domain: str) -> str:
        """A domain that nobody can have (RFC 2606)."""
        return self._name("domain", domain) + _NOBODYS

    def _name(self, kind: str, value: str) -> str:
        key = (kind, value.casefold())
        while key not in self._names:
            made = f"{kind}-{secrets.token_hex(5)}"
            if made not in self._names.values():
                self._names[key] = made
        return self._names[key]


def case_of(inspection: Inspection, names: Pseudonyms) -> Case:
    """The inspection under pseudonyms. Its answers are made anew from these, so that no name is left in them."""
    question, alias = inspection.question, aliases(inspection.question, names)
    return _case(
        Inspection(
            body=renamed(inspection.body, alias),
            data=inspection.data,
            question=replace(
                question,
                account=_stand_in(question.account.time_zone),
                attendees=tuple((alias[email], required) for email, required in question.attendees),
                rooms=tuple(alias[email] for email in question.rooms),
            ),
            reading=Reading(
                inspection.reading.at,
                {alias[email].casefold(): inspection.reading.of(email) for email in alias},
                read_at=moments({alias[email]: inspection.reading.as_of(email) for email in alias}),
            ),
        )
    )


def aliases(question: Question, names: Pseudonyms) -> dict[str, str]:
    """A pseudonym for each address of the question, as it was written."""
    people = {email: names.address(email) for email, _ in question.attendees}
    return people | {email: names.address(email, "room") for email in question.rooms}


def renamed(body: Mapping[str, Any], alias: Mapping[str, str]) -> Json:
    """The request with other addresses."""
    attendees = [{**attendee, "email": alias[attendee["email"]]} for attendee in body.get("attendees", ())]
    return {**body, "attendees": attendees, "rooms": [alias[email] for email in body.get("rooms", ())]}


def inspection_of(case: Case) -> Inspection:
    """The question of the case with what was read; raises Unreplayable, or ValidationError for its body."""
    schedules = {mailbox.email.casefold(): _schedule(mailbox) for mailbox in case.mailboxes}
    read_at = moments({mailbox.email: mailbox.read_at for mailbox in case.mailboxes})
    return _inspection(case.body, case.policy, case.account_zone, Reading(case.read_at, schedules, read_at=read_at))


def case_from(body: Json, policy: Json, account_zone: str, reading: Reading) -> Case:
    """A case of what was put under pseudonyms before; raises as `inspection_of` does."""
    return _case(_inspection(body, policy, account_zone, reading))


def _case(disguised: Inspection) -> Case:
    question, reading = disguised.question, disguised.reading
    return Case(
        body=disguised.body,
        policy={"name": question.policy.name, "version": question.policy.version, "rules": question.policy.as_json()},
        account_zone=question.account.time_zone,
        read_at=reading.at,
        mailboxes=tuple(_mailbox(email, reading) for email in question.addresses),
        availability=disguised.availability,
        slots=disguised.slots,
    )


def _inspection(body: Json, policy: Json, account_zone: str, reading: Reading) -> Inspection:
    data = validated(body)
    zone_named(account_zone)
    question = Question(
        account=_stand_in(account_zone),
        policy=policy_of(policy),
        attendees=tuple((attendee["email"], attendee["required"]) for attendee in data["attendees"]),
        rooms=tuple(data["rooms"]),
        start=data["start"],
        end=data["end"],
        zone=data.get("time_zone") or zone_named(account_zone),
    )
    if missing := {email.casefold() for email in question.addresses} - reading.schedules.keys():
        raise Unreplayable(f"The case does not say what {len(missing)} of its mailboxes said.")
    return Inspection(body, data, question, reading)


def policy_of(given: Mapping[str, Any]) -> ConflictPolicy:
    """The rules as the API shows them → the policy; raises Unreplayable for rules that this version cannot follow."""
    try:
        rules = given["rules"]
        policy = ConflictPolicy(
            name=given["name"],
            version=given["version"],
            tentative_conflicts=rules["statuses"]["tentative"],
            elsewhere_conflicts=rules["statuses"]["workingElsewhere"],
            all_day_conflicts=rules["all_day_conflicts"],
            long_conflicts=rules["long_conflicts"],
            long_minutes=rules["long_minutes"],
        )
    except (KeyError, TypeError):
        raise Unreplayable("The case does not say its rules.") from None
    if policy.as_json() != rules:
        raise Unreplayable("The case was made by rules that this version does not know.")
    return policy


def _stand_in(time_zone: str) -> Account:
    """An account without a row: the answer needs only its name and zone."""
    return Account(slug=ACCOUNT, time_zone=time_zone)


def moments(given: Mapping[str, datetime | None]) -> dict[str, datetime]:
    """When each mailbox was read, as a `Reading` has it."""
    return {email.casefold(): moment for email, moment in given.items() if moment is not None}


def _mailbox(email: str, reading: Reading) -> Mailbox:
    schedule = reading.of(email)
    if isinstance(schedule, Unreadable):
        return Mailbox(email, "unknown", problem=schedule)
    if isinstance(schedule, External):
        return Mailbox(email, "external")
    zone = schedule.zone
    return Mailbox(
        email,
        "known",
        entries=tuple(
            Entry(from_instant(item.start, UTC), from_instant(item.end, UTC), item.status) for item in schedule.items
        ),
        working_hours=schedule.working_hours,
        zone=zone.key if isinstance(zone, ZoneInfo) else zone if isinstance(zone, CustomZone) else None,
        read_at=reading.as_of(email),
    )


def _schedule(mailbox: Mailbox) -> Schedule | Unreadable | External:
    if mailbox.state == "external":
        return External()
    if mailbox.state == "unknown":
        if mailbox.problem is None:
            raise Unreplayable("A mailbox is unknown without a reason.")
        return mailbox.problem
    zone = mailbox.zone
    return Schedule(
        items=tuple(ScheduleItem(to_instant(e.start), to_instant(e.end), e.status) for e in mailbox.entries),
        working_hours=mailbox.working_hours,
        zone=zone_named(zone) if isinstance(zone, str) else zone,
    )


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone; raises Unreplayable for one that is not known here."""
    zone = iana_zone(name)
    if zone is None:
        raise Unreplayable("The case names a time zone that is not known here.")
    return zone
