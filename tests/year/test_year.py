"""A simulated year: every customer ends up as the story says, and none is lost by our fault.

The product's own beat schedule, tasks, lookups, consent pages, mails and webhooks run against the sandbox, with the
clocks of both moved from one due time to the next. Each midnight every connection's state, health, reason and the age
of its token are compared with the story. At the end: nobody is lost whom the story does not name; each customer's
incidents are its troubles, one for one, opened and closed in time, with one mail to each about both; its webhooks and
its contact's letters are as many as told; no webhook came twice; no outage cost more calls than its bound.

Three weeks of 46 customers run with all tests, in some 40 seconds. `make simulate-year` lives through the year of 220,
as two installations of 110 side by side, each on a core of its own: twelve to fifteen minutes of processor time each on
a busy machine, for 110,000 refreshes, 113,000 calls of getSchedule, 52,000 reads and 38,000 standings compared.
`SHARES=1/1` has all 220 in one installation, which takes twice as long.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage

from microsoft import graph_calls
from sandbox import Sandbox
from tests.webhooks.receiver import Receiver, receiving
from tests.year.inspection import Inspection
from tests.year.simulation import Simulation
from tests.year.story import BEGIN, write_story
from webhooks.models import Endpoint
from webhooks.signing import new_secret

DAYS = int(os.environ.get("SIMULATED_DAYS", "21"))
WHOLE = DAYS >= 200
SEED = int(os.environ.get("STORY_SEED", "1"))
SHARE, SHARES = map(int, os.environ.get("STORY_SHARE", "1/1").split("/"))


@pytest.fixture
def cadence(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In use for an hour after a read; fewer probes than in service, where machines have more time."""
    settings.IN_USE_SECONDS = 3700
    settings.PROBE_INTERVAL_SECONDS = 4200
    settings.PROBE_IDLE_INTERVAL_SECONDS = 86_400
    settings.SWEEP_WIDTH = 4  # an answer takes no time, starting a thread does
    settings.SENDS_MAILS = True
    settings.SUPPORT_EMAIL = "support@eventcadence.example"
    # The pause between two attempts of one call is real time, which no frozen clock shortens.
    monkeypatch.setattr(graph_calls, "_BACK_OFF_SECONDS", 0.001)


@pytest.fixture
def haste() -> Iterator[None]:
    """A whole year keeps to one core, since its threads only wait for each other; garbage is looked for seldom."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 10, 10)
    pinned = WHOLE and hasattr(os, "sched_setaffinity")
    cores = os.sched_getaffinity(0) if pinned else set()
    if pinned:
        os.sched_setaffinity(0, {sorted(cores)[SHARE % len(cores)]})
    yield
    if pinned:
        os.sched_setaffinity(0, cores)
    gc.set_threshold(*usual)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """The Cadence backend, which hears of everything."""
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    with receiving() as here:
        yield here


@pytest.fixture
def travel() -> Iterator[Callable[[datetime], None]]:
    with time_machine.travel(BEGIN, tick=False) as clock:
        yield clock.move_to


@pytest.mark.xdist_group("year")
@pytest.mark.django_db(transaction=True)
def test_every_connection_stands_as_the_story_says_and_none_was_lost_by_our_fault(
    haste: None,
    cadence: None,
    microsoft: Sandbox,
    receiver: Receiver,
    travel: Callable[[datetime], None],
    consent: Callable[..., Any],
    mailoutbox: list[EmailMessage],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    random.seed(SEED)  # the engine's own dice: when exactly something is due
    microsoft.clock.hold(still=True)
    microsoft.options.token_lifetime = 5400  # 90 minutes, the longest that Microsoft gives: the fewest refreshes
    Endpoint.objects.create(url=receiver.url, secret=new_secret(), all_accounts=True)
    story = write_story(days=DAYS, hourly=20 if WHOLE else 6, daily=200 if WHOLE else 40, seed=SEED)
    story = story.share(SHARE, SHARES)
    simulation = Simulation(story, microsoft, travel, consent)
    inspection = Inspection(simulation, mailoutbox, receiver)
    logging.disable(logging.ERROR)  # a year of lines that nobody reads
    try:
        simulation.begin()
        for midnight in simulation.days():
            inspection.every_day(midnight)
            if WHOLE and midnight.day == 1:
                told = f"{inspection.compared} standings compared, {len(inspection.wrong)} wrong"
                say(f"  {SHARE}/{SHARES}, {midnight:%d %B}: {told}")
        inspection.at_the_end()
    finally:
        logging.disable(logging.NOTSET)
        say(f"\n  share {SHARE} of {SHARES}{inspection.summary()}")
    assert inspection.wrong == []
