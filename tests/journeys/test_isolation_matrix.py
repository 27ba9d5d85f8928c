"""Who may open what: every address of the product against everybody who should not see more than they may.

A new address without a row here fails `test_every_address_has_a_row`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.forms.models import model_to_dict
from django.test import Client
from django.utils import timezone

from alerts.models import Incident, Mail
from freebusy.models import Preflight
from freebusy.preflight.addresses import Roster
from freebusy.preflight.runs import start
from sandbox.browser import sign_in
from tenants.models import Account, ApiKey, AuditEntry, Connection, ConsentAttempt, HealthCheck
from tests.factories import make_account, make_api_key
from tests.routes import routes
from webhooks.models import Delivery, Endpoint
from webhooks.outbox import note_test
from webhooks.signing import new_secret

STRANGERS = ("anonymous", "other account's key", "revoked key", "other browser", "staff without permission")
# One address for all apps, which names each of them.
APP_INDEX = next(route for route in routes() if "<app_label>" in route).removeprefix("/admin/")
# The columns: the strangers in this order, then whoever is entitled: the account's own key, the browser that began
# the consent, a superuser. "-" where the entitled one's request would only repeat what other tests do.
GET = {
    "/admin/accounts/<slug:slug>/preflight/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/progress.json": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/result.csv": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/cancel/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/availability/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/policy/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/bundle/": "302 302 302 302 403 200",
    "/": "200 200 200 200 200 200",
    "/connect/callback/": "400 400 400 400 400 200",
    "/connect/<slug:key>/": "200 200 200 200 200 200",
    "/api/v1/accounts/<slug:slug>/connection/": "401 404 401 401 401 200",
    "/api/v1/accounts/<slug:slug>/availability/": "401 405 401 401 401 405",
    "/api/v1/accounts/<slug:slug>/slots/": "401 405 401 401 401 405",
    "/api/v1/accounts/<slug:slug>/roster/refresh/": "401 405 401 401 401 405",
    "/api/v1/schema/": "200 200 200 200 200 200",
    "/api/v1/docs/": "200 200 200 200 200 200",
    "/healthz": "200 200 200 200 200 200",
    "/readyz": "200 200 200 200 200 200",
    "/metrics": "404 404 404 404 404 404",
    "/admin/": "302 302 302 302 200 200",
    "/admin/status.json": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/check/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/refresh/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/copy-link/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/send-link/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/renew-key/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/disconnect/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/switch/propose/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/switch/approve/": "302 302 302 302 405 405",
    "/admin/accounts/<slug:slug>/switch/withdraw/": "302 302 302 302 405 405",
    "/admin/login/": "200 200 200 200 302 302",
    "/admin/logout/": "302 302 302 302 405 405",
    "/admin/password_change/": "302 302 302 302 200 200",
    "/admin/password_change/done/": "302 302 302 302 200 200",
    "/admin/autocomplete/": "302 302 302 302 403 403",
    "/admin/jsi18n/": "302 302 302 302 200 200",
    "/admin/r/<path:content_type_id>/<path:object_id>/": "302 302 302 302 404 404",
    f"/admin/{APP_INDEX}": "302 302 302 302 404 200",
    "/admin/(?P<url>.*)$": "302 302 302 302 404 404",
    "/admin/auth/user/<id>/password/": "302 302 302 302 403 200",
    "/admin/second-factor/": "302 302 302 302 200 200",
    "/admin/second-factor/enrol/": "302 302 302 302 302 302",
    "/admin/second-factor/code/": "302 302 302 302 302 302",
    "/admin/accounts/<slug:slug>/evidence/": "302 302 302 302 403 200",
    "/admin/accounts/<slug:slug>/evidence.pdf": "302 302 302 302 403 200",
}
POST = {
    "/admin/accounts/<slug:slug>/preflight/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/": "302 302 302 302 405 -",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/progress.json": "302 302 302 302 405 -",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/result.csv": "302 302 302 302 405 -",
    "/admin/accounts/<slug:slug>/preflight/<int:run>/cancel/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/availability/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/policy/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/bundle/": "302 302 302 302 403 -",
    "/": "200 200 200 200 200 -",
    "/connect/callback/": "405 405 405 405 405 405",
    "/connect/<slug:key>/": "302 302 302 302 302 302",
    "/api/v1/accounts/<slug:slug>/connection/": "401 405 401 401 401 405",
    "/api/v1/accounts/<slug:slug>/availability/": "401 404 401 401 401 200",
    "/api/v1/accounts/<slug:slug>/slots/": "401 404 401 401 401 200",
    "/api/v1/accounts/<slug:slug>/roster/refresh/": "401 404 401 401 401 200",
    "/api/v1/schema/": "405 405 405 405 405 405",
    "/api/v1/docs/": "405 405 405 405 405 405",
    "/healthz": "200 200 200 200 200 200",
    "/readyz": "200 200 200 200 200 200",
    "/metrics": "404 404 404 404 404 404",
    "/admin/": "302 302 302 302 200 -",
    "/admin/status.json": "302 302 302 302 405 -",
    "/admin/accounts/<slug:slug>/": "302 302 302 302 405 -",
    "/admin/accounts/<slug:slug>/check/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/refresh/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/copy-link/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/send-link/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/renew-key/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/disconnect/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/switch/propose/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/switch/approve/": "302 302 302 302 403 -",
    "/admin/accounts/<slug:slug>/switch/withdraw/": "302 302 302 302 403 -",
    "/admin/login/": "200 200 200 200 200 -",
    "/admin/logout/": "302 302 302 302 200 -",
    "/admin/password_change/": "302 302 302 302 200 -",
    "/admin/password_change/done/": "302 302 302 302 405 -",
    "/admin/autocomplete/": "302 302 302 302 405 -",
    "/admin/jsi18n/": "302 302 302 302 405 -",
    "/admin/r/<path:content_type_id>/<path:object_id>/": "302 302 302 302 404 -",
    f"/admin/{APP_INDEX}": "302 302 302 302 404 -",
    "/admin/(?P<url>.*)$": "302 302 302 302 404 -",
    "/admin/auth/user/<id>/password/": "302 302 302 302 403 -",
    "/admin/second-factor/": "302 302 302 302 302 -",
    "/admin/second-factor/enrol/": "302 302 302 302 200 -",
    "/admin/second-factor/code/": "302 302 302 302 302 -",
    "/admin/accounts/<slug:slug>/evidence/": "302 302 302 302 405 -",
    "/admin/accounts/<slug:slug>/evidence.pdf": "302 302 302 302 405 -",
}
# The admin's own pages of a kind of row; what a superuser gets: list, add, history, delete, change, short form.
MODELS = {
    "tenants/account": "200 200 200 403 200 302",
    "tenants/apikey": "200 200 200 403 200 302",
    "tenants/connection": "200 403 200 403 200 302",
    "tenants/auditentry": "200 403 200 403 200 302",
    "tenants/healthcheck": "200 403 200 403 200 302",
    "alerts/incident": "200 403 200 403 200 302",
    "alerts/mail": "200 403 200 403 200 302",
    "webhooks/endpoint": "200 200 200 403 200 302",
    "webhooks/delivery": "200 403 200 403 200 302",
    "auth/group": "200 200 200 200 200 302",
    "auth/user": "200 200 200 200 200 302",
}
PAGES = ("", "add/", "<path:object_id>/history/", "<path:object_id>/delete/", "<path:object_id>/change/")
for model, entitled in MODELS.items():
    for page, status in zip((*PAGES, "<path:object_id>/"), entitled.split(), strict=True):
        staff = 302 if page == "<path:object_id>/" else 403
        GET[f"/admin/{model}/{page}"] = f"302 302 302 302 {staff} {status}"
        POST[f"/admin/{model}/{page}"] = f"302 302 302 302 {staff} -"

QUESTION = {
    "attendees": [{"email": "ann@contoso.example"}],
    "start": "2027-03-16T00:00:00Z",
    "end": "2027-03-17T00:00:00Z",
}
OUTSIDE_THE_URL_CONFIGURATION = {"/healthz", "/readyz", "/metrics"}


Who = tuple[Client, dict[str, str]]


@dataclass
class Cast:
    """Two connected customers, a consent of the first under way, and everybody who may knock."""

    account: Account
    callback_query: str
    strangers: dict[str, Who]
    entitled: dict[str, Who]

    def path(self, route: str) -> str:
        """The address of a row of the first customer's."""
        places = {
            "<slug:key>": self.account.consent_key,
            "<slug:slug>": self.account.slug,
            "<path:content_type_id>": "1",
            "<int:run>": str(Preflight.objects.get().pk),
            "<path:object_id>": str(self._pk(route)),
            "<id>": str(User.objects.get(username="root").pk),
            APP_INDEX: "tenants/",
            "(?P<url>.*)$": "nowhere",
        }
        for place, value in places.items():
            route = route.replace(place, value)
        return route + self.callback_query if route == "/connect/callback/" else route

    def _pk(self, route: str) -> int:
        name = "/".join(route.split("/")[2:4])
        if name not in MODELS:
            return 1
        return int(apps.get_model(name.replace("/", ".")).objects.order_by("pk").values_list("pk", flat=True)[0])


@pytest.fixture
def cast(contoso: Account, consent: Callable[..., Any]) -> Cast:
    """Everybody, each with a browser or a key of their own."""
    fabrikam = make_account("fabrikam")
    other_browser = Client()
    assert consent(fabrikam, "cadence-service@fabrikam.example", browser=other_browser).status_code == 200
    Group.objects.create(name="clerks")
    Incident.objects.create(subject="connection", connection=contoso.connection, began_at=timezone.now())
    note_test(Endpoint.objects.create(url="https://hooks.example/", secret=new_secret(), all_accounts=True))
    start(contoso, Roster(("ann@contoso.example",)), by="root")
    root, staff = User.objects.create_superuser("root"), User.objects.create_user("clerk", is_staff=True)
    root_browser, staff_browser, own_browser = Client(), Client(), Client()
    root_browser.force_login(root)
    staff_browser.force_login(staff)
    key, revoked = make_api_key(contoso), make_api_key(contoso, revoked_at=timezone.now())
    begun = own_browser.post(f"/connect/{contoso.consent_key}/", {"mode": "service_account"})
    back = sign_in(begun["Location"], "cadence-service@contoso.example")
    strangers: tuple[Who, ...] = (
        (Client(), {}),
        (Client(), bearer(make_api_key(fabrikam))),
        (Client(), bearer(revoked)),
        (other_browser, {}),
        (staff_browser, {}),
    )
    entitled: dict[str, Who] = {
        "admin": (root_browser, {}),
        "api": (Client(), bearer(key)),
        "connect": (own_browser, {}),
    }
    return Cast(contoso, "?" + back.partition("?")[2], dict(zip(STRANGERS, strangers, strict=True)), entitled)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def knock(cast: Cast, method: str, route: str, who: Who) -> Any:
    client, headers = who
    if method == "GET":
        return client.get(cast.path(route), headers=headers)
    if route.startswith("/api/"):
        body = {**QUESTION, "duration_minutes": 30} if route.endswith("/slots/") else QUESTION
        if route.endswith("/roster/refresh/"):
            body = {"mailboxes": ["ann@contoso.example"], "start": QUESTION["start"], "end": QUESTION["end"]}
        return client.post(cast.path(route), body, content_type="application/json", headers=headers)
    return client.post(cast.path(route), {"mode": "service_account"}, headers=headers)


def everything_kept() -> dict[str, Any]:
    """The rows that a stranger may not change; the entitled one's own reads are noted on the connection."""
    kept = (Account, ApiKey, Connection, HealthCheck, Endpoint, Delivery, Incident, Mail, User, Group, Preflight)
    return {
        model.__name__: [
            model_to_dict(row, exclude=["last_login", "last_used_at", "probe_due_at"])
            for row in model.objects.order_by("pk")
        ]
        for model in kept
    }


def test_every_address_has_a_row() -> None:
    assert set(routes()) | OUTSIDE_THE_URL_CONFIGURATION == set(GET) == set(POST)


def test_what_everybody_gets_to_see(cast: Cast) -> None:
    found = {route: " ".join(_statuses(cast, "GET", route, row)) for route, row in GET.items()}
    assert found == GET


def test_what_everybody_can_do(cast: Cast) -> None:
    before = everything_kept()
    found = {route: " ".join(_statuses(cast, "POST", route, row)) for route, row in POST.items()}
    assert found == POST
    assert everything_kept() == before


def _statuses(cast: Cast, method: str, route: str, row: str) -> Iterator[str]:
    for name, who in cast.strangers.items():
        if name == "staff without permission":
            who[0].force_login(User.objects.get(username="clerk"))  # one of the addresses ends the session
        answer = knock(cast, method, route, who)
        yield str(answer.status_code)
        says = (answer.content.decode() + answer.get("Location", "")).replace(cast.path(route), "")
        assert cast.account.consent_key not in says, f"{name} is told the consent link by {method} {route}"
        assert cast.account.connection.tenant_id not in says, f"{name} is told the tenant by {method} {route}"
    if row.endswith("-"):
        yield "-"
    else:
        who = cast.entitled.get(route.split("/")[1], cast.entitled["api"])
        yield str(knock(cast, method, route, who).status_code)


def test_a_stranger_neither_uses_up_nor_sees_the_consent_of_another_browser(cast: Cast) -> None:
    begun = ConsentAttempt.objects.get(used_at=None)
    for who in cast.strangers.values():
        assert knock(cast, "GET", "/connect/callback/", who).status_code == 400
        begun.refresh_from_db()
        assert begun.used_at is None
    assert knock(cast, "GET", "/connect/callback/", cast.entitled["connect"]).status_code == 200
    assert AuditEntry.objects.filter(outcome="other_browser").count() == len(cast.strangers)
