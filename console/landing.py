"""The landing page of Cadence Admin: how everybody's connections stand. Fresh without reloading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from console.charts import line, percent, probes, shares
from console.overview import accounts_url, overview
from console.pages import page
from tenants import status
from tenants.health import Health, Outcome
from tenants.status import Point

REFRESHED_SECONDS = 15
_OTHERS = [outcome.value for outcome in Outcome if outcome is not Outcome.OK]


@dataclass(frozen=True, slots=True)
class Trend:
    """The probes of a stretch of time as charts, and the same numbers as the rows of a table."""

    key: str
    title: str
    summary: str
    shares: SafeString
    latency: SafeString
    latency_summary: str
    rows: SafeString


def landing(now: datetime) -> dict[str, Any]:
    """What the template of the landing page shows."""
    return {
        "now": now,
        "overview": overview(now),
        "healths": [health.value for health in Health],
        "others": _OTHERS,
        "in_trouble_url": accounts_url(attention="yes"),
        "trends": [
            trend("hours", "24 hours", status.trend_of_hours(now), "%H:%M"),
            trend("days", "30 days", status.trend_of_days(now), "%Y-%m-%d"),
        ],
        "refreshed_seconds": REFRESHED_SECONDS,
    }


@page("view_status")
def fresh(request: HttpRequest) -> JsonResponse:
    """What stands on the landing page now: `{"as_of": RFC 3339, "html": the inside of #status}`."""
    now = timezone.now()
    html = render_to_string("admin/console/landing_status.html", landing(now), request=request)
    return JsonResponse({"as_of": now.astimezone(UTC).isoformat(timespec="seconds"), "html": html})


def trend(key: str, title: str, points: Sequence[Point], form: str) -> Trend:
    """Pure: of checks by hour or day; `form` names a point by its start, in UTC."""
    names = [format(point.start.astimezone(UTC), form) for point in points]
    checks = sum(point.checks for point in points)
    good = sum(point.by_outcome.get("ok", 0) for point in points)
    timed = [(point.latency_ms, point.latency_max_ms) for point in points if point.latency_ms is not None]
    last = next((point.latency_ms for point in reversed(points) if point.latency_ms is not None), None)
    slowest = max((most for _, most in timed), default=0)
    return Trend(
        key=key,
        title=title,
        summary=f"{probes(checks)}, {percent(good / checks)} good" if checks else "no probes",
        shares=shares(points, names),
        latency=line([point.latency_ms for point in points], f"Mean time of a probe, {title}"),
        latency_summary="no answers" if last is None else f"mean {last:,.0f} ms lately, slowest {slowest:,} ms",
        rows=format_html_join("", _ROW, (_row(name, point) for name, point in zip(names, points, strict=True))),
    )


def _row(name: str, point: Point) -> tuple[str, ...]:
    good = point.by_outcome.get("ok", 0)
    mean, most = ("–", "–") if point.latency_ms is None else (f"{point.latency_ms:,.0f}", f"{point.latency_max_ms:,}")
    numbers = (point.checks, good, *(point.by_outcome.get(other, 0) for other in _OTHERS))
    return (name, *(f"{number:,}" for number in numbers), mean, most)


_ROW = '<tr><th scope="row">{}</th>' + "<td>{}</td>" * (len(_OTHERS) + 4) + "</tr>"


urlpatterns = [path("status.json", fresh, name="status")]
