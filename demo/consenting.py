"""How an organisation's service account goes through the consent pages."""

from __future__ import annotations

from collections.abc import Iterator

from demo.browser import Browser, Page
from demo.processes import Failed

_SERVICE_ACCOUNT = ("A dedicated service account", {"mode": "service_account"})


def consent(browser: Browser, url: str, reader: str) -> Iterator[tuple[str, str]]:
    """Walks the pages to the end; yields each page's heading with what was chosen on it.

    Where the organisation's consent still stands Microsoft asks for none, and the pages end sooner.
    """
    page = browser.open(url)
    for shown, choices in (_SERVICE_ACCOUNT, (reader, {"account": reader}), ("Accept", {"decision": "accept"})):
        _must_be_fine(page)
        if "decision" in choices and not page.offers("decision"):
            break
        yield page.heading, shown
        page = browser.submit(page, **choices)
    _must_be_fine(page)
    yield page.heading, ""


def go_back(browser: Browser, url: str, reader: str) -> Page:
    """Signs in, and turns back where the organisation wants an administrator's approval; returns our page about it."""
    page = browser.submit(browser.open(url), **_SERVICE_ACCOUNT[1])
    return browser.submit(browser.submit(page, account=reader), decision="cancel")


def _must_be_fine(page: Page) -> None:
    if page.status != 200:
        raise Failed(f"{page.address} answered {page.status}: “{page.heading}”.")
