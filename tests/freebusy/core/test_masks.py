"""Bits for candidates, against the plain way of saying the same."""

from hypothesis import given
from hypothesis import strategies as st

from freebusy.core.intervals import MINUTE, SECOND
from freebusy.core.masks import Grid, Names, by_count, names_at, numbers
from freebusy.core.schedule import FreeBusyStatus, ScheduleItem

DAY = 24 * 60 * MINUTE
BASE = 20_000 * DAY  # some midnight UTC
masks = st.lists(st.integers(0, (1 << 70) - 1), max_size=12)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """A few days of candidates, one step; also zones whose offset has seconds, also steps that fit no unit."""
    step, duration = draw(st.integers(1, 90)) * MINUTE, draw(st.integers(1, 200)) * MINUTE
    offset = draw(st.sampled_from([0, 0, 30 * MINUTE, 17 * MINUTE + 30 * SECOND, 1]))
    days = sorted(draw(st.sets(st.integers(0, 12), max_size=4)))
    opening, count = draw(st.integers(0, 600)) * MINUTE, draw(st.integers(1, 12))
    return Grid([range(first := BASE + d * DAY + offset + opening, first + count * step, step) for d in days], duration)


instants = st.one_of(
    st.integers(-40 * 24 * 60, 40 * 24 * 60).map(lambda minute: BASE + minute * MINUTE),
    st.integers(-60, 13 * 96).map(lambda quarter: BASE + quarter * 15 * MINUTE),
    st.integers(0, 13 * DAY).map(lambda micros: BASE + micros),
    st.tuples(st.integers(0, 13 * 96), st.integers(-1, 1)).map(lambda p: BASE + p[0] * 15 * MINUTE + p[1]),
)
entries = st.lists(
    st.tuples(instants, instants)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: ScheduleItem(min(pair), max(pair), FreeBusyStatus.BUSY)),
    max_size=40,
)


@given(entries, grids(), st.integers(0, 9 * 60 * MINUTE))
def test_a_mask_holds_exactly_the_candidates_that_share_an_instant(
    found: list[ScheduleItem], grid: Grid, short: int
) -> None:
    def conflicts(item: ScheduleItem) -> bool:
        return item.end - item.start < short or item.end % 2 == 0

    hit = {
        k
        for k, start in enumerate(grid.starts)
        if any(item.start < start + grid.duration and start < item.end for item in found if conflicts(item))
    }
    assert set(numbers(grid.mask(found, short, conflicts))) == hit


def test_many_conflicts_far_apart_are_all_kept() -> None:
    grid = Grid([range(BASE, BASE + 50_000 * MINUTE, MINUTE)], MINUTE)
    found = [
        ScheduleItem(BASE + k * MINUTE, BASE + (k + 1) * MINUTE, FreeBusyStatus.BUSY) for k in range(0, 50_000, 70)
    ]
    assert list(numbers(grid.mask(found, DAY, bool))) == list(range(0, 50_000, 70))


def test_candidates_of_many_months_by_the_minute_are_exact_without_a_table() -> None:
    grid = Grid([range(BASE + d * DAY, BASE + d * DAY + 9 * MINUTE, MINUTE) for d in (0, 200)], MINUTE)
    found = [ScheduleItem(BASE + 200 * DAY + 2 * MINUTE + 1, BASE + 200 * DAY + 4 * MINUTE, FreeBusyStatus.BUSY)]
    assert list(numbers(grid.mask(found, DAY, bool))) == [11, 12]


@given(st.sets(st.integers(0, 500)))
def test_numbers_are_the_bits_that_are_set_in_order(bits: set[int]) -> None:
    assert list(numbers(sum(1 << bit for bit in bits))) == sorted(bits)


@given(st.integers(0, 150), st.integers(1, 30), st.booleans(), st.randoms(use_true_random=False))
def test_the_names_at_a_candidate_are_those_whose_masks_hold_it(count: int, size: int, clear: bool, dice) -> None:  # type: ignore[no-untyped-def]
    given_ = [dice.getrandbits(size) for _ in range(count)]
    names, width = [f"p{k}" for k in range(count)], (size + 7) // 8
    at = dice.sample(range(size), dice.randint(0, size))
    found = names_at(at, names, [mask.to_bytes(width, "little") for mask in given_], width, clear=clear)
    expected = [tuple(name for name, mask in zip(names, given_, strict=True) if mask >> k & 1 != clear) for k in at]
    assert found == expected
    assert [(len(who), hash(who)) for who in found] == [(len(who), hash(who)) for who in expected]


def test_names_made_when_looked_at_are_like_a_tuple() -> None:
    [who] = names_at([0], [f"p{k}" for k in range(100)], [bytes([k % 2]) for k in range(100)], 1)
    assert isinstance(who, Names)
    assert (len(who), who[0], who[-1], list(who)[:2], "p3" in who) == (50, "p1", "p99", ["p1", "p3"], True)
    assert who == tuple(f"p{k}" for k in range(1, 100, 2)) != ()
    assert who != [*who]


@given(masks, st.integers(0, (1 << 70) - 1))
def test_groups_come_by_the_number_of_masks_and_hold_each_candidate_once(given_: list[int], among: int) -> None:
    groups = [list(numbers(group)) for group in by_count(given_, among)]
    counts = [{sum(mask >> k & 1 for mask in given_) for k in group} for group in groups]
    assert all(len(found) == 1 for found in counts)
    assert [found.pop() for found in counts] == sorted({sum(m >> k & 1 for m in given_) for k in numbers(among)})
    assert sorted(k for group in groups for k in group) == list(numbers(among))
