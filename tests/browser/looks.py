"""What every page is held to, in each window and colour scheme: everybody can read it, and reach what it offers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.axe import findings
from tests.browser.chromium import PHONE, WIDE

LOOKS = pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone-dark"])
ALL_LOOKS = pytest.mark.parametrize(
    ("size", "scheme"),
    [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["wide", "wide-dark", "phone", "phone-dark"],
)
MOST_PRESSES = 500
# What one acts with on the page itself. A browser stops once at a group of radio buttons.
_WATCH = """() => {
  const drawn = (element) => {
    const style = getComputedStyle(element);
    return [style.outline, style.boxShadow, style.border, style.color, style.backgroundColor].join();
  };
  const offered = "button, a.button, input:not([type=hidden], [type=radio]), select, textarea, summary";
  const wanted = [...document.querySelectorAll(`#content :is(${offered})`)]
    .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled);
  document.activeElement.blur();
  window.toReach = new Map(wanted.map((element) => [element, drawn(element)]));
  window.noteReached = () => {
    const focused = document.activeElement;
    if (window.toReach.has(focused) && drawn(focused) !== window.toReach.get(focused)) {
      window.toReach.delete(focused);
    }
    return window.toReach.size;
  };
  return window.toReach.size;
}"""
# Tables that are made to fit; those of many numbers scroll by themselves.
_CUT = """() => [...document.querySelectorAll(".results, .wide")]
  .filter((around) => around.scrollWidth > around.clientWidth + 1)
  .map((around) => around.getAttribute("aria-label") || around.className)"""
_LEFT = "() => [...window.toReach.keys()].map((element) => element.outerHTML.slice(0, 120))"


def shown(page: Page) -> None:
    """Fails unless everybody can use the page as it is now."""
    page.wait_for_load_state("load")
    assert "\n".join(findings(page)) == ""
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) <= 0, f"{page.url} must be scrolled sideways"
    assert page.evaluate(_CUT) == [], f"{page.url} has columns out of sight"


def reached(page: Page) -> None:
    """Fails unless Tab leads to everything that the page offers, and the focus can be seen there."""
    left = page.evaluate(_WATCH)
    for _ in range(MOST_PRESSES):
        if not left:
            return
        page.keyboard.press("Tab")
        left = page.evaluate("window.noteReached()")
    raise AssertionError(f"{page.url}: no visible focus by Tab on {page.evaluate(_LEFT)}")
