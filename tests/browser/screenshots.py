"""Takes the pictures of docs/screenshots: `python -m tests.browser.screenshots FOLDER`, or `make screenshots`."""

from __future__ import annotations

import re
import socket
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import INSTALL, Visitor, chromium, find_chromium, visitor
from tests.browser.walking import ADMIN, CONNECTED, PLAIN_USER, SERVICE, agree, begin, expect_page, log_in, sign_in
from tests.processes.installation import Installation
from tests.services import free_port

PASSWORD = "correct horse battery staple"
SUPERUSER = f"from django.contrib.auth.models import User; User.objects.create_superuser('root', password='{PASSWORD}')"
CUSTOMERS = {
    "contoso": "contoso.example",
    "fabrikam": "fabrikam.example",
    "adventure-works": "contoso.example",
    "northwind": "northwind.example",
}
WIDE, PHONE, TALL, LIST, CONSOLE = (1120, 800), (390, 844), (700, 1080), (1440, 640), (1440, 900)
_NAMES = "ann bob cleo dan eva finn hal gil nobody room1 room2"
ROSTER = "\n".join(f"{name}@contoso.example" for name in _NAMES.split())
WORKED_OFF_MS = 60_000.0
MOST_BYTES = 150_000


class Pictures:
    """One picture after the other, each of a fresh visitor or of one who has come a long way."""

    def __init__(self, installation: Installation, browser: Browser, folder: Path) -> None:
        self.installation, self.browser, self.folder = installation, browser, folder
        self.links = {
            slug: str(installation.manage(*_create(slug, domain))["consent_url"]) for slug, domain in CUSTOMERS.items()
        }

    def take(self, page: Page, name: str) -> None:
        """What the window shows, as `name`.png."""
        page.wait_for_load_state("networkidle")
        picture = page.screenshot(path=self.folder / f"{name}.png", animations="disabled", caret="hide")
        print(f"{name}.png: {len(picture) // 1000} kB")  # noqa: T201 - a command
        assert len(picture) < MOST_BYTES, f"{name}.png is larger than {MOST_BYTES} bytes"

    def visiting(self, size: tuple[int, int] = WIDE, scheme: Any = "light") -> Any:
        return visitor(self.browser, self.installation.url, size, scheme)

    def consent_pages(self) -> None:
        for name, size, scheme in (
            ("consent", WIDE, "light"),
            ("consent-dark", WIDE, "dark"),
            ("consent-phone", PHONE, "light"),
        ):
            with self.visiting(size, scheme) as person:
                page = person.tab()
                page.goto(self.links["contoso"])
                self.take(page, name)

    def connected_page(self) -> None:
        with self.visiting() as person:
            page = person.tab()
            self._connect(page, "contoso", ADMIN, "An administrator")
            self.take(page, "connected")
            self._connect(page, "fabrikam", "cadence-service@fabrikam.example")
            self._connect(page, "adventure-works", SERVICE)

    def way_back_page(self) -> None:
        self.installation.control(user_consent=False, withdraw_consent="contoso.example")
        with self.visiting(TALL) as person:
            page = person.tab()
            begin(page, self.links["northwind"])
            sign_in(page, PLAIN_USER)
            page.get_by_role("button", name="Return to the application").click()
            expect(page.get_by_text("Not connected")).to_be_visible()
            self.take(page, "approval-needed")

    def break_some(self) -> None:
        """One customer has to sign in again, another is asked by Microsoft to slow down."""
        self.installation.manage("probe")
        self.installation.control(
            revoke_refresh_tokens=SERVICE,
            faults=[{"path": "getSchedule", "tenant": "fabrikam", "status": 429, "times": None, "retry_after": "30"}],
        )
        self.installation.manage("refresh_tokens", "--account", "adventure-works")
        self.installation.manage("probe")

    def admin_pages(self) -> None:
        self.installation.manage("shell", "-c", SUPERUSER)
        with self.visiting(LIST) as person:
            page = self._signed_in(person)
            page.goto(f"{self.installation.url}/admin/tenants/account/")
            self.take(page, "admin-accounts")
        for name, size, scheme in (("landing", CONSOLE, "light"), ("landing-phone", PHONE, "dark")):
            with self.visiting(size, scheme) as person:
                page = self._signed_in(person)
                expect(page.get_by_role("row", name="Worker")).to_contain_text("running")
                self.take(page, name)
        with self.visiting(CONSOLE) as person:
            page = self._signed_in(person)
            accounts = f"{self.installation.url}/admin/accounts"
            page.goto(f"{accounts}/adventure-works/")
            self.take(page, "account")
            page.goto(f"{accounts}/contoso/evidence/")
            self.take(page, "evidence")
            page.goto(f"{accounts}/contoso/preflight/")
            page.get_by_label("Addresses").fill(ROSTER)
            page.get_by_role("button", name="Check these").click()
            expect(page.get_by_text(re.compile(r"^(\d+) of \1 checked"))).to_be_visible(timeout=WORKED_OFF_MS)
            self.take(page, "preflight")

    def _signed_in(self, person: Visitor) -> Page:
        page = person.tab()
        log_in(page, self.installation.url, PASSWORD)
        return page

    def reference_page(self) -> None:
        with self.visiting() as person:
            page = person.tab()
            page.goto(f"{self.installation.url}/api/v1/docs/")
            expect(page.get_by_text("/accounts/{slug}/slots/").first).to_be_visible()
            self.take(page, "api-reference")

    def _connect(self, page: Page, slug: str, upn: str, who: str = "A dedicated service account") -> None:
        begin(page, self.links[slug], who)
        sign_in(page, upn)
        expect(page.get_by_role("heading", name="Pick an account")).to_be_hidden()
        if page.get_by_role("button", name="Accept").is_visible():
            agree(page)
        expect_page(page, CONNECTED)


def _create(slug: str, domain: str) -> list[str]:
    name = slug.replace("-", " ").title()
    return ["create_account", slug, "--name", name, "--domain", domain, "--time-zone", "Europe/Berlin"]


def _well_set(state: Path) -> dict[str, str]:
    """What an operator would not leave unset: otherwise the pages say so, and rightly."""
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    return {
        "TICK_SECONDS": "5",
        "EMAIL_URL": f"file://{state}/mails",
        "SUPPORT_EMAIL": "support@eventcadence.example",
        "MICROSOFT_CLIENT_SECRET_EXPIRES": f"{in_a_year:%Y-%m-%d}",
    }


def _nice_port() -> int:
    """8000, as in the documents, unless something listens there."""
    with socket.socket() as probe:
        return 8000 if probe.connect_ex(("127.0.0.1", 8000)) else free_port()


def main(folder: Path) -> str | None:
    """Takes them all; returns what is missing, if anything is."""
    path = find_chromium()
    if path is None:
        return INSTALL
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        installation = Installation(Path(state), web_port=_nice_port())
        installation.services |= _well_set(Path(state))
        try:
            installation.start_sandbox()
            installation.manage("migrate", "--noinput")
            installation.start_web(workers=1)
            installation.start_worker()
            with chromium(path) as browser:
                pictures = Pictures(installation, browser, folder)
                pictures.consent_pages()
                pictures.connected_page()
                pictures.way_back_page()
                pictures.break_some()
                pictures.admin_pages()
                pictures.reference_page()
        finally:
            installation.stop()
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
