"""The figures in the README are those that a benchmark wrote, with the machine that they are from."""

import json
from pathlib import Path

from benchmarks.figures import with_figures
from benchmarks.machine import Machine
from benchmarks.measuring import Spread
from benchmarks.report import Line, Report, at_most

REPORT = Report(
    "Searching",
    Machine("a processor", 2, 0.5, "Linux", "3.11.7", {"gcc": "12.2"}),
    [Line("ours / C", Spread(0.5, 0.4, 0.7), "×", at_most(1.0), "W2")],
)
OTHER = "<!-- end -->\nafter\n<!-- figures of other.json -->\nkept\n<!-- end -->\n"
TEXT = f"before\n<!-- figures of bench.json -->\nold\n{OTHER}"


def test_what_was_measured_replaces_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps([REPORT.as_json()]), encoding="utf-8")
    text = with_figures(TEXT, tmp_path)
    assert "| ours / C | 0.5 × | 0.4 … 0.7 | ≤ 1 | reached | W2 |\n" in text
    assert "a processor, 2 cores, load 0.5; Linux; Python 3.11.7; gcc 12.2" in text
    assert "old" not in text
    assert text.startswith("before\n<!-- figures of bench.json -->\n**Searching**")
    assert text.endswith(OTHER)


def test_the_same_figures_a_second_time_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(REPORT.as_json()), encoding="utf-8")
    once = with_figures(TEXT, tmp_path)
    assert with_figures(once, tmp_path) == once
