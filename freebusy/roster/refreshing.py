"""Reads a roster piece by piece: what one piece has brought is there for everybody while the next is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from freebusy import lookup
from freebusy.core.intervals import Interval
from freebusy.core.schedule import Unreadable
from freebusy.lookup import Reading
from freebusy.problems import MicrosoftUnavailable
from microsoft.http import Deadline
from tenants.models import Account
from tenants.places import Urgency

PIECE = 240  # twelve calls of getSchedule: whole rounds of the four or three that background work gets at a time
# Of those who could not be read, these may be by the next look; about the others a person must do something.
_PENDING = frozenset({"timeout", "throttled", "unavailable"})


@dataclass(slots=True)
class Refreshed:
    """What became of each address; `as_of`: when the calendar was read that was read the longest ago."""

    as_of: datetime | None = None
    known: int = 0
    external: int = 0
    unknown: list[tuple[str, str]] = field(default_factory=list)  # address and code
    pending: list[str] = field(default_factory=list)

    def note(self, reading: Reading, addresses: Sequence[str]) -> None:
        """Adds what one piece brought."""
        for address in addresses:
            said = reading.of(address)
            if not isinstance(said, Unreadable):
                self.known += 1
            elif said.code in _PENDING:
                self.pending.append(address)
            else:
                self.unknown.append((address, said.code))
        if any(reading.as_of(address) for address in addresses):
            self.as_of = min(self.as_of or reading.oldest, reading.oldest)


def refresh(
    account: Account,
    addresses: Sequence[str],
    window: Interval,
    deadline: Deadline,
    *,
    max_age_seconds: int,
    as_use: bool = True,
) -> Refreshed:
    """Reads whose calendars were not read lately, behind people's questions; by the deadline the rest is pending.

    Raises what `lookup.read` raises, but MicrosoftUnavailable only when nothing at all is known.
    """
    own = [address for address in addresses if account.owns(address)]
    found = Refreshed(external=len(addresses) - len(own))
    left = list(_pieces(account, own, window, max_age_seconds))
    while left and not deadline.expired:
        try:
            reading = lookup.read(
                account,
                left[0],
                window,
                deadline,
                max_age_seconds=max_age_seconds,
                as_use=as_use,
                urgency=Urgency.BACKGROUND,
            )
        except MicrosoftUnavailable:
            if not found.known and not found.unknown:
                raise
            break
        found.note(reading, left.pop(0))
    found.pending.extend(address for piece in left for address in piece)
    return found


def _pieces(account: Account, own: Sequence[str], window: Interval, max_age_seconds: int) -> Iterator[Sequence[str]]:
    """Who is remembered, then the others in pieces: so none of their calls is half empty but the last."""
    fresh = lookup.remembered(account, own, window, max_age_seconds=max_age_seconds)
    if fresh:
        yield [address for address in own if address in fresh]
    stale = [address for address in own if address not in fresh]
    for first in range(0, len(stale), PIECE):
        yield stale[first : first + PIECE]
