"""Many apps' rows on one line of time: nothing lost, nothing twice, and probes told only when something changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from alerts.models import Incident, Mail
from console.timeline import (
    Event,
    Kind,
    Probe,
    Tone,
    merge,
    of_audit,
    of_delivery,
    of_incident,
    of_mail,
    of_probes,
    of_token,
)
from tenants.models import AuditEntry, TokenRecord
from webhooks.models import Delivery, Endpoint

AT = datetime(2027, 3, 16, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def event(minutes: int, name: str = "") -> Event:
    return Event(at=AT + minutes * MINUTE, kind=Kind.ADMIN, headline=name)


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=4), st.integers(1, 10))
def test_turning_the_pages_shows_every_event_once_the_newest_first(streams: list[list[int]], size: int) -> None:
    rest = [[event(at, f"{at} {n} {m}") for m, at in enumerate(stream)] for n, stream in enumerate(streams)]
    everything = [one for stream in rest for one in stream]
    seen: list[Event] = []
    while True:
        page = merge(rest, size)
        seen += page.events
        if page.older_than is None:
            break
        rest = [[one for one in stream if one.at < page.older_than] for stream in rest]
    assert sorted(seen, key=lambda one: one.headline) == sorted(everything, key=lambda one: one.headline)
    assert [one.at for one in seen] == sorted((one.at for one in everything), reverse=True)


def test_what_happened_in_one_moment_stays_on_one_page() -> None:
    page = merge([[event(0, "a"), event(0, "b")], [event(0, "c"), event(-1, "d")]], 1)
    assert [one.headline for one in page.events] == ["a", "b", "c"]
    assert page.older_than == AT


def probe(minutes: int, outcome: str = "ok", code: str = "", ms: int | None = 100) -> Probe:
    return Probe(AT + minutes * MINUTE, outcome, code, ms)


def test_probes_that_change_nothing_are_told_together() -> None:
    found = of_probes(
        [
            probe(30, ms=120),
            probe(20, "unreachable", "timeout", None),
            probe(25, "unreachable", "timeout", None),
            probe(0, ms=100),
            probe(5, ms=300),
            probe(10, ms=110),
        ]
    )
    assert [(one.at, one.headline, one.tone) for one in found] == [
        (AT, "Probes answered well", Tone.GOOD),
        (AT + 20 * MINUTE, "Microsoft did not answer probes", Tone.BAD),
        (AT + 30 * MINUTE, "Probes answered well", Tone.GOOD),
    ]
    assert found[0].detail == "3 times, the last at 2027-03-16 09:40 UTC · typically 110 ms"
    assert "(timeout) · 2 times" in found[1].detail
    assert found[2].detail == "once · typically 120 ms"


def test_another_reason_is_a_change_too() -> None:
    assert len(of_probes([probe(0, "refused", "5009"), probe(1, "refused", "AADSTS50173")])) == 2


def entry(action: str, outcome: str = "ok", **details: object) -> AuditEntry:
    return AuditEntry(pk=1, at=AT, action=action, outcome=outcome, actor="root", details=details)


def test_a_consent_is_told_by_how_it_ended() -> None:
    given_, refused = of_audit(entry("consent", "enabled")), of_audit(entry("consent", "AADSTS65004"))
    assert (given_.kind, given_.tone) == (Kind.CONSENT, Tone.GOOD)
    assert (refused.kind, refused.tone) == (Kind.CONSENT, Tone.WARN)
    assert "(AADSTS65004)" in refused.detail


def test_an_entry_says_who_did_it_and_why() -> None:
    found = of_audit(entry("disconnect", "disabled", why="moves away"))
    assert (found.headline, found.who, found.detail) == ("Disconnected", "root", "why moves away")


def test_an_action_that_this_page_does_not_know_is_told_by_its_name() -> None:
    assert of_audit(entry("endpoint_polished", "half_done")).headline == "Endpoint polished"
    assert of_audit(entry("endpoint_polished", "half_done")).detail == "half done"


def test_of_a_changed_account_the_names_are_told_and_no_values() -> None:
    found = of_audit(entry("account_changed", values={"contact_email": "it@contoso.example", "name": "Contoso"}))
    assert found.detail == "contact_email, name"


def test_an_incident_has_a_beginning_and_an_end() -> None:
    incident = Incident(pk=1, severity="down", code="timeout", began_at=AT - MINUTE, opened_at=AT)
    assert [one.headline for one in of_incident(incident)] == ["Incident opened: cannot be read"]
    incident.closed_at, incident.ending = AT + 60 * MINUTE, "recovered"
    closed = of_incident(incident)[1]
    assert (closed.headline, closed.detail, closed.tone) == (
        "Incident closed: it works again",
        "after 1\xa0hour, 1\xa0minute",
        Tone.GOOD,
    )


def test_a_mail_is_told_without_its_address() -> None:
    mail = Mail(pk=1, kind="alert", audience="contact", recipient="it@contoso.example", status="nobody", created_at=AT)
    found = of_mail(mail)
    assert (found.headline, found.detail, found.tone) == ("Mail to the contact: alert", "no address known", Tone.WARN)


def test_a_delivery_is_told_with_the_receivers_host_and_nothing_secret() -> None:
    endpoint = Endpoint(url="https://hooks.example/secret-path")
    found = of_delivery(
        Delivery(
            pk=1, endpoint=endpoint, event_id=UUID(int=1), type="connection.down", next_try_at=None, attempts=2,
            last_error="timeout", created_at=AT,
        )
    )  # fmt: skip
    assert found.detail == "failed · hooks.example · 2 attempts · timeout"
    assert found.tone == Tone.BAD


def test_failures_of_a_token_are_told_until_a_good_refresh() -> None:
    token = TokenRecord(refreshed_at=AT, failures=0)
    assert [one.headline for one in of_token(token)] == ["Token refreshed"]
    token.failures, token.last_failure_code, token.last_failure_at = 3, "timeout", AT + MINUTE
    failed = of_token(token)[1]
    assert failed.headline == "Token refresh failed, 3 in a row so far"
    assert failed.at == AT + MINUTE
