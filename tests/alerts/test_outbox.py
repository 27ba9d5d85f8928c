"""The outbox: each mail once, digests for support, and nothing lost or doubled by crashes and second workers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from alerts import incidents, outbox, sending, tasks
from alerts.models import Audience, Incident, Kind, Mail, Status
from alerts.trouble import Ending
from tenants.changes import Change
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Account, Connection
from tests.alerts.conftest import SUPPORT
from tests.factories import make_account

pytestmark = pytest.mark.django_db

Minutes = Callable[[int], None]


def connected(slug: str, **fields: Any) -> Connection:
    account = make_account(slug, **{"contact_email": f"it@{slug}.example", **fields})
    now = timezone.now()
    return Connection.objects.create(
        account=account, state=State.ENABLED, health=Health.HEALTHY, health_since=now, last_check_at=now
    )


def lose(row: Connection, code: str = "AADSTS50173") -> None:
    """The sign-in is refused for good."""
    now = timezone.now()
    Connection.objects.filter(pk=row.pk).update(state=State.NEEDS_CONSENT, state_changed_at=now, reason_code=code)
    change = Change(now, State.ENABLED, State.NEEDS_CONSENT, Health.HEALTHY, Health.HEALTHY, code)
    incidents.follow(row.pk, change)


def turn(row: Connection, health: Health, code: str = "") -> None:
    """A check finds this health."""
    now, before = timezone.now(), Health(Connection.objects.get(pk=row.pk).health)
    columns = {"health": health, "last_check_at": now, "last_check_code": code}
    Connection.objects.filter(pk=row.pk).update(state=State.ENABLED, health_since=now, **columns)
    incidents.follow(row.pk, Change(now, State.ENABLED, State.ENABLED, before, health, code))


def recipients(mailbox: Any) -> list[str]:
    return sorted(address for mail in mailbox for address in mail.to)


def test_three_hundred_losses_at_once_are_one_digest_for_support_and_a_mail_for_each_contact(
    minutes: Minutes, mailoutbox: Any
) -> None:
    rows = [connected(f"customer{number:03}") for number in range(300)]
    for row in rows:
        lose(row, "AADSTS53003" if row.pk % 3 else "AADSTS50173")
    minutes(30)

    to_support = [mail for mail in mailoutbox if mail.to == [SUPPORT]]
    assert [mail.subject for mail in to_support] == ["[Cadence Exchange] 300 alerts"]
    body = to_support[0].body
    assert all(body.count(f"customer{number:03}:") == 1 for number in range(300))
    assert body.count("For support:") == 2  # the words of a reason once, however many it hit
    assert recipients(mailoutbox) == sorted([SUPPORT, *(f"it@customer{n:03}.example" for n in range(300))])
    assert all(len(mail.to) == 1 and not mail.cc and not mail.bcc for mail in mailoutbox)


def test_support_hears_at_most_once_in_ten_minutes_and_then_of_everything(minutes: Minutes, mailoutbox: Any) -> None:
    for slug in ("first", "second", "third", "fourth"):
        lose(connected(slug, contact_email=""))
        minutes(2)
    assert [mail.subject for mail in mailoutbox] == ["[Cadence Exchange] first: needs a new sign-in (AADSTS50173)"]
    minutes(10)
    assert [mail.subject for mail in mailoutbox[1:]] == ["[Cadence Exchange] 3 alerts"]


def test_what_was_told_is_not_told_again_by_worsening(minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    turn(row, Health.DOWN, "microsoft_unavailable")
    minutes(5)
    lose(row)
    minutes(30)
    incident = Incident.objects.get()
    assert (incident.severity, incident.code, incident.escalations) == ("needs_consent", "AADSTS50173", 1)
    assert recipients(mailoutbox) == ["it@contoso.example", SUPPORT]
    assert row.account.consent_url in next(mail for mail in mailoutbox if mail.to != [SUPPORT]).body


def test_an_incident_goes_on_until_a_good_check(minutes: Minutes) -> None:
    row = connected("contoso")
    turn(row, Health.DOWN, "microsoft_unavailable")
    turn(row, Health.DEGRADED, "")
    minutes(2)
    assert Incident.objects.get().closed_at is None and Incident.objects.get().severity == "down"
    turn(row, Health.HEALTHY)
    assert Incident.objects.get().ending == Ending.RECOVERED


def test_degraded_is_told_once_it_has_lasted_half_an_hour(clock: Any, minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    turn(row, Health.DEGRADED, "throttled")
    minutes(45)
    assert not Incident.objects.exists()  # no check since: perhaps it was a blip
    Connection.objects.filter(pk=row.pk).update(last_check_at=timezone.now())
    minutes(5)
    incident = Incident.objects.get()
    assert (incident.severity, incident.code) == ("degraded", "throttled")
    assert timezone.now() - incident.began_at == timedelta(minutes=50)
    assert recipients(mailoutbox) == ["it@contoso.example", SUPPORT]


def test_a_fault_of_ours_is_never_told_to_a_customer(minutes: Minutes, mailoutbox: Any) -> None:
    turn(connected("contoso"), Health.DOWN, "AADSTS7000222")
    minutes(5)
    assert recipients(mailoutbox) == [SUPPORT]


def test_a_customer_who_could_do_nothing_is_told_once_they_can(minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    turn(row, Health.DOWN, "AADSTS7000222")
    minutes(5)
    lose(row)
    minutes(5)
    assert recipients(mailoutbox) == ["it@contoso.example", SUPPORT]


@pytest.mark.parametrize("audience", Audience)
def test_without_an_address_nothing_is_sent_and_it_is_said_once(
    audience: str, settings: Any, minutes: Minutes, mailoutbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    contact = "" if audience == Audience.CONTACT else "it@contoso.example"
    settings.SUPPORT_EMAIL = "" if audience == Audience.SUPPORT else SUPPORT
    row = connected("contoso", contact_email=contact)
    lose(row)
    minutes(5)
    turn(row, Health.HEALTHY)
    minutes(15)
    assert {mail.to[0] for mail in mailoutbox} == {contact or SUPPORT} and len(mailoutbox) == 2
    assert Mail.objects.get(audience=audience).status == Status.NOBODY
    warned = [record for record in caplog.records if "nobody to write to" in record.message]
    assert [(record.levelname, record.audience) for record in warned] == [("WARNING", audience)]  # type: ignore[attr-defined]


def test_only_whoever_was_told_of_it_gets_the_all_clear(minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    lose(row)
    minutes(1)  # the contact is told at once, support only after two minutes
    turn(row, Health.HEALTHY)
    minutes(20)
    assert [(mail.to, "again" in mail.subject) for mail in mailoutbox] == [
        (["it@contoso.example"], True),
        (["it@contoso.example"], True),
    ]
    assert Mail.objects.get(audience=Audience.SUPPORT).status == Status.DROPPED


def test_all_clears_go_where_the_alert_went(minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    lose(row)
    minutes(5)
    mailoutbox.clear()
    Account.objects.update(contact_email="somebody.else@contoso.example")
    turn(row, Health.HEALTHY)
    minutes(20)
    assert recipients(mailoutbox) == ["it@contoso.example", SUPPORT]


def test_without_a_server_mails_wait_and_are_given_up_after_two_days(
    clock: Any, settings: Any, minutes: Minutes, mailoutbox: Any
) -> None:
    settings.SENDS_MAILS = False
    lose(connected("contoso"))
    minutes(5)
    assert set(Mail.objects.values_list("status", flat=True)) == {Status.WAITING}
    clock.shift(timedelta(hours=48))
    settings.SENDS_MAILS = True
    minutes(1)
    assert mailoutbox == []
    assert set(Mail.objects.values_list("status", "last_error")) == {(Status.FAILED, "given_up")}


def test_running_every_task_twice_changes_nothing(minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    for _ in range(2):
        lose(row)
    for _ in range(10):
        minutes(1)
        tasks.reconcile_incidents()
        tasks.send_mails()
    for _ in range(2):
        turn(row, Health.HEALTHY)
    minutes(10)
    assert Incident.objects.count() == 1
    assert recipients(mailoutbox) == ["it@contoso.example"] * 2 + [SUPPORT] * 2


def test_a_lost_change_is_made_up_for_by_the_minute(minutes: Minutes, mailoutbox: Any) -> None:
    row = connected("contoso")
    Connection.objects.filter(pk=row.pk).update(state=State.NEEDS_CONSENT, reason_code="AADSTS50173")
    minutes(5)
    assert recipients(mailoutbox) == ["it@contoso.example", SUPPORT]
    Connection.objects.filter(pk=row.pk).update(state=State.ENABLED)
    minutes(15)
    assert Incident.objects.get().ending == Ending.RECOVERED
    assert len(mailoutbox) == 4


@pytest.mark.parametrize("audience", Audience)
def test_a_mail_whose_sender_died_is_sent_by_another_after_five_minutes(
    audience: str, clock: Any, minutes: Minutes, mailoutbox: Any
) -> None:
    lose(connected("contoso"))
    clock.shift(timedelta(minutes=2))
    if audience == Audience.CONTACT:
        claimed = outbox.claim_contact(timezone.now())
    else:
        (claimed,) = outbox.claim_support(timezone.now())
    assert claimed is not None
    minutes(3)
    assert not [mail for mail in mailoutbox if mail.to == [claimed.recipient]]
    minutes(3)
    assert len([mail for mail in mailoutbox if mail.to == [claimed.recipient]]) == 1
    assert Mail.objects.get(pk=claimed.pk).attempts == 2


def test_a_sender_that_was_given_up_has_no_word_in_what_another_is_sending(clock: Any) -> None:
    lose(connected("contoso"))
    slow = outbox.claim_contact(timezone.now())
    clock.shift(outbox.LEASE)
    second = outbox.claim_contact(timezone.now())
    assert slow is not None and second is not None and slow.pk == second.pk
    for says in (
        outbox.mark_sent,
        lambda mails: outbox.put_off(mails, "x"),
        lambda mails: outbox.mark_failed(mails, "x"),
    ):
        says([slow])
        row = Mail.objects.get(pk=slow.pk)
        assert (row.status, row.claim, row.last_error) == (Status.WAITING, second.claim, "")
    outbox.mark_sent([second])
    assert Mail.objects.get(pk=slow.pk).status == Status.SENT


def test_an_alert_whose_sender_died_counts_as_sent_when_its_incident_has_ended(
    clock: Any, minutes: Minutes, mailoutbox: Any
) -> None:
    row = connected("contoso")
    lose(row)
    assert outbox.claim_contact(timezone.now()) is not None  # the server may have it
    turn(row, Health.HEALTHY)
    minutes(10)
    assert [mail.subject for mail in mailoutbox] == ["Contoso: calendars can be read again"]


def test_an_alert_whose_incident_ends_while_it_is_claimed_is_not_sent(clock: Any) -> None:
    row = connected("contoso")
    lose(row)
    alert = outbox.claim_contact(timezone.now())
    assert alert is not None
    turn(row, Health.HEALTHY)
    alert.refresh_from_db()
    assert not outbox.wanted(alert)
    assert Mail.objects.get(pk=alert.pk).status == Status.DROPPED


@pytest.mark.parametrize(
    ("became", "all_clear"),
    [
        (outbox.mark_sent, Status.SENT),
        (lambda mails: outbox.mark_failed(mails, "recipient 550"), Status.DROPPED),
        (lambda mails: outbox.put_off(mails, "recipient 451"), Status.DROPPED),
    ],
)
def test_an_all_clear_waits_for_what_becomes_of_its_alert(
    became: Callable[..., None], all_clear: str, clock: Any, minutes: Minutes, mailoutbox: Any
) -> None:
    row = connected("contoso")
    lose(row)
    alert = outbox.claim_contact(timezone.now())
    turn(row, Health.HEALTHY)
    minutes(2)
    assert mailoutbox == []  # another worker is at the alert
    became([alert])
    minutes(10)
    found = Mail.objects.get(kind=Kind.ALL_CLEAR, audience=Audience.CONTACT)
    assert (found.status, len(mailoutbox)) == (all_clear, int(all_clear == Status.SENT))


def test_old_mails_are_forgotten_but_not_those_of_an_open_incident(clock: Any, minutes: Minutes) -> None:
    row, other = connected("contoso"), connected("fabrikam")
    lose(row)
    lose(other)
    minutes(5)
    turn(row, Health.HEALTHY)
    minutes(15)
    clock.shift(tasks.KEEP_MAILS)
    tasks.forget_old_mails()
    assert set(Mail.objects.values_list("account__slug", flat=True)) == {"fabrikam"}
    turn(other, Health.HEALTHY)
    assert Mail.objects.filter(kind=Kind.ALL_CLEAR, account__slug="fabrikam").count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_nothing_twice(clock: Any, mailoutbox: Any) -> None:
    for number in range(20):
        lose(connected(f"customer{number}"))
    clock.shift(timedelta(minutes=3))

    def work(_: int) -> None:
        close_old_connections()
        try:
            tasks.reconcile_incidents()
            sending.send_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert recipients(mailoutbox) == sorted([SUPPORT, *(f"it@customer{n}.example" for n in range(20))])


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_see_the_same_loss_open_one_incident(clock: Any) -> None:
    row = connected("contoso")
    now = timezone.now()
    Connection.objects.filter(pk=row.pk).update(state=State.NEEDS_CONSENT, reason_code="AADSTS50173")
    change = Change(now, State.ENABLED, State.NEEDS_CONSENT, Health.HEALTHY, Health.HEALTHY, "AADSTS50173")

    def work(_: int) -> None:
        try:
            incidents.follow(row.pk, change)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert Incident.objects.count() == 1
    assert Mail.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_tells_nobody(clock: Any) -> None:
    from django.db import transaction

    row = connected("contoso")
    with pytest.raises(RuntimeError), transaction.atomic():
        lose(row)
        raise RuntimeError
    assert not Incident.objects.exists() and not Mail.objects.exists()
