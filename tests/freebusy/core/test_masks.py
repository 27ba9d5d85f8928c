"""Bits for candidates, against the plain way of saying the same."""

from hypothesis import given
from hypothesis import strategies as st

from freebusy.core.masks import by_count, mask_of, positions

spans = st.lists(st.tuples(st.integers(-50, 400), st.integers(1, 90)).map(lambda p: (p[0], p[0] + p[1])), max_size=80)
grids = st.lists(st.integers(0, 350), max_size=80, unique=True).map(sorted)
masks = st.lists(st.integers(0, (1 << 70) - 1), max_size=12)


@given(spans, grids, st.integers(1, 60))
def test_a_mask_holds_exactly_the_candidates_that_share_an_instant(
    conflicts: list[tuple[int, int]], starts: list[int], duration: int
) -> None:
    hit = {k for k, s in enumerate(starts) if any(x < s + duration and s < y for x, y in conflicts)}
    assert set(positions(mask_of(conflicts, starts, duration))) == hit


def test_many_conflicts_far_apart_are_all_kept() -> None:
    starts = list(range(0, 500_000, 10))
    conflicts = [(start, start + 5) for start in range(0, 500_000, 700)]
    assert list(positions(mask_of(conflicts, starts, 10))) == list(range(0, 50_000, 70))


@given(st.sets(st.integers(0, 500)))
def test_positions_are_the_bits_that_are_set_in_order(bits: set[int]) -> None:
    assert list(positions(sum(1 << bit for bit in bits))) == sorted(bits)


@given(masks, st.integers(0, (1 << 70) - 1))
def test_groups_come_by_the_number_of_masks_and_hold_each_candidate_once(given_: list[int], among: int) -> None:
    groups = [list(positions(group)) for group in by_count(given_, among)]
    counts = [{sum(mask >> k & 1 for mask in given_) for k in group} for group in groups]
    assert all(len(found) == 1 for found in counts)
    assert [found.pop() for found in counts] == sorted({sum(m >> k & 1 for m in given_) for k in positions(among)})
    assert sorted(k for group in groups for k in group) == list(positions(among))
