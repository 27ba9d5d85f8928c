"""The curve of growth is that of the real pieces: as many calls as mailboxes need, and every figure counted."""

import json

from benchmarks import growth


def test_thirty_mailboxes_are_two_calls_and_a_row_of_figures() -> None:
    (point,) = growth.measure([30], rounds=1)
    assert list(point) and set(growth.COLUMNS) == set(point)
    assert (point["mailboxes"], point["calls"], point["waiting_seconds"]) == (30, 2, growth.LATENCY)


def test_a_figure_that_grows_faster_than_the_mailboxes_is_a_goal_missed() -> None:
    few = dict.fromkeys(growth.COLUMNS, 1.0) | {"mailboxes": 1000, "calls": 50}
    straight = {name: 10 * figure for name, figure in few.items()}
    steep = straight | {"search_seconds": 16.0}
    assert [line.name for line in growth.lines([few, straight]) if line.missed] == []
    assert [line.name for line in growth.lines([few, steep]) if line.missed] == ["search of a mailbox, 10,000 / 1,000"]
    assert json.dumps([line.as_json() for line in growth.lines([few, steep])])
