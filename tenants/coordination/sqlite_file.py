"""The small SQLite file beside the product's data in which processes of an embedded installation meet."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class SqliteFile:
    """One connection for each thread; a transaction takes the file's only writing lock at once."""

    def __init__(self, file: str, tables: str) -> None:
        self._file = file
        self._local = threading.local()
        self._turns: dict[int, threading.Lock] = {}
        self._make(tables)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        db = self.connection()
        # A thread that meets another's transaction would be put to sleep by SQLite for a millisecond and more. By
        # process, like the connections: a lock that was held at a fork is held for ever in the child.
        with self._turns.setdefault(os.getpid(), threading.Lock()):
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def connection(self) -> sqlite3.Connection:
        held: dict[int, sqlite3.Connection] = self._local.__dict__.setdefault("by_process", {})
        # By process: one that was carried over a fork must not be used, nor closed, in the child.
        db = held.get(os.getpid())
        if db is None:
            db = sqlite3.connect(self._file, timeout=20, isolation_level=None)
            db.execute("PRAGMA synchronous=OFF")  # lost with the machine, worth nothing after it
            held[os.getpid()] = db
        return db

    def _make(self, tables: str) -> None:
        """Two processes that start at once may meet here, where SQLite does not wait by itself."""
        for patience in range(40, -1, -1):
            try:
                self.connection().executescript("PRAGMA journal_mode=WAL;" + tables)
            except sqlite3.OperationalError:
                if not patience:
                    raise
                time.sleep(0.05)
            else:
                return
