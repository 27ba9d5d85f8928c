"""Walks the sandbox's pages as a human's browser would, by the forms they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


class SignInRefusedError(Exception):
    """The sandbox kept the visitor on a page of its own; the text is that page's."""


@dataclass(slots=True)
class Form:
    """One form of a page: where it goes, its hidden fields, and the names of all it sends."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class _Forms(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.forms: list[Form] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(urljoin(self._url, given.get("action", ""))))
        elif tag in {"input", "button"} and self.forms and given.get("name"):
            self.forms[-1].names.add(given["name"])
            if given.get("type") == "hidden":
                self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())


def sign_in(
    authorize_url: str,
    upn: str,
    *,
    consent: bool = True,
    admin_tick: bool = False,
    mfa: bool = True,
    session: requests.Session | None = None,
) -> str:
    """Sign in as `upn`, answer a consent screen if one comes, return the URL the browser is sent back to.

    Works for authorize and for adminconsent. A second step is approved unless `mfa` is False. Raises
    SignInRefusedError when the sandbox shows an error page, refuses the account, or offers no
    organisation-wide consent although `admin_tick` asks for it.
    """
    answer = _walk(session or _session(), authorize_url, upn, consent=consent, admin_tick=admin_tick, mfa=mfa)
    if not answer.is_redirect:
        raise SignInRefusedError(" ".join(_page(answer).text))
    return answer.headers["Location"]


def sign_in_form_post(
    authorize_url: str, upn: str, *, consent: bool = True, session: requests.Session | None = None
) -> tuple[str, dict[str, str]]:
    """Sign in with response_mode=form_post; return where the last page posts to, and its fields."""
    answer = _walk(session or _session(), authorize_url, upn, consent=consent, admin_tick=False, mfa=True)
    forms = [form for form in _page(answer).forms if "state" in form.fields and "request" not in form.fields]
    if not forms:
        raise SignInRefusedError(" ".join(_page(answer).text))
    return forms[-1].action, forms[-1].fields


def _walk(
    browser: requests.Session, url: str, upn: str, *, consent: bool, admin_tick: bool, mfa: bool
) -> requests.Response:
    answer = browser.get(url, allow_redirects=False, timeout=30)
    if not answer.is_redirect:
        answer = _submit(browser, answer, "account", {"account": upn})
    if _offers(answer, "mfa"):
        answer = _submit(browser, answer, "mfa", {"mfa": "approved" if mfa else "denied"})
    if _offers(answer, "decision"):
        if _offers(answer, "account"):  # the picker again: the account was refused
            raise SignInRefusedError(" ".join(_page(answer).text))
        pressed = {"decision": "accept" if consent else "cancel"}
        if admin_tick and consent:
            if not _offers(answer, "organisation"):
                raise SignInRefusedError("no consent for the organisation is offered")
            pressed["organisation"] = "1"
        answer = _submit(browser, answer, "decision", pressed)
    return answer


def _offers(answer: requests.Response, name: str) -> bool:
    """Return whether the page has a field or button of that name to be used by a human."""
    if answer.is_redirect:
        return False
    return any(name in form.names - set(form.fields) for form in _page(answer).forms)


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _page(answer: requests.Response) -> _Forms:
    parser = _Forms(answer.url)
    parser.feed(answer.text)
    return parser


def _submit(
    browser: requests.Session, answer: requests.Response, name: str, pressed: dict[str, str]
) -> requests.Response:
    """Submit the first form that has a field or button called `name`."""
    page = _page(answer)
    for form in page.forms:
        if name in form.names - set(form.fields):
            return browser.post(form.action, data={**form.fields, **pressed}, allow_redirects=False, timeout=30)
    raise SignInRefusedError(" ".join(page.text))
