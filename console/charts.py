"""Charts as SVG, drawn here and coloured by console.css. What they show stands as text beside them."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tenants.status import Point

WIDTH, HEIGHT = 480, 72
LEAST_SEEN = 3.0  # units of the drawing: a single bad check among thousands must not vanish
GAP = 0.25  # of a column's place
MARGIN = 6.0  # units between a line and the edge, where half a dot would be cut off


def shares(points: Sequence[Point], names: Sequence[str]) -> SafeString:
    """A column a point: the good checks from below, the others from above; nothing where there was no check."""
    place = WIDTH / max(len(points), 1)
    columns = (
        (number * place + place * GAP / 2, place * (1 - GAP), _bad_height(point), name, in_words(point))
        for number, (point, name) in enumerate(zip(points, names, strict=True))
        if point.checks
    )
    drawn = format_html_join(
        "",
        '<g><title>{}: {}</title><rect class="chart-good" x="{}" y="{}" width="{}" height="{}"/>'
        '<rect class="chart-bad" x="{}" y="0" width="{}" height="{}"/></g>',
        (
            (
                name,
                words,
                f"{x:.1f}",
                f"{bad:.1f}",
                f"{w:.1f}",
                f"{HEIGHT - bad:.1f}",
                f"{x:.1f}",
                f"{w:.1f}",
                f"{bad:.1f}",
            )
            for x, w, bad, name, words in columns
        ),
    )
    return _frame(drawn, "Share of good probes")


def line(values: Sequence[float | None], label: str) -> SafeString:
    """A line from 0 to the largest value, broken where there is none; a value alone between gaps is a dot."""
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    places = [
        None
        if value is None
        else f"{MARGIN + number * step:.1f} {HEIGHT - MARGIN - value / most * (HEIGHT - 2 * MARGIN):.1f}"
        for number, value in enumerate(values)
    ]
    lines, dots = [], []
    for before, place, after in zip([None, *places], places, [*places[1:], None], strict=False):
        if place is not None and (before, after) == (None, None):
            dots.append(f"M{place}h0.01")  # a dot by its round ends
        elif place is not None:
            lines.append(f"{'M' if before is None else 'L'}{place}")
    drawn = ((kind, " ".join(path)) for kind, path in (("line", lines), ("dot", dots)) if path)
    return _frame(format_html_join("", '<path class="chart-{}" d="{}"/>', drawn), label)


def in_words(point: Point) -> str:
    """`1,204 probes, 99.9 % good, throttled 1`."""
    others = ", ".join(f"{name} {count:,}" for name, count in point.by_outcome.items() if name != "ok")
    good = point.by_outcome.get("ok", 0) / point.checks if point.checks else 0.0
    return f"{probes(point.checks)}, {percent(good)} good{', ' + others if others else ''}"


def probes(count: int) -> str:
    """`1 probe`, `1,204 probes`."""
    return f"{count:,} probe{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """Never rounded up to 100 %: `99.9 %` says that something failed."""
    return "100 %" if share == 1.0 else f"{min(share * 100, 99.9):.1f} %"


def _bad_height(point: Point) -> float:
    bad = point.checks - point.by_outcome.get("ok", 0)
    return max(HEIGHT * bad / point.checks, LEAST_SEEN) if bad else 0.0


def _frame(drawn: SafeString, label: str) -> SafeString:
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">{}</svg>',
        WIDTH,
        HEIGHT,
        label,
        drawn,
    )
