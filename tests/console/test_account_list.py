"""The account list: found, filtered by what it shows, from the row alone, at any size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, Permission, User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from microsoft.secret import Secret
from tenants.models import Account, Connection, HealthCheck, TokenRecord
from tests.factories import make_account

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 16, 9, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TENANT = "11111111-1111-4111-8111-111111111111"
LIST = "/admin/tenants/account/"


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    """The clock stands."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def support() -> Client:
    """Somebody of the group that may only read."""
    user = User.objects.create_user("support", is_staff=True)
    user.groups.add(Group.objects.get(name="Support (read)"))
    client = Client()
    client.force_login(user)
    return client


def connect(slug: str, health: str = "healthy", account: dict[str, Any] | None = None, **fields: Any) -> Connection:
    """In use, checked a minute ago, due in an hour."""
    values = {"state": "enabled", "last_used_at": NOW, "last_check_at": NOW - MINUTE, "health_since": NOW - HOUR}
    values |= {"probe_due_at": NOW + HOUR, "reader": f"reader@{slug}.example", **fields}
    return Connection.objects.create(account=make_account(slug, **(account or {})), health=health, **values)


def crowd() -> None:
    connect("good", mode="admin", tenant_id=TENANT)
    connect("shaky", "degraded", mode="service_account", last_check_code="canary_empty", account={"cloud": "usgov"})
    connect("broken", "down", last_check_code="ErrorAccessDenied", probe_due_at=NOW - MINUTE)
    late = connect("stale", last_check_at=NOW - 2 * HOUR, last_check_code="timeout")
    connect("old", last_check_at=NOW - 9 * DAY)
    connect("lost", "down", state="needs_consent", reason_code="AADSTS50173", state_changed_at=NOW - 2 * DAY)
    connect("ended", "unknown", state="disabled", reason_code="disconnected", last_check_at=None)
    make_account("never", name="Litware Ltd", domains=["mail.litware.example"])
    TokenRecord.objects.create(
        connection=late, refresh_token=Secret("r"), access_token=Secret("a"), access_expires_at=NOW,
        refreshed_at=NOW - HOUR, refresh_due_at=NOW - MINUTE,
    )  # fmt: skip


def found(client: Client, **query: str) -> set[str]:
    answer = client.get(LIST, query)
    assert answer.status_code == 200, answer["Location"]
    return {account.slug for account in answer.context["cl"].result_list}


@pytest.mark.parametrize(
    ("typed", "slugs"),
    [
        ("shak", {"shaky"}),
        ("Litware", {"never"}),
        ("mail.litware", {"never"}),
        (TENANT, {"good"}),
        ("READER@broken.example", {"broken"}),
        ("nobody", set()),
    ],
)
def test_accounts_are_found_by_slug_name_domain_tenant_and_reader(support: Client, typed: str, slugs: set[str]) -> None:
    crowd()
    assert found(support, q=typed) == slugs


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ({"state": "enabled"}, {"good", "shaky", "broken", "stale", "old"}),
        ({"state": "pending"}, {"never"}),
        ({"state": "needs_consent"}, {"lost"}),
        ({"state": "disabled"}, {"ended"}),
        ({"health": "healthy"}, {"good"}),
        ({"health": "degraded"}, {"shaky"}),
        ({"health": "down"}, {"broken", "lost"}),
        ({"health": "unknown"}, {"stale", "old", "ended", "never"}),
        ({"health": "down", "state": "enabled"}, {"broken"}),
        ({"attention": "yes"}, {"shaky", "broken", "stale", "old", "lost"}),
        ({"reason": "canary_empty"}, {"shaky"}),
        ({"reason": "AADSTS50173"}, {"lost"}),
        ({"reason": "timeout"}, set()),  # an old check explains nothing
        ({"checked": "hour"}, {"good", "shaky", "broken", "lost"}),
        ({"checked": "day"}, {"stale"}),
        ({"checked": "older"}, {"old"}),
        ({"checked": "never"}, {"ended", "never"}),
        ({"due": "probe"}, {"broken"}),
        ({"due": "refresh"}, {"stale"}),
        ({"connection__mode__exact": "admin"}, {"good"}),
        ({"cloud__exact": "usgov"}, {"shaky"}),
    ],
)
def test_a_filter_keeps_those_that_show_what_it_says(support: Client, query: dict[str, str], slugs: set[str]) -> None:
    crowd()
    assert found(support, **query) == slugs


@pytest.mark.parametrize("name", ["state", "health", "attention", "checked", "due"])
def test_a_filter_that_does_not_exist_hides_nobody(support: Client, name: str) -> None:
    crowd()
    assert len(found(support, **{name: "nonsense"})) == Account.objects.count()


def test_the_filter_by_reason_offers_the_reasons_that_occur(support: Client) -> None:
    crowd()
    html = support.get(LIST).content.decode()
    offered = set(re.findall(r'href="\?reason=(\w+)"', html))
    assert offered == {"AADSTS50173", "ErrorAccessDenied", "canary_empty", "disconnected"}


def test_a_reason_that_no_longer_occurs_still_filters(support: Client) -> None:
    connect("good")
    assert found(support, reason="AADSTS50173") == set()


def test_a_row_says_all_that_the_list_is_for(support: Client) -> None:
    connect("contoso", "down", mode="admin", last_check_code="ErrorAccessDenied", simulated=True)
    page = support.get(LIST).content.decode().replace("<wbr>", "")
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    row = "contoso Contoso enabled simulated down for 1 h Reading calendars is not permitted 1 min ago"
    assert f"{row} reader@contoso.example administrator, global" in text


@pytest.mark.parametrize("order", range(1, 7))
def test_each_column_sorts(support: Client, order: int) -> None:
    crowd()
    assert len(found(support, o=str(order))) == Account.objects.count()


def test_a_row_leads_to_the_accounts_page_or_for_who_may_not_see_it_to_the_row(support: Client) -> None:
    account = connect("contoso").account
    assert 'href="/admin/accounts/contoso/"' in support.get(LIST).content.decode()
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_account"))
    support.force_login(clerk)
    html = support.get(LIST).content.decode()
    assert f'href="/admin/tenants/account/{account.pk}/change/"' in html and "/admin/accounts/" not in html


def test_no_secret_link_stands_in_the_list(support: Client) -> None:
    assert connect("contoso").account.consent_key not in support.get(LIST).content.decode()


def fill(number: int, start: int) -> None:
    accounts = Account.objects.bulk_create(
        Account(slug=f"a-{n}", name=f"A {n}", domains=["a.example"], time_zone="UTC")
        for n in range(start, start + number)
    )
    states = ["enabled", "needs_consent", "disabled"]
    rows = Connection.objects.bulk_create(
        Connection(account=account, state=states[n % 3], health="down", last_check_at=NOW, last_check_code="timeout")
        for n, account in enumerate(accounts)
    )
    HealthCheck.objects.bulk_create(HealthCheck(connection=row, at=NOW, outcome="ok") for row in rows)


def test_ten_thousand_accounts_cost_as_many_queries_as_a_hundred_and_no_check_is_read(support: Client) -> None:
    addresses = ["", "?attention=yes", "?q=a-7", "?reason=timeout&o=-3", "?p=2"]
    counted: list[list[list[str]]] = []
    for number, start in ((150, 0), (9_850, 150)):
        fill(number, start)
        counted.append([statements(support, LIST + query) for query in addresses])
    few, many = counted
    assert [len(asked) for asked in many] == [len(asked) for asked in few]
    assert max(len(asked) for asked in many) <= 10
    everything = [sql for asked in many for sql in asked]
    assert not [sql for sql in everything if re.search("tenants_(healthcheck|connectionchecks|allchecks)", sql)]


def statements(client: Client, path: str) -> list[str]:
    client.get(path)  # what is remembered from request to request is read here
    with CaptureQueriesContext(database) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries]
