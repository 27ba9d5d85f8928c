"""The Graph client: every mailbox has a result by the deadline, whatever the server does."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import responses

from microsoft.entra import ClientCredential, Entra
from microsoft.errors import ConsentRequired, Misconfigured, TokenRejected, Unavailable
from microsoft.graph import GraphClient, MailboxSchedule
from microsoft.http import Deadline, build_session
from microsoft.secret import Secret
from sandbox import Sandbox
from sandbox.browser import sign_in
from sandbox.clock import Clock
from sandbox.intercept import AUTHORITY, intercepted
from sandbox.intercept import GRAPH as SANDBOX_GRAPH
from sandbox.options import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI
from tests.microsoft.conftest import SAMPLES, OpenGate, Tokens, free_schedules, send, serving

GRAPH = "https://graph.test/v1.0"
URL = f"{GRAPH}/me/calendar/getSchedule"
START = datetime(2027, 3, 16, tzinfo=UTC)
DAY = timedelta(days=1)
ANN = "ann@contoso.example"


def client(clock, *, url=GRAPH, gate=None, jitter=0.5, user=None):
    return GraphClient(
        url,
        build_session(None, 4),
        gate=gate or OpenGate(),
        sleep=clock.sleep,
        jitter=lambda: jitter,
        wall_clock=clock,
        user=user,
    )


def ask(clock, mailboxes=(ANN,), *, window=DAY, token=None, seconds=20.0, witness=None, **options):
    return client(clock, **options).get_schedule(
        mailboxes,
        START,
        START + window,
        token=token or Tokens("token"),
        deadline=clock.deadline(seconds),
        witness=witness,
    )


class Microsoft:
    """Answers by a script of (status, body or exception, headers); after it everybody is free."""

    def __init__(self, mock, *script):
        self._script = list(script)
        self._lock = threading.Lock()
        self.requests = []
        mock.add_callback(responses.POST, URL, callback=self._answer)

    def _answer(self, request):
        with self._lock:
            self.requests.append(request)
            step = self._script.pop(0) if self._script else (200, None, {})
        status, body, headers = (*step, {}, {})[:3]
        body = free_schedules(request.body) if body is None else body
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        return status, {"request-id": "graph-id", **(headers or {})}, body


@pytest.fixture
def mock():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def graph_error(code):
    return {"error": {"code": code, "message": "Please do not repeat."}}


def test_a_question_is_asked_as_microsoft_documents_it(mock, clock):
    microsoft = Microsoft(mock)
    report = ask(clock)
    (request,) = microsoft.requests
    assert request.headers["Authorization"] == "Bearer token"
    assert request.headers["Prefer"] == 'outlook.timezone="UTC"'
    assert request.headers["Accept-Encoding"] == "gzip"
    assert request.headers["Content-Type"] == "application/json"
    (call,) = report.calls
    assert request.headers["client-request-id"] == call.client_request_id
    assert (call.status, call.code, call.request_id, call.attempts) == (200, "", "graph-id", 1)
    assert isinstance(report.results[ANN], MailboxSchedule)
    assert report.error is None


def test_application_permissions_would_ask_for_a_user_instead_of_me(mock, clock):
    mock.add(responses.POST, f"{GRAPH}/users/svc@contoso.example/calendar/getSchedule", body=b'{"value": []}')
    assert ask(clock, user="svc@contoso.example").calls[0].status == 200


@pytest.mark.parametrize(("count", "calls"), [(20, 1), (21, 2), (400, 20), (500, 25)])
def test_many_mailboxes_are_asked_twenty_at_a_time(mock, clock, count, calls):
    microsoft = Microsoft(mock)
    mailboxes = [f"Person{number}@contoso.example" for number in range(count)]
    report = ask(clock, mailboxes)
    assert len(microsoft.requests) == len(report.calls) == calls
    assert set(report.results) == {name.casefold() for name in mailboxes}
    assert all(isinstance(result, MailboxSchedule) for result in report.results.values())
    assert len({call.client_request_id for call in report.calls}) == calls


@pytest.mark.parametrize("abandonable", [True, False])
def test_a_caller_that_may_be_left_behind_itself_costs_no_threads(mock, clock, abandonable):
    threads = set()

    def answer(request):
        threads.add(threading.current_thread())
        return 200, {}, free_schedules(request.body)

    mock.add_callback(responses.POST, URL, callback=answer)
    names = [f"person{number}@contoso.example" for number in range(45)]
    report = client(clock).get_schedule(
        names, START, START + DAY, token=Tokens("token"), deadline=clock.deadline(20), abandonable=abandonable
    )
    assert all(isinstance(report.results[name], MailboxSchedule) for name in names)
    assert (threading.current_thread() in threads) is not abandonable


def test_without_threads_a_throttled_call_is_tried_again_and_a_refused_token_renewed(mock, clock):
    Microsoft(mock, (429, graph_error("TooManyRequests"), {"Retry-After": "2"}), (401, b"{}"))
    tokens = Tokens("old", "new")
    report = client(clock).get_schedule(
        [ANN], START, START + DAY, token=tokens, deadline=clock.deadline(20), abandonable=False
    )
    assert isinstance(report.results[ANN], MailboxSchedule)
    assert (clock.slept, len(tokens.rejected)) == ([2.0], 2)


@pytest.mark.parametrize(("days", "parts"), [(61, 1), (62, 2), (366, 6)])
def test_a_long_window_is_split_and_joined(mock, clock, days, parts):
    microsoft = Microsoft(mock)
    report = ask(clock, window=timedelta(days=days))
    assert len(microsoft.requests) == parts
    assert len(report.results[ANN].entries) == parts


def test_nobody_asked_is_nothing_asked(mock, clock):
    token = Tokens()
    report = ask(clock, [], token=token)
    assert (report.results, report.calls, token.rejected) == ({}, (), [])


def test_naive_bounds_are_refused_at_the_door(clock):
    naive = START.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        client(clock).get_schedule([ANN], naive, naive + DAY, token=Tokens("t"), deadline=clock.deadline(1))


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("2", 2.0),
        ("2.128", 2.128),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        (None, 0.5),
        ("soon", 0.5),
    ],
)
def test_throttling_waits_as_long_as_microsoft_asks(mock, clock, header, waited):
    sample = (SAMPLES / "graph-429-body.json").read_bytes()
    microsoft = Microsoft(mock, (429, sample, {"Retry-After": header} if header else {}))
    report = ask(clock)
    assert isinstance(report.results[ANN], MailboxSchedule)
    assert clock.slept == ([pytest.approx(waited)] if waited else [])
    assert report.calls[0].attempts == 2
    first, second = microsoft.requests
    assert first.headers["client-request-id"] != second.headers["client-request-id"]


def test_a_wait_beyond_the_deadline_is_not_begun(mock, clock):
    Microsoft(mock, (429, graph_error("TooManyRequests"), {"Retry-After": "30"}))
    report = ask(clock, seconds=20)
    found = report.results[ANN]
    assert (found.code, found.retryable, found.raw) == ("throttled", True, "TooManyRequests")
    assert clock.slept == []


def test_a_retry_after_is_capped(mock, clock):
    Microsoft(mock, (429, graph_error("TooManyRequests"), {"Retry-After": "3600"}))
    ask(clock, seconds=600)
    assert clock.slept == [60.0]


def test_throttling_of_one_call_holds_back_the_others_of_the_reader(mock, clock):
    microsoft = Microsoft(mock, *[(429, graph_error("ApplicationThrottled"), {"Retry-After": "3"})] * 4)
    report = ask(clock, [f"p{number}@x" for number in range(100)])
    assert all(isinstance(result, MailboxSchedule) for result in report.results.values())
    assert len(microsoft.requests) == 5 + 4
    assert clock.slept == [3.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 509])
def test_a_passing_fault_is_tried_again_with_growing_pauses(mock, clock, status):
    Microsoft(mock, *[(status, b"")] * 3)
    report = ask(clock)
    assert isinstance(report.results[ANN], MailboxSchedule)
    assert clock.slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.25), (0.999, 0.7495)])
def test_pauses_are_scattered(mock, clock, jitter, pause):
    Microsoft(mock, (500, b""))
    ask(clock, jitter=jitter)
    assert clock.slept == [pytest.approx(pause)]


@pytest.mark.parametrize(
    "broken",
    [
        (200, b"<html>"),
        (200, b'{"value": ['),
        (200, b""),
        (200, responses.ConnectionError("dropped")),
        (200, responses.ConnectionError("SECRET")),
    ],
    ids=["html", "truncated", "empty", "dropped", "secret"],
)
def test_an_unusable_answer_is_tried_again_like_a_503(mock, clock, broken):
    Microsoft(mock, broken)
    assert isinstance(ask(clock).results[ANN], MailboxSchedule)
    assert clock.slept == [0.5]


def test_a_fault_that_does_not_pass_is_given_up_after_four_attempts(mock, clock):
    microsoft = Microsoft(mock, *[(502, b"")] * 9)
    report = ask(clock)
    assert len(microsoft.requests) == report.calls[0].attempts == 4
    assert (report.results[ANN].code, report.results[ANN].retryable) == ("unavailable", True)


@pytest.mark.parametrize(
    ("status", "code", "mailbox"),
    [
        (400, "ErrorInvalidMergedFreeBusyInterval", "other"),
        (400, "ErrorTimeIntervalTooBig", "other"),
        (403, "ErrorAccessDenied", "no_access"),
        (404, "MailboxNotEnabledForRESTAPI", "no_access"),
        (302, "HTTP302", "other"),
    ],
)
def test_a_refusal_is_not_tried_again(mock, clock, status, code, mailbox):
    body = b"" if code.startswith("HTTP") else graph_error(code)
    microsoft = Microsoft(mock, (status, body))
    report = ask(clock)
    found = report.results[ANN]
    assert (found.code, found.raw, found.retryable) == (mailbox, code, False)
    assert "Please do not repeat" not in repr(report)
    assert len(microsoft.requests) == 1


@pytest.mark.parametrize(("times", "known"), [(1, True), (2, False)])
def test_a_calendar_not_found_is_tried_once_more(mock, clock, times, known):
    microsoft = Microsoft(mock, *[(404, graph_error("ResourceNotFound"))] * times)
    assert isinstance(ask(clock).results[ANN], MailboxSchedule) is known
    assert len(microsoft.requests) == 2


def test_a_lower_limit_of_mailboxes_is_met_by_asking_in_halves(mock, clock):
    too_big = (400, (SAMPLES / "graph-error-mailbox-array-too-big.json").read_bytes())
    microsoft = Microsoft(mock, too_big)
    report = ask(clock, [f"p{number}@x" for number in range(15)])
    assert len(json.loads(microsoft.requests[0].body)["schedules"]) == 15
    assert sorted(len(json.loads(request.body)["schedules"]) for request in microsoft.requests[1:]) == [7, 8]
    assert all(isinstance(result, MailboxSchedule) for result in report.results.values())


def test_one_mailbox_too_many_is_not_halved_for_ever(mock, clock):
    microsoft = Microsoft(mock, *[(400, graph_error("ErrorMailboxDataArrayTooBig"))] * 3)
    assert ask(clock).results[ANN].raw == "ErrorMailboxDataArrayTooBig"
    assert len(microsoft.requests) == 1


UNAUTHORIZED = (401, graph_error("InvalidAuthenticationToken"))


def test_a_refused_token_is_renewed_once_and_the_call_repeated(mock, clock):
    microsoft = Microsoft(mock, UNAUTHORIZED)
    token = Tokens("old", "new")
    report = ask(clock, token=token)
    assert isinstance(report.results[ANN], MailboxSchedule)
    assert token.rejected == [None, Secret("old")]
    assert [request.headers["Authorization"] for request in microsoft.requests] == ["Bearer old", "Bearer new"]


def test_four_refused_calls_renew_the_token_only_once(mock, clock):
    barrier = threading.Barrier(4)

    def answer(request):
        if request.headers["Authorization"] == "Bearer old":
            barrier.wait(30)
            return UNAUTHORIZED[0], {}, json.dumps(UNAUTHORIZED[1])
        return 200, {}, free_schedules(request.body)

    mock.add_callback(responses.POST, URL, callback=answer)
    token = Tokens("old", "new")
    report = ask(clock, [f"p{number}@x" for number in range(80)], token=token)
    assert token.rejected == [None, Secret("old")]
    assert all(isinstance(result, MailboxSchedule) for result in report.results.values())


def test_a_new_token_that_is_refused_too_ends_it(mock, clock):
    challenge = json.loads((SAMPLES / "graph-401-claims-challenge.headers.json").read_text())
    refused = (*UNAUTHORIZED, {"WWW-Authenticate": challenge["www-authenticate"][0]})
    microsoft = Microsoft(mock, refused, refused)
    report = ask(clock, token=Tokens("old", "new"))
    assert isinstance(report.error, TokenRejected)
    assert report.error.claims.startswith("{")
    assert report.error.request_id == "graph-id"
    assert (report.results[ANN].code, report.results[ANN].retryable) == ("unavailable", True)
    assert len(microsoft.requests) == 2


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ConsentRequired("AADSTS50173"), False),
        (Unavailable(), True),
        (Misconfigured("AADSTS7000222"), True),
    ],
    ids=["revoked", "outage", "our secret"],
)
def test_without_a_token_nothing_is_asked_and_the_report_says_why(mock, clock, error, retryable):
    microsoft = Microsoft(mock)
    report = ask(clock, ["ann@x", "bob@x"], token=Tokens(error))
    assert report.error is error
    assert {(found.code, found.retryable) for found in report.results.values()} == {("unavailable", retryable)}
    assert microsoft.requests == []


def test_a_renewal_that_fails_leaves_what_was_read(mock, clock):
    served = threading.Event()

    def answer(request):
        if b"p0@x" in request.body:
            served.wait(30)
            return UNAUTHORIZED[0], {}, json.dumps(UNAUTHORIZED[1])
        served.set()
        return 200, {}, free_schedules(request.body)

    mock.add_callback(responses.POST, URL, callback=answer)
    report = ask(clock, [f"p{number}@x" for number in range(40)], token=Tokens("old", ConsentRequired("AADSTS50173")))
    assert report.error.code == "AADSTS50173"
    assert isinstance(report.results["p39@x"], MailboxSchedule)
    assert report.results["p0@x"].code == "unavailable"


def test_only_the_calling_thread_asks_for_tokens(mock, clock):
    Microsoft(mock, UNAUTHORIZED)
    token = Tokens("old", "new")
    ask(clock, token=token)
    assert token.threads == {threading.get_ident()}


def unread(report):
    """Code by mailbox of what could not be read."""
    return {name: found.code for name, found in report.results.items() if not isinstance(found, MailboxSchedule)}


def test_one_bad_mailbox_does_not_sink_the_rest(mock, clock):
    def answer(request):
        if b"p25@x" in request.body:
            return 500, {}, b""
        return 200, {}, free_schedules(request.body)

    mock.add_callback(responses.POST, URL, callback=answer)
    report = ask(clock, [f"p{number}@x" for number in range(60)])
    assert unread(report) == {"p25@x": "unavailable"}
    assert report.poison == {"p25@x"}


def test_four_calls_are_in_flight_and_never_more(clock):
    barrier = threading.Barrier(4)

    def behave(handler, body):
        barrier.wait(30)
        send(handler, 200, free_schedules(body))

    gate = OpenGate()
    with serving(behave) as server:
        report = ask(clock, [f"p{number}@x" for number in range(400)], url=server.url, gate=gate)
    assert all(isinstance(result, MailboxSchedule) for result in report.results.values())
    assert gate.most == 4
    assert gate.inside == 0


@contextmanager
def hanging_at(*names):
    """A server that never answers a call for one of these mailboxes."""
    box = []

    def behave(handler, body):
        if any(f'"{name}"'.encode() in body for name in names):
            box[0].released.wait()
        else:
            send(handler, 200, free_schedules(body))

    with serving(behave) as server:
        box.append(server)
        yield server
        assert not server.released.is_set()


def ask_in_time(server, names, *, seconds=6.0, days=1, **options):
    graph = GraphClient(server.url, build_session(None, 4), gate=OpenGate())
    deadline = Deadline.after(seconds)
    end = START + timedelta(days=days)
    return graph.get_schedule(names, START, end, token=Tokens("t"), deadline=deadline, **options)


PEOPLE = [f"p{number}@x" for number in range(20)]


def asked(server):
    """How many mailboxes each call was for."""
    return [len(json.loads(body)["schedules"]) for _, _, _, body in server.requests]


@pytest.mark.parametrize("abandonable", [True, False])
def test_a_mailbox_that_hangs_is_found_among_twenty_and_the_others_are_read(abandonable):
    with hanging_at("p7@x") as server:
        report = ask_in_time(server, PEOPLE, witness="reader@x", abandonable=abandonable)
        assert unread(report) == {"p7@x": "timeout"}
        assert report.poison == {"p7@x"}
        assert asked(server)[:2] == [20, 1]  # the second is the witness's
        assert "reader@x" not in report.results


def test_beside_calls_that_are_answered_no_witness_is_needed():
    with hanging_at("p7@x") as server:
        report = ask_in_time(server, [f"p{number}@x" for number in range(60)], witness="reader@x")
        assert unread(report) == {"p7@x": "timeout"}
        assert asked(server)[:4] == [20, 20, 20, 4]  # the search begins without one


def test_two_that_hang_are_both_found():
    with hanging_at("p3@x", "p17@x") as server:
        report = ask_in_time(server, PEOPLE, witness="reader@x", seconds=8.0)
        assert unread(report) == {"p3@x": "timeout", "p17@x": "timeout"}
        assert report.poison == {"p3@x", "p17@x"}


def test_one_that_hangs_is_looked_for_in_one_part_of_the_window_and_left_out_of_the_others():
    with hanging_at("p7@x") as server:
        report = ask_in_time(server, PEOPLE, witness="reader@x", days=366, seconds=8.0)
        assert unread(report) == {"p7@x": "timeout"}
        assert {len(report.results[name].entries) for name in PEOPLE if name != "p7@x"} == {6}


def test_while_nobody_is_answered_nothing_is_asked_in_pieces_and_nobody_is_blamed():
    with hanging_at(*PEOPLE, "reader@x") as server:
        report = ask_in_time(server, PEOPLE, witness="reader@x", seconds=2.0)
        assert set(unread(report)) == set(PEOPLE)
        assert report.poison == frozenset()
        assert asked(server) == [20, 1]


def test_a_service_that_goes_down_in_the_middle_is_nobodys_fault():
    box = []

    def behave(handler, body):
        if len(served.requests) > 4:
            box[0].released.wait()
        else:
            send(handler, 200, free_schedules(body))

    with serving(behave) as served:
        box.append(served)
        report = ask_in_time(served, [f"p{number}@x" for number in range(100)], witness="reader@x", seconds=3.0)
    assert set(unread(report).values()) == {"timeout"}
    assert len(unread(report)) == 20
    assert report.poison == frozenset()


def test_a_single_mailbox_that_hangs_while_the_witness_answers_is_to_blame():
    with hanging_at("p7@x") as server:
        report = ask_in_time(server, ["p7@x"], witness="reader@x", seconds=2.0)
        assert (unread(report), report.poison) == ({"p7@x": "timeout"}, {"p7@x"})


def test_what_failed_before_is_asked_for_alone_behind_the_others():
    with hanging_at("p7@x") as server:
        report = ask_in_time(server, PEOPLE, alone={"p7@x"}, witness="reader@x")
        assert (unread(report), report.poison) == ({"p7@x": "timeout"}, {"p7@x"})
        assert sorted(asked(server)) in ([1, 19], [1, 1, 19])  # a witness, where the others were done before


def test_what_failed_before_and_is_well_again_is_read():
    with hanging_at() as server:
        report = ask_in_time(server, PEOPLE, alone={"p7@x", "p8@x"})
        assert (unread(report), report.poison) == ({}, frozenset())
        assert sorted(asked(server)) == [1, 1, 18]


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_mailbox_that_makes_the_call_fail_is_found(mock, clock, status):
    def answer(request):
        return (status, {}, b"") if b'"p7@x"' in request.body else (200, {}, free_schedules(request.body))

    mock.add_callback(responses.POST, URL, callback=answer)
    report = ask(clock, PEOPLE, witness="reader@x")
    assert unread(report) == {"p7@x": "other" if status == 400 else "unavailable"}
    assert report.poison == {"p7@x"}


def test_throttling_is_never_a_mailboxs_fault(mock, clock):
    def answer(request):
        throttled = b'"p7@x"' in request.body
        return (429, {"Retry-After": "1"}, b"") if throttled else (200, {}, free_schedules(request.body))

    mock.add_callback(responses.POST, URL, callback=answer)
    report = ask(clock, [f"p{number}@x" for number in range(40)], witness="reader@x")
    assert unread(report) == dict.fromkeys(PEOPLE, "throttled")
    assert report.poison == frozenset()


def test_a_service_that_asks_to_be_left_alone_beyond_the_deadline_is_left_alone(mock, clock):
    microsoft = Microsoft(mock, *[(503, b"", {"Retry-After": "60"})] * 9)
    report = ask(clock, PEOPLE, witness="reader@x")
    assert (len(microsoft.requests), report.poison) == (1, frozenset())


@pytest.mark.parametrize("where", ["body", "headers"])
def test_a_slow_drip_cannot_outlive_the_deadline(where):
    box = []

    def behave(handler, _):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.wfile.write(b"Content-Length: 100000\r\n\r\n" if where == "body" else b"X-Slow: ")
        while not box[0].released.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    with serving(behave) as server:
        box.append(server)
        graph = GraphClient(server.url, build_session(None, 4), gate=OpenGate())
        report = graph.get_schedule([ANN], START, START + DAY, token=Tokens("t"), deadline=Deadline.after(0.3))
        assert not server.released.is_set()
    assert (report.results[ANN].code, report.results[ANN].retryable) == ("timeout", True)


@pytest.mark.parametrize("how", ["dropped", "cut"])
def test_a_broken_connection_is_tried_again_on_another(clock, how):
    def behave(handler, body):
        if len(served.requests) > 1:
            return send(handler, 200, free_schedules(body))
        if how == "cut":
            handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"value": [')
        handler.close_connection = True
        return None

    with serving(behave) as served:
        report = ask(clock, url=served.url)
    assert isinstance(report.results[ANN], MailboxSchedule)
    assert len(set(served.ports)) == 2


def test_a_503_is_tried_again_on_a_new_connection(clock):
    def behave(handler, body):
        first = len(served.requests) == 1
        send(handler, 503 if first else 200, b"{}" if first else free_schedules(body))

    with serving(behave) as served:
        ask(clock, url=served.url)
    assert len(set(served.ports)) == 2


def test_the_connection_is_kept_from_one_question_to_the_next(clock):
    with serving(lambda handler, body: send(handler, 200, free_schedules(body))) as served:
        graph = client(clock, url=served.url)
        for _ in range(3):
            graph.get_schedule([ANN], START, START + DAY, token=Tokens("t"), deadline=clock.deadline(20))
    assert len(served.ports) == 3
    assert len(set(served.ports)) == 1


class ClosedGate:
    def acquire(self, deadline):
        raise TimeoutError("four are in flight elsewhere")


def test_a_gate_that_does_not_open_in_time_is_a_timeout(mock, clock):
    microsoft = Microsoft(mock)
    report = ask(clock, gate=ClosedGate())
    assert report.results[ANN].code == "timeout"
    assert microsoft.requests == []


class BrokenGate:
    def acquire(self, deadline):
        raise ZeroDivisionError


def test_a_fault_in_our_own_code_is_not_taken_for_an_outage(mock, clock):
    Microsoft(mock)
    with pytest.raises(ZeroDivisionError):
        ask(clock, gate=BrokenGate())


def test_an_address_nobody_can_use_is_our_fault(clock):
    report = ask(clock, url="nonsense")
    assert isinstance(report.error, Misconfigured)
    assert report.error.__traceback__ is None, "its frames would hold the clear token"
    assert report.results[ANN].retryable


def test_a_deadline_that_has_passed_asks_nothing(mock, clock):
    microsoft = Microsoft(mock)
    report = ask(clock, seconds=0)
    assert report.results[ANN].code == "timeout"
    assert microsoft.requests == []


def test_an_unresolved_mailbox_of_the_recorded_answer_is_not_found(mock, clock):
    body = (SAMPLES / "getschedule-response.error-5009.json").read_bytes()
    (name,) = (entry["scheduleId"] for entry in json.loads(body)["value"])
    Microsoft(mock, (200, body))
    assert ask(clock, [name]).results[name.casefold()].code == "not_found"


def test_nothing_of_a_subject_survives_in_the_report(mock, clock):
    entry = {
        "scheduleId": ANN,
        "availabilityView": "2",
        "scheduleItems": [{"status": "busy", "subject": "SECRET", "location": "SECRET", "isPrivate": True}],
    }
    Microsoft(mock, (200, {"value": [entry]}))
    report = ask(clock)
    assert report.results[ANN].entries[0].schedule_items[0].status == "busy"
    assert "SECRET" not in repr(report)


@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
def test_a_whole_organisation_is_read_with_a_token_from_a_real_sign_in():
    sandbox = Sandbox(clock=Clock(START))
    credential = ClientCredential(CLIENT_ID, Secret(CLIENT_SECRET))
    with intercepted(sandbox), requests.Session() as browser:
        entra = Entra(AUTHORITY, credential, build_session(None, 4), now=sandbox.clock.now)
        flow = entra.begin(
            scopes=["Calendars.Read"],
            redirect_uri=REDIRECT_URI,
            state="s",
            prompt="select_account",
            deadline=Deadline.after(60),
        )
        back = sign_in(flow.auth_uri, "cadence-service@contoso.example", session=browser)
        tokens = entra.redeem(flow.payload, dict(parse_qsl(urlsplit(back).query)), Deadline.after(60))
        contoso = sandbox.directory.find("ada@contoso.example").tenant
        people = [account.upn for account in sandbox.directory.accounts(contoso) if account.mailbox]
        names = [*people, "nobody@contoso.example"]
        report = GraphClient(SANDBOX_GRAPH, build_session(None, 4), gate=OpenGate()).get_schedule(
            names,
            START,
            START + timedelta(days=100),
            token=Tokens(tokens.access_token.reveal()),
            deadline=Deadline.after(60),
        )
    assert set(report.results) == {name.casefold() for name in names}
    assert report.results["nobody@contoso.example"].code == "not_found"
    assert len(report.results["ada@contoso.example"].entries) == 2
    failed = {result.code for result in report.results.values() if not isinstance(result, MailboxSchedule)}
    assert failed == {"not_found", "no_access"}
    assert {call.status for call in report.calls} == {200}
    crowded = len(report.results["gil@contoso.example"].entries) - 2  # each further stretch costs a half and its other
    assert crowded > 0
    assert len(report.calls) == 2 * -(-len(names) // 20) + 2 * crowded
