"""GET connection: every member in every state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from freebusy import probes
from sandbox import Sandbox
from sandbox.people import CONTOSO
from tenants.disconnecting import disconnect
from tenants.models import Account, Connection, TokenRecord
from tests.conftest import READER
from tests.factories import Api, make_account, make_api_key

MEMBERS = {
    "account",
    "state",
    "enabled",
    "mode",
    "tenant_id",
    "reader",
    "scopes",
    "extra_scopes",
    "connected_at",
    "health",
    "reason",
    "last_check",
    "token",
    "consent_url",
    "simulated",
}


def shown(api: Api) -> dict[str, Any]:
    """The connection of contoso, with every member the contract names."""
    answer = api.get("contoso")
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    assert set(body) >= MEMBERS
    return body


def recent(text: str) -> bool:
    """Whether an RFC 3339 time with offset lies within the last minute."""
    age = datetime.now(UTC) - datetime.fromisoformat(text)
    return timedelta() <= age < timedelta(minutes=1)


def test_an_account_that_never_connected_is_pending(db: None) -> None:
    account = make_account("contoso")
    connection = shown(Api(make_api_key(account)))
    assert {name: connection[name] for name in MEMBERS} == {
        "account": "contoso",
        "state": "pending",
        "enabled": False,
        "mode": None,
        "tenant_id": None,
        "reader": None,
        "scopes": [],
        "extra_scopes": [],
        "connected_at": None,
        "health": "unknown",
        "reason": None,
        "last_check": None,
        "token": None,
        "consent_url": account.consent_url,
        "simulated": False,
    }


def test_a_connected_account_says_who_reads_and_how(contoso: Account, api: Api) -> None:
    connection = shown(api)
    expected = {
        "account": "contoso",
        "state": "enabled",
        "enabled": True,
        "mode": "service_account",
        "tenant_id": CONTOSO.tid,
        "reader": READER,
        "extra_scopes": [],
        "health": "healthy",
        "reason": None,
        "consent_url": f"http://localhost:8000/connect/{contoso.consent_key}/",
        "simulated": True,
    }
    assert {name: connection[name] for name in expected} == expected
    assert recent(connection["connected_at"])
    assert "https://graph.microsoft.com/Calendars.Read" in connection["scopes"]


def test_the_verifying_read_is_the_first_check(contoso: Account, api: Api) -> None:
    check = shown(api)["last_check"]
    assert set(check) == {"at", "outcome", "latency_ms", "code"}
    assert (check["outcome"], check["code"]) == ("ok", None)
    assert isinstance(check["latency_ms"], int) and check["latency_ms"] >= 0
    assert recent(check["at"])


def test_the_token_says_its_times_and_nothing_else(contoso: Account, api: Api) -> None:
    token = shown(api)["token"]
    assert set(token) == {"refreshed_at", "expires_at"}
    assert recent(token["refreshed_at"])
    lifetime = datetime.fromisoformat(token["expires_at"]) - datetime.fromisoformat(token["refreshed_at"])
    assert lifetime == timedelta(seconds=3599)


def test_an_administrators_consent_says_so(db: None, consent: Callable[..., Any]) -> None:
    account = make_account("contoso")
    assert consent(account, "ada@contoso.example", mode="admin", admin_tick=True).status_code == 200
    connection = shown(Api(make_api_key(account)))
    assert (connection["mode"], connection["reader"]) == ("admin", "ada@contoso.example")


def test_scopes_nobody_asked_for_are_kept_and_flagged(
    db: None, consent: Callable[..., Any], microsoft: Sandbox
) -> None:
    microsoft.control.set({"extra_scopes": ["Mail.Read"]})
    account = make_account("contoso")
    assert consent(account).status_code == 200
    connection = shown(Api(make_api_key(account)))
    assert [scope.rpartition("/")[2] for scope in connection["extra_scopes"]] == ["Mail.Read"]
    assert set(connection["extra_scopes"]) < set(connection["scopes"])


@pytest.mark.parametrize("form", ["short", "uri"])
def test_scopes_are_shown_as_microsoft_spelled_them(
    db: None, consent: Callable[..., Any], microsoft: Sandbox, form: str
) -> None:
    microsoft.control.set({"scope_form": form})
    account = make_account("contoso")
    assert consent(account).status_code == 200
    calendar = "Calendars.Read" if form == "short" else "https://graph.microsoft.com/Calendars.Read"
    assert calendar in shown(Api(make_api_key(account)))["scopes"]


def test_a_declined_first_consent_leaves_it_pending(db: None, consent: Callable[..., Any]) -> None:
    account = make_account("contoso")
    assert consent(account, accept=False).status_code == 200
    connection = shown(Api(make_api_key(account)))
    assert (connection["state"], connection["enabled"], connection["token"]) == ("pending", False, None)


def test_a_declined_reconnect_leaves_it_enabled(contoso: Account, api: Api, consent: Callable[..., Any]) -> None:
    before = shown(api)
    assert consent(contoso, "ann@contoso.example", accept=False).status_code == 200
    assert shown(api) == before


def test_a_reconnect_under_way_leaves_it_enabled(contoso: Account, api: Api) -> None:
    before = shown(api)
    assert api.client.post(f"/connect/{contoso.consent_key}/", {"mode": "admin"}).status_code == 302
    assert shown(api) == before


def test_access_lost_says_why_and_what_to_do(contoso: Account, api: Api, microsoft: Sandbox) -> None:
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"revoke_refresh_tokens": READER})
    probes.probe(Connection.objects.select_related("account", "token").get())
    connection = shown(api)
    assert (connection["state"], connection["enabled"]) == ("needs_consent", False)
    assert connection["reason"]["code"] == "AADSTS50173"
    assert set(connection["reason"]) == {"code", "title", "what_to_do"}
    assert all(connection["reason"].values())
    assert (connection["mode"], connection["reader"]) == ("service_account", READER)
    assert (connection["last_check"]["outcome"], connection["last_check"]["code"]) == ("refused", "AADSTS50173")


def test_consent_leads_out_of_lost_access(
    contoso: Account, api: Api, microsoft: Sandbox, consent: Callable[..., Any]
) -> None:
    test_access_lost_says_why_and_what_to_do(contoso, api, microsoft)
    assert consent(contoso).status_code == 200
    connection = shown(api)
    assert (connection["state"], connection["health"], connection["reason"]) == ("enabled", "healthy", None)


def test_a_disconnected_account_has_no_token_and_no_tenant(
    contoso: Account, api: Api, consent: Callable[..., Any]
) -> None:
    disconnect(contoso, why="they left", actor="test")
    connection = shown(api)
    assert (connection["state"], connection["enabled"]) == ("disabled", False)
    assert (connection["token"], connection["tenant_id"]) == (None, None)
    assert connection["reason"]["code"] == "disconnected"
    assert "they left" not in str(connection)
    assert consent(contoso).status_code == 200
    assert shown(api)["state"] == "enabled"


def test_verifying_is_shown_as_it_is(contoso: Account, api: Api) -> None:
    Connection.objects.update(state="verifying")
    assert (shown(api)["state"], shown(api)["enabled"]) == ("verifying", False)


def test_a_health_nobody_checked_lately_is_unknown(contoso: Account, api: Api, settings: Any) -> None:
    just = timezone.now() - timedelta(seconds=settings.HEALTH_STALE_SECONDS)
    Connection.objects.update(last_check_at=just + timedelta(seconds=30))
    assert shown(api)["health"] == "healthy"
    Connection.objects.update(last_check_at=just - timedelta(seconds=1))
    assert shown(api)["health"] == "unknown"


def test_reading_through_the_api_is_no_check(contoso: Account, api: Api, microsoft: Sandbox, settings: Any) -> None:
    before = shown(api)
    settings.ANSWER_DEADLINE_SECONDS = 1.0
    microsoft.control.set({"faults": [{"path": "getSchedule", "status": 503, "times": None}]})
    body = {
        "attendees": [{"email": "ann@contoso.example"}],
        "start": "2027-03-16T00:00:00Z",
        "end": "2027-03-17T00:00:00Z",
    }
    assert api.post("contoso", "availability", body).status_code == 503
    assert shown(api) == before


def test_head_is_get_without_a_body(contoso: Account, api: Api) -> None:
    answer = api.client.head("/api/v1/accounts/contoso/connection/", headers={"Authorization": f"Bearer {api.key}"})
    assert (answer.status_code, answer.content) == (200, b"")


def test_no_secret_is_in_the_answer(contoso: Account, api: Api) -> None:
    assert "SBX" not in api.get("contoso").content.decode()
