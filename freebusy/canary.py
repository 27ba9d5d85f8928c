"""Pure: whether what a probe saw of a sample of mailboxes can be believed.

Microsoft may answer 200 and yet show nothing: calendars that were full an hour ago come back empty, or a permission was
narrowed so that everybody's free/busy is refused while the reader's own still answers. To offer such times as free
would be worse than an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

BELIEVED_FOR = timedelta(days=14)  # how long an earlier look counts: a calendar may well empty within that time
LEAST_ENTRIES = 5  # fewer may all have ended or been cancelled
LEAST_REFUSED = 3  # fewer may be people who left

CANARY_EMPTY = "canary_empty"
SAMPLE_UNREADABLE = "sample_unreadable"


@dataclass(frozen=True, slots=True)
class Memory:
    """A mailbox as it was last seen and believed: how many entries the window held, and when; None when never."""

    key: int
    address: str
    entries: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A mailbox now: `entries` when it was read; `refused` when it was not and asking again will not help."""

    memory: Memory
    entries: int | None
    refused: bool = False


def doubt(looks: Collection[Look], now: datetime) -> str:
    """Why the looks cannot be believed, as a reason code; "" when they can."""
    known = [look for look in looks if _remembered(look.memory, now)]
    read = [look for look in looks if look.entries is not None]
    if len(known) >= LEAST_REFUSED and all(look.refused for look in known):
        return SAMPLE_UNREADABLE
    before = sum(look.memory.entries or 0 for look in known if look.entries is not None)
    if before >= LEAST_ENTRIES and not any(look.entries for look in read):
        return CANARY_EMPTY
    return ""


def _remembered(memory: Memory, now: datetime) -> bool:
    return memory.entries is not None and memory.at is not None and now - memory.at <= BELIEVED_FOR
