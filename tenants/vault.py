"""The only module that turns stored tokens into clear ones and back: store, use, refresh once, forget.

Refreshing is single-flight over all processes without a transaction open over the network: one process claims the
row by a conditional UPDATE with a lease, talks to Microsoft, and stores by compare-and-set on the row's version; the
others wait for the row to change. The old refresh token leaves the row in the very UPDATE that brings the new one,
so a process that dies in between leaves a token that still works (Microsoft does not revoke the old one on use:
https://learn.microsoft.com/entra/identity-platform/refresh-tokens).
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from microsoft.entra import TokenSet
from microsoft.errors import ConsentRequired, IntegrationError, Misconfigured, Unavailable, error_for
from microsoft.http import Deadline
from microsoft.reasons import reason
from microsoft.secret import Secret
from tenants import audit, breakers, measuring, microsoft365, token_times
from tenants.changes import Change
from tenants.fields import current_key_id
from tenants.health import Health
from tenants.lifecycle import Event, State, after
from tenants.models import Connection, TokenRecord
from tenants.pace import pace
from tenants.signals import connection_changed, connection_lost

log = logging.getLogger(__name__)

REFRESH_SECONDS = 8.0  # what Entra gets for one answer
LEASE_SECONDS = REFRESH_SECONDS + 2.0
EARLY = timedelta(minutes=5)  # an access token this close to its end is renewed before use
LAST_MOMENT = timedelta(seconds=30)  # up to here the old token serves while Entra is in trouble
FAILURE_PAUSE = timedelta(seconds=3)  # callers that come right after a failure share it
POLL_SECONDS = 0.05


def store(connection: Connection, tokens: TokenSet, now: datetime) -> None:
    """Keeps the tokens of a fresh consent; whatever was there, and any refresh under way, loses against them."""
    values = columns(tokens, now, in_use=True)
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


def refresh(connection: Connection, *, deadline: Deadline, rejected: Secret | None = None) -> Secret:
    """The access token after at most one refresh by anyone.

    `rejected`: a token Microsoft refused, so that only a newer one will do. Raises ConsentRequired (the connection is
    then marked), Misconfigured, Throttled, Unavailable.
    """
    first = None
    while True:
        record = TokenRecord.objects.filter(connection=connection).first()
        if record is None:
            raise ConsentRequired("disconnected", detail="The connection has no tokens any more.")
        first = first or record
        if record.version != first.version or _fresh_enough(record, rejected):
            return _secret(record.access_token)
        old_one_serves = rejected is None and _usable(record)
        if record.failures > first.failures or _failed_just_now(record):
            if old_one_serves:
                return _secret(record.access_token)
            raise _shared_failure(connection, record)
        if not _held(record):
            try:
                breakers.permit(microsoft365.entra_service(connection.account), connection.tenant_id)
            except IntegrationError:
                if old_one_serves:
                    return _secret(record.access_token)
                raise
            if _claim(record):
                return _refresh_claimed(connection, record, deadline, old_one_serves=old_one_serves)
        if old_one_serves:
            return _secret(record.access_token)
        if deadline.expired:
            raise Unavailable("refresh_wait", detail="Another process has not finished refreshing in time.")
        time.sleep(POLL_SECONDS)


def _fresh_enough(record: TokenRecord, rejected: Secret | None) -> bool:
    if rejected is not None:
        return _secret(record.access_token) != rejected
    return record.access_expires_at - timezone.now() > EARLY


def _failed_just_now(record: TokenRecord) -> bool:
    return record.last_failure_at is not None and timezone.now() - record.last_failure_at < FAILURE_PAUSE


def _usable(record: TokenRecord) -> bool:
    return record.access_expires_at - timezone.now() > LAST_MOMENT


def _held(record: TokenRecord) -> bool:
    return record.lease_until is not None and record.lease_until >= timezone.now()


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
    began = time.monotonic()
    try:
        tokens = microsoft365.entra_for(account).refresh(
            _secret(record.refresh_token),
            scopes=microsoft365.calendar_scopes(account),
            deadline=deadline.at_most(REFRESH_SECONDS),
        )
    except IntegrationError as error:
        breakers.report(microsoft365.entra_service(account), connection.tenant_id, error)
        return _after_failure(connection, record, deadline, error, old_one_serves=old_one_serves)
    breakers.report(microsoft365.entra_service(account), connection.tenant_id, None)
    measuring.count("token_refreshes", outcome="refreshed")
    measuring.observe("token_refresh_seconds", time.monotonic() - began)
    now = timezone.now()
    in_use = pace().in_use(connection.last_used_at, connection.connected_at, now)
    stored = TokenRecord.objects.filter(pk=record.pk, version=record.version).update(
        **columns(tokens, now, in_use=in_use), version=record.version + 1
    )
    log.info("token refreshed", extra={"connection": connection.pk, "stored": bool(stored)})
    if not stored:  # a reconnect or a disconnect came first, and its word counts
        return refresh(connection, deadline=deadline)
    return tokens.access_token


def _after_failure(
    connection: Connection, record: TokenRecord, deadline: Deadline, error: IntegrationError, *, old_one_serves: bool
) -> Secret:
    """The old token where it still lives: Entra's trouble need not become the customer's. Else raises."""
    may_pass = not refused_for_good(error, record.last_failure_code)
    measuring.count("token_refreshes", outcome="failed" if may_pass else "needs_consent")
    if not may_pass:
        mark_lost(connection, error, record.version)  # before the note: whoever waits for that finds it decided
    if not _note_failure(record, error):  # a reconnect or a disconnect came first, and its word counts
        return refresh(connection, deadline=deadline)
    if may_pass and old_one_serves:
        return _secret(record.access_token)
    if may_pass and isinstance(error, ConsentRequired):
        raise Unavailable(error.code, error.detail, request_id=error.request_id) from None
    raise error


def refused_for_good(error: IntegrationError, failure_before: str) -> bool:
    """Whether the customer must consent again. Some refusals have been seen to pass: they count the second time.

    `failure_before`: the code that the last attempt failed with, "" after a good one.
    """
    first_of_its_kind = reason(error.code).retry_once and not reason(failure_before).retry_once
    return isinstance(error, ConsentRequired) and not first_of_its_kind


def _shared_failure(connection: Connection, record: TokenRecord) -> IntegrationError:
    """What whoever made the failed attempt was told; a connection that is still enabled is not lost by it."""
    error = error_for(record.last_failure_code, "A refresh a moment ago failed.")
    if isinstance(error, ConsentRequired) and Connection.objects.filter(pk=connection.pk, state=State.ENABLED).exists():
        return Unavailable(error.code, error.detail)
    return error


def _note_failure(record: TokenRecord, error: IntegrationError) -> bool:
    mine = TokenRecord.objects.filter(pk=record.pk, version=record.version, lease_holder=record.lease_holder)
    noted = mine.update(**failure_columns(record.failures, error, timezone.now()))
    log_failure(record.connection_id, error)
    return bool(noted)


def failure_columns(failures: int, error: IntegrationError, now: datetime) -> dict[str, object]:
    """The row after a refresh that failed; `failures`: how many there were before."""
    return {
        "failures": failures + 1,
        "last_failure_code": error.code,
        "last_failure_at": now,
        "refresh_due_at": token_times.after_failure(now, failures, getattr(error, "retry_after", None)),
        "lease_holder": "",
        "lease_until": None,
    }


def log_failure(connection_id: int, error: IntegrationError) -> None:
    """One line for a refresh that failed, of level ERROR when it is our own fault: that hits every customer alike."""
    log.log(
        logging.ERROR if isinstance(error, Misconfigured) else logging.WARNING,
        "token refresh failed",
        extra={"connection": connection_id, "code": error.code, "permanent": error.permanent},
    )


def mark_lost(connection: Connection, error: IntegrationError, version: int | None = None) -> bool:
    """Microsoft refuses for good: the customer must consent again. Once only, and never against newer tokens.

    Returns whether it was so marked now.
    """
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
            return False
        audit.record(connection.account, "connection_lost", error.code, microsoft_request_id=error.request_id)
        health = Health(Connection.objects.values_list("health", flat=True).get(pk=connection.pk))
        change = Change(now, State.ENABLED, lost, health, health, error.code)
        connection_changed.send(Connection, connection_id=connection.pk, change=change)
        transaction.on_commit(lambda: connection_lost.send(Connection, connection_id=connection.pk, reason=error.code))
    return True


def columns(tokens: TokenSet, now: datetime, *, in_use: bool) -> dict[str, object]:
    """The row after new tokens."""
    lifetime = timedelta(seconds=tokens.expires_in)
    longest_rest = timedelta(seconds=settings.REFRESH_IDLE_SECONDS)
    return {
        "refresh_token": tokens.refresh_token,
        "access_token": tokens.access_token,
        "key_id": current_key_id(),
        "access_expires_at": now + lifetime,
        "refreshed_at": now,
        "refresh_due_at": token_times.after_refresh(now, lifetime, in_use=in_use, longest_rest=longest_rest),
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
