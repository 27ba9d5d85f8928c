"""The picture of growth: whole decades on both axes, names that do not lie on each other, nothing but SVG."""

import itertools
from xml.etree import ElementTree

from benchmarks.chart import Curve, Panel, chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*curves: Curve) -> ElementTree.Element:
    return ElementTree.fromstring(chart("Growth & all", [10, 100, 1000], [Panel("Seconds", curves)]))  # noqa: S314


def texts(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_equal_factors_are_equal_distances() -> None:
    path = next(drawn(Curve("calls", [1, 10, 100])).iter(f"{SVG}path")).get("d") or ""
    points = [tuple(map(float, point.split())) for point in path.removeprefix("M").split("L")]
    steps = [(x - before_x, y - before_y) for (before_x, before_y), (x, y) in itertools.pairwise(points)]
    assert steps[0] == steps[1]


def test_the_axes_name_whole_powers_of_ten() -> None:
    names = texts(drawn(Curve("time", [0.02, 0.3, 4])))
    assert names[1:] == ["0.01", "0.1", "1", "10", "10", "100", "1,000", "time: 4"]


def test_names_of_curves_that_end_together_stand_below_each_other() -> None:
    svg = drawn(Curve("one", [1, 2, 3]), Curve("two", [1, 2, 3.01]), Curve("three", [1, 2, 2.99]))
    heights = sorted(float(text.get("y") or 0) for text in svg.iter(f"{SVG}text") if (text.text or "").count(":"))
    assert all(lower - upper >= 16 for upper, lower in itertools.pairwise(heights))


def test_it_is_readable_on_a_dark_page() -> None:
    assert "prefers-color-scheme: dark" in chart("Growth", [1, 2], [Panel("Calls", [Curve("calls", [1, 2])])])
