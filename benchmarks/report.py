"""What a benchmark says: lines of figures, goals reached or missed, on which machine; as a table and as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from benchmarks.machine import Machine
from benchmarks.measuring import ROUNDS, Spread

Unit = Literal["×", "s", "ms", "µs", "MB", "bytes", "calls", "queries", "a second", ""]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a median must keep to, and what it should: both `at_most`, or both at least."""

    bound: float
    aim: float | None = None
    at_most: bool = True

    def reached(self, value: float) -> bool:
        return self._keeps(value, self.bound)

    def mark(self, value: float) -> str:
        if not self.reached(value):
            return "MISSED"
        if self.aim is None:
            return "reached"
        return "aim reached" if self._keeps(value, self.aim) else "reached, aim missed"

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"{sign} {self.bound:g}" + (f" (aim {self.aim:g})" if self.aim is not None else "")

    def _keeps(self, value: float, bound: float) -> bool:
        return value <= bound if self.at_most else value >= bound


def at_most(bound: float, aim: float | None = None) -> Goal:
    return Goal(bound, aim)


def at_least(bound: float, aim: float | None = None) -> Goal:
    return Goal(bound, aim, at_most=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. A time is shown for orientation and has no goal; ratios and counts may have one."""

    name: str
    spread: Spread
    unit: Unit
    goal: Goal | None = None
    note: str = ""

    @classmethod
    def count(cls, name: str, number: float, unit: Unit = "calls", goal: Goal | None = None, note: str = "") -> Line:
        """What was counted, not measured: no spread."""
        return cls(name, Spread(number, number, number), unit, goal, note)

    @property
    def missed(self) -> bool:
        return self.goal is not None and not self.goal.reached(self.spread.median)

    @property
    def verdict(self) -> str:
        return self.goal.mark(self.spread.median) if self.goal else ""

    def cells(self) -> tuple[str, ...]:
        value = f"{number(self.spread.median)} {self.unit}".strip()
        between = f"{number(self.spread.low)} … {number(self.spread.high)}"
        spread = between if self.spread.low < self.spread.high else ""
        return self.name, value, spread, str(self.goal or ""), self.verdict, self.note

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Line:
        """What `as_json` wrote."""
        goal = Goal(**given["goal"]) if given["goal"] else None
        spread = Spread(given["median"], given["least"], given["greatest"])
        return cls(given["name"], spread, given["unit"], goal, given["note"])

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": self.spread.median,
            "least": self.spread.low,
            "greatest": self.spread.high,
            "unit": self.unit,
            "goal": asdict(self.goal) if self.goal else None,
            "verdict": self.verdict,
            "note": self.note,
        }


def number(value: float) -> str:
    """Three digits, or all of them before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one benchmark has to say."""

    title: str
    machine: Machine
    lines: Sequence[Line]

    @property
    def missed(self) -> list[str]:
        return [line.name for line in self.lines if line.missed]

    def as_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.title,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": self.machine.as_json(),
            "lines": [line.as_json() for line in self.lines],
            "missed": self.missed,
        }

    def __str__(self) -> str:
        return "\n".join([f"\n{self.title}", str(self.machine), "", *_table(line.cells() for line in self.lines)])


def options(description: str | None, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """What every benchmark can be told; more may be added."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each case has its turn (%(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def publish(report: Report, file: Path | None) -> int:
    """Prints the table and writes the file; the exit status: 1 when a goal is missed."""
    print(report)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n" + ("\n".join(f"missed: {name}" for name in report.missed) or "No goal missed."))
    return 1 if report.missed else 0


HEADINGS = ("", "median", "least … greatest", "goal", "", "")
_RIGHT = {1, 2}


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell; numbers to the right."""
    every = [HEADINGS, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(HEADINGS))]
    return [
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    ]
