"""Sets of candidates as bits of one int: bit k stands for the kth candidate.

A conflict [x, y) meets exactly the candidates that begin after x - duration and before y: a contiguous run
of bits, whose ends two bisections find. Joining calendars is `|` and `&`, for all candidates at a time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

# Runs that lie near each other are joined as small ints first, so that wide ones are touched rarely.
_RUNS_AT_ONCE = 32


def mask_of(spans: Iterable[tuple[int, int]], starts: Sequence[int], duration: int) -> int:
    """The candidates (ascending `starts`) that share an instant with one of the spans [x, y)."""
    mask = 0
    near, base, count = 0, 0, 0
    for x, y in spans:
        low = bisect_right(starts, x - duration)
        high = bisect_left(starts, y, low)
        if low == high:
            continue
        if count == 0 or count == _RUNS_AT_ONCE or low < base:
            mask |= near << base
            near, base, count = 0, low, 0
        near |= ((1 << (high - low)) - 1) << (low - base)
        count += 1
    return mask | near << base


def positions(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, ascending."""
    # Text, because taking single bits off a wide int copies the whole of it each time.
    bits = f"{mask:b}"[::-1]
    at = bits.find("1")
    while at >= 0:
        yield at
        at = bits.find("1", at + 1)


def by_count(masks: Iterable[int], among: int) -> Iterator[int]:
    """`among` in groups, none empty: the candidates in the fewest of the masks first, then those in more."""
    planes = _counts(mask & among for mask in masks)
    stack = [(among, len(planes))]
    while stack:
        group, plane = stack.pop()
        if not group:
            continue
        if plane == 0:
            yield group
            continue
        # The lower half (this binary digit 0) is popped next.
        stack.append((group & planes[plane - 1], plane - 1))
        stack.append((group & ~planes[plane - 1], plane - 1))


def _counts(masks: Iterable[int]) -> list[int]:
    """Per candidate in how many masks it is: bit k of the ith int is binary digit i of the kth count."""
    planes: list[int] = []
    for mask in masks:
        carry, digit = mask, 0
        while carry:
            if digit == len(planes):
                planes.append(carry)
                break
            planes[digit], carry = planes[digit] ^ carry, planes[digit] & carry
            digit += 1
    return planes
