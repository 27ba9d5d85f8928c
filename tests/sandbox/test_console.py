"""The page to watch and drive a demo."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

from sandbox.calendars import POISON
from sandbox.tokens import ACCESS_PREFIX, CODE_PREFIX, REFRESH_PREFIX

READER = "cadence-service@contoso.example"


class Page(HTMLParser):
    """Forms as (choices, [(label, value)]), cells and labels of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[list[str], list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "form":
            self.forms.append(([], []))
        elif tag == "button":
            self.forms[-1][1].append(dict(attrs)["value"])

    def handle_endtag(self, tag):
        self._open = ""

    def handle_data(self, data):
        if self._open == "option":
            self.forms[-1][0].append(data)
        elif self._open == "td":
            self.cells.append(data)


def load(client, query=""):
    answer = client.session.get(f"{client.authority}/_sandbox/{query}", timeout=5)
    assert answer.status_code == 200
    return answer, Page(answer.text)


def press(client, **form):
    return client.session.post(f"{client.authority}/_sandbox/do", data=form, allow_redirects=False, timeout=5)


def test_the_page_shows_counters_requests_options_conditions_and_accounts(client, sandbox):
    token = client.tokens(READER)["access_token"]
    client.ask(token, ["joe@contoso.example"])
    sandbox.control.set(
        {
            "token_lifetime": 77,
            "faults": [{"path": "/me", "status": 503}],
            "conditions": {"contoso": {"approval": 90095}},
            "disable_user": "ann@contoso.example",
        }
    )
    answer, page = load(client)
    for cell in ("get_schedule", "POST /v1.0/me/calendar/getSchedule", "option token_lifetime", "77", "disabled"):
        assert cell in page.cells
    assert "contoso.example: 90095" in page.cells
    assert any("status 503" in cell for cell in page.cells)
    for secret in (POISON, ACCESS_PREFIX, REFRESH_PREFIX, CODE_PREFIX, token):
        assert secret not in answer.text


def test_the_page_is_plain_html_that_says_what_it_is(client):
    answer, page = load(client)
    assert "Sandbox: not Microsoft" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "iframe"})
    assert not [name for _, attrs in page.tags for name in attrs if name == "style" or name.startswith("on")]
    labelled = {attrs.get("for") for tag, attrs in page.tags if tag == "label"}
    assert {attrs.get("id") for tag, attrs in page.tags if tag == "select"} <= labelled


@pytest.mark.parametrize(
    ("query", "reloads"), [("", []), ("?refresh=3", ["3"]), ("?refresh=x", []), ("?refresh=0", [])]
)
def test_the_page_reloads_itself_only_when_asked(client, query, reloads):
    _, page = load(client, query)
    assert [attrs["content"] for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs] == reloads


def test_every_button_works_for_every_kind_of_choice(client, sandbox):
    _, page = load(client)
    pressed = 0
    for choices, values in page.forms:
        for who in {choices[0], choices[-1]} if choices else {""}:
            for value in values:
                answer = press(client, set=value, who=who)
                back = f"/_sandbox/?{urlencode({'who': who})}" if who else "/_sandbox/"
                assert (answer.status_code, answer.headers["Location"]) == (303, back), (value, who)
                pressed += 1
    assert pressed > 30


def test_a_button_does_what_it_says_and_cure_undoes_it(client, sandbox):
    token = client.tokens(READER)["refresh_token"]
    _, page = load(client)
    values = [value for _, values in page.forms for value in values]
    blocked = next(value for value in values if "conditional_access" in value)
    press(client, set=blocked, who=READER)
    press(client, set=next(value for value in values if "disable_user" in value), who=READER)
    assert client.refresh(token)["error_codes"] == [50057]
    press(client, set=next(value for value in values if "cure" in json.loads(value)), who=READER)
    assert "access_token" in client.refresh(token)


def test_everything_can_be_put_back_to_the_start_but_consents_stay(client, sandbox):
    token = client.tokens(READER)["refresh_token"]
    sandbox.control.set(
        {
            "max_mailboxes": 100,
            "faults": [{"times": None, "status": 500}],
            "conditions": {"*": {"refuse": 50053}},
            "disable_user": "*",
        }
    )
    press(client, set='{"reset": true}')
    assert sandbox.options.max_mailboxes == 20
    assert "access_token" in client.refresh(token)


def test_who_was_chosen_stays_chosen(client):
    answer, _ = load(client, f"?who={READER}")
    assert f"<option selected>{READER}</option>" in answer.text
    assert "selected" not in load(client)[0].text


def test_counters_can_be_reset(client, sandbox):
    client.tokens()
    press(client, set="reset-counters")
    assert sandbox.counters.as_json() == {}


@pytest.mark.parametrize("value", ["", "nonsense", '{"no_such_verb": 1}', '{"disable_user": "<b>nobody</b>"}'])
def test_a_wrong_form_says_what_is_wrong_without_believing_it(client, value):
    answer = press(client, set=value)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "<b>" not in answer.text


def test_the_front_page_leads_here(client):
    front = client.session.get(client.authority, timeout=5)
    assert 'href="/_sandbox/"' in front.text
    assert client.session.get(f"{client.authority}/_sandbox", timeout=5).status_code == 200
