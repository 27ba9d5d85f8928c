"""On what terms a reader's place is given: how many there are, and how many calls may be begun in ten minutes.

https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BUCKET_SECONDS = 10
# Microsoft counts in any 600 seconds. 61 buckets cover them wherever they begin; one more covers calls that are on
# their way for as long as a bucket, and reach Microsoft's count after ours.
BUCKETS = 62
MARK_SECONDS = 1.0  # for so long whoever waits is waited for; it asks again sooner, unless it died


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`places`: held at once by all. `spare`: how many of them must be left over. `calls`: begun in ten minutes by all.

    `rank`: who waits with a lower one comes first, and among equals who has waited longer.
    """

    places: int
    calls: int
    spare: int = 0
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """No place now. `seconds`: until the count of calls allows another; 0.0 when it does, and the places are held."""

    seconds: float = 0.0


def seconds_until_below(limit: int, counts: Iterable[tuple[int, int]], now: float) -> float:
    """When the counts of (bucket, calls) add up to less than `limit`, as seconds from `now`; 0.0 when they do."""
    standing = [(bucket, calls) for bucket, calls in sorted(counts) if bucket > now // BUCKET_SECONDS - BUCKETS]
    left = sum(calls for _, calls in standing)
    wait = 0.0
    for bucket, calls in standing:
        if left < limit:
            break
        left -= calls
        wait = (bucket + BUCKETS) * BUCKET_SECONDS - now
    return wait
