"""axe-core over a page: what keeps people with disabilities from using it."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
# Without preload: it would put style elements into the page, which our policy forbids as it should.
OPTIONS = {"resultTypes": ["violations"], "preload": False}
_AXE = Axe()


def findings(page: Page) -> list[str]:
    """Serious and critical findings: rule, what is wrong, and where."""
    results = _AXE.run(page, options=OPTIONS).response
    return [
        f"{found['id']}: {found['help']}: {node['target']} {node['failureSummary']}"
        for found in results["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]
