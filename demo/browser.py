"""A browser for the terminal: reads a page's forms, fills one in, follows where it leads. No script, as the pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from demo.processes import Failed

_TIMEOUT_SECONDS = 30


@dataclass(slots=True)
class Form:
    """Where a form goes, what it sends of itself, and what its fields and buttons offer (None: free text)."""

    action: str
    method: str
    sent: dict[str, str] = field(default_factory=dict)
    offered: dict[str, set[str | None]] = field(default_factory=dict)

    def takes(self, choices: dict[str, str]) -> bool:
        """Whether a person could make these choices here."""
        return all(
            name in self.offered and (value in self.offered[name] or None in self.offered[name])
            for name, value in choices.items()
        )


@dataclass(slots=True)
class Page:
    """A page as far as the demo looks at it."""

    url: str
    status: int
    heading: str
    forms: list[Form]

    @property
    def address(self) -> str:
        """Without the query, which may hold a code."""
        return self.url.partition("?")[0]

    def offers(self, name: str) -> bool:
        """Whether one of the forms has such a field or button."""
        return any(name in form.offered for form in self.forms)


class Browser:
    """Keeps cookies and follows redirects, as a person's browser does."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # localhost is reached through no proxy
        self._session.headers["User-Agent"] = "Cadence demo"

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def open(self, url: str) -> Page:
        """The page at the end of all redirects."""
        return _page(self._session.get(url, timeout=_TIMEOUT_SECONDS))

    def submit(self, page: Page, **choices: str) -> Page:
        """Makes the choices in the first form that offers them all; raises Failed when none does."""
        form = next((form for form in page.forms if form.takes(choices)), None)
        if form is None:
            raise Failed(f"The page “{page.heading}” at {page.address} offers no choice of {', '.join(choices)}.")
        values = {**form.sent, **choices}
        if form.method == "get":
            return _page(self._session.get(form.action, params=values, timeout=_TIMEOUT_SECONDS))
        return _page(self._session.post(form.action, data=values, timeout=_TIMEOUT_SECONDS))


def _page(answer: requests.Response) -> Page:
    parser = _Parser(answer.url)
    parser.feed(answer.text)
    return Page(answer.url, answer.status_code, " ".join("".join(parser.heading).split()), parser.forms)


class _Parser(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._in_heading = False
        self._select = ""
        self.heading: list[str] = []
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "h1" and not self.heading:
            self._in_heading = True
        elif tag == "form":
            action = urljoin(self._url, given.get("action", ""))
            self.forms.append(Form(action, given.get("method", "get").lower()))
        elif tag in ("input", "button", "textarea") and self.forms and given.get("name"):
            for name, value in _offer(tag, given, self.forms[-1]):
                self.forms[-1].offered.setdefault(name, set()).add(value)
        elif tag == "select" and self.forms:
            self._select = given.get("name", "")
        elif tag == "option" and self._select:
            self._choice(self.forms[-1], given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "h1":
            self._in_heading = False
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.heading.append(data)

    def _choice(self, form: Form, given: dict[str, str]) -> None:
        """Unasked, a list sends what is selected, or else its first."""
        value = given.get("value", "")
        form.offered.setdefault(self._select, set()).add(value)
        if "selected" in given or self._select not in form.sent:
            form.sent[self._select] = value


def _offer(tag: str, given: dict[str, str], form: Form) -> Iterator[tuple[str, str | None]]:
    """What this control lets a person choose; what it sends unasked is noted in the form."""
    kind = given.get("type", "submit" if tag == "button" else "text")
    if kind == "hidden" or (kind in ("radio", "checkbox") and "checked" in given):
        form.sent[given["name"]] = given.get("value", "on")
    if kind in ("submit", "radio", "checkbox"):
        yield given["name"], given.get("value", "on")
    elif kind != "hidden":
        form.sent[given["name"]] = given.get("value", "")
        yield given["name"], None
