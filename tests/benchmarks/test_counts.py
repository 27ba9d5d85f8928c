"""The guard against regressions: counts of work stay within their bounds, on whatever machine this runs.

Queries of an answer are counted in tests/freebusy/test_budget.py, calls to Graph in tests/freebusy/test_quota.py.
"""

import sys
from types import ModuleType
from typing import Any

import pytest

from benchmarks.counts import BOUNDS, Bound
from benchmarks.work import WideInts, blocks_kept, counting_calls, counting_made
from freebusy.core import masks as real_masks
from freebusy.core.intervals import MINUTE
from freebusy.core.schedule import FreeBusyStatus, ScheduleItem

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


def masks() -> tuple[WideInts, Any]:
    wide = WideInts()
    return wide, wide.load("freebusy.core.masks")[0]


def mask(module: Any, *bounds: tuple[int, int]) -> int:
    """Of these entries, on a thousand candidates a minute apart, two minutes long."""
    grid = module.Grid([range(0, 1000 * MINUTE, MINUTE)], 2 * MINUTE)
    items = [ScheduleItem(start * MINUTE, end * MINUTE, FreeBusyStatus.BUSY) for start, end in bounds]
    return int(grid.mask(items, 360 * MINUTE, lambda item: True))


def test_a_mask_made_by_the_counting_copy_is_the_real_one() -> None:
    bounds = (3, 5), (100, 160), (4, 400), (900, 1200)
    assert mask(masks()[1], *bounds) == mask(real_masks, *bounds) > 1 << 900


def test_operators_on_small_ints_are_no_wide_ones() -> None:
    wide, module = masks()
    mask(module)
    wide.reset()
    grid_alone = wide.operations
    mask(module, (3, 5), (7, 20))
    small = wide.operations
    wide.reset()
    mask(module, (300, 500), (700, 900))
    assert grid_alone <= small < wide.operations
    assert wide.bits > 64 * wide.operations


def test_the_counting_copy_leaves_the_real_modules_alone() -> None:
    before = sys.modules["freebusy.core.masks"]
    masks()
    assert sys.modules["freebusy.core.masks"] is before is real_masks


def test_calls_of_python_and_of_c_are_counted() -> None:
    def once(numbers: list[int]) -> int:
        return len(numbers)

    with counting_calls() as calls:
        for _ in range(300):
            once([])
    assert 300 <= calls.python <= 305
    assert 300 <= calls.c <= 305


def test_what_a_module_makes_is_counted_also_when_it_is_dropped() -> None:
    module = ModuleType("module")
    exec("class Thing: pass\ndef make(number):\n    for _ in range(number): Thing()", vars(module))  # noqa: S102
    with counting_made(module, "Thing") as made:
        vars(module)["make"](7)
    vars(module)["make"](3)
    assert len(made) == 7


def test_blocks_are_those_that_the_result_holds() -> None:
    assert blocks_kept(lambda: [object() for _ in range(1000)]) == pytest.approx(1001, abs=5)
    assert blocks_kept(lambda: len([object() for _ in range(1000)])) <= 5
