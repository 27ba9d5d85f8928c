"""Breakers as values: what opens them, whom they let try, what closes them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.breaker_state import FAILURES, TRIAL_SECONDS, Circuit, Failure, Kind, ServiceBreaker, TenantBreaker

NOW = 1_795_382_074.263796  # as large, and as crooked, as real ones
DOWN = Failure("HTTP503")
THROTTLED = Failure("throttled", Kind.THROTTLED)
SECRET = Failure("AADSTS7000222", Kind.OWN_FAULT)
DISABLED = Failure("AADSTS7000112", Kind.OWN_FAULT)
WRONG_CLOUD = Failure("AADSTS90038", Kind.OWN_FAULT)


def service(story: str, state: ServiceBreaker | None = None) -> ServiceBreaker:
    """The breaker after a story such as "a! b! c": who was answered, with ! failed, ~ throttled, $ own fault."""
    state = state or ServiceBreaker()
    marks = {"!": DOWN, "~": THROTTLED, "$": SECRET, "%": DISABLED, "&": WRONG_CLOUD}
    for step in story.split():
        tenant, mark = step[0], step[1:]
        state = state.after_failure(tenant, marks[mark], NOW) if mark else state.after_answer(tenant)
    return state


@pytest.mark.parametrize(
    ("story", "is_open", "why"),
    [
        ("", False, "nobody has asked"),
        ("a b c", False, "all are answered"),
        ("a b c a! b!", False, "two of three are not enough"),
        ("a b c a! b! c!", True, "three different ones in a row"),
        ("a b c a! a! a! a! a! a!", False, "one tenant alone is its own breaker's matter"),
        ("a b c a! b! a c!", False, "an answer in between"),
        ("a b c a! b! d c!", False, "an answer of a fourth"),
        ("a b c d! e! f!", True, "whoever the three are"),
        ("a b a! b!", True, "two, and there are no others"),
        ("a b a! a!", False, "one of two"),
        ("a! a! a! a! a! a!", False, "there is only one: nobody can tell"),
        ("a b c a~ b~ c~", False, "throttling concerns the throttled"),
        ("a b c a! b~ c! d!", True, "and is no answer either"),
        ("a$", True, "our registration was refused: the first is enough"),
        ("a b c d%", True, "our app was disabled"),
        ("a b c d&", False, "one tenant in the wrong cloud is its own matter"),
        ("a b c d& e& f&", True, "three of them in a row look like our fault"),
        ("a$ b", False, "an answer closes"),
        ("a b c a! b! c! d", False, "an answer of anybody closes"),
        ("a b c d% a d%", False, "the same tenant again, while others are answered: disabled by its own people"),
        ("a b c d% a d% d% d%", False, "however often"),
        ("a b c d% a d% e%", True, "another tenant is told the same"),
        ("a b c d% d d%", True, "it has been answered itself in between"),
        ("a b c d% a d d%", True, "also after it was alone with it"),
    ],
)
def test_when_the_breaker_of_a_service_is_open(story: str, is_open: bool, why: str) -> None:
    assert (service(story).circuit is not None) is is_open, why


@pytest.mark.parametrize(("failures", "is_open"), [(1, False), (FAILURES - 1, False), (FAILURES, True), (9, True)])
@pytest.mark.parametrize("failure", [DOWN, THROTTLED, SECRET])
def test_a_tenants_breaker_opens_after_five_failures_in_a_row(failures: int, is_open: bool, failure: Failure) -> None:
    state = TenantBreaker()
    for _ in range(failures):
        state = state.after_failure(failure, NOW)
    assert (state.circuit is not None) is is_open


def test_an_open_breaker_tells_the_newest_failure_and_since_when() -> None:
    state = service("a! b! c! d$")
    assert state.circuit == Circuit(SECRET, NOW, NOW + TRIAL_SECONDS)
    own = TenantBreaker(FAILURES - 1).after_failure(DOWN, NOW).after_failure(THROTTLED, NOW + 3)
    assert own.circuit == Circuit(THROTTLED, NOW, NOW + TRIAL_SECONDS)


def test_failures_of_calls_begun_earlier_do_not_put_off_the_trial() -> None:
    own = TenantBreaker(FAILURES - 1).after_failure(DOWN, NOW)
    for seconds in range(1, 15):
        own = own.after_failure(DOWN, NOW + seconds)
    assert own.circuit and own.circuit.due(NOW + TRIAL_SECONDS + 0.001)


def test_it_names_no_more_tenants_than_it_needs() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    crowd = service(" ".join(f"{letter}! {letter}" for letter in letters) + " " + "! ".join(letters) + "!")
    assert len(crowd.known) == len(crowd.failing) == 3
    lonely = service(" ".join(f"{letter}% z" for letter in letters[:-1]))
    assert len(lonely.contradicted) == 20


steps = st.lists(
    st.tuples(
        st.floats(0, 40),
        st.sampled_from(["ask", "answer", "fail"]),
        st.sampled_from("abcd"),
        st.sampled_from([DOWN, THROTTLED, SECRET, DISABLED, WRONG_CLOUD]),
    ),
    max_size=80,
)


@given(steps)
def test_open_breakers_let_one_call_try_every_fifteen_seconds_and_never_two(
    story: list[tuple[float, str, str, Failure]],
) -> None:
    now, own, whole = NOW, TenantBreaker(FAILURES - 1), ServiceBreaker(known=("a", "b", "c"))
    last: dict[str, tuple[float, float]] = {}  # since when open → when the last trial went
    for seconds, what, tenant, failure in story:
        now += seconds
        if what == "answer":
            own, whole = TenantBreaker(), whole.after_answer(tenant)
        if what == "fail":
            own, whole = own.after_failure(failure, now), whole.after_failure(tenant, failure, now)
        for name, state in (("own", own), ("whole", whole)):
            circuit = state.circuit
            if circuit is None:
                continue
            assert 0 < circuit.wait(now) <= TRIAL_SECONDS
            assert circuit.due(now + TRIAL_SECONDS + 1e-6)
            since, latest = last.get(name, (0.0, 0.0))
            latest = latest if since == circuit.since else circuit.since
            if what == "ask" and circuit.due(now):
                assert now - latest >= TRIAL_SECONDS - 1e-6
                latest = now
            last[name] = (circuit.since, latest)
        if what == "ask":
            own, whole = own.tried(now), whole.tried(now)
            assert not any(state.circuit and state.circuit.due(now) for state in (own, whole))


@given(st.floats(-1e9, 1e9))
def test_no_clock_that_was_set_wrong_keeps_a_breaker_from_trying(seconds: float) -> None:
    circuit = Circuit.opened(DOWN, NOW + seconds)
    assert any(circuit.due(NOW + later) for later in (0.0, TRIAL_SECONDS + 1.001))


@given(st.floats(1.7e9, 2.2e9), st.floats(-0.9, TRIAL_SECONDS - 0.001))
def test_no_call_goes_in_the_first_fifteen_seconds_by_any_machines_clock(now: float, seconds: float) -> None:
    assert not Circuit.opened(DOWN, now).due(now + seconds)
    assert not Circuit.opened(DOWN, now - 60).tried(now).due(now + seconds)


@given(steps)
def test_a_breaker_comes_back_from_json_as_it_was(story: list[tuple[float, str, str, Failure]]) -> None:
    own, whole = TenantBreaker(), ServiceBreaker()
    for seconds, what, tenant, failure in story:
        own = own.after_failure(failure, NOW + seconds)
        whole = whole.after_answer(tenant) if what == "answer" else whole.after_failure(tenant, failure, NOW + seconds)
    assert msgspec.json.decode(msgspec.json.encode(own), type=TenantBreaker) == own
    assert msgspec.json.decode(msgspec.json.encode(whole), type=ServiceBreaker) == whole
