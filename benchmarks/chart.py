"""Curves on two logarithmic axes as an SVG that is readable on light and on dark pages; no plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 270  # of one panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 44, 34
_STYLE = """
  .page { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif } .title { font-weight: 600 }
  .tick { fill: #59636e } .grid { stroke: #d1d9e0 } .curve { fill: none; stroke-width: 2 }
  .c0 { stroke: #0969da; fill: #0969da } .c1 { stroke: #bc4c00; fill: #bc4c00 } .c2 { stroke: #1a7f37; fill: #1a7f37 }
  .c3 { stroke: #59636e; fill: #59636e } text.c0, text.c1, text.c2, text.c3 { stroke: none }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .tick { fill: #9198a1 } .grid { stroke: #30363d }
    .c0 { stroke: #58a6ff; fill: #58a6ff } .c1 { stroke: #f0883e; fill: #f0883e } .c2 { stroke: #3fb950; fill: #3fb950 }
    .c3 { stroke: #9198a1; fill: #9198a1 }
  }
  path.c0, path.c1, path.c2, path.c3 { fill: none }
"""
_COLOURS = 4
_LABEL_HEIGHT = 16


@dataclass(frozen=True, slots=True)
class Curve:
    """Its name is written where it ends."""

    name: str
    values: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity over the `x` of the chart."""

    title: str
    curves: Sequence[Curve]


def chart(title: str, x: Sequence[float], panels: Sequence[Panel]) -> str:
    """The panels one below the other, with the same `x`."""
    height = HEIGHT * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {number * HEIGHT})">')
        parts += _panel(x, panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(x: Sequence[float], panel: Panel) -> list[str]:
    every = [value for curve in panel.curves for value in curve.values]
    across = _Axis(x, _LEFT, WIDTH - _RIGHT)
    up = _Axis(every, HEIGHT - _BOTTOM, _TOP)
    parts = [f'<text class="title" x="{_LEFT}" y="24">{escape(panel.title)}</text>']
    for value in up.ticks:
        y = up.at(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_number(value)}</text>')
    for value in across.ticks:
        at = across.at(value)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        label = f'<text class="tick" x="{at}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{_number(value)}</text>'
        parts.append(label)
    heights = _apart([up.at(curve.values[-1]) for curve in panel.curves])
    for number, (curve, label_at) in enumerate(zip(panel.curves, heights, strict=True)):
        points = [(across.at(one), up.at(value)) for one, value in zip(x, curve.values, strict=True)]
        parts += _curve(curve, points, f"c{number % _COLOURS}", label_at)
    return parts


def _curve(curve: Curve, points: Sequence[tuple[float, float]], colour: str, label_at: float) -> list[str]:
    path = "M" + " L".join(f"{one} {other}" for one, other in points)
    dashes = ' stroke-dasharray="5 4"' if curve.dashed else ""
    parts = [f'<path class="curve {colour}" d="{path}"{dashes}/>']
    if not curve.dashed:
        parts += [f'<circle class="{colour}" cx="{one}" cy="{other}" r="3"/>' for one, other in points]
    text = f"{escape(curve.name)}: {_number(curve.values[-1])}"
    parts.append(f'<text class="{colour}" x="{WIDTH - _RIGHT + 10}" y="{label_at + 4}">{text}</text>')
    return parts


def _apart(heights: Sequence[float]) -> list[float]:
    """The same heights, moved down where labels would lie on each other."""
    moved = list(heights)
    last = -math.inf
    for number in sorted(range(len(heights)), key=lambda n: heights[n]):
        last = moved[number] = max(heights[number], last + _LABEL_HEIGHT)
    return moved


class _Axis:
    """Values on a logarithmic axis between two pixels, with a tick for each power of ten."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self._low = math.floor(math.log10(min(values)))
        self._high = max(math.ceil(math.log10(max(values))), self._low + 1)
        self._first, self._last = first, last

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return round(self._first + share * (self._last - self._first), 1)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
