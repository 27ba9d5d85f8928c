"""The seeded organisation."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sandbox.calendars import LONGEST_DAYS, Event
from sandbox.clock import Clock
from sandbox.directory import DAYS_AHEAD, DAYS_BACK, Directory
from sandbox.people import CONTOSO, FABRIKAM, TENANTS

NOW = datetime(2027, 3, 15, 8, tzinfo=UTC)


def directory(*, seed="s", at=NOW):
    return Directory(seed=seed, clock=Clock(at))


def all_events(where, *, days=(-60, 460), only=None):
    window = (NOW + timedelta(days=days[0]), NOW + timedelta(days=days[1]))
    return {
        account.upn: where.events(account, *window)
        for account in where.accounts(CONTOSO)
        if account.mailbox and account.mailbox.pattern != "crowded" and (only is None or account.upn in only)
    }


def test_the_same_seed_makes_the_same_calendars():
    assert all_events(directory(), days=(-7, 30)) == all_events(directory(), days=(-7, 30))


def test_another_seed_makes_others():
    one, two = (all_events(directory(seed=seed), days=(0, 14)) for seed in "ab")
    assert one["ann@contoso.example"] != two["ann@contoso.example"]


def test_a_calendar_does_not_change_from_one_day_to_the_next():
    today, tomorrow = directory(), directory(at=NOW + timedelta(days=1))
    assert all_events(today, days=(0, 60)) == all_events(tomorrow, days=(0, 60))


def test_the_order_of_questions_does_not_matter():
    account = directory().find("ann@contoso.example")
    whole = directory().events(account, NOW, NOW + timedelta(days=28))
    asked = directory()
    parts = {
        event
        for week in (3, 1, 2, 0)
        for event in asked.events(account, NOW + timedelta(days=7 * week), NOW + timedelta(days=7 * week + 7))
    }
    assert parts == set(whole)


def test_calendars_reach_from_a_month_back_to_thirteen_months_ahead():
    starts = [event.start for events in all_events(directory()).values() for event in events]
    # The edges may fall on a weekend, when little happens.
    first = NOW.date() - timedelta(days=DAYS_BACK)
    assert first <= min(starts).date() <= first + timedelta(days=3)
    assert NOW.date() + timedelta(days=DAYS_AHEAD - 7) < max(starts).date() < NOW.date() + timedelta(days=DAYS_AHEAD)


def test_no_event_is_longer_than_a_reader_looks_back():
    lengths = [event.end - event.start for events in all_events(directory()).values() for event in events]
    assert timedelta(days=20) < max(lengths) <= timedelta(days=LONGEST_DAYS)
    assert min(lengths) > timedelta()


def test_all_day_events_run_from_midnight_to_midnight_of_the_owner_also_when_clocks_change():
    where, hours = directory(), set()
    for upn, events in all_events(where).items():
        zone = ZoneInfo(where.find(upn).mailbox.zone)
        for event in (event for event in events if event.is_all_day):
            assert event.start.astimezone(zone).time() == event.end.astimezone(zone).time() == datetime.min.time()
            hours.add((event.end - event.start) / timedelta(hours=1))
    assert {24, 48} <= hours
    assert any(length % 24 for length in hours)


@pytest.mark.parametrize(("tenant", "people", "rooms"), [(CONTOSO, 60, 12), (FABRIKAM, 12, 3)])
def test_the_organisations_have_their_size(tenant, people, rooms):
    kinds = Counter(account.kind for account in directory().accounts(tenant))
    assert kinds == {"person": people, "room": rooms, "admin": 1, "service": 1}


def test_contoso_works_in_four_zones():
    assert len({a.mailbox.zone for a in directory().accounts(CONTOSO) if a.mailbox}) == 4


def test_no_two_accounts_share_an_address_or_an_id():
    accounts = directory().accounts()
    assert len({account.upn.casefold() for account in accounts}) == len({a.oid for a in accounts}) == len(accounts)
    assert len({tenant.tid for tenant in TENANTS}) == len(TENANTS)


def test_an_event_needs_a_calendar():
    with pytest.raises(ValueError, match="no mailbox"):
        directory().add_event("admin@contoso.example", Event(start=NOW, end=NOW + timedelta(hours=1)))
    with pytest.raises(ValueError, match="no tenant"):
        directory().add_mailbox("someone@elsewhere.example")


def test_the_very_same_item_may_stand_in_a_calendar_twice():
    events = all_events(directory(), days=(0, 21), only={"ann@contoso.example", "bob@contoso.example"})
    for found in events.values():
        assert max(Counter(found).values()) == 2


def test_a_further_tenant_has_a_service_account_and_people_of_its_own():
    one = directory()
    acme = one.add_tenant("acme", people=2)
    addresses = ["person1@acme.example", "person2@acme.example", "admin@acme.example", "cadence-service@acme.example"]
    assert [account.upn for account in one.accounts(acme)] == addresses
    assert {one.tenant(name) for name in ("acme", "ACME.example", acme.tid)} == {acme}
    assert one.tenants() == [*TENANTS, acme]
    assert directory().add_tenant("acme") == acme  # the same in every run, so that stored consents fit


@pytest.mark.parametrize("name", ["contoso", "Acme", "two words", ""])
def test_a_tenant_needs_a_free_and_plain_name(name):
    with pytest.raises(ValueError, match=r"exists already|no name"):
        directory().add_tenant(name)


def test_a_lost_licence_takes_the_mailbox_and_a_new_one_brings_it_back():
    one = directory()
    before = one.find("ann@contoso.example")
    one.set_licence(before.upn, licensed=False)
    assert one.find(before.upn).mailbox is None
    one.set_licence(before.upn, licensed=True)
    assert one.find(before.upn) == before
    with pytest.raises(ValueError, match="does not exist"):
        one.set_licence("nobody@contoso.example", licensed=False)
