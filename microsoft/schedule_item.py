"""One calendar entry as everybody but the decoder knows it: two instants and a status.

https://learn.microsoft.com/graph/api/resources/scheduleitem
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FreeBusyStatus(StrEnum):
    """Graph's freeBusyStatus, spelled as in the current documentation."""

    FREE = "free"
    TENTATIVE = "tentative"
    BUSY = "busy"
    OOF = "oof"
    WORKING_ELSEWHERE = "workingElsewhere"
    UNKNOWN = "unknown"

    @classmethod
    def from_wire(cls, text: str | None) -> FreeBusyStatus:
        """Older payloads say `Busy`, so case does not count; what is no status at all is `unknown`."""
        return _STATUSES.get(text or "") or _STATUSES.get((text or "").casefold(), cls.UNKNOWN)


_STATUSES = {spelling: status for status in FreeBusyStatus for spelling in (status.value, status.casefold())}


# A struct of msgspec rather than a dataclass: a search makes them by the hundred thousand.
class ScheduleItem(msgspec.Struct, frozen=True, order=True, gc=False):
    """Bounds as they are, never clipped: whole microseconds since 1970-01-01T00:00Z."""

    start: int
    end: int
    status: FreeBusyStatus
