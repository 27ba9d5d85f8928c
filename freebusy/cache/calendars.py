"""The remembered calendars of one connection: at hand in this process, else in the cache that all processes share.

Names hold everything on which an answer depends: connection, Entra tenant, reader, when it was connected, Graph's
address, mailbox. What another tenant, reader or consent has read is never even looked for. Policies are applied after.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from freebusy.cache.memory import Held, Memory
from freebusy.cache.sealing import Unsealable, name_of, seal, unseal
from freebusy.cache.segments import Calendar, Segment
from freebusy.core.intervals import SECOND, Interval
from tenants import measuring, microsoft365
from tenants.coordination.cache import SharedCache, shared_cache
from tenants.models import Account, Connection

log = logging.getLogger(__name__)

KEPT_SECONDS = 3600  # the largest max_age_seconds; what was read is gone when this is over
RENEWED_SECONDS = 2700  # what is older is not written again with what is new, whose time it would cut short
MOST_CALENDARS = 20_000  # of the whole installation
MOST_BYTES = 256 * 1024  # of one calendar, encrypted; about 7,000 items
_MARK = 32  # the end of an encrypted calendar is a checksum of the rest

_EMPTY = Calendar()


@dataclass(frozen=True, slots=True)
class Calendars:
    """`owner` names the connection as it is now; what was read before a reconnect has another.

    `horizon`: what was read before this instant is of use to nobody.
    """

    owner: str
    horizon: int
    shared: SharedCache
    memory: Memory
    _names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account, connection: Connection, now: int) -> Calendars:
        """Those of an account's connection."""
        generation = name_of(
            connection.pk,
            connection.tenant_id,
            connection.reader_oid,
            connection.connected_at,
            microsoft365.graph_url(account),
        )
        shared = shared_cache()
        return cls(f"{_prefix(connection.pk)}{generation}", now - KEPT_SECONDS * SECOND, shared, _memory(shared))

    def name(self, mailbox: str) -> str:
        """What the mailbox's calendar is kept under."""
        name = self._names.get(mailbox)
        if name is None:
            name = self._names[mailbox] = f"{self.owner}:{name_of(self.owner, mailbox)}"
        return name

    def name_of_read(self, mailbox: str, window: Interval) -> str:
        """What reading this stretch of it is claimed under."""
        return f"{self.name(mailbox)}@{window.start}-{window.end}"

    def look(
        self, mailboxes: Collection[str], window: Interval, oldest: int, *, measured: bool = True
    ) -> dict[str, Calendar]:
        """What is remembered of them. The shared cache is asked only where what is at hand lacks some of the window."""
        held = self.memory.get_many(self.owner, mailboxes)
        found = {mailbox: at_hand.calendar for mailbox, at_hand in held.items()}
        lacking = [mailbox for mailbox in mailboxes if _lacks(found.get(mailbox), window, oldest)]
        shared = self._shared(lacking, held) if lacking else {}
        if measured:
            served = sum(not _lacks(calendar, window, oldest) for calendar in shared.values())
            _measure({"memory": len(mailboxes) - len(lacking), "shared": served})
        return found | shared

    def keep(self, segments: Mapping[str, Segment]) -> dict[str, Calendar]:
        """Adds what was just read to what is remembered, for all processes; the calendars as they are then.

        Of two who write the same calendar at the same moment one may lose its word: it is then read again.
        """
        if not segments:
            return {}
        held = self.memory.get_many(self.owner, segments)
        before = {mailbox: at_hand.calendar for mailbox, at_hand in held.items()} | self._shared(segments, held)
        renewed = self.horizon + (KEPT_SECONDS - RENEWED_SECONDS) * SECOND
        calendars: dict[str, Calendar] = {}
        fitting: dict[str, tuple[bytes, float]] = {}
        for mailbox, segment in segments.items():
            name = self.name(mailbox)
            calendars[mailbox] = calendar = before.get(mailbox, _EMPTY).and_then([segment], renewed)
            kept = seal(name, calendar)
            held[mailbox] = Held(calendar, kept[-_MARK:])
            if len(kept) <= MOST_BYTES:
                fitting[name] = kept, (calendar.oldest - self.horizon) / SECOND
        self.memory.put_many(self.owner, {mailbox: held[mailbox] for mailbox in segments}, self.horizon)
        self.shared.put_many(fitting, MOST_CALENDARS)
        return calendars

    def _shared(self, mailboxes: Iterable[str], held: Mapping[str, Held]) -> dict[str, Calendar]:
        """What the shared cache has, joined with what is at hand; opened only where that is not the same."""
        names = {self.name(mailbox): mailbox for mailbox in mailboxes}
        found: dict[str, Held] = {}
        damaged = 0
        for name, kept in self.shared.get_many(names).items():
            at_hand = held.get(names[name])
            if at_hand is not None and at_hand.mark == kept[-_MARK:]:
                continue
            try:
                calendar = unseal(name, kept)
            except Unsealable:
                damaged += 1
                continue
            if at_hand is not None:
                calendar = at_hand.calendar.and_then(calendar.segments, self.horizon)
            found[names[name]] = Held(calendar, kept[-_MARK:])
        if damaged:
            log.warning("remembered calendars cannot be opened", extra={"calendars": damaged})
            _measure({"damaged": damaged})
        self.memory.put_many(self.owner, found, self.horizon)
        return {mailbox: at_hand.calendar for mailbox, at_hand in found.items()}


def forget(connection_pk: int) -> None:
    """Deletes what was read through this connection, whenever it was."""
    shared, prefix = shared_cache(), _prefix(connection_pk)
    _memory(shared).forget(prefix)
    shared.forget(prefix)


def forget_earlier(connection_id: int, **_: Any) -> None:
    """A reconnect begins anew: nobody looks for the earlier ones any more."""
    forget(connection_id)


def forget_lost(connection_id: int, **_: Any) -> None:
    """Without a connection nothing of its calendars is kept."""
    forget(connection_id)


def forget_old() -> None:
    """Deletes what is over, should nobody put anything new beside it."""
    while shared_cache().prune():
        pass


def _lacks(calendar: Calendar | None, window: Interval, oldest: int) -> bool:
    return calendar is None or calendar.known(window, oldest) is None


def _prefix(connection_pk: int) -> str:
    return name_of("connection", connection_pk)[:16]


@lru_cache(maxsize=4)
def _memory(shared: SharedCache) -> Memory:
    """This process's, for each shared cache."""
    return Memory()


def _measure(counts: Mapping[str, int]) -> None:
    for source, number in counts.items():
        if number:
            measuring.count("calendars", number, source=source)
