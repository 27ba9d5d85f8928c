"""Sets of candidates as bits: bit k stands for the kth candidate, and joining calendars is `|` and `&` of ints.

A conflict [x, y) meets exactly the candidates that begin after x - duration and before y: a contiguous run of bits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress
from math import gcd
from operator import and_, or_, xor

import msgspec

from freebusy.core.intervals import HOUR
from freebusy.core.schedule import ScheduleItem

_MOST_UNITS = 100_000  # a table longer than this takes longer to make than it saves
_LONGEST_UNIT = 1 << 30  # CPython divides by ints of one digit in a third of the time
_MARGIN = 24 * HOUR  # entries that begin or end within a day of the candidates are looked up in the table
_RUNS = [(1 << length) - 1 for length in range(257)]
# The byte of eight candidates → 1 where the ith is set (or is not).
_SET = [bytes(byte >> i & 1 for byte in range(256)) for i in range(8)]
_CLEAR = [bytes(~byte >> i & 1 for byte in range(256)) for i in range(8)]
_BITS = [tuple(i for i in range(8) if byte >> i & 1) for byte in range(256)]
_FEW_BYTES = 1024  # so many are translated as a whole, more where they are looked at
_BLOCK = 16 << 10
_MANY = 64  # so many names take longer to make than an object that makes them when somebody looks


class Grid:
    """The candidates of each day (ascending ranges of instants, one step) as bits, and what meets them.

    All starts and the duration are multiples of some unit, so which candidates lie before an instant depends only on
    the unit it lies in. One table says it for each, exactly for any instant; beyond it two bisections do.
    """

    __slots__ = ("_first", "_lead", "_unit", "_upto", "duration", "ends", "every", "starts", "width")

    def __init__(self, days: Sequence[range], duration: int) -> None:
        self.starts = tuple(chain.from_iterable(days))
        self.ends = tuple([start + duration for start in self.starts])
        self.duration = duration
        self.every = (1 << len(self.starts)) - 1
        self.width = (len(self.starts) + 7) // 8  # bytes of a mask
        self._unit = _unit(days, duration)
        self._first = (self.starts[0] - duration - _MARGIN) // self._unit if self.starts else 0
        self._lead = self._first + duration // self._unit
        self._upto = self._table(days)

    def _table(self, days: Sequence[range]) -> list[int]:
        """How many candidates begin at or before the end of each unit; empty when that is no gain."""
        unit, first = self._unit, self._first
        length = (self.ends[-1] + _MARGIN) // unit - first if self.starts else 0
        if length > _MOST_UNITS:
            return []
        begins = bytearray(length)
        for day in days:
            begins[day.start // unit - first : day[-1] // unit - first + 1 : day.step // unit] = b"\1" * len(day)
        return list(accumulate(begins))

    def mask(self, items: Iterable[ScheduleItem], short: int, conflicts: Callable[[ScheduleItem], bool]) -> int:
        """The candidates that share an instant with a conflict.

        What is shorter than `short` conflicts; of the rest `conflicts` is asked.
        """
        unit, first, lead, upto, runs = self._unit, self._first, self._lead, self._upto, _RUNS
        size = len(upto)
        # An entry touches at most this many units more than its first when it is certainly short.
        units = -(-short // unit) - 1 + lead - first
        mask = near = base = 0
        for item in items:
            start, end = item.start, item.end
            k = start // unit - lead
            j = (end - 1) // unit - first
            if j - k >= units and not conflicts(item):
                continue
            if k >= 0 and j < size:
                low = upto[k]
                length = upto[j] - low
            else:
                low = bisect_right(self.starts, start - self.duration)
                length = bisect_left(self.starts, end, low) - low
            if length:
                # Runs that lie near each other are joined as small ints first, so that wide ones are touched rarely.
                run = runs[length] if length < 257 else (1 << length) - 1
                if 0 <= (ahead := low - base) < 1024:
                    near |= run << ahead
                else:
                    mask |= near << base
                    near, base = run, low
        return mask | near << base

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return 2_000 + 150 * len(self.starts) + 40 * len(self._upto)


def _unit(days: Sequence[range], duration: int) -> int:
    whole = gcd(duration, *(part for day in days for part in (day.start, day.step)))
    parts = -(-whole // _LONGEST_UNIT)
    while whole % parts:
        parts += 1
    return whole // parts


def numbers(mask: int) -> list[int]:
    """The numbers of the bits that are set, ascending."""
    # By bytes, because taking single bits off a wide int copies the whole of it each time.
    width = (mask.bit_length() + 7) // 8
    eights = zip(range(0, 8 * width, 8), mask.to_bytes(width, "little"), strict=True)
    return [eight + bit for eight, byte in eights if byte for bit in _BITS[byte]]


def lowest(mask: int, count: int) -> int:
    """Its first bits that are set, so many of them."""
    low, high = 0, mask.bit_length()
    while low < high:
        middle = (low + high) // 2
        if (mask & (1 << middle) - 1).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return mask & (1 << low) - 1


class Names(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Some of `names`, in their order: made when looked at, compared as a tuple is. Only their number is there."""

    names: Sequence[str]
    column: bytes  # for each name the byte of its mask
    bits: bytes  # byte → 1 or 0
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[str]:
        return compress(self.names, self.column.translate(self.bits))

    def __getitem__(self, at: int) -> str:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, tuple | Names) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


Who = tuple[str, ...] | Names


def names_at(
    at: Sequence[int], names: Sequence[str], masks: Sequence[bytes], width: int, *, clear: bool = False
) -> list[Who]:
    """At each of the candidates: whose masks (of so many bytes) hold it; or, `clear`, whose do not."""
    wanted = _CLEAR if clear else _SET
    if len(names) > _MANY:
        eights = _eights(at, masks, width)
        counts = _sums(at, eights, len(names), clear=clear)
        return [Names(names, eights[k >> 3], wanted[k & 7], count) for k, count in zip(at, counts, strict=True)]
    if len(names) * width < _FEW_BYTES:
        beside = b"".join(masks)
        planes = [beside.translate(bits) for bits in wanted]
        chosen = [planes[k & 7][k >> 3 :: width] for k in at]
    else:
        eights = _eights(at, masks, width)
        chosen = [eights[k >> 3].translate(wanted[k & 7]) for k in at]
    shared = {flags: tuple(compress(names, flags)) for flags in set(chosen)}
    return [shared[flags] for flags in chosen]


def _eights(at: Iterable[int], masks: Sequence[bytes], width: int) -> dict[int, bytes]:
    """The candidates' bytes, of all masks side by side."""
    # In blocks that a processor's nearest cache holds: every column walks through all of them.
    together = -(-_BLOCK // width)
    blocks = [b"".join(masks[k : k + together]) for k in range(0, len(masks), together)]
    return {eight: b"".join([block[eight::width] for block in blocks]) for eight in {k >> 3 for k in at}}


def _sums(at: Iterable[int], eights: dict[int, bytes], total: int, *, clear: bool) -> list[int]:
    """How many masks hold each of the candidates, or do not."""
    # Bits of an int are counted without a branch for each.
    wide = {eight: int.from_bytes(column, "little") for eight, column in eights.items()}
    ones = int.from_bytes(b"\1" * total, "little")
    each = [ones << i for i in range(8)]
    sums = [(wide[k >> 3] & each[k & 7]).bit_count() for k in at]
    return [total - count for count in sums] if clear else sums


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
    """Per candidate in how many masks it is: bit k of the ith int is binary digit i of the kth count.

    Full adders, a whole layer at a time: three masks of one digit become one, and one of the next digit.
    """
    planes: list[int] = []
    digit = [mask for mask in masks if mask]
    while digit:
        carries: list[int] = []
        while len(digit) > 1:
            if len(digit) == 2:
                digit.append(0)
            third = len(digit) // 3
            a, b, c, rest = digit[:third], digit[third : 2 * third], digit[2 * third : 3 * third], digit[3 * third :]
            odd = list(map(xor, a, b))
            carries += map(or_, map(and_, a, b), map(and_, odd, c))
            digit = [*map(xor, odd, c), *rest]
        planes += digit
        digit = [mask for mask in carries if mask]
    return planes
