"""A benchmark says when a goal is missed, also by its exit status, and divides what ran in turns turn by turn."""

import json
from functools import partial
from pathlib import Path

import pytest

from benchmarks.machine import Machine
from benchmarks.measuring import Rounds, Spread, in_turns
from benchmarks.report import Goal, Line, Report, at_least, at_most, publish

MACHINE = Machine("a processor", 2, 0.5, "Linux", "3.11.7", {"msgspec": "0.22"})


def report_of(*lines: Line) -> Report:
    return Report("a benchmark", MACHINE, lines)


@pytest.mark.parametrize(
    ("goal", "value", "mark"),
    [
        (at_most(1.0), 1.0, "reached"),
        (at_most(1.0), 1.01, "MISSED"),
        (at_most(1.6, 1.4), 1.4, "aim reached"),
        (at_most(1.6, 1.4), 1.5, "reached, aim missed"),
        (at_most(1.6, 1.4), 1.7, "MISSED"),
        (at_least(3.5, 4.5), 4.5, "aim reached"),
        (at_least(3.5, 4.5), 4.0, "reached, aim missed"),
        (at_least(3.5, 4.5), 3.4, "MISSED"),
    ],
)
def test_a_goal_tells_reached_from_missed(goal: Goal, value: float, mark: str) -> None:
    assert goal.mark(value) == mark


def test_a_missed_goal_is_the_exit_status_and_the_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    missed = report_of(Line.count("calls of 400", 21, goal=at_most(20)), Line.count("calls of 20", 1, goal=at_most(1)))
    assert publish(missed, None) == 1
    assert capsys.readouterr().out.endswith("missed: calls of 400\n")


def test_reached_goals_and_figures_without_one_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    fine = report_of(Line.count("calls", 20, goal=at_most(20)), Line("time", Spread(9e9, 9e9, 9e9), "s"))
    assert publish(fine, None) == 0
    assert capsys.readouterr().out.endswith("No goal missed.\n")


def test_the_file_names_machine_versions_medians_and_spread(tmp_path: Path) -> None:
    file = tmp_path / "var" / "bench.json"
    publish(report_of(Line("ours / C", Spread(0.5, 0.4, 0.7), "×", at_most(1.0))), file)
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["machine"]["processor"] == "a processor"
    assert written["machine"]["versions"] == {"msgspec": "0.22"}
    assert written["lines"] == [{
        "name": "ours / C", "median": 0.5, "least": 0.4, "greatest": 0.7, "unit": "×",
        "goal": {"bound": 1.0, "aim": None, "at_most": True}, "verdict": "reached", "note": "",
    }]  # fmt: skip


def test_a_line_that_was_written_is_read_again_as_it_was() -> None:
    line = Line("ours / C", Spread(0.5, 0.4, 0.7), "×", at_least(3.5, 4.5), "all rows equal")
    assert Line.from_json(json.loads(json.dumps(line.as_json()))) == line


def test_a_ratio_is_taken_within_each_round() -> None:
    rounds = Rounds({"ours": [1.0, 10.0, 1.0], "theirs": [2.0, 20.0, 4.0]})
    assert rounds.ratio("ours", to="theirs") == Spread(0.5, 0.25, 0.5)


def test_every_case_has_its_turn_in_every_lap_and_another_one_begins_each() -> None:
    turns: list[str] = []

    def case(name: str) -> None:
        if not turns or turns[-1] != name:
            turns.append(name)

    measured = in_turns({name: partial(case, name) for name in "abc"}, rounds=3)
    warm_up, laps = turns[:3], "".join(turns[3:])
    assert warm_up == ["a", "b", "c"]
    assert laps.startswith("abc" + "bca" + "cab")
    assert laps.count("a") == laps.count("b") == laps.count("c")
    assert [len(seconds) for seconds in measured.seconds.values()] == [3, 3, 3]
