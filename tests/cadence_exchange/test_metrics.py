"""/metrics: closed without its token, in Prometheus' own format, and silent about who is connected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from sandbox import Sandbox
from tenants import heartbeat, measuring
from tenants.metrics import METRICS, Kind
from tenants.models import Account, Connection, TokenRecord
from tests.factories import Api, make_account

TOKEN = "metrics-token-of-the-tests"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def page(token: str = TOKEN) -> Any:
    return Client().get("/metrics", headers={"authorization": f"Bearer {token}", "host": "10.0.0.7:8000"})


def samples() -> Samples:
    """Every line of the page by name and labels, as Prometheus' own parser reads it."""
    families = text_string_to_metric_families(page().content.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(name: str, **labels: str) -> float | None:
    return samples().get((f"cadence_{name}", frozenset(labels.items())))


def question(days: int = 1) -> dict[str, Any]:
    start = timezone.now().replace(microsecond=0)
    return {
        "attendees": [{"email": "ann@contoso.example"}, {"email": "bob@contoso.example"}],
        "start": start.isoformat(),
        "end": (start + timedelta(days=days)).isoformat(),
    }


def test_without_a_token_set_there_is_no_such_page(settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert page("").status_code == page().status_code == Client().get("/metrics").status_code == 404


@pytest.mark.parametrize(
    "given", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer é"]
)
def test_with_another_token_it_is_closed_and_says_nothing(given: str) -> None:
    answer = Client().get("/metrics", headers={"authorization": given})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b"cadence_" not in answer.content


def test_with_the_token_it_answers_any_host_without_a_redirect(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["exchange.example"]
    settings.SECURE_SSL_REDIRECT = True
    answer = page()
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")


def test_every_family_on_the_page_is_declared_and_every_declared_one_can_be_asked() -> None:
    families = {family.name: family for family in text_string_to_metric_families(page().content.decode())}
    shown = {metric.exposed.removesuffix("_total") for metric in METRICS.values()}
    assert set(families) == shown
    assert {(name,) for name in ("sums", "database", "heartbeats", "breakers", "broker", "credential")} == {
        tuple(sample.labels.values()) for sample in families["cadence_source_up"].samples if sample.value == 1.0
    }


def test_a_busy_journey_shows_in_numbers_and_names_nobody(
    api: Api, contoso: Account, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    from freebusy import probes
    from tenants import refreshing

    fabrikam = make_account("fabrikam")
    consent(fabrikam, "cadence-service@fabrikam.example", accept=False)
    assert api.post("contoso", "availability", question()).status_code == 200
    assert api.post("contoso", "slots", {**question(days=30), "duration_minutes": 30}).status_code == 200
    assert api.get("nobody-there").status_code == 404
    Client().get("/admin/login/")
    Client().get("/no/such/page@contoso.example")
    refreshing.refresh_all()
    probes.probe(Connection.objects.select_related("account", "token").get(account=contoso))
    heartbeat.report(heartbeat.Process.WORKER, timezone.now())
    text = page().content.decode()
    found = samples()

    def number(name: str, **labels: str) -> float:
        return found[f"cadence_{name}", frozenset(labels.items())]

    assert number("web_requests_total", route="api-availability", method="POST", status="200") == 1
    assert number("web_requests_total", route="api-connection", method="GET", status="404") == 1
    assert number("web_requests_total", route="admin", method="GET", status="200") == 1
    assert number("web_requests_total", route="none", method="GET", status="404") == 1
    assert number("web_request_seconds_count", route="api-slots") == 1
    assert number("microsoft_calls_total", service="graph", status="200") == 4  # verified, read twice, probed
    assert number("microsoft_calls_total", service="entra", status="200") >= 2  # redeemed, refreshed
    assert number("microsoft_call_seconds_count", service="graph") == 4
    assert number("token_refreshes_total", outcome="refreshed") == 1
    assert number("probes_total", outcome="ok") == 1
    assert number("connections", state="enabled", health="healthy") == 1
    assert number("connections", state="pending", health="unknown") == 1
    assert number("graph_answers_with_details_total") >= 1  # the sandbox shows the subjects of a month
    tenant = contoso.connection.tenant_id
    for private in ("@", "contoso", "fabrikam", "nobody-there", tenant, contoso.connection.reader_oid, "/"):
        named = [line for line in text.splitlines() if private in line and not line.startswith("#")]
        assert named == [], private


def test_throttling_is_counted_with_the_seconds_asked_for(api: Api, microsoft: Sandbox) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 429, "retry_after": "2"}]})
    api.post("contoso", "availability", question())
    assert value("microsoft_throttled_total", service="graph") == 1
    assert value("microsoft_retry_after_seconds_total", service="graph") == 2
    assert value("microsoft_calls_total", service="graph", status="429") == 1


def test_a_call_without_an_answer_has_no_status(api: Api, microsoft: Sandbox) -> None:
    microsoft.control.set({"faults": [{"path": "getSchedule", "kind": "dropped"}]})
    api.post("contoso", "availability", question())
    assert value("microsoft_calls_total", service="graph", status="none") == 1


def test_requests_that_come_too_fast_are_counted(api: Api, settings: Any) -> None:
    settings.API_RATE_PER_MINUTE, settings.API_RATE_BURST = 1, 1
    assert [api.get("contoso").status_code for _ in range(4)].count(429) == value("api_rate_limited_total") > 0


def test_what_is_due_is_shown_with_its_age(contoso: Account) -> None:
    past = timezone.now() - timedelta(minutes=10)
    TokenRecord.objects.update(refresh_due_at=past)
    Connection.objects.update(probe_due_at=timezone.now() + timedelta(hours=1))
    assert value("due", work="refresh") == 1
    assert 600 <= (value("oldest_due_seconds", work="refresh") or 0) < 660
    assert value("due", work="probe") == value("oldest_due_seconds", work="probe") == 0


def test_a_histogram_is_cumulative_and_ends_with_all() -> None:
    for seconds in (0.001, 0.005, 0.3, 100.0):
        measuring.observe("probe_seconds", seconds)
    found = samples()
    buckets = {
        dict(labels)["le"]: number for (name, labels), number in found.items() if name == "cadence_probe_seconds_bucket"
    }
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["20"]) == (2, 2, 3, 3)
    assert buckets["+Inf"] == found["cadence_probe_seconds_count", frozenset()] == 4
    assert found["cadence_probe_seconds_sum", frozenset()] == pytest.approx(100.306)


def test_counters_without_labels_are_there_before_anything_was_counted() -> None:
    plain = [m for m in METRICS.values() if m.kind is Kind.COUNTER and not m.labels]
    assert plain
    assert {value(metric.exposed.removeprefix("cadence_")) for metric in plain} == {0.0}


def test_what_cannot_be_asked_is_left_out_and_the_rest_is_there(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tenants import status

    monkeypatch.setattr(status, "states", _away)
    found = samples()
    assert found["cadence_source_up", frozenset({("source", "database")})] == 0
    assert found["cadence_source_up", frozenset({("source", "sums")})] == 1
    assert not any(name == "cadence_connections" for name, _ in found)


def _away(*_: Any) -> None:
    from django.db import OperationalError

    raise OperationalError("password=hunter2")
