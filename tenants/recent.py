"""What happened within the last hour, minute by minute, in the store that all processes share.

Counters only rise (`tenants.measuring`); a page that speaks of the last hour needs to forget. Only what is rare is kept
here: a healthy hour writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from tenants.coordination import coordinator

KEPT = timedelta(hours=1)

# Start of the minute, in Unix time → what was counted in it.
Minutes = dict[int, dict[str, float]]
_decoder = msgspec.json.Decoder(Minutes)


def note(name: str, amounts: Mapping[str, float], now: datetime) -> None:
    """Adds to this minute's amounts. Raises RedisError or sqlite3.Error while the store is away."""

    def change(value: bytes | None) -> bytes:
        return msgspec.json.encode(added(_minutes(value), amounts, now))

    coordinator().modify(_key(name), change, KEPT.total_seconds() + 60)


def within_the_hour(name: str, now: datetime) -> dict[str, float]:
    """The amounts of the last hour, to the minute. Raises as `note` does."""
    found: dict[str, float] = {}
    for counted in kept(_minutes(coordinator().read(_key(name))), now).values():
        for what, amount in counted.items():
            found[what] = found.get(what, 0.0) + amount
    return found


def added(minutes: Minutes, amounts: Mapping[str, float], now: datetime) -> Minutes:
    """Pure: with the amounts in the minute of `now`, without what is too old."""
    minute = int(now.timestamp()) // 60 * 60
    before = minutes.get(minute, {})
    together = {what: before.get(what, 0.0) + amounts.get(what, 0.0) for what in {*before, *amounts}}
    return {**kept(minutes, now), minute: together}


def kept(minutes: Minutes, now: datetime) -> Minutes:
    """Pure: the minutes that began within the last hour."""
    first = (now - KEPT).timestamp()
    return {minute: counted for minute, counted in minutes.items() if minute > first}


def _minutes(value: bytes | None) -> Minutes:
    return _decoder.decode(value) if value else {}


def _key(name: str) -> str:
    return f"recent:{name}"
