"""The connectivity checker: is the token usable, does getSchedule answer for the reader, can the answer be believed?

One sweep claims what is due, a batch at a time, asks Microsoft for many connections at once and stores what was found.
What is wrong with Microsoft as a whole, or with our own registration, is no connection's trouble: nothing is recorded
then, and what was due comes again scattered over its next interval.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from freebusy import mailboxes, set_aside
from freebusy.looks import PATIENCE_SECONDS, Finding, Target, late, look
from freebusy.outages import Outages
from freebusy.targets import renewed, targets
from microsoft.http import Deadline
from tenants import measuring
from tenants.batches import update_each
from tenants.health import Health, Outcome, Rollup
from tenants.lifecycle import State
from tenants.models import Connection
from tenants.pace import JITTER, pace
from tenants.places import Urgency
from tenants.recording import record_checks
from tenants.standing import shown_health
from tenants.sweeping import BATCH, lease_seconds, sweep

log = logging.getLogger(__name__)

HANGING_SECONDS = PATIENCE_SECONDS + 2.0
LEASE = timedelta(seconds=lease_seconds(HANGING_SECONDS))
SOONEST = timedelta(minutes=1)  # what an outage held up comes again between then and its usual interval
WAITED_SECONDS = 8.0  # for one answer of Graph's while a person waits: a witness may have to be asked as well


@dataclass(frozen=True, slots=True)
class Seen:
    """What one check came to. `recorded`: False for what says nothing of this connection, but of us or of everybody."""

    finding: Finding
    recorded: bool


def enabled_connections() -> QuerySet[Connection]:
    """What may be probed."""
    return Connection.objects.filter(state=State.ENABLED.value)


def probe_due() -> int:
    """Probes what is due; returns how many connections were looked at."""
    return _Probes(None).run()


def probe_all(connections: QuerySet[Connection]) -> int:
    """Probes these now, whatever their due time; returns how many were looked at."""
    return _Probes(connections).run()


def probe(connection: Connection) -> Health:
    """One check of one connection, now; returns the health after it."""
    probe_all(enabled_connections().filter(pk=connection.pk))
    connection.refresh_from_db()
    return shown_health(connection, timezone.now())


def probe_within(connection: Connection, seconds: float) -> Seen | None:
    """One check that somebody waits for, in some `seconds`; None for a connection that may not be probed."""
    heard: dict[int, Seen] = {}
    _Probes(enabled_connections().filter(pk=connection.pk), Deadline.after(seconds), heard).run()
    return heard.get(connection.pk)


def schedule_next(connection_id: int, **_: Any) -> None:
    """A fresh consent was checked by its verifying read; the next probe comes an interval later."""
    wait = pace().between(in_use=True) * random.uniform(*JITTER)
    Connection.objects.filter(pk=connection_id).update(probe_due_at=timezone.now() + wait)


def claim_due(limit: int) -> list[int]:
    """Connections that are due, now this process's: their due time is moved to when the lease ends."""
    due = enabled_connections().filter(probe_due_at__lte=timezone.now()).order_by("probe_due_at")
    with transaction.atomic():
        found = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        _lease(found)
    return found


def _lease(connection_ids: Sequence[int]) -> None:
    Connection.objects.filter(pk__in=connection_ids).update(probe_due_at=timezone.now() + LEASE)


class _Probes:
    """One run. `chosen`: connections to probe whatever their due time, None for those that are due.

    `deadline`: when somebody waits for the end. `heard`: where to leave what was found, by connection.
    """

    def __init__(
        self,
        chosen: QuerySet[Connection] | None,
        deadline: Deadline | None = None,
        heard: dict[int, Seen] | None = None,
    ) -> None:
        self._chosen = chosen
        self._deadline = deadline
        self._heard = heard
        self._last_pk = 0
        self._without_token: list[Target] = []
        self._outages = Outages(override=chosen is not None, look=self._look, deadline=deadline)

    def run(self) -> int:
        """Until nothing is due. Whoever lacks a token, or was refused with it, is looked at with a new one."""
        done = 0
        while True:
            done += self._sweep(self._claim)
            if not self._without_token:
                return done
            waiting, self._without_token = self._without_token, []
            _lease([target.connection_id for target in waiting])
            done += self._sweep(_handing_out(self._permitted(renewed(waiting))))

    def _sweep(self, claim: Callable[[int], Sequence[Target]]) -> int:
        return sweep(
            claim,
            self._look,
            self._write,
            late=late,
            width=settings.SWEEP_WIDTH,
            patience=self._patience() + HANGING_SECONDS - PATIENCE_SECONDS,
            stop=lambda: len(self._without_token) >= BATCH,
        )

    def _look(self, target: Target) -> Finding:
        return look(target, self._patience())

    def _patience(self) -> float:
        return PATIENCE_SECONDS if self._deadline is None else self._deadline.at_most(WAITED_SECONDS).remaining()

    # --- what to look at ------------------------------------------------------------------------------------------
    def _claim(self, limit: int) -> list[Target]:
        while rows := self._next_rows(limit):
            found = targets(rows, Urgency.BACKGROUND if self._deadline is None else Urgency.PERSON)
            self._without_token += [target for target in found if not target.sealed]
            ready = self._permitted([target for target in found if target.sealed])
            if ready or len(self._without_token) >= BATCH:
                return ready
        return []

    def _next_rows(self, limit: int) -> list[int]:
        if self._chosen is None:
            return claim_due(limit)
        found = list(self._chosen.filter(pk__gt=self._last_pk).order_by("pk").values_list("pk", flat=True)[:limit])
        _lease(found)
        self._last_pk = max(found, default=self._last_pk)
        return found

    def _permitted(self, found: Sequence[Target]) -> list[Target]:
        """Those that may be asked now; the others come again later."""
        asked = [target for target in found if target.failure is not None or self._outages.may_ask(target)]
        ids = {target.connection_id for target in asked}
        _postpone(target for target in found if target.connection_id not in ids)
        return asked

    # --- what was found -------------------------------------------------------------------------------------------
    def _write(self, pairs: Sequence[tuple[Target, Finding]]) -> None:
        now = timezone.now()
        again = [target for target, finding in pairs if finding.token_refused and not target.renewed]
        self._without_token += [replace(target, sealed=b"", refused=target.sealed) for target in again]
        final = [(target, finding) for target, finding in pairs if target.renewed or not finding.token_refused]
        for target, finding in final:
            self._outages.learn(target, finding)
        own = {target.connection_id: (target, finding) for target, finding in final if self._own(target, finding)}
        _postpone(target for target, _ in final if target.connection_id not in own)
        if self._heard is not None:
            self._heard.update({t.connection_id: Seen(finding, t.connection_id in own) for t, finding in final})

        def wait(connection_id: int, after: Rollup) -> timedelta:
            target, finding = own[connection_id]
            factor = random.uniform(*JITTER)
            return pace().wait(after, in_use=target.in_use, asked=finding.asked_to_wait, factor=factor)

        with transaction.atomic():
            record_checks({key: finding.result for key, (_, finding) in own.items()}, now, wait=wait)
            _remember((finding for _, finding in own.values()), now)
        for target, finding in own.values():
            if finding.report is not None:
                set_aside.learn(target.quota_key, (), finding.report)
            _tell(target, finding)

    def _own(self, target: Target, finding: Finding) -> bool:
        """Whether the finding speaks of this connection, and not of us or of Microsoft as a whole."""
        if finding.our_fault or finding.held_back:
            return False
        return not self._outages.general(target, finding)


def _handing_out(found: Sequence[Target]) -> Callable[[int], list[Target]]:
    waiting = iter(found)
    return lambda limit: list(islice(waiting, limit))


def _postpone(targets: Iterable[Target]) -> None:
    """Nothing was learnt: they come again, scattered, so that the end of an outage is no rush."""
    now, steps = timezone.now(), pace()
    due = {
        target.connection_id: now + SOONEST + random.random() * steps.between(in_use=target.in_use)
        for target in targets
    }
    update_each(Connection, [({"id": key}, {"probe_due_at": at}) for key, at in sorted(due.items())])


def _remember(findings: Iterable[Finding], now: datetime) -> None:
    doubted: list[int] = []
    believed: list[tuple[int, int]] = []
    for finding in findings:
        for seen in finding.looks:
            if finding.believed and seen.entries is not None:
                believed.append((seen.memory.key, seen.entries))
            else:
                doubted.append(seen.memory.key)
    mailboxes.note_looks(doubted, believed, now)


def _tell(target: Target, finding: Finding) -> None:
    result = finding.result
    measuring.count("probes", outcome=result.outcome.value)
    if result.latency_ms is not None:
        measuring.observe("probe_seconds", result.latency_ms / 1000)
    log.log(
        logging.INFO if result.outcome is Outcome.OK else logging.WARNING,
        "probe",
        extra={
            "account": target.account,
            "outcome": result.outcome.value,
            "code": result.code,
            "microsoft_request_ids": [result.request_id] if result.request_id else [],
        },
    )
