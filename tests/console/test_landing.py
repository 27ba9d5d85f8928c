"""The landing page: what it says, to whom, how many queries it takes, and that it stays fresh."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from alerts.models import Incident, Mail
from console.charts import HEIGHT, LEAST_SEEN, WIDTH, line, percent, probes, shares
from console.overview import in_trouble, tiles
from microsoft.errors import Misconfigured, Throttled, Unavailable
from microsoft.watching import Exchange
from tenants import breakers, heartbeat, measuring, recent
from tenants.health import Health, Outcome
from tenants.lifecycle import State
from tenants.microsoft_calls import count
from tenants.models import Account, Connection, HealthCheck
from tenants.rollups import Checked, add
from tenants.status import Point
from tests.factories import make_account
from webhooks.models import Delivery, Endpoint
from webhooks.signing import new_secret

pytestmark = pytest.mark.django_db

NOW = datetime(2027, 3, 16, 9, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TENANT = "11111111-1111-4111-8111-111111111111"
ENTRA, GRAPH = "entra:https://login.example", "graph:https://graph.example"


def connect(slug: str, health: str = "healthy", **fields: Any) -> Connection:
    """In use, checked a minute ago, due in an hour."""
    values = {"state": "enabled", "last_used_at": NOW, "last_check_at": NOW - MINUTE, "health_since": NOW - HOUR}
    values |= {"probe_due_at": NOW + HOUR, **fields}
    return Connection.objects.create(account=make_account(slug), health=health, **values)


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    """The clock stands."""
    with time_machine.travel(NOW, tick=False):
        yield


def browser_of(group: str | None) -> Client:
    user = User.objects.create_user(f"of {group}", is_staff=True)
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def support() -> Client:
    """Somebody of the group that may only read."""
    return browser_of("Support (read)")


def text_of(html: str) -> str:
    """What a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def page(client: Client) -> str:
    return text_of(client.get("/admin/").content.decode())


def links(client: Client) -> dict[str, str]:
    """Words → address of the links of the page; of equal ones the last."""
    html = client.get("/admin/").content.decode()
    found = re.findall(r'<a [^>]*href="([^"]+)"[^>]*>(.*?)</a>', html, re.DOTALL)
    return {text_of(words): url.replace("&amp;", "&") for url, words in found}


def accounts_at(client: Client, url: str) -> set[str]:
    answer = client.get(url)
    assert answer.status_code == 200
    return {account.slug for account in answer.context["cl"].queryset}


# --- who sees it --------------------------------------------------------------------------------------------------
def test_who_may_not_see_the_status_gets_the_plain_index_and_no_data() -> None:
    connect("contoso", "down", last_check_code="ErrorAccessDenied")
    clerk = browser_of(None)
    assert "How the connections stand" not in page(clerk) and "contoso" not in page(clerk)
    assert clerk.get("/admin/status.json").status_code == 403


def test_the_list_of_all_rows_stays_below(support: Client) -> None:
    assert page(support).index("How the connections stand") < page(support).index("Customers, connections and keys")
    assert links(support)["Audit entries"] == "/admin/tenants/auditentry/"


# --- connections --------------------------------------------------------------------------------------------------
def crowd() -> None:
    connect("good")
    connect("shaky", "degraded", last_check_code="canary_empty")
    connect("broken", "down", last_check_code="ErrorAccessDenied", health_since=NOW - 3 * HOUR)
    connect("stale", last_check_at=NOW - DAY)
    connect("lost", state="needs_consent", reason_code="AADSTS50173", state_changed_at=NOW - 2 * DAY)
    connect("ended", state="disabled", reason_code="disconnected")
    make_account("never")


def test_each_number_leads_to_the_accounts_it_counts(support: Client) -> None:
    crowd()
    wanted = {
        "1 working": {"good"},
        "1 degraded": {"shaky"},
        "1 down": {"broken"},
        "1 not checked lately": {"stale"},
        "1 need a new consent": {"lost"},
        "1 not connected yet": {"never"},
        "1 disconnected": {"ended"},
    }
    found = links(support)
    assert {words: accounts_at(support, found[words]) for words in wanted} == wanted


def test_the_failing_come_first_with_reason_since_actor_and_next_step(support: Client) -> None:
    crowd()
    text = page(support)
    section = text[text.index("Who needs somebody") : text.index("Machinery")]
    assert [word for word in section.split() if word in {"lost", "broken", "shaky", "stale", "good"}] == [
        "lost", "broken", "shaky", "stale",
    ]  # fmt: skip
    assert "needs consent 2 d The permission was revoked AADSTS50173 whoever signs in Open the consent link" in section
    assert "down 3 h Reading calendars is not permitted ErrorAccessDenied an administrator of the customer" in section
    assert "degraded 1 h The calendars look empty all at once canary_empty Event Cadence Ask the customer" in section
    assert "unknown 24 h Nobody has checked it lately Event Cadence See below whether worker and beat run" in section
    assert links(support)["lost"] == "/admin/accounts/lost/"


def test_more_failing_than_are_shown_are_one_link_away(support: Client) -> None:
    for number in range(23):
        connect(f"down-{number:02}", "down", last_check_code="timeout")
    assert page(support).count("down-") == 20
    assert len(accounts_at(support, links(support)["All 23 that need somebody"])) == 23


def test_when_all_works_it_says_so(support: Client) -> None:
    connect("good")
    assert "Nobody. Every connection that is switched on works." in page(support)


def test_tiles_count_every_account_once() -> None:
    states = {(state, health): 1 for state in State for health in Health}
    assert sum(tile.count for tile in tiles(states)) == len(states)
    assert in_trouble(states) == len(Health) + len(Health) - 1  # all that need consent, all enabled but the healthy


# --- what is everybody's ------------------------------------------------------------------------------------------
def test_a_service_that_fails_for_all_stands_on_top(support: Client) -> None:
    for tenant in ("a", "b", "c"):
        breakers.report(ENTRA, tenant, Unavailable("AADSTS90033", "not shown"))
    text = page(support)
    assert "Microsoft Entra ID fails for all since 2027-03-16 09:30 UTC" in text and "not shown" not in text
    assert "Next step: See https://status.cloud.microsoft" in text
    assert text.index("fails for all") < text.index("Who needs somebody")


def test_our_own_fault_is_called_ours(support: Client) -> None:
    breakers.report(ENTRA, TENANT, Misconfigured("AADSTS7000222", ""))
    text = page(support)
    assert "Microsoft Entra ID refuses us since" in text and "Our client secret has expired" in text
    assert "No customer has to do anything." in text and "Make a new secret in Entra ID" in text


def test_a_customers_own_breaker_is_named_and_found(support: Client) -> None:
    connect("contoso", tenant_id=TENANT)
    for _ in range(5):
        breakers.report(GRAPH, TENANT, Unavailable("unreachable", ""))
    assert "Circuit breakers open of 1 Entra tenant: contoso" in page(support)
    url = re.search(r'href="([^"]+)">contoso</a>', support.get("/admin/").content.decode().split("Circuit breakers")[1])
    assert url is not None and accounts_at(support, url[1]) == {"contoso"}


# --- machinery ----------------------------------------------------------------------------------------------------
def test_worker_and_beat_are_seen_running_silent_or_never(support: Client) -> None:
    heartbeat.report(heartbeat.Process.WORKER, NOW - 5 * MINUTE)
    heartbeat.report(heartbeat.Process.BEAT, NOW)
    assert "Worker silent last sign of life 5 min ago Beat running last sign of life 0 s ago" in page(support)


def test_without_any_sign_of_life_it_says_so(support: Client) -> None:
    assert "Worker never seen none has reported yet" in page(support)


def test_a_backlog_tells_how_much_how_long_and_whose(support: Client) -> None:
    connect("late", probe_due_at=NOW - 40 * MINUTE)
    connect("soon", probe_due_at=NOW - MINUTE)
    assert "Probes behind 2 due, the oldest for 40 min" in page(support)
    assert "Token refreshes in time nothing waits" in page(support)
    assert accounts_at(support, links(support)["these accounts"]) == {"late", "soon"}


def test_throttling_of_the_last_hour_is_counted_by_service_and_forgotten_after_it(support: Client) -> None:
    for at, times in ((NOW - 61 * MINUTE, 5), (NOW - 30 * MINUTE, 2), (NOW, 1)):
        with time_machine.travel(at, tick=False):
            for _ in range(times):
                count(Exchange(service="graph", status=429, seconds=0.1, retry_after=None))
            measuring.flush()
    assert recent.within_the_hour("microsoft_throttled", NOW) == {"graph": 3.0}
    assert "Throttling, last hour throttled answers with status 429: Microsoft Graph 3" in page(support)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (date(2028, 3, 16), "Our credential valid 365 days left: the client secret ends on 2028-03-16"),
        (date(2027, 4, 1), "Our credential ends soon 15 days left"),
        (date(2027, 3, 16), "Our credential ended the client secret ended on 2027-03-16"),
        (None, "Our credential end not known set MICROSOFT_CLIENT_SECRET_EXPIRES"),
    ],
)
def test_our_credentials_days_are_counted(support: Client, settings: Any, ends: date | None, words: str) -> None:
    settings.MICROSOFT_CLIENT_CERTIFICATE, settings.MICROSOFT_CLIENT_SECRET = "", "secret"
    settings.MICROSOFT_CLIENT_SECRET_EXPIRES = ends
    assert words in page(support)


def test_a_certificate_that_cannot_be_read_is_no_error_page(support: Client, settings: Any) -> None:
    settings.MICROSOFT_CLIENT_CERTIFICATE = "/nowhere/client.pem"
    assert "Our credential unreadable MICROSOFT_CLIENT_CERTIFICATE: FileNotFoundError" in page(support)


def test_incidents_mails_and_webhooks_are_counted_with_their_lists(support: Client, settings: Any) -> None:
    settings.SENDS_MAILS = True
    row = connect("contoso", "down")
    Incident.objects.create(subject="connection:1", connection=row, began_at=NOW, severity="down")
    Mail.objects.create(key="a", kind="alert", audience="support", next_try_at=NOW - HOUR)
    Mail.objects.create(key="b", kind="alert", audience="support", status="failed")
    endpoint = Endpoint.objects.create(url="https://hooks.example/", secret=new_secret(), all_accounts=True)
    Delivery.objects.create(endpoint=endpoint, type="test", payload={}, next_try_at=None, failed_at=NOW)
    text = page(support)
    assert "Incidents open 1 down these incidents" in text
    assert "Mails behind 1 due, the oldest for 1 h, 1 given up in 7 days failed mails" in text
    assert "Webhooks in time 1 given up in 7 days failed deliveries" in text
    for words in ("these incidents", "failed mails", "failed deliveries"):
        assert len(support.get(links(support)[words]).context["cl"].queryset) == 1


def test_without_a_way_to_send_mails_it_says_so(support: Client, settings: Any) -> None:
    settings.SENDS_MAILS = False
    assert "Mails switched off EMAIL_URL is not set: nobody is told anything" in page(support)


def test_while_the_shared_store_is_away_the_rest_is_shown(support: Client, settings: Any, tmp_path: Any) -> None:
    connect("contoso", "down", last_check_code="timeout")
    settings.REDIS_URL, settings.COORDINATION_FILE = "", tmp_path / "no folder" / "file"
    text = page(support)
    assert "Worker not known the shared store is away" in text and "Throttling, last hour not known" in text
    assert "Circuit breakers not known" in text and "contoso" in text


# --- trends -------------------------------------------------------------------------------------------------------
def test_the_trends_stand_there_as_text_with_the_same_numbers(support: Client) -> None:
    row = connect("contoso")
    checks = [Checked(row.pk, NOW - HOUR, Outcome.OK, 40), Checked(row.pk, NOW - HOUR, Outcome.THROTTLED, None)]
    add([*checks, Checked(row.pk, NOW - 3 * DAY, Outcome.OK, 80)])
    text = page(support)
    assert "24 hours: 2 probes, 50.0 % good" in text and "30 days: 3 probes, 66.7 % good" in text
    assert "08:00 2 1 0 1 0 0 40 40" in text and "2027-03-13 1 1 0 0 0 0 80 80" in text
    assert "08:00: 2 probes, 50.0 % good, throttled 1" in text  # under the pointer, in the chart


@pytest.mark.parametrize(("share", "words"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50.0 %"), (0.0, "0.0 %")])
def test_a_share_is_never_rounded_up_to_all(share: float, words: str) -> None:
    assert percent(share) == words


def test_one_bad_check_among_thousands_can_still_be_seen() -> None:
    drawn = shares([Point(NOW, 100_000, {"ok": 99_999, "refused": 1}), Point(NOW + HOUR)], ["09:00", "10:00"])
    assert drawn.count("<g>") == 1  # nothing is drawn for an hour without checks
    assert f'class="chart-bad" x="30.0" y="0" width="180.0" height="{LEAST_SEEN:.1f}"' in drawn


def test_a_line_is_broken_where_nothing_is_known() -> None:
    paths = re.findall(r' d="([^"]+)"', line([10.0, 20.0, None, 20.0, 10.0, None, 20.0], "mean"))
    assert [path.count("M") for path in paths] == [2, 1]
    assert all(0 <= float(y) <= HEIGHT for path in paths for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path))


@pytest.mark.parametrize("values", [[10.0], [None, None, 10.0], [10.0, None, None]])
def test_a_value_alone_is_a_dot_that_lies_wholly_within_the_drawing(values: list[float | None]) -> None:
    dot = re.fullmatch(r'.*<path class="chart-dot" d="M([\d.]+) ([\d.]+)h0.01"/></svg>', line(values, "mean"))
    assert dot is not None
    assert 3 <= float(dot[1]) <= WIDTH - 3 and 3 <= float(dot[2]) <= HEIGHT - 3
    assert "chart-line" not in line(values, "mean")


def test_one_probe_is_not_called_probes() -> None:
    assert [probes(count) for count in (0, 1, 2, 1204)] == ["0 probes", "1 probe", "2 probes", "1,204 probes"]


# --- fresh without reloading --------------------------------------------------------------------------------------
def test_the_refresh_is_the_same_page_part_with_its_time(support: Client) -> None:
    first = support.get("/admin/")
    connect("contoso", "down", last_check_code="timeout")
    with time_machine.travel(NOW + MINUTE, tick=False):
        answer = support.get("/admin/status.json")
    assert "Data of <time" in first.content.decode() and "09:30:00 UTC" in first.content.decode()
    assert answer["Content-Type"] == "application/json" and "no-cache" in answer["Cache-Control"]
    assert answer.json()["as_of"] == "2027-03-16T09:31:00+00:00"
    assert "contoso" in answer.json()["html"] and "<html" not in answer.json()["html"]
    assert 'data-refresh="/admin/status.json" data-every="15"' in first.content.decode()


def test_nothing_of_it_needs_inline_script_or_style(support: Client) -> None:
    crowd()
    for html in (support.get("/admin/").content.decode(), support.get("/admin/status.json").json()["html"]):
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*\ssrc=)", html)


def test_what_the_throttled_error_says_is_not_lost_on_a_breaker(support: Client) -> None:
    for _ in range(5):
        breakers.report(GRAPH, TENANT, Throttled("throttled", "", retry_after=5))
    assert f"of 1 Entra tenant: {TENANT}" in page(support)  # of no account that we know


# --- size ---------------------------------------------------------------------------------------------------------
def fill(number: int, start: int) -> None:
    """Accounts in all kinds of trouble, with a single check each."""
    accounts = Account.objects.bulk_create(
        Account(slug=f"a-{n}", name=f"A {n}", domains=["a.example"], time_zone="UTC")
        for n in range(start, start + number)
    )
    kinds = [("enabled", "healthy"), ("enabled", "down"), ("needs_consent", "unknown"), ("disabled", "unknown")]
    rows = Connection.objects.bulk_create(
        Connection(
            account=account, state=kinds[n % 4][0], health=kinds[n % 4][1], health_since=NOW, last_check_at=NOW,
            last_used_at=NOW, tenant_id=TENANT, probe_due_at=NOW - MINUTE, last_check_code="timeout",
        )
        for n, account in enumerate(accounts)
    )  # fmt: skip
    HealthCheck.objects.bulk_create(HealthCheck(connection=row, at=NOW, outcome="ok") for row in rows)


def test_ten_thousand_accounts_cost_as_many_queries_as_eight_and_no_single_check_is_read(support: Client) -> None:
    paths = ("/admin/", "/admin/status.json")
    counted: list[list[list[str]]] = []
    for number, start in ((8, 0), (9_992, 8)):
        fill(number, start)
        counted.append([statements(support, path) for path in paths])
    few, many = counted
    assert [len(asked) for asked in many] == [len(asked) for asked in few]
    assert max(len(asked) for asked in many) <= 20
    everything = [sql for asked in many for sql in asked]
    assert not [sql for sql in everything if "tenants_healthcheck" in sql or "tenants_connectionchecks" in sql]


def statements(client: Client, path: str) -> list[str]:
    client.get(path)  # what is remembered from request to request is read here
    with CaptureQueriesContext(database) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries]
