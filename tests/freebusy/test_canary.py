"""When a good answer is hard to believe: calendars that were full are empty, or everybody's are refused at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freebusy.canary import BELIEVED_FOR, CANARY_EMPTY, SAMPLE_UNREADABLE, Look, Memory, doubt

NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
REFUSED = "refused"
TIMEOUT = "timeout"

Now = int | str


def look(before: int | None, now: Now, age: timedelta = timedelta(hours=1)) -> Look:
    """A mailbox that held `before` entries `age` ago, and what it gives now."""
    memory = Memory(1, "ann@contoso.example", before, None if before is None else NOW - age)
    return Look(memory, now if isinstance(now, int) else None, refused=now == REFUSED)


@pytest.mark.parametrize(
    ("looks", "code"),
    [
        ([], ""),
        ([(None, 0), (None, 0)], ""),
        ([(5, 0)], CANARY_EMPTY),
        ([(4, 0)], ""),
        ([(2, 0), (3, 0)], CANARY_EMPTY),
        ([(2, 0), (2, 0)], ""),
        ([(9, 0), (9, 1)], ""),
        ([(9, 0), (None, 0)], CANARY_EMPTY),
        ([(9, 0), (None, 1)], ""),
        ([(9, 0), (None, REFUSED)], CANARY_EMPTY),
        ([(9, TIMEOUT), (4, 0)], ""),
        ([(9, REFUSED), (4, 0)], ""),
        ([(0, REFUSED)] * 3, SAMPLE_UNREADABLE),
        ([(0, REFUSED)] * 2, ""),
        ([(1, REFUSED)] * 3 + [(1, 0)], ""),
        ([(1, REFUSED)] * 3 + [(1, TIMEOUT)], ""),
        ([(1, REFUSED)] * 3 + [(None, 0)], SAMPLE_UNREADABLE),
        ([(None, REFUSED)] * 5, ""),
    ],
    ids=str,
)
def test_a_sample_is_doubted_when_what_was_there_is_gone_at_once(
    looks: list[tuple[int | None, Now]], code: str
) -> None:
    assert doubt([look(before, now) for before, now in looks], NOW) == code


@pytest.mark.parametrize("now", [0, REFUSED])
def test_what_was_seen_too_long_ago_counts_no_more(now: Now) -> None:
    for age, doubted in ((BELIEVED_FOR, True), (BELIEVED_FOR + timedelta(seconds=1), False)):
        assert bool(doubt([look(9, now, age)] * 3, NOW)) is doubted


@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.integers(0, 9) | st.sampled_from([REFUSED, TIMEOUT]))))
def test_one_mailbox_with_an_entry_is_enough_to_believe_that_calendars_are_shown(
    looks: list[tuple[int | None, Now]],
) -> None:
    assert doubt([*(look(before, now) for before, now in looks), look(1, 1)], NOW) == ""
