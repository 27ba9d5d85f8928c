"""What a visitor does: choose, sign in, agree, come back; by mouse or by keyboard alone."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

SERVICE = "cadence-service@contoso.example"
ADMIN = "ada@contoso.example"
PLAIN_USER = "ann@contoso.example"
CONNECTED = "Your calendars are connected"


def begin(page: Page, consent_url: str, who: str = "A dedicated service account") -> None:
    """From the consent page to the simulated Microsoft's account picker."""
    page.goto(consent_url)
    page.locator("label", has_text=who).click()
    page.get_by_role("button", name="Continue to Microsoft").click()
    expect(page.get_by_role("heading", name="Pick an account")).to_be_visible()


def sign_in(page: Page, upn: str) -> None:
    """Types the account and presses Next."""
    page.get_by_label("E-mail address").fill(upn)
    page.get_by_role("button", name="Next").click()


def agree(page: Page, *, for_everybody: bool = False) -> None:
    """Accepts what is asked."""
    expect(page.get_by_role("heading", name="Permissions requested")).to_be_visible()
    if for_everybody:
        page.get_by_label("Consent on behalf of your organization").check()
    page.get_by_role("button", name="Accept").click()


def expect_page(page: Page, heading: str) -> None:
    """The page with that main heading is shown, whole."""
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(re.escape(heading)))


def connect(page: Page, consent_url: str, upn: str = SERVICE) -> None:
    """The whole way, to the page that says it worked, with a second step where Microsoft wants one."""
    begin(page, consent_url)
    sign_in(page, upn)
    expect(page.get_by_role("heading", name="Pick an account")).to_be_hidden()
    if (approve := page.get_by_role("button", name="Approve")).is_visible():
        approve.click()
        expect(approve).to_be_hidden()
    if page.get_by_role("button", name="Accept").is_visible():  # Microsoft does not ask a second time
        agree(page)
    expect_page(page, CONNECTED)


def log_in(page: Page, url: str, password: str, name: str = "root") -> None:
    """Into Cadence Admin of the installation at `url`, by default as the superuser root."""
    page.goto(f"{url}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Customers, connections and keys")).to_be_visible()


def tab_to(page: Page, target: Locator, most: int = 60) -> None:
    """Presses Tab until `target` has the focus, which a person must be able to see."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            focused = _surroundings(page, target)
            target.blur()
            assert _surroundings(page, target) != focused, "the focus cannot be seen"
            target.focus()
            return
    raise AssertionError(f"{target} cannot be reached by {most} presses of Tab")


def _surroundings(page: Page, target: Locator) -> bytes:
    """A picture of it and of a finger's breadth around it."""
    box = target.bounding_box()
    assert box is not None
    left, top = max(box["x"] - 20, 0), max(box["y"] - 20, 0)
    return page.screenshot(clip={"x": left, "y": top, "width": box["width"] + 40, "height": box["height"] + 40})
