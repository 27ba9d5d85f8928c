"""The guard against regressions: counts of work stay within their bounds, on whatever machine this runs.

Queries of an answer are counted in tests/freebusy/test_budget.py, calls to Graph in tests/freebusy/test_quota.py.
"""

from collections.abc import Callable

import pytest

from benchmarks.counts import BOUNDS, Bound
from benchmarks.work import WideInts, blocks_kept, counting_calls

by_name = pytest.mark.parametrize("bound", [pytest.param(bound, id=bound.name) for bound in BOUNDS])


@by_name
def test_no_more_work_is_done_than_is_needed(bound: Bound) -> None:
    assert bound.count() <= bound.most, bound.why


@by_name
def test_a_bound_lies_near_what_is_counted_so_that_a_little_more_work_shows(bound: Bound) -> None:
    assert bound.most <= bound.count() * 1.5


def test_the_same_work_counts_the_same_again() -> None:
    for bound in BOUNDS:
        assert bound.count() == pytest.approx(bound.count(), rel=0.02), bound.name


def masks() -> tuple[WideInts, Callable[..., int]]:
    wide = WideInts()
    (module,) = wide.load("freebusy.core.masks")
    return wide, module.mask_of


def test_a_mask_made_by_the_counting_copy_is_the_real_one() -> None:
    from freebusy.core.masks import mask_of

    _, counted = masks()
    spans = [(3, 5), (100, 160), (4, 400), (990, 2000)]
    assert counted(spans, range(1000), 7) == mask_of(spans, range(1000), 7)


def test_operators_on_small_ints_are_no_wide_ones() -> None:
    wide, mask_of = masks()
    mask_of([(3, 5), (7, 20)], range(30), 2)
    assert wide.operations == 0
    mask_of([(300, 500), (700, 2000)], range(3000), 2)
    assert wide.operations > 0
    assert wide.bits > 64 * wide.operations


def test_calls_of_python_and_of_c_are_counted() -> None:
    def once(numbers: list[int]) -> int:
        return len(numbers)

    with counting_calls() as calls:
        for _ in range(3):
            once([])
    assert (calls.of(once), calls.c >= 3) == (3, True)


def test_blocks_are_those_that_the_result_holds() -> None:
    assert blocks_kept(lambda: [object() for _ in range(1000)]) == pytest.approx(1001, abs=5)
    assert blocks_kept(lambda: len([object() for _ in range(1000)])) <= 5
