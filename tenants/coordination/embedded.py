"""Shared limits in a SQLite file, for installations without Redis."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping

from tenants.coordination.sqlite_file import SqliteFile
from tenants.coordination.terms import (
    BUCKET_SECONDS,
    BUCKETS,
    MARK_SECONDS,
    Refusal,
    Terms,
    seconds_until_below,
)

_TABLES = """
CREATE TABLE IF NOT EXISTS slot (name TEXT, number INTEGER, holder TEXT, until REAL, PRIMARY KEY (name, number));
CREATE TABLE IF NOT EXISTS waiting (
    name TEXT, holder TEXT, rank INTEGER, since REAL, until REAL, PRIMARY KEY (name, holder));
CREATE TABLE IF NOT EXISTS begun (name TEXT, bucket INTEGER, calls INTEGER, PRIMARY KEY (name, bucket));
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, full_at REAL);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB, until REAL);
CREATE TABLE IF NOT EXISTS amount (name TEXT, item TEXT, total REAL, PRIMARY KEY (name, item));
"""


class SqliteCoordinator:
    """Each call is one short write transaction on a connection of the calling thread."""

    def __init__(self, file: str, *, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(file, _TABLES)
        self._clock = clock

    def take_slot(self, name: str, holder: str, terms: Terms, *, seconds: float, waited: float = 0.0) -> int | Refusal:
        with self._file.transaction() as db:
            now = self._clock()
            begun = db.execute("SELECT bucket, calls FROM begun WHERE name = ?", (name,)).fetchall()
            wait = seconds_until_below(terms.calls, begun, now)
            if wait > 0.0:
                return Refusal(wait)
            since = min(now - waited, _began_to_wait(db, name, holder, now))
            held = {row[0] for row in db.execute("SELECT number FROM slot WHERE name = ? AND until > ?", (name, now))}
            free = [number for number in range(terms.places) if number not in held]
            if len(free) > _count_before(db, name, holder, terms.rank, since, now) + terms.spare:
                db.execute("REPLACE INTO slot VALUES (?, ?, ?, ?)", (name, free[0], holder, now + seconds))
                _count_call(db, name, now)
                if since < now:
                    db.execute("DELETE FROM waiting WHERE name = ? AND holder = ?", (name, holder))
                return free[0]
            mark = (name, holder, terms.rank, since, now + MARK_SECONDS)
            db.execute("REPLACE INTO waiting VALUES (?, ?, ?, ?, ?)", mark)
            return Refusal()

    def free_slot(self, name: str, holder: str, slot: int) -> None:
        with self._file.transaction() as db:
            db.execute("DELETE FROM slot WHERE name = ? AND number = ? AND holder = ?", (name, slot, holder))

    def stop_waiting(self, name: str, holder: str) -> None:
        with self._file.transaction() as db:
            db.execute("DELETE FROM waiting WHERE name = ? AND holder = ?", (name, holder))

    def admit(self, name: str, per_second: float, burst: int) -> float:
        with self._file.transaction() as db:
            now = self._clock()
            row = db.execute("SELECT full_at FROM bucket WHERE name = ?", (name,)).fetchone()
            full_at = max(row[0] if row else now, now) + 1 / per_second
            wait = full_at - now - burst / per_second
            if wait > 0:
                return wait
            db.execute("REPLACE INTO bucket VALUES (?, ?)", (name, full_at))
            return 0.0

    def read(self, name: str) -> bytes | None:
        row = self._file.connection().execute("SELECT value, until FROM kept WHERE name = ?", (name,)).fetchone()
        return row[0] if row and row[1] > self._clock() else None

    def modify(self, name: str, change: Callable[[bytes | None], bytes | None], seconds: float) -> bytes | None:
        with self._file.transaction() as db:
            changed = change(self.read(name))
            if changed is None:
                db.execute("DELETE FROM kept WHERE name = ?", (name,))
            else:
                db.execute("REPLACE INTO kept VALUES (?, ?, ?)", (name, changed, self._clock() + seconds))
            return changed

    def add(self, name: str, amounts: Mapping[str, float]) -> None:
        with self._file.transaction() as db:
            db.executemany(
                "INSERT INTO amount VALUES (?, ?, ?) "
                "ON CONFLICT (name, item) DO UPDATE SET total = total + excluded.total",
                [(name, item, amount) for item, amount in amounts.items()],
            )

    def sums(self, name: str) -> dict[str, float]:
        return dict(self._file.connection().execute("SELECT item, total FROM amount WHERE name = ?", (name,)))


def _began_to_wait(db: sqlite3.Connection, name: str, holder: str, now: float) -> float:
    row = db.execute("SELECT since FROM waiting WHERE name = ? AND holder = ?", (name, holder)).fetchone()
    return float(row[0]) if row else now


def _count_before(db: sqlite3.Connection, name: str, holder: str, rank: int, since: float, now: float) -> int:
    """How many others wait that come first."""
    first = "rank < ? OR (rank = ? AND since < ?)"
    rows = db.execute(
        f"SELECT count(*) FROM waiting WHERE name = ? AND holder != ? AND until >= ? AND ({first})",  # noqa: S608
        (name, holder, now, rank, rank, since),
    )
    return int(rows.fetchone()[0])


def _count_call(db: sqlite3.Connection, name: str, now: float) -> None:
    """One more in this bucket; with the first of a bucket, what is over is forgotten."""
    bucket = int(now // BUCKET_SECONDS)
    counted = db.execute("UPDATE begun SET calls = calls + 1 WHERE name = ? AND bucket = ?", (name, bucket)).rowcount
    if not counted:
        db.execute("INSERT INTO begun VALUES (?, ?, 1)", (name, bucket))
        db.execute("DELETE FROM begun WHERE bucket <= ?", (bucket - BUCKETS,))
        db.execute("DELETE FROM waiting WHERE until < ?", (now,))
