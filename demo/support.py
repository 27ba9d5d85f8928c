"""What a person in support does in Cadence Admin, page by page."""

from __future__ import annotations

from demo.browser import Browser, Page
from demo.customers import Customer
from demo.processes import Failed


class Support:
    """Signed in to Cadence Admin; raises Failed when a page says no."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self._url = browser, url

    def sign_in(self, user: str, password: str) -> None:
        """As with any other visit a session ends after some hours."""
        page = self._browser.open(f"{self._url}/")
        if page.offers("password"):
            page = self._browser.submit(page, username=user, password=password)
        if page.status != 200 or page.offers("password"):
            raise Failed(f"Cadence Admin lets {user} not in: {page.status} “{page.heading}”.")

    def add(self, customer: Customer) -> None:
        """A new account."""
        form = self._browser.open(f"{self._url}/tenants/account/add/")
        page = self._browser.submit(
            form,
            slug=customer.slug,
            name=customer.name,
            domains=customer.domain,
            time_zone=customer.zone,
            cloud=customer.cloud,
            contact_email=f"it@{customer.domain}",
            _save="Save",
        )
        _must_lead_on(form, page)

    def disconnect(self, customer: Customer, why: str) -> None:
        """Ends a connection, with a reason."""
        form = self._browser.open(f"{self._url}/accounts/{customer.slug}/disconnect/")
        _must_lead_on(form, self._browser.submit(form, why=why))


def _must_lead_on(form: Page, page: Page) -> None:
    """A form that was not taken is shown again."""
    if page.status != 200 or page.url == form.url:
        raise Failed(f"The form at {form.url} was not taken: {page.status} “{page.heading}”.")
