"""Answers of Graph for the benchmark of reading them, and the programs that read them beside the product."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.freebusy.core import workloads

Entry = tuple[int, int, str]
SECOND = 1_000_000
SIX_HOURS = timedelta(hours=6)


def address(number: int) -> str:
    return f"user{number:05}@tenant.example"


def answers(people: Sequence[dict[str, Any]], first_day: date, days: int) -> list[bytes]:
    """What Graph says, twenty people an answer: subjects, places and flags too."""
    found = []
    for first in range(0, len(people), 20):
        body = workloads.graph_response(people[first : first + 20], first_day=first_day.isoformat(), days=days)
        for number, mailbox in enumerate(body["value"], first):
            mailbox["scheduleId"] = address(number)
        found.append(json.dumps(body, separators=(",", ":")).encode())
    return found


def plain_entries(body: bytes, earliest: int, latest: int) -> list[list[Entry]]:
    """The straightforward program: `json` and `fromisoformat`. Each calendar's entries, sorted, each once."""
    calendars = []
    for mailbox in json.loads(body)["value"]:
        found = set()
        for item in mailbox["scheduleItems"]:
            start, end = _instant(item["start"]["dateTime"]), _instant(item["end"]["dateTime"])
            if start < end and start < latest and end > earliest:
                found.add((start, end, item["status"]))
        calendars.append(sorted(found))
    return calendars


def _instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def plain_slots(bodies: Sequence[bytes], frame: dict[str, Any], required: int) -> list[tuple[datetime, list[int]]]:
    """The straightforward search: aware datetimes and `any`. The slots with the fewest optional conflicts first."""
    busy = [_conflicts(mailbox["scheduleItems"]) for body in bodies for mailbox in json.loads(body)["value"]]
    duration = timedelta(minutes=frame["duration"])
    rows = []
    for minute in workloads.slot_starts(frame):
        start = workloads.from_min(minute)
        end = start + duration
        if any(any(x < end and start < y for x, y in person) for person in busy[:required]):
            continue
        late = [k for k, person in enumerate(busy[required:]) if any(x < end and start < y for x, y in person)]
        rows.append((start, late))
    rows.sort(key=lambda row: len(row[1]))
    return rows


def _conflicts(items: Sequence[dict[str, Any]]) -> list[tuple[datetime, datetime]]:
    found = []
    for item in items:
        if item["status"] in ("busy", "oof"):
            start = datetime.fromisoformat(item["start"]["dateTime"]).replace(tzinfo=UTC)
            end = datetime.fromisoformat(item["end"]["dateTime"]).replace(tzinfo=UTC)
            if timedelta(0) < end - start < SIX_HOURS:
                found.append((start, end))
    return found


class _Row(ctypes.Structure):
    _fields_ = [("start", ctypes.c_int64), ("end", ctypes.c_int64), ("status", ctypes.c_int64)]


class Reference:
    """`reference.c`, compiled on the spot. Its room for results is made once, and what it found stays in C."""

    def __init__(self, entries: int, calendars: int) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            raise FileNotFoundError("gcc")
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "reference.so"
            source = Path(__file__).with_name("reference.c")
            flags = ["-O3", "-march=native", "-shared", "-fPIC"]
            subprocess.run([compiler, *flags, "-o", str(library), str(source)], check=True)
            self._library = ctypes.CDLL(str(library))
        self._library.status_name.restype = ctypes.c_char_p
        self._parse: Callable[..., int] = self._library.parse
        self._rows = (_Row * entries)()
        self._ends = (ctypes.c_int64 * calendars)()

    def read(self, body: bytes, earliest: int, latest: int) -> int:
        """The number of calendars read."""
        size, window = ctypes.c_int64(len(body)), (ctypes.c_int64(earliest), ctypes.c_int64(latest))
        return self._parse(body, size, *window, self._rows, self._ends)

    def entries(self) -> list[list[Entry]]:
        """What the last reading found."""
        found, first = [], 0
        for end in self._ends:
            rows = self._rows[first:end]
            found.append([(row.start, row.end, self._library.status_name(row.status).decode()) for row in rows])
            first = end
        return found
