"""The consent flow in a real browser: every way a visitor may take, and every way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sandbox.browser import sign_in as sign_in_by_http
from tests.browser.chromium import PHONE, WIDE, Visitor
from tests.browser.walking import (
    ADMIN,
    CONNECTED,
    PLAIN_USER,
    SERVICE,
    agree,
    begin,
    connect,
    expect_page,
    sign_in,
    tab_to,
)
from tests.processes.installation import Installation

Visit = Callable[..., Visitor]
EXPIRE = """
from datetime import timedelta
from django.utils import timezone
from tenants.models import ConsentAttempt
ConsentAttempt.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
"""


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_administrator_ticks_consent_for_the_organisation(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int], scheme: Any
) -> None:
    page = visit(size, scheme).tab()
    before = installation.counter("consent_tenant")
    begin(page, consent_url, "An administrator")
    sign_in(page, ADMIN)
    agree(page, for_everybody=True)
    expect_page(page, CONNECTED)
    expect(page.get_by_text(ADMIN).first).to_be_visible()
    assert installation.counter("consent_tenant") == before + 1


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_service_account_consents_for_itself(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int], scheme: Any
) -> None:
    page = visit(size, scheme).tab()
    before = installation.counter("consent_user")
    begin(page, consent_url)
    sign_in(page, SERVICE)
    agree(page)
    expect_page(page, CONNECTED)
    expect(page.get_by_text(SERVICE).first).to_be_visible()
    assert installation.counter("consent_user") == before + 1


def test_the_whole_flow_goes_by_keyboard_alone(visit: Visit, consent_url: str, installation: Installation) -> None:
    page = visit().tab()
    page.goto(consent_url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    first = page.get_by_role("radio").first
    tab_to(page, first)
    page.keyboard.press("Space")
    expect(first).to_be_checked()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="An administrator")).to_be_checked()
    tab_to(page, page.get_by_role("button", name="Continue to Microsoft"))
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Pick an account")).to_be_visible()
    tab_to(page, page.get_by_label("E-mail address"))
    page.keyboard.type(ADMIN)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Permissions requested")).to_be_visible()
    tab_to(page, page.get_by_label("Consent on behalf of your organization"))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Accept"))
    page.keyboard.press("Enter")
    expect_page(page, CONNECTED)


def test_choosing_nobody_keeps_the_visitor_here_and_says_what_is_missing(visit: Visit, consent_url: str) -> None:
    page = visit().tab()
    page.goto(consent_url)
    page.get_by_role("button", name="Continue to Microsoft").click()
    # The browser itself refuses a form whose needed choice is not made.
    expect(page).to_have_url(consent_url)
    assert page.get_by_role("radio").first.evaluate("radio => radio.validity.valueMissing")


def test_whoever_declines_lands_on_a_page_that_leads_back(visit: Visit, consent_url: str) -> None:
    page = visit().tab()
    begin(page, consent_url)
    sign_in(page, SERVICE)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Not connected")).to_be_visible()
    page.get_by_role("link", name="Try again").click()
    expect(page).to_have_url(consent_url)
    connect(page, consent_url)


def refused_for_lack_of_approval(page: Page, consent_url: str) -> None:
    """A plain user of an organisation in which only administrators approve apps."""
    begin(page, consent_url)
    sign_in(page, PLAIN_USER)
    expect_page(page, "Need admin approval")
    page.get_by_role("button", name="Return to the application").click()
    expect_page(page, "An administrator must approve first")


def test_it_can_also_connect_by_the_forwarded_consent_link(
    visit: Visit, consent_url: str, installation: Installation
) -> None:
    installation.control(user_consent=False)
    page = visit().tab()
    refused_for_lack_of_approval(page, consent_url)
    expect(page.get_by_text("An administrator of your Microsoft 365 organisation").first).to_be_visible()
    text = page.locator("pre").inner_text()
    assert consent_url in text

    # IT opens the forwarded link in a browser of its own.
    administrator = visit().tab()
    begin(administrator, consent_url, "An administrator")
    sign_in(administrator, ADMIN)
    agree(administrator, for_everybody=True)
    expect_page(administrator, CONNECTED)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_approves_by_the_forwarded_address_and_then_the_user_connects(
    visit: Visit, consent_url: str, installation: Installation, size: tuple[int, int]
) -> None:
    installation.control(user_consent=False)
    page, administrator = visit(size).tab(), visit(size).tab()
    refused_for_lack_of_approval(page, consent_url)
    approval = page.get_by_role("link", name="Approve the app at Microsoft").get_attribute("href")
    assert approval and approval in page.locator("pre").inner_text()

    administrator.goto(approval)
    sign_in(administrator, ADMIN)
    administrator.get_by_role("button", name="Accept").click()
    expect_page(administrator, "One step is left")

    begin(page, consent_url)
    sign_in(page, PLAIN_USER)
    expect_page(page, CONNECTED)


def test_two_tabs_of_one_browser_both_finish(visit: Visit, consent_url: str) -> None:
    person = visit()
    first, second = person.tab(), person.tab()
    begin(first, consent_url)
    begin(second, consent_url, "An administrator")
    sign_in(first, SERVICE)
    sign_in(second, ADMIN)
    agree(first)
    expect_page(first, CONNECTED)
    agree(second)
    expect_page(second, CONNECTED)


def test_the_back_button_after_success_harms_nothing(
    visit: Visit, consent_url: str, installation: Installation
) -> None:
    page = visit().tab()
    connect(page, consent_url)
    page.goto(installation.url)
    page.go_back()  # to the way back, whose code and state are used
    expect(page.get_by_text("state_used")).to_be_visible()
    expect(page.get_by_role("link", name="Try again")).to_have_attribute("href", consent_url)
    with page.expect_navigation():
        page.evaluate("history.go(-3)")  # over Microsoft's pages
    expect(page).to_have_url(consent_url)
    expect(page.get_by_text("This account is already connected")).to_be_visible()
    connect(page, consent_url)


def test_a_way_back_that_took_too_long_says_so_and_leads_to_a_new_start(
    visit: Visit, consent_url: str, installation: Installation
) -> None:
    page = visit().tab()
    begin(page, consent_url)
    sign_in(page, SERVICE)
    installation.manage("shell", "-c", EXPIRE)
    agree(page)
    expect(page.get_by_text("state_expired")).to_be_visible()
    page.get_by_role("link", name="Try again").click()
    connect(page, consent_url)


def test_a_way_back_in_another_browser_is_refused_and_leaves_the_first_able_to_finish(
    visit: Visit, consent_url: str
) -> None:
    page, stranger = visit().tab(), visit().tab()
    begin(page, consent_url)
    landed = sign_in_by_http(page.url, SERVICE)

    assert stranger.goto(landed).status == 400  # type: ignore[union-attr]
    expect(stranger.get_by_text("other_browser")).to_be_visible()
    assert consent_url not in stranger.content()
    page.goto(landed)
    expect_page(page, CONNECTED)


def test_our_own_fault_is_called_our_fault(visit: Visit, consent_url: str, installation: Installation) -> None:
    page = visit().tab()
    begin(page, consent_url)
    sign_in(page, SERVICE)
    installation.control(secret_expired=True)
    try:
        agree(page)
        expect(page.get_by_text("This is our fault")).to_be_visible()
    finally:
        installation.control(secret_expired=False)
