"""Every page of the console, in both windows and both schemes: everybody can read it and reach what it offers."""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Callable
from uuid import uuid4

import pytest
from django_otp.oath import totp
from playwright.sync_api import Page, expect

from tests.browser.chromium import Visitor
from tests.browser.conftest import PASSWORD
from tests.browser.looks import ALL_LOOKS, reached, shown
from tests.browser.walking import connect, log_in
from tests.processes.installation import Installation

Visit = Callable[..., Visitor]
REPORT = """
import json
from tenants.models import Account
print(json.dumps({"slug": Account.objects.get(consent_key=%r).slug}))
"""
HIRE = "from django.contrib.auth.models import User; User.objects.create_superuser(%r, password=%r)"
NEVER_CONNECTED = "org-00"  # the tests take accounts from the other end
# Below an account's own address.
OF_AN_ACCOUNT = ["", "disconnect/", "renew-key/", "preflight/", "availability/", "policy/", "bundle/", "evidence/"]
FAILURES = 10


@pytest.fixture
def slug(consent_url: str, installation: Installation) -> str:
    """The account of this test's own; nobody has connected it yet."""
    key = consent_url.rstrip("/").rpartition("/")[2]
    return str(installation.manage("shell", "-c", REPORT % key)["slug"])


def looked_at(page: Page) -> None:
    shown(page)
    reached(page)


@ALL_LOOKS
def test_landing_and_list_are_for_everybody(
    visit: Visit, consent_url: str, slug: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    connect(page, consent_url)
    installation.control(revoke_refresh_tokens="contoso.example")
    installation.manage("refresh_tokens", "--account", slug)
    log_in(page, installation.url, PASSWORD)
    expect(page.get_by_role("row", name=slug)).to_contain_text("The permission was revoked")
    page.get_by_text("By state and health", exact=True).click()
    for numbers in page.get_by_text("The same in numbers").all():
        numbers.click()
    looked_at(page)
    page.goto(f"{installation.url}/admin/tenants/account/?q={slug}")
    expect(page.get_by_role("link", name=slug).first).to_be_visible()
    looked_at(page)
    page.goto(f"{installation.url}/admin/accounts/{slug}/")
    expect(page.get_by_role("heading", name="The permission was revoked")).to_be_visible()
    looked_at(page)


@ALL_LOOKS
def test_the_pages_of_an_account_are_for_everybody(
    visit: Visit, consent_url: str, slug: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    connect(page, consent_url)
    log_in(page, installation.url, PASSWORD)
    for address in OF_AN_ACCOUNT:
        page.goto(f"{installation.url}/admin/accounts/{slug}/{address}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        looked_at(page)
    page.goto(f"{installation.url}/admin/accounts/{NEVER_CONNECTED}/")
    expect(page.get_by_role("heading", name="Never connected")).to_be_visible()
    looked_at(page)


@ALL_LOOKS
def test_the_answers_of_an_accounts_pages_are_for_everybody(
    visit: Visit, consent_url: str, slug: str, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    page = visit(size, scheme).tab()
    connect(page, consent_url)
    log_in(page, installation.url, PASSWORD)
    own = f"{installation.url}/admin/accounts/{slug}/"
    page.goto(own)
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("status").filter(has_text="It works")).to_be_visible()
    page.get_by_role("button", name="Copy reconnect link").click()
    expect(page.get_by_role("textbox", name="Reconnect link")).to_have_value(consent_url)
    looked_at(page)
    page.goto(f"{own}availability/")
    page.get_by_label("People who must come").fill("ann@contoso.example\nhal@contoso.example")
    page.get_by_label("Rooms").fill("room1@contoso.example")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("heading", name="What stands in the calendars")).to_be_visible()
    looked_at(page)
    page.goto(f"{own}policy/")
    page.get_by_label("cautious").check()
    page.get_by_label("People", exact=True).fill("ann@contoso.example")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    looked_at(page)


@ALL_LOOKS
def test_the_pages_of_a_sign_in_are_for_everybody(
    visit: Visit, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    name = f"staff-{uuid4().hex[:8]}"
    installation.manage("shell", "-c", HIRE % (name, PASSWORD))
    page = visit(size, scheme).tab()
    page.goto(f"{installation.url}/admin/")
    looked_at(page)
    log_in(page, installation.url, PASSWORD, name)
    page.goto(f"{installation.url}/admin/second-factor/")
    looked_at(page)
    page.get_by_role("button", name="Set up an app").click()
    secret = page.locator("code").filter(has_text=re.compile(r"^(\w{4} ?)+$")).inner_text()
    looked_at(page)
    key = b32decode(secret.replace(" ", ""))
    page.get_by_label("Type in the code").fill(f"{totp(key):06}")
    page.get_by_role("button", name="Confirm").click()
    looked_at(page)
    recovery_code = page.locator(".recovery-codes code").first.inner_text()
    page.goto(f"{installation.url}/admin/second-factor/")
    looked_at(page)

    page = visit(size, scheme).tab()
    page.goto(f"{installation.url}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Code of your app, or a recovery code")).to_be_visible()
    looked_at(page)
    page.get_by_label("Code of your app, or a recovery code").fill(recovery_code)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("A recovery code was used up; 9 are left.")).to_be_visible()


@ALL_LOOKS
def test_the_page_of_a_lock_out_is_for_everybody(
    visit: Visit, installation: Installation, size: tuple[int, int], scheme: str
) -> None:
    somebody = visit(size, scheme)
    # An address of one's own, as the proxy in front tells it: the others of this run still have to get in.
    somebody.context.set_extra_http_headers({"X-Forwarded-For": f"2001:db8::{uuid4().hex[:4]}"})
    page = somebody.tab()
    page.goto(f"{installation.url}/admin/")
    for _ in range(FAILURES):
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Too many failed sign-ins")
    looked_at(page)
