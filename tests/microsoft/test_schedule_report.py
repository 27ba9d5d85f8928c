"""Mailbox by mailbox: known, or unknown with a reason, and never free by mistake."""

from __future__ import annotations

import json

import pytest

from microsoft.errors import ConsentRequired, Misconfigured, error_for
from microsoft.graph_answer import Next, claims_challenge, judge_answer
from microsoft.http import Answer
from microsoft.schedule_report import MailboxFailure, MailboxSchedule, failure, join
from microsoft.schedule_request import ScheduleCall
from microsoft.wire import FreeBusyError, Malformed, ScheduleInformation
from tests.microsoft.conftest import SAMPLES


def entry(name, **members):
    return ScheduleInformation(**{"schedule_id": name, "availability_view": "0", "schedule_items": [], **members})


def joined(*entries, mailbox="ann@contoso.example"):
    return join({ScheduleCall(0, (mailbox,)): list(entries)}, 1)[mailbox.casefold()]


def test_an_entry_belongs_to_its_mailbox_whatever_the_case():
    found = joined(entry("ANN@Contoso.Example"), mailbox="ann@contoso.example")
    assert isinstance(found, MailboxSchedule)
    assert found.entries[0].schedule_id == "ANN@Contoso.Example"


def test_entries_are_matched_by_name_and_not_by_order():
    call = ScheduleCall(0, ("ann@x", "bob@x"))
    found = join({call: [entry("bob@x", availability_view="2"), entry("ann@x")]}, 1)
    assert found["ann@x"].entries[0].availability_view == "0"
    assert found["bob@x"].entries[0].availability_view == "2"


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([], "no entry at all"),
        ([entry("somebody@else")], "only somebody else's"),
        ([Malformed("ann@contoso.example")], "an entry of another shape"),
        ([Malformed()], "an entry without a name"),
        ([entry("ann@contoso.example", schedule_items=None)], "no items"),
        ([entry("ann@contoso.example", availability_view=None)], "no view"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_says_nothing_is_unknown_and_not_free(entries, why):
    found = joined(*entries)
    assert (found.code, found.retryable) == ("no_data", True), why


@pytest.mark.parametrize(
    ("raw", "code", "retryable"),
    [
        ("5009", "not_found", False),
        ("ErrorMailRecipientNotFound", "not_found", False),
        ("5006", "too_many_entries", False),
        ("ErrorResultSetTooBig", "too_many_entries", False),
        ("ErrorNoFreeBusyAccess", "no_access", False),
        ("ErrorServiceDiscoveryFailed", "not_on_exchange_online", False),
        ("ErrorInvalidOrganizationRelationshipForFreeBusy", "not_on_exchange_online", False),
        ("ErrorProxyRequestProcessingFailed", "not_on_exchange_online", False),
        ("ErrorTimeoutExpired", "timeout", True),
        ("ErrorServerBusy", "unavailable", True),
        ("ErrorMailboxMoveInProgress", "unavailable", True),
        ("ErrorMailboxStoreUnavailable", "unavailable", True),
        ("5008", "other", False),
        ("ErrorBrandNew", "other", False),
    ],
)
def test_an_error_of_one_mailbox_has_its_code_and_keeps_microsofts(raw, code, retryable):
    found = joined(entry("ann@contoso.example", error=FreeBusyError("…", raw)))
    assert (found.code, found.retryable, found.raw) == (code, retryable, raw)
    assert found.message


def test_an_error_without_a_code_is_other():
    found = joined(entry("ann@contoso.example", error=FreeBusyError()))
    assert (found.code, found.raw) == ("other", None)


def test_an_error_beats_the_items_that_came_with_it():
    assert joined(entry("ann@contoso.example", error=FreeBusyError(None, "5009"))).code == "not_found"


def test_microsofts_words_are_not_passed_on():
    found = joined(entry("ann@contoso.example", error=FreeBusyError("SECRET", "5009<script>SECRET x")))
    assert "SECRET" not in found.message
    assert "<" not in found.raw


def test_a_mailbox_has_one_entry_per_part_in_order():
    calls = {
        ScheduleCall(1, ("ann@x",)): [entry("ann@x", availability_view="1")],
        ScheduleCall(0, ("ann@x",)): [entry("ann@x", availability_view="0")],
    }
    assert [part.availability_view for part in join(calls, 2)["ann@x"].entries] == ["0", "1"]


def test_a_mailbox_that_failed_in_one_part_has_failed():
    calls = {
        ScheduleCall(0, ("ann@x", "bob@x")): [entry("ann@x"), entry("bob@x")],
        ScheduleCall(1, ("ann@x", "bob@x")): [
            entry("ann@x"),
            entry("bob@x", error=FreeBusyError(None, "5006")),
        ],
    }
    found = join(calls, 2)
    assert isinstance(found["ann@x"], MailboxSchedule)
    assert found["bob@x"].code == "too_many_entries"


def test_a_failed_call_fails_its_own_mailboxes_only():
    found = join({ScheduleCall(0, ("ann@x",)): [entry("ann@x")], ScheduleCall(0, ("bob@x",)): failure("timeout")}, 1)
    assert isinstance(found["ann@x"], MailboxSchedule)
    assert isinstance(found["bob@x"], MailboxFailure)


def judge(status, body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judge_answer(Answer(status, named, body), wall_clock=lambda: 0.0)


@pytest.mark.parametrize(
    ("status", "sample", "then", "mailbox", "raw", "error"),
    [
        (403, "graph-403-access-denied.json", Next.DONE, "no_access", "ErrorAccessDenied", ConsentRequired),
        (
            404,
            "graph-404-mailbox-not-enabled.json",
            Next.DONE,
            "no_access",
            "MailboxNotEnabledForRESTAPI",
            ConsentRequired,
        ),
        (429, "graph-429-body.json", Next.RETRY, "throttled", "TooManyRequests", None),
        (
            400,
            "graph-error-invalid-merged-interval.json",
            Next.DONE,
            "other",
            "ErrorInvalidMergedFreeBusyInterval",
            Misconfigured,
        ),
        (
            400,
            "graph-error-mailbox-array-too-big.json",
            Next.SPLIT,
            "other",
            "ErrorMailboxDataArrayTooBig",
            Misconfigured,
        ),
    ],
)
def test_a_recorded_refusal_is_understood(status, sample, then, mailbox, raw, error):
    verdict = judge(status, (SAMPLES / sample).read_bytes())
    assert (verdict.next, verdict.outcome.code, verdict.outcome.raw) == (then, mailbox, raw)
    assert verdict.outcome.retryable is (then is Next.RETRY)
    if error:
        assert type(error_for(raw)) is error


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 509])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": {"code": "x"}}'])
def test_a_passing_fault_is_tried_again(status, body):
    verdict = judge(status, body, Retry_After="2.128")
    assert (verdict.next, verdict.outcome.code, verdict.wait) == (Next.RETRY, "unavailable", 2.128)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"value": [', b'{"value": {}}', b"\xff"])
def test_a_200_that_is_no_schedule_is_tried_again_like_a_503(body):
    verdict = judge(200, body)
    assert (verdict.next, verdict.outcome.code, verdict.code) == (Next.RETRY, "unavailable", "MalformedBody")


@pytest.mark.parametrize("status", [204, 301, 302, 405, 409, 413, 415, 501])
def test_any_other_answer_is_final(status):
    verdict = judge(status)
    assert (verdict.next, verdict.outcome.code, verdict.outcome.raw) == (Next.DONE, "other", f"HTTP{status}")


def test_a_refused_request_may_be_one_mailboxs_fault():
    verdict = judge(400)
    assert (verdict.next, verdict.outcome.code, verdict.outcome.raw) == (Next.SEARCH, "other", "HTTP400")


def test_a_calendar_not_found_is_worth_one_more_try():
    assert judge(404, b'{"error": {"code": "ResourceNotFound"}}').next is Next.RETRY_ONCE


def test_a_code_is_cleaned_before_anybody_repeats_it():
    verdict = judge(400, b'{"error": {"code": "Bad\\r\\nX: <b>y"}}')
    assert verdict.code == verdict.outcome.raw == "BadXby"


def test_a_claims_challenge_is_read_from_its_header():
    challenge = json.loads((SAMPLES / "graph-401-claims-challenge.headers.json").read_text())["www-authenticate"]
    assert claims_challenge(", ".join(challenge)) == '{"access_token":{"acrs":{"essential":true,"value":"cp1"}}}'
    assert judge(401, b"", WWW_Authenticate=challenge[0]).claims is not None
    assert judge(401).claims is None


@pytest.mark.parametrize("header", ["", "Bearer", 'Bearer claims=""', 'Bearer claims="/w=="'])
def test_a_header_without_readable_claims_gives_none(header):
    assert claims_challenge(header) is None
