"""Pages for customers in four languages: nothing untranslated, nothing garbled, and the visitor's choice is kept to."""

from __future__ import annotations

import gettext
import re
from collections import Counter
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.template.base import Template, TextNode
from django.template.engine import Engine
from django.template.loader import render_to_string
from django.test import Client
from django.utils import translation

from cadence_exchange.catalogues import Message, messages, mo_bytes, path_of, read_po, write_po
from microsoft.reasons import REASONS, reason
from sandbox import Sandbox
from tenants.consent import Result
from tenants.models import Account
from tests.factories import Api, make_account, make_api_key

LANGUAGES = ("de", "fr", "es")
TEMPLATES = sorted(
    path.relative_to(django_settings.BASE_DIR / "templates").as_posix()
    for path in (django_settings.BASE_DIR / "templates").rglob("*.*")
    if not re.search(r"/(admin|alerts/support|drf_spectacular)/", path.as_posix())
)
INSTEAD_OF = {"de": "Sie", "fr": "vous", "es": "usted"}
INFORMAL = {
    "de": r"\b(du|dich|dir|dein\w*|euch|euer)\b",
    "fr": r"\b(tu|toi|ton|tes)\b",
    "es": r"\b(tú|te|ti|tus|vosotros|vuestr\w+)\b",
}


@pytest.fixture(scope="module")
def catalogue() -> dict[str, dict[Message, str]]:
    return {language: read_po(path_of(language)) for language in LANGUAGES}


def test_the_settings_offer_exactly_these_languages() -> None:
    assert {code for code, _ in django_settings.LANGUAGES} == {"en", *LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_pages_and_reasons_is_translated_and_nothing_else(catalogue: Any, language: str) -> None:
    assert set(catalogue[language]) == set(messages()), "run `make translations`"
    assert [message for message, own in catalogue[language].items() if not own.strip()] == []


def test_the_texts_come_from_pages_code_and_reasons() -> None:
    found = messages()
    assert ("date and time", "j F Y, H:i") in found
    assert ("", "Please approve: calendars for Event Cadence") in found
    assert any("%(mailbox)s" in text for _, text in found)
    for row in (*REASONS.values(), reason("")):
        assert {("", row.title), ("", row.cause), ("", row.what_to_do)} <= set(found)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_words_of_a_page_stand_outside_its_translations(name: str) -> None:
    source = (django_settings.BASE_DIR / "templates" / name).read_text(encoding="utf-8")
    template = Template(source, engine=Engine.get_default(), name=name)
    bare = "".join(node.s for node in template.nodelist.get_nodes_by_type(TextNode))
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"<[^>]*>|&\w+;", " ", bare))
    assert [word for word in words if word not in {"Cadence", "Exchange", "UTC", "ms"}] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_markup_and_names_survive_translation(catalogue: Any, language: str) -> None:
    kept = re.compile(
        r"Calendars\.[A-Za-z.]+|AvailabilityOnly|KeyNotFound|RBAC|\b(?:30|100|1000)\b|outlook\.com|myapps[a-z.]+"
        r"|Event Cadence|Cadence Exchange|Exchange Online|Microsoft Graph|Microsoft"
    )
    markup = re.compile(r"%\(\w+\)s|</?[a-z]+[^>]*>")
    for (_, text), own in catalogue[language].items():
        assert set(kept.findall(own)) >= set(kept.findall(text)), text
        assert Counter(markup.findall(own)) == Counter(markup.findall(text)), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_are_addressed_formally(catalogue: Any, language: str) -> None:
    texts = catalogue[language].values()
    assert [own for own in texts if re.search(INFORMAL[language], own)] == []
    assert sum(INSTEAD_OF[language].lower() in own.lower() for own in texts) > 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_ends_as_its_text_does(catalogue: Any, language: str) -> None:
    for (context, text), own in catalogue[language].items():
        if not context and text != "Hello,":
            assert own.rstrip()[-1:] in ".:?,>" or text[-1:] not in ".:?", own
            assert (own[-1:] in ".:?") == (text[-1:] in ".:?"), own


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_the_written_one(catalogue: Any, language: str) -> None:
    compiled = path_of(language).with_suffix(".mo")
    assert compiled.read_bytes() == mo_bytes(language, catalogue[language]), "run `make translations`"
    with compiled.open("rb") as file:
        read = gettext.GNUTranslations(file)
    for (context, text), own in catalogue[language].items():
        assert (read.pgettext(context, text) if context else read.gettext(text)) == own


def test_a_written_catalogue_reads_back_as_it_was(tmp_path: Any) -> None:
    texts = {("", 'a "quoted"\nline'): "ein „Zitat“\\", ("when", "j F"): "j. F", ("", "none"): ""}
    path = tmp_path / "xx" / "django.po"
    write_po(path, "xx", dict.fromkeys(texts, "here"), texts)
    assert read_po(path) == texts
    assert read_po(tmp_path / "nothing.po") == {}


# --- what a visitor is served ----------------------------------------------------------------------------------------

GREETING = {
    "en": "Connect your Microsoft 365 calendars",
    "de": "Verbinden Sie Ihre Microsoft-365-Kalender",
    "fr": "Reliez vos calendriers Microsoft 365",
    "es": "Conecte sus calendarios de Microsoft 365",
}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("fr-CA,fr;q=0.9,en;q=0.5", "fr"),
        ("es-MX", "es"),
        ("en;q=0.4, de;q=0.8", "de"),
        ("ja, es;q=0.2", "es"),
        ("ja", "en"),
        ("*", "en"),
        ("it;q=1, *;q=0.1", "en"),
        ("en-GB,de", "en"),
        ("../../etc/passwd", "en"),
        ("de" * 600, "en"),
    ],
)
@pytest.mark.django_db
def test_the_consent_page_speaks_the_visitors_language(header: str, language: str) -> None:
    account = make_account("contoso")
    answer = Client().get(f"/connect/{account.consent_key}/", headers={"Accept-Language": header})
    html = answer.content.decode()
    assert GREETING[language] in html and f'<html lang="{language}">' in html
    assert answer.headers["Content-Language"] == language
    assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.django_db
def test_every_page_of_the_way_is_in_the_visitors_language(
    microsoft: Sandbox, consent: Callable[..., Any], catalogue: Any, language: str
) -> None:
    account = make_account("contoso")
    browser = Client(headers={"Accept-Language": language})
    own = catalogue[language]
    pages = [
        (browser.get("/connect/no-such-key/"), "There is no page here"),
        (browser.get("/connect/callback/?state=x"), "This sign-in was not started here"),
        (browser.get("/connect/callback/?admin_consent=True"), "We cannot tell which approval this is"),
        (browser.get("/"), "Times that work, for everybody invited"),
        (browser.post(f"/connect/{account.consent_key}/", {}), "Please choose who will sign in."),
        (consent(account, browser=browser, accept=False), "The permissions were declined"),
        (consent(account, browser=browser), "Your calendars are connected"),
        (browser.get(f"/connect/{account.consent_key}/"), "This account is already connected"),
        (
            Client(enforce_csrf_checks=True, headers={"Accept-Language": language}).post(
                f"/connect/{account.consent_key}/"
            ),
            "Please start again",
        ),
    ]
    for answer, text in pages:
        html = answer.content.decode()
        assert own["", text] in html and text not in html, answer.request["PATH_INFO"]
        assert f'<html lang="{language}">' in html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_is_told_in_every_language(catalogue: Any, language: str, code: str) -> None:
    row = reason(code)
    context = {"result": Result(200, row, Account(slug="contoso", consent_key="key"))}
    with translation.override(language):
        html = render_to_string("tenants/not_connected.html", context)
    for text in (row.title, row.cause, row.what_to_do):
        assert catalogue[language]["", text] in unescape(html)


@pytest.mark.django_db
def test_the_text_to_forward_is_in_the_visitors_language(microsoft: Sandbox, consent: Callable[..., Any]) -> None:
    microsoft.control.set({"user_consent": False})
    browser = Client(headers={"Accept-Language": "de"})
    html = consent(make_account("contoso"), browser=browser).content.decode()
    assert "Guten Tag," in html and "Die Genehmigung allein verbindet nichts." in html
    assert "Bitte%20genehmigen" in html


@pytest.mark.django_db
def test_dates_follow_the_language(contoso: Account) -> None:
    months = {"de": "Januar", "fr": "janvier", "es": "enero"}
    contoso.connection.connected_at = contoso.connection.connected_at.replace(month=1, day=3)
    contoso.connection.save()
    for language, month in months.items():
        answer = Client().get(f"/connect/{contoso.consent_key}/", headers={"Accept-Language": language})
        assert re.search(rf"3(\.| de)? {month} (de )?20\d\d, \d\d:\d\d", answer.content.decode())


@pytest.mark.django_db
def test_the_admin_and_the_api_stay_english(contoso: Account) -> None:
    browser = Client(headers={"Accept-Language": "de"})
    browser.force_login(User.objects.create_superuser("root"))
    page = browser.get("/admin/tenants/account/")
    assert 'lang="en"' in page.content.decode() and "Select account to change" in page.content.decode()
    api = Api(make_api_key(contoso))
    problem = api.post("contoso", "slots", {}, HTTP_ACCEPT_LANGUAGE="de")
    assert "This field is required." in problem.content.decode()
    assert "Accept-Language" not in problem.headers.get("Vary", "") and "Content-Language" not in problem.headers


def test_a_visitors_language_ends_with_the_answer() -> None:
    before = translation.get_language()
    Client().get("/", headers={"Accept-Language": "fr"})
    assert translation.get_language() == before
