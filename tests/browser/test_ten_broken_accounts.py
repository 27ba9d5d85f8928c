"""Ten customers, each broken at Microsoft's side, found by the product's own engine, diagnosed from the pages alone.

No broken row is inserted and no clock is moved: the sandbox is told what a customer, Microsoft or we have done,
commands do what the worker does from its schedule, and a person of support reads the landing page and the account's
page, presses the buttons there and sends the customer the link. A worker ticks beside it all, as often as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chromium import visitor
from tests.browser.conftest import PASSWORD
from tests.browser.troubles import Trouble, WayBack, own_troubles, people, reader
from tests.browser.walking import connect, expect_page, log_in
from tests.processes.installation import Installation, http

OURS = ["our-secret", "graph-down"]  # whose pages show what is everybody's trouble
SLUGS = [*(trouble.slug for trouble in own_troubles()), *OURS]
# By the commands' own code, in one process for all.
SEED = f"""
import io, json
from django.contrib.auth.models import User
from django.core.management import call_command
from tenants.models import Account
said = io.StringIO()
for slug in {SLUGS!r}:
    domain = [slug + ".example"]
    call_command("create_account", slug, name=slug, domains=domain, time_zone="Europe/Berlin", stdout=said)
call_command("create_api_key", "Booking", "--all-accounts", stdout=said)
User.objects.create_superuser("root", password="{PASSWORD}")
links = {{account.slug: account.consent_url for account in Account.objects.all()}}
print(json.dumps({{"links": links, "key": json.loads(said.getvalue().splitlines()[-1])["key"]}}))
"""
TICK_SECONDS = "5"  # the shortest there is
STANDS_WELL = "Calendars can be read. Nobody needs to act."


@dataclass(frozen=True, slots=True)
class Desk:
    """A person of support before the pages, and the installation behind them."""

    installation: Installation
    page: Page
    customer: Callable[[], Page]  # somebody else's browser

    def landing(self) -> Page:
        """The landing page, as it is now."""
        self.page.goto(f"{self.installation.url}/admin/")
        expect_page(self.page, "How the connections stand")
        return self.page

    def failing(self) -> set[str]:
        """The accounts on the landing page's list of those who need somebody."""
        return set(self.landing().locator("table.failing tbody th a").all_inner_texts())

    def open(self, slug: str) -> Page:
        """The account's page."""
        self.page.goto(f"{self.installation.url}/admin/accounts/{slug}/")
        expect_page(self.page, slug)
        return self.page

    def press(self, button: str, answer: str) -> None:
        """A button of the account's page; the answer appears in place."""
        self.page.get_by_role("button", name=button).click()
        expect(self.page.get_by_role("status").filter(has_text=answer)).to_be_visible()

    def let_sign_in(self, slug: str) -> None:
        """Takes the link from the account's page; the customer opens it and signs in."""
        self.open(slug).get_by_role("button", name="Copy reconnect link").click()
        link = self.page.get_by_role("textbox", name="Reconnect link")
        expect(link).to_be_visible()
        connect(self.customer(), link.input_value(), reader(slug))


def connected(browser: Browser, made: Installation, links: dict[str, str]) -> None:
    """Every customer consents, page by page."""
    with visitor(browser, made.url) as customer:
        page = customer.tab()
        for slug, link in links.items():
            connect(page, link, reader(slug))


def booked(made: Installation, key: str) -> None:
    """Somebody's booking asks for each customer's people, so that probes know whose calendars to look at."""
    start = datetime.now(UTC).replace(microsecond=0)
    window = {"start": start.isoformat(), "end": (start + timedelta(days=1)).isoformat()}
    for slug in SLUGS:
        body = {"attendees": [{"email": address} for address in people(slug)], **window}
        address = f"{made.url}/api/v1/accounts/{slug}/availability/"
        answer = http().post(address, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def ten(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Sandbox, web server and worker, and ten customers with a tenant each, whose calendars are read and full."""
    made = Installation(tmp_path_factory.mktemp("ten"))
    made.services["TICK_SECONDS"] = TICK_SECONDS
    try:
        made.start_sandbox()
        made.control(tenants={slug: len(people(slug)) for slug in SLUGS})
        made.manage("migrate", "--noinput")
        seeded = made.manage("shell", "-c", SEED)
        made.start_web(workers=1)
        made.start_worker()
        connected(browser, made, seeded["links"])
        booked(made, seeded["key"])
        made.manage("probe")
        yield made
    finally:
        made.stop()


@pytest.fixture
def desk(browser: Browser, ten: Installation) -> Iterator[Desk]:
    """Support, signed in. Nobody's browser may have complained at the end, and Microsoft is well again."""
    with ExitStack() as stack:
        visitors = [stack.enter_context(visitor(browser, ten.url)) for _ in range(2)]
        support, customer = visitors
        page = support.tab()
        log_in(page, ten.url, PASSWORD)
        yield Desk(ten, page, customer.tab)
        ten.control(reset=True)
        assert [complaint for one in visitors for complaint in one.complaints] == []


def cell(row: Locator, name: str) -> Locator:
    """One column of a row of the list of failing connections."""
    return row.locator(f'td[data-name="{name}"]')


def fact(page: Page, name: str) -> Locator:
    """What stands beside a word, where the account's page says how the connection stands."""
    return page.locator(f"#standing dt:text-is('{name}') + dd")


def expect_on_landing(page: Page, trouble: Trouble) -> None:
    row = page.locator("table.failing tbody tr").filter(has=page.get_by_role("link", name=trouble.slug, exact=True))
    expect(cell(row, "Stands")).to_have_text(trouble.stands)
    expect(cell(row, "Reason")).to_have_text(f"{trouble.reason}{trouble.code}")
    expect(cell(row, "Who acts")).to_have_text(trouble.actor)
    expect(cell(row, "Next step")).to_contain_text(trouble.next_step)


def expect_on_own_page(page: Page, trouble: Trouble) -> None:
    expect(page.locator("#standing .stands")).to_contain_text(trouble.stands)
    expect(page.locator("#standing").get_by_role("heading", name=trouble.reason)).to_be_visible()
    expect(fact(page, "Who acts")).to_have_text(trouble.actor)
    expect(fact(page, "Next step")).to_contain_text(trouble.next_step)
    expect(fact(page, "Code")).to_have_text(trouble.code)


def test_eight_broken_customers_are_diagnosed_from_the_pages_and_mended(desk: Desk) -> None:
    assert desk.failing() == set()
    troubles = own_troubles()
    for trouble in troubles:
        desk.installation.control(**trouble.breaks)
    desk.installation.manage("refresh_tokens", "--all")
    for _ in range(2):  # one bad probe may be chance
        desk.installation.manage("probe")

    assert desk.failing() == {trouble.slug for trouble in troubles}
    for trouble in troubles:
        expect_on_landing(desk.landing(), trouble)
        desk.page.get_by_role("link", name=trouble.slug, exact=True).click()
        expect_on_own_page(desk.page, trouble)

    for trouble in troubles:
        desk.installation.control(**trouble.mends)
        if trouble.way_back is WayBack.SIGN_IN:
            desk.let_sign_in(trouble.slug)
        desk.open(trouble.slug)
        desk.press("Check now", "It works")
        expect(desk.page.locator("#standing")).to_contain_text(STANDS_WELL)
    assert desk.failing() == set()
    expect(desk.page.get_by_text("Nobody. Every connection that is switched on works.")).to_be_visible()


def test_our_expired_secret_is_a_banner_and_takes_no_customer_away(desk: Desk) -> None:
    desk.installation.control(secret_expired=True)
    desk.installation.manage("refresh_tokens", "--all")

    banner = desk.landing().locator(".banner")
    expect(banner.get_by_role("heading", name="Microsoft Entra ID refuses us since")).to_be_visible()
    expect(banner).to_contain_text("Our client secret has expired (AADSTS7000222). No customer has to do anything.")
    expect(banner).to_contain_text("Next step: Every customer is affected. Make a new secret in Entra ID")
    assert desk.failing() == set()
    desk.open("our-secret")
    desk.press("Refresh now", "Our client secret has expired (AADSTS7000222). Who acts: Event Cadence.")
    expect(desk.page.locator("#standing")).to_contain_text(STANDS_WELL)

    desk.installation.control(secret_expired=False)
    desk.press("Refresh now", "Refreshed: Microsoft gave a new token.")
    expect(desk.landing().locator(".banner")).to_have_count(0)
    assert desk.failing() == set()


def test_graph_down_is_a_banner_and_marks_no_customer(desk: Desk) -> None:
    desk.installation.control(faults=[{"path": "getSchedule", "status": 503, "times": None}])
    desk.installation.manage("probe")

    banner = desk.landing().locator(".banner")
    expect(banner.get_by_role("heading", name="Microsoft Graph fails for all since")).to_be_visible()
    expect(banner).to_contain_text("No customer has to do anything.")
    expect(banner).to_contain_text("Next step: See https://status.cloud.microsoft")
    assert desk.failing() == set()
    desk.open("graph-down")
    nothing_noted = "Microsoft fails for others too, so nothing was noted for this connection."
    desk.press("Check now", f"{nothing_noted} Microsoft Graph has a passing fault (HTTP503). Who acts: Microsoft.")
    expect(desk.page.locator("#standing")).to_contain_text(STANDS_WELL)

    desk.installation.control(clear_faults=True)
    desk.press("Check now", "It works")
    expect(desk.landing().locator(".banner")).to_have_count(0)
    assert desk.failing() == set()
