"""One read for all processes: what one has claimed, the others wait for.

A claim is kept up while its holder lives; a dead one's ends by itself, and one of those who wait takes over.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from freebusy.cache.fetching import Fetching, Item
from freebusy.cache.flights import Flight, Outcome, flights
from freebusy.cache.sealing import Unsealable, seal_problem, unseal_problem
from freebusy.cache.segments import Known
from freebusy.core.intervals import Interval
from freebusy.core.schedule import Unreadable
from tenants.coordination.cache import SharedCache

LEASE_SECONDS = 6.0
RENEWED_EVERY_SECONDS = 2.0
NOTE_SECONDS = 5.0  # long enough for all who wait to look again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.05


@dataclass(slots=True)
class Leading:
    """What one thread of this process does for the others: `flights` by name, each for one item.

    `oldest`: what was read before is too old for the question.
    """

    fetching: Fetching
    oldest: int
    items: Mapping[str, Item]
    flights: Mapping[str, Flight]
    outcomes: dict[Item, Outcome] = field(default_factory=dict)
    _holder: str = field(default_factory=lambda: uuid4().hex)
    _waiting: dict[str, str] = field(default_factory=dict)  # name → who holds the claim

    def land_all(self) -> dict[Item, Outcome]:
        """Reads what no other process is reading, and waits for the rest; reads that too should the other fail.

        No outcome for what is not over by the deadline.
        """
        try:
            wanted, pause = list(self.items), _FIRST_PAUSE
            while wanted:
                others = self._shared.claim(wanted, self._holder, LEASE_SECONDS)
                self._read([name for name in wanted if name not in others])
                self._waiting |= others
                wanted = []
                while self._waiting and not wanted and not self.fetching.deadline.expired:
                    time.sleep(min(pause, self.fetching.deadline.remaining()))
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
                    wanted = self._look_again()
        finally:
            for name, flight in self.flights.items():
                flights.land(name, flight, None)
        return self.outcomes

    @property
    def _shared(self) -> SharedCache:
        return self.fetching.calendars.shared

    def _read(self, names: list[str]) -> None:
        """Reads what is claimed, unless another has done so a moment before, and gives the claims back."""
        if not names:
            return
        notes: dict[str, bytes | None] = dict.fromkeys(names)
        try:
            left = self._not_remembered(names)
            with self._kept_up(left):
                for window, some in self._by_window(left).items():
                    found = self.fetching.read(window, tuple(some))
                    for mailbox, name in some.items():
                        notes[name] = self._told(name, found[mailbox, window])
        finally:
            self._shared.release(notes, self._holder, NOTE_SECONDS)

    def _told(self, name: str, outcome: Outcome) -> bytes | None:
        """Tells this process; returns what to tell the others, if that is more than that it is over."""
        self.outcomes[self.items[name]] = outcome
        late = self.fetching.ran_out_of_time(outcome)
        flights.land(name, self.flights[name], None if late else outcome)
        said = None if outcome.problem is None else outcome.problem.said
        # Trouble is left to everybody's own look: it is not the mailbox's, and costs no call.
        return seal_problem(name, said) if isinstance(said, Unreadable) and not late and not outcome.trouble else None

    def _look_again(self) -> list[str]:
        """Takes what others have ended off the list; returns what nobody reads any more and nobody has read."""
        claims = self._shared.claims(self._waiting)
        ended: list[str] = []
        for name, holder in list(self._waiting.items()):
            claim = claims.get(name)
            ours = claim is not None and claim.holder == holder
            if claim is not None and ours and claim.note is None:
                continue
            del self._waiting[name]
            problem = _problem(name, claim.note) if claim is not None and ours else None
            if problem is None:
                ended.append(name)
            else:
                self._land(name, Outcome(problem=Known(problem, self.fetching.now)))
        return self._not_remembered(ended)

    def _not_remembered(self, names: Iterable[str]) -> list[str]:
        """Those that nobody has read since we looked; the others have landed."""
        left: list[str] = []
        for window, some in self._by_window(names).items():
            found = self.fetching.calendars.look(some, window, self.oldest, measured=False)
            for mailbox, name in some.items():
                calendar = found.get(mailbox)
                if calendar is None or calendar.known(window, self.oldest) is None:
                    left.append(name)
                else:
                    self._land(name, Outcome(calendar))
        return left

    def _land(self, name: str, outcome: Outcome) -> None:
        self.outcomes[self.items[name]] = outcome
        flights.land(name, self.flights[name], outcome)

    def _by_window(self, names: Iterable[str]) -> dict[Interval, dict[str, str]]:
        """Mailbox → name, for each stretch."""
        found: defaultdict[Interval, dict[str, str]] = defaultdict(dict)
        for name in names:
            mailbox, window = self.items[name]
            found[window][mailbox] = name
        return found

    @contextmanager
    def _kept_up(self, names: list[str]) -> Iterator[None]:
        """While entered the claims do not end."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(RENEWED_EVERY_SECONDS):
                self._shared.renew(names, self._holder, LEASE_SECONDS)

        if names:
            threading.Thread(target=renew, daemon=True, name="calendar-claims").start()
        try:
            yield
        finally:
            over.set()


def _problem(name: str, note: bytes | None) -> Unreadable | None:
    try:
        return None if note is None else unseal_problem(name, note)
    except Unsealable:
        return None
