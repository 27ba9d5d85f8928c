"""What the human pages say, and that they say it without scripts, inline styles or a word about the customer."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.template.loader import get_template, render_to_string
from django.test import Client, RequestFactory

from microsoft.reasons import REASONS, reason
from sandbox import Sandbox
from tenants.consent import Result
from tenants.models import Account, Connection, Mode
from tenants.verification import Proof
from tenants.views import BROWSER_COOKIE_SECONDS
from tests.factories import make_account

READER = "cadence-service@contoso.example"
OF_A_VISITOR = {"input", "select", "textarea"}


class Page(HTMLParser):
    """Text, tags and attributes of a page, as far as the tests ask."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self._silent = 0
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self._words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag and all(attrs.get(k) == v for k, v in wanted.items())]


def assert_accessible_and_strict(page: Page) -> None:
    """What every page keeps: nothing inline, one heading, unique ids, named controls, resolvable references."""
    assert not page.all("script") and not page.all("style")
    assert not [tag for tag, attrs in page.tags if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert page.all("html", lang="en") and page.all("meta", name="viewport")
    assert len(page.all("h1")) == 1 and len(page.all("title")) == 1 and len(page.all("main")) == 1
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in page.tags:
        for name in ("aria-describedby", "aria-labelledby"):
            assert set(attrs.get(name, "").split()) <= set(ids)
        if attrs.get("href", "").startswith("#"):
            assert attrs["href"][1:] in ids
        if tag in OF_A_VISITOR and attrs.get("type") != "hidden":
            assert page.all("label", **{"for": attrs["id"]})
    outside = [attrs for tag, attrs in page.tags if tag in {"link", "img"} and "//" in attrs.get("href", "")]
    assert not outside


def page_of(answer: Any) -> Page:
    return Page(answer.content.decode())


@pytest.fixture
def account(db: None) -> Account:
    return make_account("contoso", name="Contoso Secret Holding", contact_email="chief@contoso.example")


def consent_page(account: Account) -> Any:
    return Client().get(f"/connect/{account.consent_key}/")


def shown_result(code: str, account: Account | None) -> Page:
    context = {"result": Result(200, reason(code), account), "request_id": "req-42"}
    return Page(render_to_string("tenants/not_connected.html", context))


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("Calendars.Read", "Read your calendars"),
        ("Calendars.Read.Shared", "Read calendars you can access"),
        ("Calendars.ReadBasic", "Read basic details of your calendars"),
    ],
)
def test_the_consent_page_says_what_microsoft_will_ask_in_microsofts_words(
    account: Account, settings: Any, scope: str, words: str
) -> None:
    settings.MICROSOFT_CALENDAR_SCOPE = scope
    text = page_of(consent_page(account)).text
    assert words in text
    assert "Maintain access to data you have given it access to" in text
    assert "Sign you in and read your profile" in text


@pytest.mark.parametrize(
    "words",
    [
        "Subjects and locations",
        "Nothing is ever written",
        "Consent on behalf of your organization",
        "a mailbox of its own",
        "no administrator role",
        "smallest licence with an Exchange Online mailbox",
        "AvailabilityOnly",
        "sign-in frequency",
        "myapps.microsoft.com",
        "Enterprise applications",
        "Please tell Event Cadence too",
    ],
)
def test_the_consent_page_explains_limits_and_the_way_back(account: Account, words: str) -> None:
    assert words in page_of(consent_page(account)).text


def test_the_consent_form_offers_both_modes_and_chooses_none(account: Account) -> None:
    page = page_of(consent_page(account))
    radios = page.all("input", type="radio", name="mode")
    assert [radio["value"] for radio in radios] == Mode.values
    assert all("checked" not in radio and "required" in radio for radio in radios)
    assert all(radio["aria-describedby"] for radio in radios)
    assert page.all("input", type="hidden", name="csrfmiddlewaretoken")
    assert [form["method"] for form in page.all("form")] == ["post"]
    assert len(page.all("button")) == 1
    assert "Continue to Microsoft" in page.text


def test_the_page_promises_the_lifetime_that_the_cookie_has(account: Account) -> None:
    assert "kept for an hour" in page_of(consent_page(account)).text
    assert BROWSER_COOKIE_SECONDS == 3600


def test_the_form_is_refused_without_its_csrf_token_in_plain_words(account: Account) -> None:
    answer = Client(enforce_csrf_checks=True).post(f"/connect/{account.consent_key}/", {"mode": "admin"})
    assert answer.status_code == 403
    assert "Please start again" in page_of(answer).text


def test_a_choice_that_was_not_made_is_an_alert_tied_to_the_choices(account: Account) -> None:
    answer = Client().post(f"/connect/{account.consent_key}/", {})
    page = page_of(answer)
    assert answer.status_code == 400
    assert page.all("p", role="alert") and "Please choose who will sign in." in page.text
    assert page.all("fieldset", **{"aria-describedby": "problem"})
    assert_accessible_and_strict(page)


@pytest.mark.parametrize("state", ["", "enabled", "needs_consent", "disabled"])
def test_the_consent_page_says_nothing_about_the_customer_but_who_signed_in(account: Account, state: str) -> None:
    if state:
        Connection.objects.create(
            account=account,
            state=state,
            mode="service_account",
            reader=READER,
            tenant_id="11111111-2222-3333-4444-555555555555",
            connected_at=datetime.now(UTC),
        )
    answer = consent_page(account)
    html = answer.content.decode()
    assert (READER in html) == bool(state)
    for word in ("contoso", "Contoso", "Secret Holding", "chief@", "11111111-2222", "Europe/Berlin"):
        assert word not in html.replace(READER, "")
    assert page_of(answer).all("button", type="submit")
    assert_accessible_and_strict(page_of(answer))
    assert ("already connected" in html) == (state == "enabled")
    assert ("was connected before" in html) == (state in ("needs_consent", "disabled"))


def test_the_result_page_shows_what_was_proven(
    consent: Callable[..., Any], microsoft: Sandbox, account: Account
) -> None:
    answer = consent(account)
    page = page_of(answer)
    proof: Proof = answer.context["result"].proof
    connection = Connection.objects.get(account=account)
    assert answer.status_code == 200
    for words in (
        "Your calendars are connected",
        READER,
        connection.tenant_id,
        f"{proof.start:%H:%M}",
        f"{proof.end:%H:%M}",
        str(proof.latency_ms),
        proof.request_id,
        answer.headers["X-Request-ID"],
        "There is nothing to do daily or weekly",
        "myapps.microsoft.com",
        *connection.scopes,
    ):
        assert words in page.text
    assert "granted more than we asked" not in page.text
    assert proof.end - proof.start == timedelta(days=1)
    assert_accessible_and_strict(page)


def test_scopes_that_nobody_asked_for_are_a_warning_on_the_result_page(
    consent: Callable[..., Any], microsoft: Sandbox, account: Account
) -> None:
    microsoft.control.set({"extra_scopes": ["https://graph.microsoft.com/Mail.Read"]})
    page = page_of(consent(account))
    assert "Microsoft granted more than we asked for" in page.text
    assert "https://graph.microsoft.com/Mail.Read" in page.text
    assert_accessible_and_strict(page)


def test_a_declined_consent_says_so_and_offers_another_try(
    consent: Callable[..., Any], microsoft: Sandbox, account: Account
) -> None:
    answer = consent(account, accept=False)
    page = page_of(answer)
    assert "declined" in page.text and "You, or whoever signs in" in page.text
    assert page.all("a", href=f"http://localhost:8000/connect/{account.consent_key}/")
    assert answer.headers["X-Request-ID"] in page.text
    assert_accessible_and_strict(page)


def test_an_administrator_without_a_mailbox_learns_who_can_mend_it(
    consent: Callable[..., Any], microsoft: Sandbox, account: Account
) -> None:
    page = page_of(consent(account, "admin@contoso.example", mode="admin"))
    assert "mailbox" in page.text
    assert "An administrator of your Microsoft 365 organisation" in page.text
    assert "Forward the consent link to them" in page.text


def test_our_own_wrong_secret_is_named_our_fault(
    consent: Callable[..., Any], microsoft: Sandbox, account: Account, settings: Any
) -> None:
    settings.MICROSOFT_CLIENT_SECRET = "not the registered one"
    answer = consent(account)
    page = page_of(answer)
    assert answer.status_code == 502
    assert "This is our fault" in page.text and "nothing to change on your side" in page.text
    assert "not the registered one" not in page.text


@pytest.mark.django_db
def test_a_way_back_without_a_known_state_names_no_account_and_no_query() -> None:
    forged = {"state": "forged", "error": "call_helpdesk_evil", "error_description": "AADSTS65001 <b>evil</b>"}
    answer = Client().get("/connect/callback/", forged)
    page = page_of(answer)
    assert answer.status_code == 400
    assert "open the consent link that you were sent" in page.text
    assert not page.all("a", **{"class": "button"})
    assert "evil" not in answer.content.decode() and "forged" not in page.text


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("declined", True),
        ("AADSTS50173", True),
        ("AADSTS99999999", True),  # unknown to us, yet Microsoft's number helps the customer's IT
        ("call_helpdesk_evil", False),  # an unknown word may be the query string's own
    ],
)
def test_only_known_codes_and_microsofts_numbers_are_shown(code: str, shown: bool) -> None:
    page = shown_result(code, None)
    assert (code in page.text) == shown
    assert "req-42" in page.text


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_is_a_page_with_cause_remedy_and_actor(code: str) -> None:
    row = reason(code)
    page = shown_result(code, Account(slug="contoso", consent_key="key"))
    for words in (row.title, row.cause, row.what_to_do):
        assert re.sub(r"\s+", " ", words) in page.text
    assert "Who can mend it" in page.text
    assert ("This is our fault" in page.text) == (row.kind == "our_fault")
    assert_accessible_and_strict(page)


def test_the_approval_link_is_for_those_who_lack_the_right_and_says_it_is_not_enough() -> None:
    link = "https://login.example/organizations/v2.0/adminconsent?client_id=1&scope=s"
    context = {
        "result": Result(200, reason("approval_needed"), Account(slug="contoso", consent_key="key")),
        "admin_consent_url": link,
        "forward_text": f"Please open {link} & sign",
        "forward_mail": "mailto:?subject=s&body=b",
    }
    page = Page(render_to_string("tenants/not_connected.html", context))
    assert page.all("a", href=link) and page.all("a", href="mailto:?subject=s&body=b")
    assert f"Please open {link} & sign" in page.text
    assert "The approval alone does not connect anything" in page.text
    assert_accessible_and_strict(page)


@pytest.mark.parametrize("name", ["400.html", "403.html", "404.html", "403_csrf.html", "500.html"])
def test_error_pages_need_neither_context_nor_database(name: str) -> None:
    page = Page(get_template(name).render())
    assert_accessible_and_strict(page)


def test_an_unknown_consent_key_is_a_page_that_explains_renewal(db: None) -> None:
    answer = Client().get("/connect/not-a-key/")
    assert answer.status_code == 404
    assert "it may have been renewed" in page_of(answer).text
    assert "not-a-key" not in answer.content.decode()


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [("403.html", "ask Event Cadence"), ("404.html", "consent link"), ("403_csrf.html", "sent to Microsoft")],
)
def test_an_error_page_speaks_to_staff_in_the_admin_and_to_customers_elsewhere(
    rf: RequestFactory, name: str, elsewhere: str
) -> None:
    template = get_template(name)
    for path, for_staff in (("/admin/accounts/x/", True), ("/connect/x/", False)):
        page = Page(template.render(request=rf.get(path)))
        assert bool(page.all("a", href="/admin/")) is for_staff
        assert (elsewhere in page.text) is not for_staff
        assert_accessible_and_strict(page)


def test_the_front_page_names_the_ways_in() -> None:
    page = page_of(Client().get("/"))
    assert page.all("a", href="/admin/") and page.all("a", href="/api/v1/docs/")
    assert_accessible_and_strict(page)


def test_the_pages_are_sent_with_a_policy_that_allows_nothing_inline(account: Account) -> None:
    policy = consent_page(account).headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe-inline" not in policy
    assert re.search(r"form-action 'self' https?://", policy)


@pytest.mark.parametrize("name", ["cadence.css", "admin.css", "copy.js", "favicon.svg"])
def test_the_stylesheets_and_the_script_are_served_from_here(name: str) -> None:
    answer = Client().get(f"/static/{name}")
    body = b"".join(answer.streaming_content)
    assert answer.status_code == 200
    assert b"@import" not in body and b"url(" not in body
