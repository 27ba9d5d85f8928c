"""Another account's key sees nothing, on any address of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox import Sandbox
from tenants.models import Account
from tests.factories import Api, make_account, make_api_key
from tests.routes import routes

BODY = {
    "attendees": [{"email": "ann@contoso.example"}],
    "start": "2027-03-16T00:00:00Z",
    "end": "2027-03-17T00:00:00Z",
}


PATHS = sorted(
    route.replace("<slug:slug>", "{slug}") for route in routes() if route.startswith("/api/") and "<slug:slug>" in route
)


@pytest.fixture
def fabrikam(db: None, consent: Callable[..., Any]) -> Account:
    """A second customer, connected as well."""
    account = make_account("fabrikam")
    assert consent(account, "cadence-service@fabrikam.example").status_code == 200
    return account


def ask(key: str, method: str, path: str) -> Any:
    client = Api(key).client
    headers = {"Authorization": f"Bearer {key}"}
    if method == "get":
        return client.get(path, headers=headers)
    body: dict[str, Any] = {**BODY, "duration_minutes": 30} if path.endswith("/slots/") else BODY
    if path.endswith("/roster/refresh/"):
        body = {"mailboxes": ["ann@contoso.example"], "start": BODY["start"], "end": BODY["end"]}
    return getattr(client, method)(path, body, content_type="application/json", headers=headers)


def method_of(path: str) -> str:
    return "get" if path.endswith("/connection/") else "post"


@pytest.mark.parametrize("path", PATHS)
def test_another_accounts_key_sees_what_a_stranger_to_a_missing_account_sees(
    contoso: Account, fabrikam: Account, microsoft: Sandbox, path: str
) -> None:
    key = make_api_key(fabrikam)
    microsoft.counters.reset()
    theirs = ask(key, method_of(path), path.format(slug="contoso"))
    missing = ask(key, method_of(path), path.format(slug="nowhere"))
    assert (theirs.status_code, theirs.content) == (404, missing.content)
    assert b"contoso" not in theirs.content
    assert microsoft.counters["requests"] == 0
    assert ask(key, method_of(path), path.format(slug="fabrikam")).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_no_method_tells_whether_an_account_exists(contoso: Account, fabrikam: Account, path: str, method: str) -> None:
    key = make_api_key(fabrikam)
    answers = [ask(key, method, path.format(slug=slug)) for slug in ("contoso", "nowhere")]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert answers[0].status_code in (404, 405)


@pytest.mark.parametrize("path", PATHS)
def test_a_key_without_accounts_sees_none(contoso: Account, path: str) -> None:
    assert ask(make_api_key(), method_of(path), path.format(slug="contoso")).status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_a_key_for_several_or_for_all_sees_them(contoso: Account, fabrikam: Account, path: str) -> None:
    for key in (make_api_key(contoso, fabrikam), make_api_key(all_accounts=True)):
        for slug in ("contoso", "fabrikam"):
            assert ask(key, method_of(path), path.format(slug=slug)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_key_taken_off_an_account_sees_it_no_longer(contoso: Account, fabrikam: Account, path: str) -> None:
    key = make_api_key(contoso, fabrikam)
    contoso.api_keys.clear()
    assert ask(key, method_of(path), path.format(slug="contoso")).status_code == 404
    assert ask(key, method_of(path), path.format(slug="fabrikam")).status_code == 200


def test_mailboxes_of_another_customer_are_external_and_never_asked_with_its_token(
    contoso: Account, fabrikam: Account, microsoft: Sandbox
) -> None:
    microsoft.counters.reset()
    api = Api(make_api_key(fabrikam))
    body = {**BODY, "attendees": [{"email": "ann@contoso.example"}, {"email": "abe@fabrikam.example"}]}
    theirs, own = api.post("fabrikam", "availability", body).json()["attendees"]
    assert (theirs["state"], own["state"]) == ("external", "known")
    [call] = microsoft.counters.seen
    assert (call.reader, call.mailboxes) == ("cadence-service@fabrikam.example", 1)
