"""Every page of the product: for everybody to use, nothing from outside, nothing the policy forbids."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.chromium import PHONE, Visitor
from tests.browser.conftest import PASSWORD
from tests.browser.looks import LOOKS, shown
from tests.browser.walking import ADMIN, PLAIN_USER, SERVICE, agree, begin, connect, log_in, sign_in
from tests.processes.installation import Installation
from tests.routes import routes

Visit = Callable[..., Visitor]


def admin_pages() -> list[str]:
    """The address of each page of the admin, with the first of its rows."""
    with_rows = (re.sub("<(path:object_id|id)>", "1", route) for route in routes() if route.startswith("/admin/"))
    return [address for address in with_rows if "(" not in address and "<" not in address]


NOT_PAGES = re.compile(r"/admin/(logout|autocomplete|jsi18n|status\.json)|/1/$")  # no page, or another address of one
CLOSED = re.compile(
    "/(connection|auditentry|healthcheck|incident|mail|delivery)/(add|1/delete)/|/(account|apikey|endpoint)/1/delete/"
)
DAILY = [
    "/admin/",
    "/admin/tenants/account/",
    "/admin/tenants/account/1/change/",
    "/admin/tenants/connection/",
    "/admin/tenants/connection/1/change/",
    "/admin/tenants/auditentry/",
]


@LOOKS
def test_the_pages_that_are_worked_with_daily_are_for_everybody(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    connect(page, consent_url)
    page.goto(f"{installation.url}/admin/")
    shown(page)  # the way in
    log_in(page, installation.url, PASSWORD)
    for address in DAILY:
        page.goto(f"{installation.url}{address}")
        shown(page)


def test_every_other_page_of_the_admin_is_for_everybody(
    visit: Visit, consent_url: str, installation: Installation
) -> None:
    page = visit(PHONE, "dark").tab()
    connect(page, consent_url)
    log_in(page, installation.url, PASSWORD)
    others = [address for address in admin_pages() if address not in DAILY and not NOT_PAGES.search(address)]
    assert len(others) > 20
    for address in others:
        answer = page.goto(f"{installation.url}{address}")
        assert answer is not None
        # Rows that nobody may add or delete say so, on Django's plain page.
        assert answer.status == (403 if CLOSED.search(address) else 200), address
        shown(page)


@LOOKS
def test_the_pages_that_lead_to_a_connection_are_for_everybody(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    page.goto(installation.url)
    shown(page)
    page.goto(consent_url)
    shown(page)
    begin(page, consent_url, "An administrator")
    shown(page)
    sign_in(page, ADMIN)
    shown(page)
    installation.control(extra_scopes=["Mail.Read"])
    agree(page)
    expect(page.get_by_text("Microsoft granted more than we asked for")).to_be_visible()
    shown(page)
    page.goto(consent_url)
    shown(page)


@LOOKS
def test_the_pages_that_say_why_there_is_no_connection_are_for_everybody(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    page.goto(consent_url)
    page.locator("form").evaluate("form => { form.noValidate = true; form.submit(); }")
    expect(page.get_by_role("alert")).to_be_visible()
    shown(page)  # nothing chosen
    begin(page, consent_url)
    sign_in(page, SERVICE)
    page.get_by_role("button", name="Cancel").click()
    shown(page)  # declined
    page.reload()
    shown(page)  # used before
    installation.control(user_consent=False)
    begin(page, consent_url)
    sign_in(page, PLAIN_USER)
    shown(page)  # Microsoft's own "Need admin approval"
    page.get_by_role("button", name="Return to the application").click()
    shown(page)  # approval needed
    installation.control(user_consent=True, faults=[{"path": "/token", "status": 503, "times": None}])
    begin(page, consent_url)
    sign_in(page, SERVICE)
    agree(page)
    shown(page)  # Microsoft is down
    page.goto(f"{installation.url}/nowhere")
    shown(page)


@LOOKS
def test_the_api_reference_is_for_everybody_and_works(
    visit: Visit, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    page.goto(f"{installation.url}/api/v1/docs/")
    expect(page.get_by_text("/accounts/{slug}/slots/").first).to_be_visible()
    shown(page)
    page.get_by_text("/accounts/{slug}/availability/").first.click()
    expect(page.get_by_role("button", name="Try it out").first).to_be_visible()
    assert "\n".join(findings(page)) == ""
