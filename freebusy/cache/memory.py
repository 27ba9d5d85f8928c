"""The calendars that this process has at hand, ready to be used: the ones asked for last, up to a number of items."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from freebusy.cache.segments import Calendar
from freebusy.core.intervals import SECOND

_SWEPT_EVERY = 60 * SECOND
MOST_ITEMS = 300_000  # about 35 MB; 2,200 calendars of ten days hold half of it


@dataclass(frozen=True, slots=True)
class Held:
    """A calendar, and the last bytes of the sealed form it came from, by which a newer one is told apart."""

    calendar: Calendar
    mark: bytes = b""


class Memory:
    """Safe for all threads. Names are those of the shared cache, or stand for them."""

    def __init__(self, most_items: int = MOST_ITEMS) -> None:
        self._most = most_items
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._items = 0
        self._swept = 0

    def get_many(self, owner: str, mailboxes: Iterable[str]) -> dict[str, Held]:
        """Of these mailboxes the calendars that are here."""
        found: dict[str, Held] = {}
        with self._lock:
            for mailbox in mailboxes:
                held = self._held.get((owner, mailbox))
                if held is not None:
                    self._held.move_to_end((owner, mailbox))
                    found[mailbox] = held
        return found

    def put_many(self, owner: str, calendars: Mapping[str, Held], horizon: int) -> None:
        """Takes them in. Those go of which a part was read before `horizon`, and when there are too many items those
        that nobody asked for the longest time.
        """
        with self._lock:
            if horizon - self._swept >= _SWEPT_EVERY:
                self._swept = horizon
                for name in [name for name, held in self._held.items() if held.calendar.oldest < horizon]:
                    self._drop(name)
            for mailbox, held in calendars.items():
                self._drop((owner, mailbox))
                self._held[owner, mailbox] = held
                self._items += held.calendar.size
            while self._items > self._most and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def forget(self, owner: str) -> None:
        """Drops everything of this owner."""
        with self._lock:
            for name in [name for name in self._held if name[0].startswith(owner)]:
                self._drop(name)

    def _drop(self, name: tuple[str, str]) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._items -= held.calendar.size
