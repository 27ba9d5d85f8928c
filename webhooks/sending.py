"""Sends what is due: at least once each, many at a time, driven by rows alone.

A worker that dies between a claim and its result leaves rows that become due again by themselves; the receiver then
hears of the same event twice and knows it by its id.
"""

from __future__ import annotations

import json
import logging
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from microsoft.http import Deadline
from microsoft.secret import Secret
from tenants import measuring
from tenants.sweeping import lease_seconds, sweep
from webhooks import endpoints, signing
from webhooks.events import EventType
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.posting import GONE, Outcome, post
from webhooks.retrying import wait_after

log = logging.getLogger(__name__)

WIDTH = 16
ANSWER_SECONDS = 10.0
PATIENCE_SECONDS = ANSWER_SECONDS + 2.0  # a name server has no deadline of ours


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a thread needs to send one event."""

    delivery_id: int
    endpoint_id: int
    url: str
    event_id: str
    body: bytes
    keys: tuple[Secret, ...]
    attempts: int


def send_due() -> int:
    """Delivers what is due to endpoints that are enabled; returns how many attempts were made."""
    if not _due(timezone.now()).exists():
        return 0  # most ticks: not worth reading all trusted certificates
    return _Run().attempts()


class _Run:
    """One sweep. An endpoint that gave no answer is left alone until the next, so that it never holds up others."""

    def __init__(self) -> None:
        self._holder = str(uuid4())
        self._silent: set[int] = set()
        self._trust = ssl.create_default_context()
        # One tick's worth of time: another worker, or the next tick, takes over what is left.
        self._end = Deadline.after(float(settings.TICK_SECONDS))

    def attempts(self) -> int:
        return sweep(
            self._claim,
            self._send,
            self._write,
            late=self._late,
            width=WIDTH,
            patience=PATIENCE_SECONDS,
            stop=lambda: self._end.expired,
        )

    def _claim(self, limit: int) -> list[Letter]:
        now = timezone.now()
        lease = now + timedelta(seconds=lease_seconds(PATIENCE_SECONDS))
        with transaction.atomic():
            locked = _due(now).exclude(endpoint__in=list(self._silent)).select_for_update(skip_locked=True)
            chosen = list(locked.order_by("next_try_at").values_list("pk", flat=True)[:limit])
            _due(now).filter(pk__in=chosen).update(holder=self._holder, next_try_at=lease)
            mine = Delivery.objects.filter(pk__in=chosen, holder=self._holder).select_related("endpoint", "account")
            return [_letter(delivery, now) for delivery in mine.order_by("pk")]

    def _send(self, letter: Letter) -> Outcome:
        headers = signing.headers(letter.event_id, timezone.now(), letter.body, letter.keys)
        outcome = post(
            letter.url,
            {"Content-Type": "application/json", "User-Agent": "cadence-exchange", **headers},
            letter.body,
            private_hosts=settings.WEBHOOK_PRIVATE_HOSTS,
            trust=self._trust,
            deadline=Deadline.after(ANSWER_SECONDS),
        )
        if outcome.status is None:  # known to the very next claim, however long the writing of it waits
            self._silent.add(letter.endpoint_id)
        return outcome

    def _late(self, letter: Letter) -> Outcome:
        self._silent.add(letter.endpoint_id)
        return Outcome(None, "timeout", round(PATIENCE_SECONDS * 1000))

    def _write(self, results: Sequence[tuple[Letter, Outcome]]) -> None:
        now = timezone.now()
        tally: dict[str, int] = {}
        with transaction.atomic():
            # In one order for all workers, so that no two wait for each other.
            for letter, outcome in sorted(results, key=lambda result: result[0].delivery_id):
                word = self._settle(letter, outcome, now)
                tally[word] = tally.get(word, 0) + 1
            gone = {letter.endpoint_id for letter, outcome in results if outcome.status == GONE}
            for endpoint_id in sorted(gone):
                endpoints.disable(endpoint_id, why="the receiver answered 410 Gone")
        for word, number in tally.items():
            measuring.count("webhook_deliveries", number, outcome=word)

    def _settle(self, letter: Letter, outcome: Outcome, now: datetime) -> str:
        """Writes one result, unless the claim has passed to somebody else in the meantime."""
        attempts = letter.attempts + 1
        wait = wait_after(attempts, retry_after=outcome.retry_after, chance=random.random())
        if outcome.delivered:
            word, ends = "delivered", {"next_try_at": None, "delivered_at": now}
        elif outcome.status == GONE or wait is None:
            word, ends = "failed", {"next_try_at": None, "failed_at": now}
        else:
            word, ends = "retried", {"next_try_at": now + wait}
        facts = {"last_status": outcome.status, "last_error": outcome.error, "latency_ms": outcome.latency_ms}
        held = Delivery.objects.filter(pk=letter.delivery_id, holder=self._holder)
        if not held.update(holder="", attempts=attempts, **facts, **ends):
            return "overtaken"
        Attempt.objects.create(
            delivery_id=letter.delivery_id,
            at=now,
            status=outcome.status,
            error=outcome.error,
            latency_ms=outcome.latency_ms,
        )
        if not outcome.delivered:
            extra = {"endpoint": letter.endpoint_id, "event": letter.event_id, "code": outcome.error}
            log.warning("webhook %s", word, extra=extra)
        return word


def _due(now: datetime) -> QuerySet[Delivery]:
    # A subquery and no join, so that claiming locks deliveries alone.
    return Delivery.objects.filter(next_try_at__lte=now, endpoint__in=Endpoint.objects.filter(disabled_at=None))


def _letter(delivery: Delivery, now: datetime) -> Letter:
    payload = dict(delivery.payload)
    if delivery.type == EventType.NEEDS_CONSENT and delivery.account is not None:
        # Added only now: the link is secret and can be renewed, so it is neither stored twice nor sent when it is old.
        payload["data"] = {**payload["data"], "consent_url": delivery.account.consent_url}
    return Letter(
        delivery_id=delivery.pk,
        endpoint_id=delivery.endpoint_id,
        url=delivery.endpoint.url,
        event_id=str(delivery.event_id),
        body=json.dumps(payload, separators=(",", ":")).encode(),
        keys=delivery.endpoint.secrets_at(now),
        attempts=delivery.attempts,
    )
