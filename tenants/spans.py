"""Pure: lengths of time in a word or two, as tables have room for."""

from __future__ import annotations

from datetime import timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(length: timedelta) -> str:
    """`40 s`, `5 min`, `3 h`, `12 d`: whole units, rounded down; below zero counts as nothing."""
    seconds = max(int(length.total_seconds()), 0)
    for unit, name in _UNITS:
        if seconds >= unit * (2 if name == "d" else 1):  # 47 h says more than 1 d
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
