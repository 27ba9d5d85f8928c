"""Microsoft Graph: the free/busy of many mailboxes over a window; what cannot be read comes with a reason."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from microsoft.graph_calls import Run
from microsoft.graph_crew import Asking
from microsoft.http import Deadline, DoorSession
from microsoft.schedule_report import CallRecord, MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.schedule_request import window_parts
from microsoft.secret import Secret

__all__ = [
    "CallRecord",
    "Gate",
    "GraphClient",
    "MailboxFailure",
    "MailboxSchedule",
    "ScheduleReport",
    "TokenSource",
]


class TokenSource(Protocol):
    """Where access tokens come from. Called by the thread that called `get_schedule`, and by no other."""

    def bearer(self, rejected: Secret | None = None) -> Secret:
        """A usable token; with `rejected` one that is newer than that. May raise IntegrationError."""


class Gate(Protocol):
    """Keeps one reader within Microsoft's limits. Called by worker threads.

    https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
    """

    def acquire(self, deadline: Deadline) -> AbstractContextManager[None]:
        """Holds one place while entered; entering raises TimeoutError at the deadline.

        Or HeldBack, when the calls that Microsoft allows in ten minutes are spent until after it.
        """


class GraphClient:
    """Asks `/me` as the signed-in reader; `user` is the seam for application permissions (`/users/{id}`)."""

    def __init__(
        self,
        graph_url: str,
        session: DoorSession,
        *,
        gate: Gate,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        wall_clock: Callable[[], float] = time.time,
        user: str | None = None,
    ) -> None:
        owner = "me" if user is None else f"users/{quote(user, safe='@')}"
        self._asking = Asking(
            url=f"{graph_url.rstrip('/')}/{owner}/calendar/getSchedule",
            session=session,
            gate=gate,
            sleep=sleep,
            jitter=jitter,
            wall_clock=wall_clock,
        )

    def get_schedule(
        self,
        mailboxes: Sequence[str],
        start: datetime,
        end: datetime,
        *,
        token: TokenSource,
        deadline: Deadline,
        alone: Collection[str] = (),
        witness: str | None = None,
        abandonable: bool = True,
    ) -> ScheduleReport:
        """Free/busy of every mailbox by the deadline; whatever Microsoft does, each one has a result.

        Raises ValueError for naive or disordered bounds, and nothing of Microsoft's: failures are values.
        `alone`: those of the mailboxes (by `str.casefold`) that made calls fail before, and share a call with no other.
        `witness`: a mailbox that can be read if any can. When nothing was answered it is asked, to tell a mailbox at
        which calls fail from a service that is down.
        `abandonable`: calls go side by side, and one that does not heed the deadline is left behind, at the price of
        a thread for each. False for a caller whose own thread may be left behind, and who asks for little.
        """
        parts = window_parts(start, end)
        run = Run(self._asking, parts, token, deadline, alone=alone, witness=witness, abandonable=abandonable)
        return run.report(mailboxes)
