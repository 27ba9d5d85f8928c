"""The support bundle: how a connection is, what a request was answered, or a question would be now, and from what.

Names and addresses are pseudonyms, made up for this one bundle or, of a past request, for it alone. What its answer was
decided from is kept for some hours (`freebusy.kept`, docs/adr/0009); later its log lines say what was decided, and can
be taken into the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from django.conf import settings
from django.utils import timezone

from freebusy import kept
from freebusy.inspection import inspect
from freebusy.kept import Kept
from freebusy.problems import MicrosoftUnavailable, Problem
from freebusy.replay import Case, Pseudonyms, Unreplayable, case_of
from microsoft.schedule_report import CallRecord
from tenants.models import Account, AuditEntry, Connection, HealthCheck
from tenants.simulation import is_simulated
from tenants.standing import shown_health, why_bad

Json = dict[str, Any]
CHECKS, EVENTS = 50, 50
MOST_LINES = 200
# Numbers and codes of ours; whoever logs something with a name in it does so under another key.
_LOGGED = (
    "time",
    "level",
    "logger",
    "message",
    "people",
    "rooms",
    "start",
    "end",
    "time_zone",
    "policy",
    "duration_minutes",
    "step_minutes",
    "states",
    "unknown",
    "withheld",
    "mailboxes",
    "unread",
    "calls",
    "error",
    "microsoft_request_ids",
)
_LOGGERS = ("freebusy.asking", "freebusy.lookup", "freebusy.views")  # their messages are fixed texts


NOT_KEPT: Json = {
    "status": 404,
    "code": "not_kept",
    "detail": "Nothing is kept of this request: it is too old, or of another account, or was refused before anybody "
    "was asked, or read too much. Ask the question anew, or paste its log lines.",
}
NOT_SHOWN: Json = {
    "status": 403,
    "code": "not_shown",
    "detail": "What was read is only for those who may see availability.",
}


class Damaged(ValueError):
    """The file is no support bundle, or the log lines are not of this request and account."""


class Bundle(msgspec.Struct, frozen=True):
    """One download. `case` is missing when nothing was asked, or when it could not be answered (`problem`).

    `answered_at` and `answered_by`, the code's version then, are those of a past request whose case it is; null when
    the question was asked anew.
    """

    format: Literal["cadence-exchange-support-bundle"]
    version: Literal[1]
    made_at: datetime
    code_version: str
    request_id: str
    log: list[Json]
    account: Json
    checks: list[Json]
    events: list[Json]
    calls: tuple[CallRecord, ...] = ()
    problem: Json | None = None
    case: Case | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a bundle says of a question: asked anew, or as it was answered then."""

    calls: tuple[CallRecord, ...] = ()
    problem: Json | None = None
    case: Case | None = None
    then: Kept | None = None


def encoded(bundle: Bundle) -> bytes:
    """As JSON that a person can read."""
    return msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n"


def decoded(raw: bytes) -> Bundle:
    """Raises Damaged for what is no bundle."""
    try:
        return msgspec.json.decode(raw, type=Bundle)
    except msgspec.MsgspecError as error:
        raise Damaged(f"This is no support bundle: {error}") from None


def make(
    account: Account,
    body: Json | None = None,
    *,
    request_id: str = "",
    log_lines: str = "",
    with_calendars: bool = True,
) -> Bundle:
    """Asks the question anew if there is one, else takes what is kept of the request.

    `with_calendars`: whether what was read may be in it. Raises ValidationError for the body, Damaged for foreign log
    lines.
    """
    logged = log_facts(log_lines, request_id, account.slug)
    found = kept.find(account, request_id) if request_id else None
    names = Pseudonyms(found.domains if found else None)
    if body is not None:
        answer = _asked_anew(account, body, names)
    elif found is not None:
        answer = _as_answered(found, with_calendars=with_calendars)
    else:
        answer = _Answer(problem=NOT_KEPT if request_id and not logged else None)
    connection: Connection | None = getattr(account, "connection", None)
    return Bundle(
        format="cadence-exchange-support-bundle",
        version=1,
        made_at=timezone.now(),
        code_version=settings.VERSION,
        request_id=request_id,
        log=logged or ([found.decided] if found and found.decided else []),
        account=_account_facts(account, connection, names),
        checks=list(_checks(connection)) if connection else [],
        events=list(_events(account)),
        calls=answer.calls,
        problem=answer.problem,
        case=answer.case,
        answered_at=answer.then.at if answer.then else None,
        answered_by=answer.then.code_version if answer.then else None,
    )


def _asked_anew(account: Account, body: Json, names: Pseudonyms) -> _Answer:
    try:
        inspection = inspect(account, body)
    except Problem as error:
        calls = error.calls if isinstance(error, MicrosoftUnavailable) else ()
        return _Answer(calls, {"status": error.status_code, "code": error.code, "detail": str(error.detail)})
    return _Answer(inspection.reading.calls, case=case_of(inspection, names))


def _as_answered(found: Kept, *, with_calendars: bool) -> _Answer:
    if found.read is None:
        return _Answer(found.calls, found.problem, then=found)
    if not with_calendars:
        return _Answer(found.calls, NOT_SHOWN, then=found)
    try:
        return _Answer(found.calls, case=found.read.case(), then=found)
    except Unreplayable as error:
        return _Answer(found.calls, {"status": 409, "code": "not_replayable", "detail": str(error)}, then=found)


def log_facts(text: str, request_id: str, slug: str) -> list[Json]:
    """What the log says of one request, from its JSON lines: numbers, codes and Microsoft's ids, never a name.

    Other lines are passed over; raises Damaged when a line of the request is about another account, or none is left.
    """
    found: list[Json] = []
    for line in text.splitlines():
        entry = _entry(line)
        if entry.get("request_id") != request_id or entry.get("logger") not in _LOGGERS:
            continue
        if entry.get("account") != slug:
            raise Damaged("The log lines of this request are about another account.")
        found.append({name: entry[name] for name in _LOGGED if name in entry})
    if text.strip() and not found:
        raise Damaged("None of the log lines says what was decided for this request.")
    return found[:MOST_LINES]


def _entry(line: str) -> Json:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _account_facts(account: Account, connection: Connection | None, names: Pseudonyms) -> Json:
    facts: Json = {
        "domains": [names.domain(domain) for domain in account.domains],
        "time_zone": account.time_zone,
        "cloud": account.cloud,
        "policy": account.policy,
        "state": connection.state if connection else "pending",
    }
    if connection is None:
        return facts
    token = getattr(connection, "token", None)
    return {
        **facts,
        "state_changed_at": connection.state_changed_at,
        "mode": connection.mode,
        "reader": names.address(connection.reader, "reader") if connection.reader else "",
        "scopes": connection.scopes,
        "extra_scopes": connection.extra_scopes,
        "simulated": is_simulated(connection),
        "connected_at": connection.connected_at,
        "health": shown_health(connection, timezone.now()).value,
        "health_since": connection.health_since,
        "reason": why_bad(connection),
        "token_refreshed_at": token and token.refreshed_at,
        "token_expires_at": token and token.access_expires_at,
    }


def _checks(connection: Connection) -> Iterator[Json]:
    """The last single probes, newest first."""
    columns = ("at", "outcome", "latency_ms", "http_status", "code", "microsoft_request_id")
    for check in HealthCheck.objects.filter(connection=connection).order_by("-at")[:CHECKS]:
        yield {column: getattr(check, column) for column in columns}


def _events(account: Account) -> Iterator[Json]:
    """What happened to the account lately, newest first; who did it and all details stay here."""
    for entry in AuditEntry.objects.filter(account=account)[:EVENTS]:
        yield {"at": entry.at, "action": entry.action, "outcome": entry.outcome, "request_id": entry.request_id}
