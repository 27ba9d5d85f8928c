"""Shared limits in a SQLite file, for installations without Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tenants.coordination.sqlite_file import SqliteFile

_TABLES = """
CREATE TABLE IF NOT EXISTS slot (name TEXT, number INTEGER, holder TEXT, until REAL, PRIMARY KEY (name, number));
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, full_at REAL);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB, until REAL);
CREATE TABLE IF NOT EXISTS amount (name TEXT, item TEXT, total REAL, PRIMARY KEY (name, item));
"""


class SqliteCoordinator:
    """Each call is one short write transaction on a connection of the calling thread."""

    def __init__(self, file: str, *, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(file, _TABLES)
        self._clock = clock

    def take_slot(self, name: str, holder: str, limit: int, seconds: float) -> int | None:
        with self._file.transaction() as db:
            now = self._clock()
            held = {row[0] for row in db.execute("SELECT number FROM slot WHERE name = ? AND until > ?", (name, now))}
            free = next((number for number in range(limit) if number not in held), None)
            if free is not None:
                db.execute("REPLACE INTO slot VALUES (?, ?, ?, ?)", (name, free, holder, now + seconds))
            return free

    def free_slot(self, name: str, holder: str, slot: int) -> None:
        with self._file.transaction() as db:
            db.execute("DELETE FROM slot WHERE name = ? AND number = ? AND holder = ?", (name, slot, holder))

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
