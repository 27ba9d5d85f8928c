"""Pure: when a token is to be refreshed next. Random factors scatter the rows, so that none come at once."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

# Of an access token's lifetime, when one in use is renewed: wide, so that those that an outage has brought together are
# spread over the hour again after two rounds.
LIFETIME_USED = (0.25, 0.75)
REST_USED = (0.75, 1.0)  # of the longest rest, when an idle one is
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_WISH = timedelta(days=1)  # the longest Retry-After that is believed
POSTPONED = (timedelta(minutes=2), timedelta(minutes=10))  # what is due while nobody gets an answer


def after_refresh(now: datetime, lifetime: timedelta, *, in_use: bool, longest_rest: timedelta) -> datetime:
    """Well before its end for a token in use; for an idle one some time within `longest_rest`, whatever its end."""
    rest = longest_rest * random.uniform(*REST_USED)
    return now + (min(lifetime * random.uniform(*LIFETIME_USED), rest) if in_use else rest)


def after_failure(now: datetime, failures: int, asked: float | None) -> datetime:
    """Pauses that double up to an hour; never earlier than the seconds Microsoft `asked` for.

    `failures`: how many there were before this one.
    """
    pause = min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
    wish = min(timedelta(seconds=min(asked or 0.0, 1e6)), LONGEST_WISH)
    return now + (pause if pause >= wish else wish * random.uniform(1.0, 1.1))


def after_outage(now: datetime) -> datetime:
    """Spread over minutes, so that an Entra that has just come back is not met by all at once."""
    least, most = POSTPONED
    return now + least + (most - least) * random.random()
