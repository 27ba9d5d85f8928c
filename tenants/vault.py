"""The only module that turns stored tokens into clear ones and back: store, use, refresh once, forget.

Refreshing is single-flight over all processes without a transaction open over the network: one process claims the
row by a conditional UPDATE with a lease, talks to Microsoft, and stores by compare-and-set on the row's version; the
others wait for the row to change. The old refresh token leaves the row in the very UPDATE that brings the new one,
so a process that dies in between leaves a token that still works (Microsoft does not revoke the old one on use:
https://learn.microsoft.com/entra/identity-platform/refresh-tokens).
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from microsoft.entra import TokenSet
from microsoft.errors import ConsentRequired, IntegrationError, Misconfigured, Unavailable, error_for
from microsoft.http import Deadline
from microsoft.reasons import reason
from microsoft.secret import Secret
from tenants import audit, microsoft365
from tenants.changes import Change
from tenants.health import Health
from tenants.lifecycle import Event, State, after
from tenants.models import Connection, TokenRecord
from tenants.signals import connection_changed, connection_lost

log = logging.getLogger(__name__)

REFRESH_SECONDS = 8.0  # what Entra gets for one answer
LEASE_SECONDS = REFRESH_SECONDS + 2.0
EARLY = timedelta(minutes=5)  # an access token this close to its end is renewed before use
LAST_MOMENT = timedelta(seconds=30)  # up to here the old token serves while Entra is in trouble
FAILURE_PAUSE = timedelta(seconds=3)  # callers that come right after a failure share it
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """How a token row stood when somebody decided to refresh it."""

    version: int
    failures: int


def store(connection: Connection, tokens: TokenSet, now: datetime) -> None:
    """Keeps the tokens of a fresh consent; whatever was there, and any refresh under way, loses against them."""
    values = _columns(tokens, now)
    record, created = TokenRecord.objects.get_or_create(connection=connection, defaults=values)
    if not created:
        TokenRecord.objects.filter(pk=record.pk).update(**values, version=F("version") + 1)


def forget(connection: Connection) -> None:
    """Deletes the connection's tokens."""
    TokenRecord.objects.filter(connection=connection).delete()


class ConnectionTokens:
    """The token source of one connection for a Graph client; keep it inside one request or task."""

    def __init__(self, connection: Connection, record: TokenRecord, deadline: Deadline) -> None:
        self._connection = connection
        self._record = record
        self._deadline = deadline

    def bearer(self, rejected: Secret | None = None) -> Secret:
        """A usable access token; with `rejected`, one that is newer than the token Microsoft just refused."""
        if rejected is None and self._record.access_expires_at - timezone.now() > EARLY:
            return _secret(self._record.access_token)
        return refresh(self._connection, deadline=self._deadline, rejected=rejected)


def refresh(
    connection: Connection,
    *,
    deadline: Deadline,
    rejected: Secret | None = None,
    force: bool = False,
    seen: Seen | None = None,
) -> Secret:
    """The access token after at most one refresh by anyone.

    `rejected`: a token Microsoft refused, so that only a newer one will do. `force`: refresh however long the token
    would still live, whatever the back-off, unless somebody has refreshed, or failed to, since the row was `seen`.
    Raises ConsentRequired (the connection is then marked), Misconfigured, Throttled, Unavailable.
    """
    while True:
        record = TokenRecord.objects.filter(connection=connection).first()
        if record is None:
            raise ConsentRequired("disconnected", detail="The connection has no tokens any more.")
        seen = seen or Seen(record.version, record.failures)
        if record.version != seen.version or _fresh_enough(record, rejected, force):
            return _secret(record.access_token)
        old_one_serves = rejected is None and not force and _usable(record)
        if record.failures > seen.failures or (not force and _failed_just_now(record)):
            if old_one_serves:
                return _secret(record.access_token)
            raise _shared_failure(connection, record)
        if _claim(record):
            return _refresh_claimed(connection, record, deadline, old_one_serves=old_one_serves)
        if old_one_serves:
            return _secret(record.access_token)
        if deadline.expired:
            raise Unavailable("refresh_wait", detail="Another process has not finished refreshing in time.")
        time.sleep(POLL_SECONDS)


def _fresh_enough(record: TokenRecord, rejected: Secret | None, force: bool) -> bool:
    if rejected is not None:
        return _secret(record.access_token) != rejected
    return not force and record.access_expires_at - timezone.now() > EARLY


def _failed_just_now(record: TokenRecord) -> bool:
    return record.last_failure_at is not None and timezone.now() - record.last_failure_at < FAILURE_PAUSE


def _usable(record: TokenRecord) -> bool:
    return record.access_expires_at - timezone.now() > LAST_MOMENT


def _claim(record: TokenRecord) -> bool:
    """Whether this process is the one to refresh; the claim ends by itself should it die."""
    now = timezone.now()
    record.lease_holder = str(uuid4())
    return bool(
        TokenRecord.objects.filter(pk=record.pk, version=record.version, failures=record.failures)
        .filter(Q(lease_until=None) | Q(lease_until__lt=now))
        .update(lease_holder=record.lease_holder, lease_until=now + timedelta(seconds=LEASE_SECONDS))
    )


def _refresh_claimed(
    connection: Connection, record: TokenRecord, deadline: Deadline, *, old_one_serves: bool
) -> Secret:
    account = connection.account
    try:
        tokens = microsoft365.entra_for(account).refresh(
            _secret(record.refresh_token),
            scopes=microsoft365.calendar_scopes(account),
            deadline=deadline.at_most(REFRESH_SECONDS),
        )
    except IntegrationError as error:
        return _after_failure(connection, record, deadline, error, old_one_serves=old_one_serves)
    now = timezone.now()
    stored = TokenRecord.objects.filter(pk=record.pk, version=record.version).update(
        **_columns(tokens, now), version=record.version + 1
    )
    log.info("token refreshed", extra={"connection": connection.pk, "stored": bool(stored)})
    if not stored:  # a reconnect or a disconnect came first, and its word counts
        return refresh(connection, deadline=deadline)
    return tokens.access_token


def _after_failure(
    connection: Connection, record: TokenRecord, deadline: Deadline, error: IntegrationError, *, old_one_serves: bool
) -> Secret:
    """The old token where it still lives: Entra's trouble need not become the customer's. Else raises."""
    may_pass = not isinstance(error, ConsentRequired) or _first_of_its_kind(record, error)
    if not may_pass:
        mark_lost(connection, error, record.version)  # before the note: whoever waits for that finds it decided
    if not _note_failure(record, error):  # a reconnect or a disconnect came first, and its word counts
        return refresh(connection, deadline=deadline)
    if may_pass and old_one_serves:
        return _secret(record.access_token)
    if may_pass and isinstance(error, ConsentRequired):
        raise Unavailable(error.code, error.detail, request_id=error.request_id) from None
    raise error


def _first_of_its_kind(record: TokenRecord, error: IntegrationError) -> bool:
    """Some refusals have been seen to pass: they count only when the next attempt meets one again."""
    return reason(error.code).retry_once and not reason(record.last_failure_code).retry_once


def _shared_failure(connection: Connection, record: TokenRecord) -> IntegrationError:
    """What whoever made the failed attempt was told; a connection that is still enabled is not lost by it."""
    error = error_for(record.last_failure_code, "A refresh a moment ago failed.")
    if isinstance(error, ConsentRequired) and Connection.objects.filter(pk=connection.pk, state=State.ENABLED).exists():
        return Unavailable(error.code, error.detail)
    return error


def _note_failure(record: TokenRecord, error: IntegrationError) -> bool:
    wait = min(60 * 2 ** min(record.failures, 6), 3600) * random.uniform(0.8, 1.2)
    mine = TokenRecord.objects.filter(pk=record.pk, version=record.version, lease_holder=record.lease_holder)
    noted = mine.update(
        failures=F("failures") + 1,
        last_failure_code=error.code,
        last_failure_at=timezone.now(),
        refresh_due_at=timezone.now() + timedelta(seconds=wait),
        lease_holder="",
        lease_until=None,
    )
    log.log(
        logging.ERROR if isinstance(error, Misconfigured) else logging.WARNING,  # ours hits every customer alike
        "token refresh failed",
        extra={"connection": record.connection_id, "code": error.code, "permanent": error.permanent},
    )
    return bool(noted)


def mark_lost(connection: Connection, error: IntegrationError, version: int | None = None) -> None:
    """Microsoft refuses for good: the customer must consent again. Once only, and never against newer tokens."""
    now = timezone.now()
    with transaction.atomic():
        rows = Connection.objects.filter(pk=connection.pk, state=State.ENABLED.value)
        if version is not None:
            rows = rows.filter(token__version=version)
        lost = after(State.ENABLED, Event.ACCESS_LOST)
        if not rows.update(
            state=lost.value,
            state_changed_at=now,
            reason_code=error.code,
            reason_at=now,
        ):
            return
        audit.record(connection.account, "connection_lost", error.code, microsoft_request_id=error.request_id)
        health = Health(Connection.objects.values_list("health", flat=True).get(pk=connection.pk))
        change = Change(now, State.ENABLED, lost, health, health, error.code)
        connection_changed.send(Connection, connection_id=connection.pk, change=change)
        transaction.on_commit(lambda: connection_lost.send(Connection, connection_id=connection.pk, reason=error.code))


def _columns(tokens: TokenSet, now: datetime) -> dict[str, object]:
    """The row after new tokens; due when two thirds of the lifetime are over, scattered so that none come at once."""
    lifetime = timedelta(seconds=tokens.expires_in)
    return {
        "refresh_token": tokens.refresh_token,
        "access_token": tokens.access_token,
        "access_expires_at": now + lifetime,
        "refreshed_at": now,
        "refresh_due_at": now + lifetime * random.uniform(0.6, 0.75),
        "failures": 0,
        "last_failure_code": "",
        "last_failure_at": None,
        "lease_holder": "",
        "lease_until": None,
    }


def _secret(value: object) -> Secret:
    if not isinstance(value, Secret):
        raise TypeError("not a value of the encrypted column")
    return value
