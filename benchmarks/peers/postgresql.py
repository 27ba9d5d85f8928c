"""PostgreSQL on the workloads: a row for each blocking event, joined with range_agg when asked; it knows no rooms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks.calendars import Rows, Search, Work
from benchmarks.peers.libraries import Scope, blocking
from tests.freebusy.core import workloads

_ROWS = """
WITH slots AS (
  SELECT s, tstzrange(s, s + %(duration)s * interval '1 minute') AS r
  FROM generate_series(0, %(days)s - 1) d,
       LATERAL (SELECT (%(first_day)s::date + d) AS day) x,
       LATERAL generate_series((x.day + %(work_start)s::interval) AT TIME ZONE %(tz)s,
                               (x.day + %(work_end)s::interval) AT TIME ZONE %(tz)s
                                 - %(duration)s * interval '1 minute',
                               %(step)s * interval '1 minute') s
  WHERE extract(isodow FROM x.day) - 1 = ANY(%(weekdays)s)),
required AS (
  SELECT coalesce(range_agg(r), '{}'::tstzmultirange) AS m FROM busy WHERE owner = ANY(%(required)s)),
free AS MATERIALIZED (
  SELECT s, slots.r FROM slots, required WHERE NOT (required.m && slots.r)),
optional AS MATERIALIZED (
  SELECT owner, range_agg(r) AS m FROM busy WHERE owner = ANY(%(optional)s) GROUP BY owner)
SELECT (extract(epoch FROM s) / 60)::bigint, count(o.owner),
       array_agg(o.owner ORDER BY o.owner) FILTER (WHERE o.owner IS NOT NULL)
FROM free LEFT JOIN optional o ON o.m && free.r GROUP BY s ORDER BY s
"""


class PostgreSQL:
    """One workload in one server; what is measured is the prepared query with the fetch of its rows."""

    name = "PostgreSQL range_agg"
    scope: Scope = "people"

    def __init__(self, work: Work, connection: psycopg.Connection[Any]) -> None:
        self._cursor = connection.cursor()
        self._frame = work["frame"]
        self.searches: list[Search] = [search | {"rooms": None} for search in work["searches"]]
        self._fill(work)

    def answer(self) -> list[Rows]:
        return [self._rows(search) for search in self.searches]

    def _rows(self, search: Search) -> Rows:
        given = {**self._frame, "required": search["required"], "optional": search["optional"]}
        self._cursor.execute(_ROWS, given, prepare=True)
        ids = search["want"] == "ids"
        return [[start, count, list(who or ()) if ids else None, 0, -1] for start, count, who in self._cursor]

    def _fill(self, work: Work) -> None:
        """Rows, an index for each way to find them, and statistics; none of it is measured."""
        cursor = self._cursor
        cursor.execute("DROP TABLE IF EXISTS busy")
        cursor.execute("CREATE TABLE busy (owner int, r tstzrange)")
        with cursor.copy("COPY busy FROM STDIN") as copy:
            for number, person in enumerate(work["people"]):
                for start, end in blocking(person):
                    bounds = (workloads.from_min(start).isoformat(), workloads.from_min(end).isoformat())
                    copy.write_row((number, f"[{bounds[0]},{bounds[1]})"))
        cursor.execute("CREATE INDEX ON busy (owner)")
        cursor.execute("VACUUM ANALYZE busy")


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def server_version(connection: psycopg.Connection[Any]) -> str:
    return f"{connection.info.server_version // 10_000}.{connection.info.server_version % 10_000}"
