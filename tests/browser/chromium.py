"""A real Chromium that writes down what a strict reviewer would complain about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

INSTALL = "Chromium is needed: apt-get install chromium"
# No sandbox of its own: it needs rights that root in a container lacks. The rest keeps it from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL = {"localhost", "127.0.0.1"}
WIDE, PHONE = (1440, 900), (390, 844)
PATIENCE_MS = 20_000  # for a busy machine; nothing is judged by how fast it was


def find_chromium() -> str | None:
    """The path of Debian's Chromium, on PATH or where the package puts it."""
    packaged = Path("/usr/bin/chromium")
    return shutil.which("chromium") or (str(packaged) if packaged.exists() else None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A running browser. While it lives this thread has an event loop, which Django's ORM refuses to work beside."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """One person's browser: its tabs share cookies; what goes wrong in any of them is kept in `complaints`."""

    context: BrowserContext
    origin: str
    complaints: list[str] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)  # path of the product → its Content-Security-Policy
    _refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.context.on("request", self._on_request)
        self.context.on("response", self._on_response)
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda error: self.complaints.append(f"script error: {error.error}"))

    def tab(self) -> Page:
        """A new tab."""
        return self.context.new_page()

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOCAL:
            self.complaints.append(f"left this machine: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and response.request.is_navigation_request():
            self._refused.add(response.url)
        elif response.status >= 400:
            self.complaints.append(f"{response.status} for a part of a page: {response.url}")
        if response.url.startswith(self.origin) and response.request.resource_type == "document":
            self.policies[urlsplit(response.url).path] = response.headers.get("content-security-policy", "")

    def _on_console(self, message: ConsoleMessage) -> None:
        # Chromium itself notes that a page came with a status of 400 or more; that is the test's to judge.
        own_note = message.text.startswith("Failed to load resource") and message.location["url"] in self._refused
        advice = message.type in ("verbose", "info")  # Chromium's own, on how forms could be nicer
        if not own_note and not advice:
            self.complaints.append(f"console: {message.type}: {message.text}")


@contextmanager
def visitor(browser: Browser, origin: str, size: tuple[int, int] = WIDE, scheme: Any = "light") -> Iterator[Visitor]:
    """A browser profile of its own, in English, with a window of that size (CSS pixels)."""
    phone = size[0] < 600
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        locale="en-GB",
        is_mobile=phone,
        has_touch=phone,
        reduced_motion="reduce",
        ignore_https_errors=True,  # the simulated Microsoft signs its own certificate
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield Visitor(context, origin)
    finally:
        context.close()
