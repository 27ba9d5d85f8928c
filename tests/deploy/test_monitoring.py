"""Alert rules and dashboard ask for metrics and labels that exist; each alert has its entry in the runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tenants.metrics import METRICS, Kind

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads(
    (ROOT / "deploy" / "grafana" / "cadence-exchange.json").read_text(encoding="utf-8")
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ASKED = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]


def series() -> dict[str, set[str]]:
    """Name → labels of everything that /metrics shows."""
    found: dict[str, set[str]] = {}
    for metric in METRICS.values():
        labels = set(metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            found |= {f"{metric.exposed}_bucket": {*labels, "le"}}
            found |= {f"{metric.exposed}_{part}": labels for part in ("count", "sum")}
        else:
            found[metric.exposed] = labels
    return found


def parsed(expression: str) -> Any:
    """Raises ValueError for what Prometheus would not take."""
    return promql_parser.parse(expression.replace("$__rate_interval", "5m"))


def selectors(node: Any) -> Iterator[Any]:
    """All vector selectors below a node."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        below = getattr(node, name, None)
        if below is not None:
            yield from selectors(below)
    for argument in getattr(node, "args", ()):
        yield from selectors(argument)


@pytest.mark.parametrize("expression", ASKED)
def test_every_expression_asks_for_what_there_is(expression: str) -> None:
    found = list(selectors(parsed(expression)))
    assert found
    for selector in found:
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert selector.name in series()
        assert labels <= series()[selector.name]
    shown = set().union(*(series()[selector.name] for selector in found))
    grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", expression) for label in by.split(",")}
    assert grouped <= shown


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    named = {selector.name for expression in ASKED for selector in selectors(parsed(expression))}
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} | named
    assert {metric.exposed for metric in METRICS.values()} - plain == set()


def test_every_rule_says_how_bad_it_is_and_where_to_read_on() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"(?m)^#### (Cadence\w+)$", page))
    assert headings == set(names)
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_labels_in_summaries_are_those_of_the_expression() -> None:
    for rule in RULES:
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        shown = set().union(*(series()[selector.name] for selector in selectors(parsed(rule["expr"]))))
        assert used <= shown, rule["alert"]


def test_the_dashboard_can_be_imported_anywhere() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"], variable["name"]) == ("datasource", "prometheus", "datasource")
    for panel in PANELS:
        for where in (panel, *panel["targets"]):
            assert where["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert DASHBOARD["uid"]
    assert "id" not in DASHBOARD  # Grafana gives it; one of another installation would overwrite there


def test_panels_have_their_own_ids_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
