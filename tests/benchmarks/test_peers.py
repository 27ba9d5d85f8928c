"""Peers are held to our own answers before anybody looks at a clock."""

import pytest

from benchmarks.calendars import Engine, Rows
from benchmarks.peers.__main__ import compare, fewer
from benchmarks.peers.libraries import Datetimes
from benchmarks.peers.postgresql import PostgreSQL, connected
from tests.freebusy.core import workloads
from tests.services import postgres


class Forgetful(Datetimes):
    """Overlooks the last slot of every search."""

    def answer(self) -> list[Rows]:
        return [rows[:-1] for rows in super().answer()]


def test_a_peer_that_answers_otherwise_ends_the_benchmark() -> None:
    work = workloads.make("W1")
    with pytest.raises(SystemExit, match="answers otherwise"):
        list(compare("W1", work, [Forgetful(work)], rounds=1))


def test_what_is_written_by_hand_gives_the_same_rows_also_of_rooms() -> None:
    work = fewer(workloads.make("W3"))
    engine = Engine(work)
    assert any(search["rooms"] for search in work["searches"])
    assert Datetimes(work).answer() == engine.answer(engine.cold())


def test_postgresql_gives_the_same_rows() -> None:
    work = workloads.make("W1")
    engine = Engine(work)
    with postgres() as url, connected(url) as connection:
        assert PostgreSQL(work, connection).answer() == engine.answer(engine.cold())
