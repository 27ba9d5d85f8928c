"""The shared cache in the SQLite file, for installations without Redis; what is over is deleted in small bites."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from tenants.coordination.claims import Claim
from tenants.coordination.sqlite_file import SqliteFile

_TABLES = """
CREATE TABLE IF NOT EXISTS cached (name TEXT PRIMARY KEY, value BLOB, until REAL);
CREATE INDEX IF NOT EXISTS cached_until ON cached (until);
CREATE TABLE IF NOT EXISTS claim (name TEXT PRIMARY KEY, holder TEXT, until REAL, note BLOB);
"""
_BITE = 200  # rows that one call deletes beside its own work


class SqliteCache:
    """Each call is one short transaction."""

    def __init__(self, file: str, *, clock: Callable[[], float] = time.time) -> None:
        self._file = SqliteFile(file, _TABLES)
        self._clock = clock

    def get_many(self, names: Collection[str]) -> dict[str, bytes]:
        rows = self._file.connection().execute(
            f"SELECT name, value FROM cached WHERE name IN ({_marks(names)}) AND until > ?",  # noqa: S608 - only marks
            [*names, self._clock()],
        )
        return dict(rows)

    def put_many(self, values: Mapping[str, tuple[bytes, float]], most: int) -> None:
        with self._file.transaction() as db:
            now = self._clock()
            rows = [(name, value, now + seconds) for name, (value, seconds) in values.items()]
            db.executemany("REPLACE INTO cached VALUES (?, ?, ?)", rows)
            self._prune()
            over = db.execute("SELECT COUNT(*) FROM cached").fetchone()[0] - most
            if over > 0:
                oldest = "SELECT rowid FROM cached ORDER BY until LIMIT ?"
                db.execute(f"DELETE FROM cached WHERE rowid IN ({oldest})", [over])  # noqa: S608

    def forget(self, prefix: str) -> None:
        with self._file.transaction() as db:
            db.execute("DELETE FROM cached WHERE name >= ? AND name < ?", [prefix, prefix + "\x7f"])

    def prune(self) -> int:
        with self._file.transaction():
            return self._prune()

    def _prune(self) -> int:
        db, now, deleted = self._file.connection(), self._clock(), 0
        for table in ("cached", "claim"):
            over = f"SELECT rowid FROM {table} WHERE until <= ? LIMIT ?"  # noqa: S608
            deleted += db.execute(f"DELETE FROM {table} WHERE rowid IN ({over})", [now, _BITE]).rowcount  # noqa: S608
        return deleted

    def claim(self, names: Iterable[str], holder: str, seconds: float) -> dict[str, str]:
        wanted = list(names)
        with self._file.transaction() as db:
            now = self._clock()
            others = {
                name: claim.holder
                for name, claim in self.claims(wanted).items()
                if claim.note is None and claim.holder != holder
            }
            mine = [(name, holder, now + seconds) for name in wanted if name not in others]
            db.executemany("REPLACE INTO claim VALUES (?, ?, ?, NULL)", mine)
            return others

    def claims(self, names: Collection[str]) -> dict[str, Claim]:
        rows = self._file.connection().execute(
            f"SELECT name, holder, note FROM claim WHERE name IN ({_marks(names)}) AND until > ?",  # noqa: S608
            [*names, self._clock()],
        )
        return {name: Claim(holder, note) for name, holder, note in rows}

    def renew(self, names: Iterable[str], holder: str, seconds: float) -> None:
        with self._file.transaction() as db:
            until = self._clock() + seconds
            db.executemany(
                "UPDATE claim SET until = ? WHERE name = ? AND holder = ? AND note IS NULL",
                [(until, name, holder) for name in names],
            )

    def release(self, notes: Mapping[str, bytes | None], holder: str, seconds: float) -> None:
        with self._file.transaction() as db:
            until = self._clock() + seconds
            db.executemany(
                "DELETE FROM claim WHERE name = ? AND holder = ?",
                [(name, holder) for name, note in notes.items() if note is None],
            )
            db.executemany(
                "UPDATE claim SET note = ?, until = ? WHERE name = ? AND holder = ?",
                [(note, until, name, holder) for name, note in notes.items() if note is not None],
            )


def _marks(names: Collection[str]) -> str:
    return ", ".join("?" * len(names))
