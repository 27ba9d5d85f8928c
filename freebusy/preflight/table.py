"""Pure: the result of a run as CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime

from freebusy.preflight.findings import UNASKED, finding

HEADINGS = ("address", "result", "cause", "fix", "code", "checked_at UTC")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Line = tuple[str, str, str, datetime | None]  # address, code, Microsoft's own code, when


def as_csv(lines: Iterable[Line]) -> bytes:
    """UTF-8 with a mark, by which Excel knows it."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(HEADINGS)
    for address, code, raw, at in lines:
        words = finding(code, raw)
        named = f"{code or UNASKED} ({raw})" if raw else code or UNASKED
        when = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""
        writer.writerow([_inert(cell) for cell in (address, words.result, words.cause, words.fix, named, when)])
    return text.getvalue().encode("utf-8-sig")


def _inert(cell: str) -> str:
    """What a spreadsheet would take for a formula becomes text: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
