"""Every failure code has words, a kind and somebody who acts; OAuth bodies become the right code."""

from __future__ import annotations

import json

import pytest
from requests.structures import CaseInsensitiveDict

from microsoft.errors import (
    ConsentRequired,
    IntegrationError,
    Misconfigured,
    Refused,
    Throttled,
    TokenRejected,
    Unavailable,
    error_for,
    may_pass,
)
from microsoft.graph_answer import judge_answer
from microsoft.http import Answer
from microsoft.reasons import REASONS, Actor, Kind, aadsts_codes, from_token_error, reason
from tests.microsoft.conftest import SAMPLES

RECONNECT = (50173, 700082, 70008, 70000, 70043, 65001, 65004, 50076, 50079, 50074, 50072, 50078, 50058, 135010)
RECONNECT += (50020, 90072, 16000, 700016, 500011, 650052, 650056, 54005, 501481)
ADMIN = (90094, 90095, 53003, 530032, 53000, 50057, 50034, 51004, 50053, 50055, 50105, 500021, 500212, 500213, 90002)
OURS = (700084, 90038, 7000215, 7000222, 700027, 7000112, 50011, 9002313, 50196)
PASSING = (90033, 90012, 90024, 90006, 50033)

KINDS = {
    **dict.fromkeys(RECONNECT, Kind.NEEDS_CONSENT),
    **dict.fromkeys(ADMIN, Kind.NEEDS_CUSTOMER_ADMIN),
    **dict.fromkeys(OURS, Kind.OUR_FAULT),
    **dict.fromkeys(PASSING, Kind.TRANSIENT),
}


@pytest.mark.parametrize(("number", "kind"), KINDS.items())
def test_every_aadsts_code_of_a_long_lived_connection_has_its_kind(number, kind):
    assert reason(f"AADSTS{number}").kind is kind


@pytest.mark.parametrize("row", REASONS.values(), ids=REASONS.keys())
def test_every_row_has_words_for_both_readers(row):
    for text in (row.title, row.cause, row.what_to_do, row.support):
        assert text == text.strip()
        assert text
    assert row.cause.endswith((".", "!"))
    assert not row.title.endswith(".")
    assert len(row.title) <= 80


@pytest.mark.parametrize("row", [row for row in REASONS.values() if row.kind is Kind.OUR_FAULT], ids=lambda r: r.code)
def test_our_own_faults_are_never_the_customers_to_repair(row):
    assert row.actor is Actor.CADENCE


def test_every_code_of_a_mailbox_problem_and_of_the_consent_flow_has_a_row():
    problems = "not_found too_many_entries no_access not_on_exchange_online no_data timeout throttled unavailable other"
    flow = (
        "declined approval_needed personal_account other_tenant scope_missing mailbox_missing id_token_invalid "
        "state_expired state_used state_unknown other_browser disconnected microsoft_unavailable throttled "
        "consent_required"
    )
    assert {code for code in (problems + " " + flow).split() if code not in REASONS} == set()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 509])
def test_an_answer_of_graphs_that_may_pass_has_its_words_also_without_a_code(status):
    verdict = judge_answer(Answer(status, CaseInsensitiveDict(), b""), wall_clock=lambda: 0.0)
    assert (verdict.code, reason(verdict.code).kind) == (f"HTTP{status}", Kind.TRANSIENT)


def test_an_unknown_code_keeps_its_name_under_generic_words():
    row = reason("AADSTS123456")
    assert (row.code, row.kind) == ("AADSTS123456", Kind.UNKNOWN)
    assert reason("").code == "unknown"


SAMPLE_CODES = {
    "token-error-50076-with-claims.json": ("AADSTS50076", ConsentRequired),
    "token-error-50173.json": ("AADSTS50173", ConsentRequired),
    "token-error-7000222.json": ("AADSTS7000222", Misconfigured),
    "token-error-70011.json": ("AADSTS70011", Misconfigured),
    "token-error-9002313.json": ("AADSTS9002313", Misconfigured),
}


def test_every_recorded_token_error_has_its_row_in_the_table_below():
    assert {path.name for path in SAMPLES.glob("token-error-*.json")} == set(SAMPLE_CODES)


@pytest.mark.parametrize(("name", "code", "error"), [(name, *found) for name, found in SAMPLE_CODES.items()])
def test_a_recorded_token_error_becomes_its_code_and_error(name, code, error):
    found = from_token_error(json.loads((SAMPLES / name).read_text()))
    assert found == code
    assert type(error_for(found)) is error


@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ({"error": "invalid_grant", "error_codes": [70002, 70008]}, "AADSTS70008", "the precise number wins"),
        ({"error": "invalid_grant", "error_codes": [999999]}, "invalid_grant", "an unknown number does not decide"),
        ({"error": "invalid_grant", "error_codes": [999999, 50173]}, "AADSTS50173", "the known one of two"),
        ({"error": "invalid_grant"}, "invalid_grant", "no number at all"),
        (
            {"error": "invalid_grant", "error_description": "AADSTS50057: The account is disabled.\r\nTrace ID: x"},
            "AADSTS50057",
            "the number only in the text",
        ),
        ({"error": "invalid_grant", "suberror": "consent_required"}, "consent_required", "the suberror without number"),
        (
            {"error": "invalid_grant", "suberror": "consent_required", "error_codes": [65001]},
            "AADSTS65001",
            "the suberror with its number",
        ),
        ({"error": "invalid_client", "error_codes": [7000215]}, "AADSTS7000215", "our secret is wrong"),
        ({"error": "invalid_client", "error_codes": [50173]}, "invalid_client", "a number cannot blame the customer"),
        ({"error": "invalid_client", "error_codes": [123456]}, "invalid_client", "our fault under a new number"),
        ({"error": "temporarily_unavailable", "error_codes": [50173]}, "temporarily_unavailable", "the word rules"),
        ({"error": "temporarily_unavailable", "error_codes": [90033]}, "AADSTS90033", "both agree"),
        ({"error": "interaction_required", "error_codes": [50079]}, "AADSTS50079", "the number refines"),
        ({"error": "invalid_grant", "error_codes": [90033]}, "AADSTS90033", "a passing fault stays passing"),
        ({"error": "access_denied"}, "access_denied", "cancelled at the page"),
        ({"error": "access_denied", "error_description": "AADSTS65004: declined"}, "AADSTS65004", "declined"),
        ({"error": "something_new", "error_codes": [123456]}, "AADSTS123456", "nothing known"),
        ({"error": "something_new"}, "something_new", "only an unknown word"),
        ({"error": "<script>"}, "unknown", "no word at all"),
        ({"error": ["list"]}, "unknown", "not even a text"),
        ({"error": "invalid_grant", "error_codes": "50173"}, "invalid_grant", "codes that are no list"),
        ({}, "unknown", "empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_oauth_error_becomes_a_code(body, code, why):
    assert from_token_error(body) == code, why


@pytest.mark.parametrize("word", ["invalid_client", "temporarily_unavailable", "server_error"])
@pytest.mark.parametrize("number", KINDS)
def test_no_number_turns_our_fault_or_an_outage_into_the_customers(word, number):
    code = from_token_error({"error": word, "error_codes": [number]})
    assert not isinstance(error_for(code), ConsentRequired)


def test_codes_are_found_in_a_text_in_order_and_once():
    assert aadsts_codes("AADSTS50173: x AADSTS70008 y AADSTS50173") == ["AADSTS50173", "AADSTS70008"]
    assert aadsts_codes("AADSTS: none") == []


@pytest.mark.parametrize(
    ("error", "permanent", "passes"),
    [
        (ConsentRequired("AADSTS50173"), True, False),
        (Refused("other"), True, False),
        (Misconfigured("AADSTS7000222"), True, True),
        (Unavailable(), False, True),
        (Throttled(retry_after=2.0), False, True),
        (TokenRejected(), False, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, IntegrationError) else None,
)
def test_an_error_says_whether_it_is_final_and_whether_waiting_helps(error, permanent, passes):
    assert (error.permanent, may_pass(error)) == (permanent, passes)


def test_an_error_reads_as_its_code_and_detail():
    error = error_for("AADSTS50173", "Entra ID: invalid_grant", request_id="abc")
    assert str(error) == "AADSTS50173: Entra ID: invalid_grant"
    assert (error.code, error.request_id) == ("AADSTS50173", "abc")
    assert str(Unavailable()) == "microsoft_unavailable"
