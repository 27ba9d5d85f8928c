"""Celery tasks of the connectivity checker."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from freebusy import mailboxes, probes
from freebusy.cache import calendars
from freebusy.preflight import checking, runs
from freebusy.roster import unfinished
from microsoft.http import Deadline
from tenants.correlation import adopt_request_id

# A worker that is asked to stop waits for its task; the next tick goes on.
PREFLIGHT_SECONDS = 25.0
ROSTER_SECONDS = 25.0


@shared_task
def probe_due_connections() -> None:
    """Checks what is due: often what is in use, seldom what rests, soon again what failed."""
    adopt_request_id()
    probes.probe_due()


@shared_task
def forget_unasked_mailboxes() -> None:
    """What nobody asks for any more is nothing to keep."""
    mailboxes.forget_unasked(timezone.now())


@shared_task
def check_preflights() -> None:
    """Goes on with the rosters that people want checked."""
    adopt_request_id()
    end = Deadline.after(PREFLIGHT_SECONDS)
    checking.check_due(stop=lambda: end.expired)


@shared_task
def forget_old_preflights() -> None:
    """Rosters are lists of people: a month is enough."""
    runs.forget_old(timezone.now())


@shared_task
def forget_old_calendars() -> None:
    """What is remembered for an hour at most is not to lie about for longer."""
    calendars.forget_old()


@shared_task
def finish_rosters() -> None:
    """Goes on with the rosters that were not read in time."""
    adopt_request_id()
    end = Deadline.after(ROSTER_SECONDS)
    unfinished.finish_due(stop=lambda: end.expired)
