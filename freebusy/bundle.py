"""The support bundle: how an account's connection is, what a question would be answered now, and from what.

Names and addresses are pseudonyms made up for this one bundle. What a past answer held is kept nowhere (docs/adr/0009);
its log lines say what was decided, and can be taken into the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec
from django.conf import settings
from django.utils import timezone

from freebusy.inspection import inspect
from freebusy.problems import MicrosoftUnavailable, Problem
from freebusy.replay import Case, Pseudonyms, case_of
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


class Damaged(ValueError):
    """The file is no support bundle, or the log lines are not of this request and account."""


class Bundle(msgspec.Struct, frozen=True):
    """One download. `case` is missing when nothing was asked, or when it could not be answered (`problem`)."""

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


def encoded(bundle: Bundle) -> bytes:
    """As JSON that a person can read."""
    return msgspec.json.format(msgspec.json.encode(bundle), indent=2) + b"\n"


def decoded(raw: bytes) -> Bundle:
    """Raises Damaged for what is no bundle."""
    try:
        return msgspec.json.decode(raw, type=Bundle)
    except msgspec.MsgspecError as error:
        raise Damaged(f"This is no support bundle: {error}") from None


def make(account: Account, body: Json | None = None, *, request_id: str = "", log_lines: str = "") -> Bundle:
    """Asks the question anew, if there is one. Raises ValidationError for its body, Damaged for foreign log lines."""
    logged = log_facts(log_lines, request_id, account.slug)
    names = Pseudonyms()
    calls: tuple[CallRecord, ...] = ()
    problem, case = None, None
    if body is not None:
        try:
            inspection = inspect(account, body)
        except Problem as error:
            calls = error.calls if isinstance(error, MicrosoftUnavailable) else ()
            problem = {"status": error.status_code, "code": error.code, "detail": str(error.detail)}
        else:
            calls, case = inspection.reading.calls, case_of(inspection, names)
    connection: Connection | None = getattr(account, "connection", None)
    return Bundle(
        format="cadence-exchange-support-bundle",
        version=1,
        made_at=timezone.now(),
        code_version=settings.VERSION,
        request_id=request_id,
        log=logged,
        account=_account_facts(account, connection, names),
        checks=list(_checks(connection)) if connection else [],
        events=list(_events(account)),
        calls=calls,
        problem=problem,
        case=case,
    )


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
