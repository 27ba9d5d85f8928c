"""Pure: how one mailbox at which whole calls fail is found among twenty, in the time there is.

A call that fails is asked again in fours, and the four that fail one by one: 5 + 4 calls, of which three fail, where
halves would fail five times. So it is found in three waits, and calls that hang hold three of the reader's four places.
"""

from __future__ import annotations

from enum import StrEnum

from microsoft.schedule_request import ScheduleCall

FOURS = 4


class Role(StrEnum):
    """What a call is made for."""

    PLANNED = "planned"
    PIECE = "piece"  # of a call that failed
    TRIAL = "trial"  # of a mailbox that failed before, to see whether it does still
    WITNESS = "witness"  # of a mailbox that answers, to see whether the service does


def share(role: Role, mailboxes: int) -> float:
    """Which part of the time that is left an answer is waited for, so that enough is left to find the culprit."""
    if role is Role.TRIAL:
        return 1 / 3  # nobody else shall wait for it
    if role is Role.PIECE or 1 < mailboxes <= FOURS:
        return 1 / 2
    return 2 / 3 if mailboxes == 1 else 4 / 9


def pieces(call: ScheduleCall) -> tuple[ScheduleCall, ...]:
    """The same question in fours, or one by one."""
    size = FOURS if len(call.mailboxes) > FOURS else 1
    return tuple(call.only(call.mailboxes[first : first + size]) for first in range(0, len(call.mailboxes), size))
