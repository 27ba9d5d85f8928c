"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 2) -> str:
    """Columns as wide as their widest cell, a rule under the headings, no blanks at the ends of lines."""
    widths = [max(len(cell) for cell in column) for column in zip(headings, *rows, strict=True)]
    lines = [headings, ["─" * width for width in widths], *rows]
    margin = " " * indent
    return "\n".join(
        (margin + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip()
        for line in lines
    )
