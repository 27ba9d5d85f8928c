"""Roster pre-flight as support works with it: paste, watch, come back, read, cancel."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.chromium import PHONE, Visitor
from tests.browser.conftest import PASSWORD
from tests.browser.looks import LOOKS, shown
from tests.browser.walking import connect, log_in
from tests.processes.installation import Installation

Visit = Callable[..., Visitor]
WORK = "from freebusy.tasks import check_preflights; check_preflights()"
ROSTER = "Ann <ann@contoso.example>; hal@contoso.example\nnobody@contoso.example, x@fabrikam.example\nnonsense@"


SLUG = """
import json
from tenants.models import Account
print(json.dumps({"slug": Account.objects.get(consent_key=%r).slug}))
"""


def open_form(page: Page, consent_url: str, installation: Installation) -> None:
    """Signed in, before the form of an account that is connected."""
    connect(page, consent_url)
    log_in(page, installation.url, PASSWORD)
    key = consent_url.rstrip("/").rpartition("/")[2]
    slug = installation.manage("shell", "-c", SLUG % key)["slug"]
    page.goto(f"{installation.url}/admin/accounts/{slug}/preflight/")


@LOOKS
def test_a_roster_is_checked_while_the_page_watches(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    open_form(page, consent_url, installation)
    shown(page)
    page.get_by_label("Addresses").fill(ROSTER)
    page.get_by_role("button", name="Check these").click()
    expect(page.get_by_text("Running: 2 of 5 checked")).to_be_visible()
    expect(page.get_by_text("No worker answers")).to_be_visible()
    shown(page)
    installation.manage("shell", "-c", WORK)
    expect(page.get_by_text("5 of 5 checked, 1 readable.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_count(0)
    for result in ("no rights", "not found", "foreign domain", "no address", "readable"):
        expect(page.get_by_role("heading", name=result)).to_be_visible()
    shown(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename.endswith(".csv")


def test_a_run_is_found_again_and_canceled(visit: Visit, consent_url: str, installation: Installation) -> None:
    person = visit(PHONE, "light")
    page = person.tab()
    open_form(page, consent_url, installation)
    page.get_by_label("Or a file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": b"Name;E-mail\r\nAnn;ann@contoso.example\r\n"}
    )
    page.get_by_role("button", name="Check these").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    form = page.url.rstrip("/").rpartition("/")[0] + "/"
    page.close()
    page = person.tab()
    page.goto(form)
    page.get_by_role("link", name="Look at it").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.get_by_text("Canceled. What was found until now is below.")).to_be_visible()
    shown(page)
