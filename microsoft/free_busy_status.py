"""How one calendar entry is shown: Graph's freeBusyStatus.

https://learn.microsoft.com/graph/api/resources/scheduleitem
"""

from __future__ import annotations

from enum import StrEnum


class FreeBusyStatus(StrEnum):
    """Spelled as in the current documentation."""

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
