"""What the answer to a request was decided from, kept for some hours, so that its id is enough for a support bundle.

Under pseudonyms from the start: whom was asked for stands nowhere in it, nor a list that leads back. Encrypted and
bounded, in the store of the limits and not in the database (docs/adr/0009). Writing is one call; when it fails, the
answer goes out all the same.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.utils import timezone

from freebusy.core.schedule import External, Schedule, ScheduleItem, Unreadable, WorkingHours
from freebusy.core.zones import CustomZone
from freebusy.lookup import Reading
from freebusy.problems import MicrosoftUnavailable, Problem
from freebusy.questions import Question
from freebusy.replay import Case, Pseudonyms, aliases, case_from, moments, renamed, zone_named
from microsoft.schedule_report import CallRecord
from tenants.changes import Change
from tenants.coordination.latest import StoreAway, latest
from tenants.correlation import current_request_id
from tenants.fields import current_fernet
from tenants.models import Account

log = logging.getLogger(__name__)

Json = dict[str, Any]
What = Literal["availability", "slots"]
MOST_BYTES = 64 * 1024  # of one record: about 3,500 entries. What is larger can only be asked anew
PAUSE_SECONDS = 30.0  # for which a store that failed is left alone: answers must not wait for it
_away_until = 0.0


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What one mailbox said, as the core has it. `zone`: its own, by name or by rules."""

    state: Literal["known", "unknown", "external"]
    items: tuple[ScheduleItem, ...] = ()
    working_hours: WorkingHours | None = None
    zone: str | CustomZone | None = None
    problem: Unreadable | None = None
    read_at: datetime | None = None  # None: when the question came


class Read(msgspec.Struct, frozen=True):
    """The question under pseudonyms, the rules, and what each mailbox said."""

    what: What
    body: Json
    policy: Json
    account_zone: str
    read_at: datetime
    seen: dict[str, Seen]

    def case(self) -> Case:
        """With the answers that this version finds; raises Unreplayable for rules that it does not have."""
        schedules = {email.casefold(): _schedule(seen) for email, seen in self.seen.items()}
        read_at = moments({email: seen.read_at for email, seen in self.seen.items()})
        body = self.body if self.what == "slots" else _as_slots(self.body)
        return case_from(body, self.policy, self.account_zone, Reading(self.read_at, schedules, read_at=read_at))


class Kept(msgspec.Struct, frozen=True):
    """One request: what was read, or why nothing was. `decided`: its numbers, as the log has them."""

    at: datetime
    code_version: str
    calls: tuple[CallRecord, ...] = ()
    domains: dict[str, str] = {}  # the account's own → their pseudonyms
    decided: Json = {}
    read: Read | None = None
    problem: Json | None = None


def note(what: What, question: Question, body: Mapping[str, Any], reading: Reading, decided: Mapping[str, Any]) -> None:
    """Keeps what an answer was decided from, under the id of the request being served."""
    if not settings.ANSWERS_KEPT_HOURS:
        return
    account, policy, names = question.account, question.policy, Pseudonyms()
    alias = aliases(question, names)
    read = Read(
        what=what,
        body=renamed(body, alias),
        policy={"name": policy.name, "version": policy.version, "rules": policy.as_json()},
        account_zone=account.time_zone,
        read_at=reading.at,
        seen={other: _seen(reading, email) for email, other in alias.items()},
    )
    domains = {domain: names.domain(domain) for domain in account.domains}
    numbers = {name: value for name, value in decided.items() if name != "account"}
    _put(account.slug, Kept(timezone.now(), settings.VERSION, reading.calls, domains, numbers, read))


def note_refusal(slug: str, error: Problem) -> None:
    """Keeps why a question had no answer."""
    if settings.ANSWERS_KEPT_HOURS:
        calls = error.calls if isinstance(error, MicrosoftUnavailable) else ()
        problem = {"status": error.status_code, "code": error.code, "detail": str(error.detail)}
        _put(slug, Kept(timezone.now(), settings.VERSION, calls, problem=problem))


def find(account: Account, request_id: str) -> Kept | None:
    """What is kept of a request; None when there is nothing, or nothing that this version and its keys can read."""
    try:
        sealed = latest().get(account.slug, request_id)
        raw = zlib.decompress(current_fernet().decrypt(sealed)) if sealed else b""
        return msgspec.msgpack.decode(raw, type=Kept) if raw else None
    except StoreAway as error:
        log.warning("kept answers cannot be read: their store is away", extra={"error": type(error).__name__})
    except (InvalidToken, msgspec.MsgspecError):
        pass  # under a key that was dropped, or by another version: its hours are nearly over
    return None


def forget_ended(*, change: Change, connection_id: int, **_: Any) -> None:
    """Receiver of `connection_changed`: a disconnected account's are deleted with its tokens."""
    if change.ended:
        slug = Account.objects.values_list("slug", flat=True).get(connection=connection_id)
        try:
            latest().forget(slug)
        except StoreAway as error:
            log.warning("kept answers end by themselves: their store is away", extra={"error": type(error).__name__})


def _put(slug: str, kept: Kept) -> None:
    global _away_until
    if time.monotonic() < _away_until:
        return
    # Level 1: entries of a calendar are much alike, and somebody waits.
    sealed = current_fernet().encrypt(zlib.compress(msgspec.msgpack.encode(kept), 1))
    if len(sealed) > MOST_BYTES:
        log.info("answer not kept", extra={"account": slug, "bytes": len(sealed)})
        return
    try:
        latest().put(slug, current_request_id(), sealed, settings.ANSWERS_KEPT_HOURS * 3600.0)
    except StoreAway as error:
        _away_until = time.monotonic() + PAUSE_SECONDS
        log.warning("answers are not kept: their store is away", extra={"error": type(error).__name__})


def _as_slots(body: Json) -> Json:
    """A question for availability as one for slots of half an hour: the case has both answers."""
    return {**{name: value for name, value in body.items() if name != "include_ignored"}, "duration_minutes": 30}


def _seen(reading: Reading, email: str) -> Seen:
    schedule = reading.of(email)
    if isinstance(schedule, Unreadable):
        return Seen("unknown", problem=schedule)
    if isinstance(schedule, External):
        return Seen("external")
    zone = schedule.zone
    named = zone.key if isinstance(zone, ZoneInfo) else zone if isinstance(zone, CustomZone) else None
    return Seen("known", schedule.items, schedule.working_hours, named, read_at=reading.as_of(email))


def _schedule(seen: Seen) -> Schedule | Unreadable | External:
    if seen.state == "external":
        return External()
    if seen.problem is not None:
        return seen.problem
    return Schedule(seen.items, seen.working_hours, zone_named(seen.zone) if isinstance(seen.zone, str) else seen.zone)
