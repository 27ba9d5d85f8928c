"""Puts the last figures under var/ into the tables of benchmarks/README.md: `python -m benchmarks.figures`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.report import HEADINGS, Line

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"(<!-- figures of (?P<name>[\w-]+)\.json -->\n).*?(<!-- end -->)", re.DOTALL)


def with_figures(text: str, folder: Path) -> str:
    """Each block of the text anew, whose figures there are; the others stay."""

    def block(found: re.Match[str]) -> str:
        file = folder / f"{found['name']}.json"
        if not file.exists():
            return found[0]
        written = json.loads(file.read_text(encoding="utf-8"))
        reports = written if isinstance(written, list) else [written]
        return found[1] + "\n".join(_section(report) for report in reports) + found[3]

    return _BLOCK.sub(block, text)


def _section(report: Mapping[str, Any]) -> str:
    """One report as a table."""
    rows = [Line.from_json(line).cells() for line in report["lines"]]
    bars = [HEADINGS, ("---", "---:", "---:", *["---"] * (len(HEADINGS) - 3)), *rows]
    table = "\n".join("| " + " | ".join(row) + " |" for row in bars)
    where = f"{report['at'][:10]}, {Machine(**report['machine'])}"
    return f"**{report['benchmark']}** ({where})\n\n{table}\n\n"


def main() -> int:
    readme = ROOT / "benchmarks" / "README.md"
    readme.write_text(with_figures(readme.read_text(encoding="utf-8"), ROOT / "var"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
