"""A simulated year: every customer ends up as the story says, and none is lost by our fault.

Three weeks of it run with all tests; `make simulate-year` (SIMULATED_DAYS=365) lives through the whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import time_machine

from microsoft import graph_calls
from sandbox import Sandbox
from tests.year.inspection import Inspection
from tests.year.simulation import Simulation
from tests.year.story import BEGIN, write_story

DAYS = int(os.environ.get("SIMULATED_DAYS", "21"))
WHOLE = DAYS >= 200


@pytest.fixture
def cadence(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In use for an hour and a half after a read; fewer probes than in service, where machines have more time."""
    settings.IN_USE_SECONDS = 5400
    settings.PROBE_INTERVAL_SECONDS = 3600
    settings.PROBE_IDLE_INTERVAL_SECONDS = 86_400
    # The pause between two attempts of one call is real time, which no frozen clock shortens.
    monkeypatch.setattr(graph_calls, "_BACK_OFF_SECONDS", 0.001)


@pytest.fixture
def travel() -> Iterator[Callable[[datetime], None]]:
    with time_machine.travel(BEGIN, tick=False) as clock:
        yield clock.move_to


@pytest.mark.xdist_group("year")
@pytest.mark.django_db(transaction=True)
def test_every_connection_stands_as_the_story_says_and_none_was_lost_by_our_fault(
    cadence: None,
    microsoft: Sandbox,
    travel: Callable[[datetime], None],
    consent: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.disable(logging.ERROR)  # a year of lines that nobody reads
    microsoft.clock.hold(still=True)
    # 90 minutes, the longest that Microsoft gives; fewer refreshes, the same engine.
    microsoft.options.token_lifetime = 5400
    story = write_story(
        days=DAYS, hourly=20 if WHOLE else 6, daily=200 if WHOLE else 40, seed=int(os.environ.get("STORY_SEED", "1"))
    )
    simulation = Simulation(story, microsoft, travel, consent)
    inspection = Inspection(simulation)
    try:
        simulation.begin()
        for midnight in simulation.days():
            inspection.every_day(midnight)
    finally:
        logging.disable(logging.NOTSET)
        with capsys.disabled():
            print(inspection.summary())
    inspection.at_the_end()
    assert inspection.wrong == []
