"""The landing page of the admin stays fresh in place, and says so when it cannot."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.browser.chromium import Visitor
from tests.browser.conftest import PASSWORD
from tests.browser.looks import shown
from tests.browser.walking import log_in
from tests.processes.installation import Installation

Visit = Callable[..., Visitor]
ADDRESS = "**/admin/status.json"


def next_refresh(page: Page) -> None:
    """As if the fifteen seconds were over."""
    page.clock.run_for(15_500)


def test_it_refreshes_in_place_and_keeps_focus_and_what_was_opened(visit: Visit, installation: Installation) -> None:
    page = visit().tab()
    page.clock.install()
    log_in(page, installation.url, PASSWORD)
    as_of = page.locator("#status-as-of")
    before = as_of.get_attribute("datetime")
    expect(page.get_by_text("refreshed every 15 s")).to_be_visible()
    page.get_by_text("By state and health", exact=True).click()
    tile = page.locator(".tiles a").first
    tile.focus()
    tile.evaluate("element => element.dataset.old = 'yes'")
    page.wait_for_timeout(1100)  # the time shown has whole seconds, and the server's own clock
    with page.expect_response(ADDRESS):
        next_refresh(page)
    expect(as_of).not_to_have_attribute("datetime", before or "")
    assert page.locator("[data-old]").count() == 0
    expect(page.locator(".tiles a").first).to_be_focused()
    expect(page.get_by_role("table", name="Connections by state and health")).to_be_visible()
    shown(page)


def test_it_says_when_it_could_not_be_refreshed_and_when_it_could_again(
    visit: Visit, installation: Installation
) -> None:
    person = visit()
    page = person.tab()
    page.clock.install()
    log_in(page, installation.url, PASSWORD)
    broken = lambda route: route.fulfill(status=200, body="<p>no JSON", content_type="text/html")  # noqa: E731
    page.route(ADDRESS, broken)
    with page.expect_response(ADDRESS):
        next_refresh(page)
    expect(page.get_by_role("status").filter(has_text="The last refresh failed")).to_be_visible()
    page.unroute(ADDRESS)
    with page.expect_response(ADDRESS):
        next_refresh(page)
    expect(page.locator("#status-stale")).to_be_empty()


def test_a_session_that_has_ended_is_told_apart_from_a_failure(visit: Visit, installation: Installation) -> None:
    person = visit()
    page = person.tab()
    page.clock.install()
    log_in(page, installation.url, PASSWORD)
    person.context.clear_cookies()
    next_refresh(page)
    expect(page.get_by_text("you are signed out. Reload the page to sign in.")).to_be_visible()


def test_a_hidden_tab_asks_for_nothing(visit: Visit, installation: Installation) -> None:
    page = visit().tab()
    page.clock.install()
    log_in(page, installation.url, PASSWORD)
    asked: list[str] = []

    def note(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_()

    page.route(ADDRESS, note)
    hide = "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    page.clock.run_for(120_000)
    assert asked == []
    with page.expect_response(ADDRESS):
        page.evaluate(hide, False)
        page.clock.run_for(100)
    assert len(asked) == 1
