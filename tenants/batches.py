"""Many rows of one table, written by one statement or few: each row with values of its own.

Django's `bulk_create` and `save` ask every field of every row how its value is stored, which costs more than storing
it; `bulk_update` builds a CASE with a branch a row and column, and costs more than saving one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import models

Values = Mapping[str, object]
Stored = list[Any]  # what the database's driver takes

_AS_IT_IS = (int, str, type(None))  # and no kind of them: an enumeration is its field's to store


def update_each(model: type[models.Model], changes: Sequence[tuple[Values, Values]]) -> int:
    """For each (where, values) sets the columns of the row that still is as `where` says; returns how many were.

    All pairs name the same columns in the same order. Values are plain, not expressions.
    """
    if not changes:
        return 0
    where, values = (_fields(model, list(part)) for part in changes[0])
    quoted = database.ops.quote_name
    sets = ", ".join(f"{quoted(str(field.column))} = %s" for field in values)
    conditions = " AND ".join(f"{quoted(str(field.column))} = %s" for field in where)
    columns = _Columns([*values, *where])
    rows = [columns.stored([*change.values(), *condition.values()]) for condition, change in changes]
    with database.cursor() as cursor:
        statement = f"UPDATE {quoted(model._meta.db_table)} SET {sets} WHERE {conditions}"  # noqa: S608 - names are ours
        cursor.executemany(statement, rows)
        return int(cursor.rowcount)


def insert_each(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[object]], more: str = ""
) -> None:
    """Rows with these columns, by one statement; `more`: what follows in it. No more than some thousand values."""
    if not rows:
        return
    fields = _fields(model, names)
    columns = _Columns(fields)
    quoted = database.ops.quote_name
    listed = ", ".join(quoted(str(field.column)) for field in fields)
    row = f"({', '.join(['%s'] * len(fields))})"
    with database.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quoted(model._meta.db_table)} ({listed}) VALUES {', '.join([row] * len(rows))} {more}",  # noqa: S608
            [value for values in rows for value in columns.stored(values)],
        )


def _fields(model: type[models.Model], names: Sequence[str]) -> list[models.Field[object, object]]:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    return [fields[name] for name in names]


class _Columns:
    """How values of these fields are stored. The same moment, of which a batch has many, is made ready once."""

    def __init__(self, fields: Sequence[models.Field[object, object]]) -> None:
        self._fields = fields
        self._moments: dict[datetime, Any] = {}

    def stored(self, values: Sequence[object]) -> Stored:
        return [
            value if type(value) in _AS_IT_IS else self._one(field, value)
            for field, value in zip(self._fields, values, strict=True)
        ]

    def _one(self, field: models.Field[object, object], value: object) -> Any:
        if not isinstance(value, datetime):
            return field.get_db_prep_save(value, database)
        if value not in self._moments:
            self._moments[value] = field.get_db_prep_save(value, database)
        return self._moments[value]
