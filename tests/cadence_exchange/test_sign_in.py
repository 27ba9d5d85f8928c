"""Signing in to Cadence Admin: the second factor, lock-outs, how long a session lasts, and what is written down."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django_otp.oath import totp

from staff.checks import staff_need_a_second_factor
from staff.models import STEP_SECONDS, Authenticator, RecoveryCode
from tenants import keys
from tenants.models import AuditEntry

PASSWORD = "correct horse battery staple"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(db: None, settings: Any) -> Iterator[time_machine.Traveller]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody guesses here: fast
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password=PASSWORD)


def give_password(browser: Client, name: str = "root", password: str = PASSWORD, **extra: Any) -> Any:
    return browser.post(
        "/admin/login/?next=/admin/tenants/account/",
        {"username": name, "password": password, "next": "/admin/tenants/account/"},
        **extra,
    )


def may_work(browser: Client) -> bool:
    return browser.get("/admin/tenants/account/").status_code == 200


def code_of(user: User, confirmed: bool = True) -> str:
    device = Authenticator.objects.get(user=user, confirmed=confirmed)
    return f"{totp(device.key, STEP_SECONDS):06}"


def later(clock: time_machine.Traveller, **time: float) -> None:
    clock.shift(timedelta(**time))


def set_up(browser: Client, user: User, clock: time_machine.Traveller) -> list[str]:
    """Sets up an authenticator through the pages; the recovery codes, and the clock a step on."""
    assert browser.post("/admin/second-factor/", {"action": "begin"}).status_code == 302
    answer = browser.post("/admin/second-factor/enrol/", {"code": code_of(user, confirmed=False)})
    later(clock, seconds=STEP_SECONDS)
    return re.findall(r"<code>([a-z2-7-]{19})</code>", answer.content.decode())


@pytest.fixture
def recovery_codes(root: User, clock: time_machine.Traveller) -> list[str]:
    """Of root, who has a second factor from here on."""
    browser = Client()
    give_password(browser)
    return set_up(browser, root, clock)


def trail() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "outcome", "actor"))


# --- the second factor ------------------------------------------------------------------------------------------
def test_a_password_is_enough_for_whoever_has_no_second_factor(root: User) -> None:
    browser = Client()
    assert give_password(browser)["Location"] == "/admin/tenants/account/"
    assert may_work(browser)


def test_after_the_password_comes_the_code_and_then_the_page_that_was_wanted(
    root: User, recovery_codes: list[str]
) -> None:
    browser = Client()
    give_password(browser)
    assert not may_work(browser)
    answer = browser.get("/admin/tenants/account/", follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/second-factor/code/?next=%2Fadmin%2Ftenants%2Faccount%2F"
    answer = browser.post(answer.redirect_chain[-1][0], {"code": code_of(root), "next": "/admin/tenants/account/"})
    assert answer["Location"] == "/admin/tenants/account/"
    assert may_work(browser)


def test_half_way_in_nothing_of_the_admin_is_to_be_seen(root: User, recovery_codes: list[str]) -> None:
    browser = Client()
    give_password(browser)
    for address in ("/admin/", "/admin/tenants/account/", "/admin/password_change/", "/admin/jsi18n/"):
        assert browser.get(address).status_code == 302, address
    assert browser.post("/admin/second-factor/", {"action": "begin"})["Location"].startswith(
        "/admin/second-factor/code/"
    )
    assert browser.get("/admin/second-factor/enrol/")["Location"].startswith("/admin/second-factor/code/")
    assert "/admin/tenants/" not in browser.get("/admin/second-factor/code/").content.decode()


def test_a_wrong_code_does_not_let_in_and_the_wait_doubles(
    root: User, recovery_codes: list[str], clock: time_machine.Traveller
) -> None:
    browser = Client()
    give_password(browser)
    wrong = "000000" if code_of(root) != "000000" else "111111"
    for _ in range(2):
        assert "not right" in browser.post("/admin/second-factor/code/", {"code": wrong}).content.decode()
        later(clock, seconds=1)
    assert Authenticator.objects.get(user=root).throttling_failure_count == 2
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    assert not may_work(browser), "a second after the second wrong code is too soon"
    later(clock, seconds=1)
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    assert may_work(browser)


def test_a_code_works_once(root: User, recovery_codes: list[str]) -> None:
    first, second = Client(), Client()
    for browser in (first, second):
        give_password(browser)
        browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    assert (may_work(first), may_work(second)) == (True, False)


@pytest.mark.parametrize(("seconds", "accepted"), [(-60, False), (-30, True), (30, True), (60, False)])
def test_the_clock_of_a_phone_may_be_off_by_a_step(
    root: User, recovery_codes: list[str], clock: time_machine.Traveller, seconds: int, accepted: bool
) -> None:
    later(clock, minutes=5)
    browser = Client()
    give_password(browser)
    code = f"{totp(Authenticator.objects.get(user=root).key, STEP_SECONDS, t0=-seconds):06}"
    browser.post("/admin/second-factor/code/", {"code": code})
    assert may_work(browser) is accepted


def test_a_recovery_code_stands_in_once_however_it_is_typed(root: User, recovery_codes: list[str]) -> None:
    assert len(set(recovery_codes)) == 10
    first, second = Client(), Client()
    for browser in (first, second):
        give_password(browser)
        browser.post("/admin/second-factor/code/", {"code": f" {recovery_codes[3].upper().replace('-', ' ')} "})
    assert (may_work(first), may_work(second)) == (True, False)
    assert RecoveryCode.objects.filter(used_at=None).count() == 9


def test_somebody_elses_codes_do_not_help(root: User, recovery_codes: list[str], clock: time_machine.Traveller) -> None:
    User.objects.create_superuser("eve", password=PASSWORD)
    eve = Client()
    give_password(eve, "eve")
    set_up(eve, User.objects.get(username="eve"), clock)
    browser = Client()
    give_password(browser, "eve")
    for code in (code_of(root), recovery_codes[0]):
        browser.post("/admin/second-factor/code/", {"code": code})
        later(clock, minutes=1)
    assert not may_work(browser)
    assert RecoveryCode.objects.filter(user=root, used_at=None).count() == 10


def test_a_session_from_before_the_second_factor_needs_it_too(root: User, clock: time_machine.Traveller) -> None:
    before, other = Client(), Client()
    give_password(before)
    give_password(other)
    set_up(other, root, clock)
    assert (may_work(before), may_work(other)) == (False, True)


def test_half_way_in_one_can_leave(root: User, recovery_codes: list[str]) -> None:
    browser = Client()
    give_password(browser)
    assert browser.post("/admin/second-factor/code/", {"cancel": "yes"})["Location"] == "/admin/login/"
    assert browser.get("/admin/second-factor/code/")["Location"].startswith("/admin/login/")


def test_the_code_never_leads_away_from_here(root: User, recovery_codes: list[str]) -> None:
    browser = Client()
    give_password(browser)
    answer = browser.post("/admin/second-factor/code/", {"code": code_of(root), "next": "https://evil.example/"})
    assert answer["Location"] == "/admin/"


# --- setting it up ----------------------------------------------------------------------------------------------
def test_where_everybody_needs_one_whoever_has_none_is_led_to_set_it_up(
    root: User, settings: Any, clock: time_machine.Traveller
) -> None:
    settings.ADMIN_REQUIRE_TOTP = True
    browser = Client()
    give_password(browser)
    answer = browser.get("/admin/tenants/account/", follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/second-factor/?next=%2Fadmin%2Ftenants%2Faccount%2F"
    assert "/admin/tenants/account/add" not in answer.content.decode()
    set_up(browser, root, clock)
    assert may_work(browser)


def test_the_page_shows_the_secret_as_text_address_and_picture(root: User) -> None:
    browser = Client()
    give_password(browser)
    browser.post("/admin/second-factor/", {"action": "begin"})
    page = html.unescape(browser.get("/admin/second-factor/enrol/").content.decode())
    secret = re.search(
        r"otpauth://totp/Cadence%20Exchange%3Aroot\?secret=([A-Z2-7]{32})&issuer=Cadence%20Exchange", page
    )
    assert secret
    assert " ".join(re.findall("....", secret[1])) in page
    picture = page.partition('class="qr"')[2].partition("</svg>")[0]
    assert "<path" in picture
    assert "style=" not in picture, "the policy forbids inline styles"


def test_a_wrong_code_sets_nothing_up(root: User) -> None:
    browser = Client()
    give_password(browser)
    browser.post("/admin/second-factor/", {"action": "begin"})
    wrong = "000000" if code_of(root, confirmed=False) != "000000" else "111111"
    assert "not right" in browser.post("/admin/second-factor/enrol/", {"code": wrong}).content.decode()
    again = Client()
    give_password(again)
    assert may_work(again)


def test_the_old_app_counts_until_the_new_one_is_confirmed(
    root: User, recovery_codes: list[str], clock: time_machine.Traveller
) -> None:
    browser = Client()
    give_password(browser)
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    old = Authenticator.objects.get(user=root, confirmed=True)
    browser.post("/admin/second-factor/", {"action": "begin"})
    assert Authenticator.objects.filter(pk=old.pk, confirmed=True).exists()
    new_codes = set_up(browser, root, clock)
    assert not Authenticator.objects.filter(pk=old.pk).exists()
    assert may_work(browser)
    assert not set(new_codes) & set(recovery_codes)
    assert RecoveryCode.objects.count() == 10


def test_removing_it_takes_a_fresh_code(root: User, recovery_codes: list[str], clock: time_machine.Traveller) -> None:
    browser = Client()
    give_password(browser)
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    browser.post("/admin/second-factor/", {"action": "remove", "code": code_of(root)})
    assert Authenticator.objects.exists(), "that code was used to sign in"
    later(clock, minutes=1)
    browser.post("/admin/second-factor/", {"action": "remove", "code": code_of(root)})
    assert not Authenticator.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert ("second_factor_removed", "ok", "root") in trail()


def test_nobody_removes_it_where_everybody_needs_one(root: User, recovery_codes: list[str], settings: Any) -> None:
    settings.ADMIN_REQUIRE_TOTP = True
    browser = Client()
    give_password(browser)
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    browser.post("/admin/second-factor/", {"action": "remove", "code": recovery_codes[0]})
    assert Authenticator.objects.exists()


def test_the_command_helps_whoever_lost_phone_and_codes(root: User, recovery_codes: list[str]) -> None:
    out = StringIO()
    call_command("remove_second_factor", "root", stdout=out)
    assert json.loads(out.getvalue()) == {"user": "root", "removed": True}
    assert trail()[-1] == ("second_factor_removed", "ok", "command line")
    browser = Client()
    give_password(browser)
    assert may_work(browser)
    with pytest.raises(CommandError):
        call_command("remove_second_factor", "nobody")


def test_the_database_holds_neither_the_secret_nor_a_recovery_code(root: User, recovery_codes: list[str]) -> None:
    device = Authenticator.objects.get(user=root)
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM staff_authenticator")
        stored = bytes(cursor.fetchone()[0])
        cursor.execute("SELECT code_hash FROM staff_recoverycode")
        hashes = {row[0] for row in cursor.fetchall()}
    assert device.key.hex().encode() not in stored
    assert stored.startswith(b"gAAAA")
    assert not hashes & {code.replace("-", "") for code in recovery_codes}


def test_a_rotation_of_keys_takes_the_secrets_along(root: User, recovery_codes: list[str], settings: Any) -> None:
    key, new = Authenticator.objects.get(user=root).key, "x" * 43 + "="
    settings.FERNET_KEYS = [new, *settings.FERNET_KEYS]
    assert list(keys.rotate())[-1].rewritten == 1
    settings.FERNET_KEYS = [new]
    assert Authenticator.objects.get(user=root).key == key


# --- lock-out ---------------------------------------------------------------------------------------------------
def fail(browser: Client, times: int, **extra: Any) -> list[int]:
    return [give_password(browser, f"root{number}", "wrong", **extra).status_code for number in range(times)]


def test_ten_failures_lock_an_address_out_for_a_quarter_of_an_hour(root: User, clock: time_machine.Traveller) -> None:
    browser = Client()
    assert fail(browser, 10) == [200] * 9 + [429]
    answer = give_password(browser)
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert "Too many failed sign-ins" in answer.content.decode()
    later(clock, minutes=14)
    assert give_password(browser).status_code == 429, "trying on does not make it longer or shorter"
    later(clock, minutes=1, seconds=1)
    assert give_password(browser).status_code == 302


def test_a_locked_address_does_not_lock_anybody_at_another(root: User) -> None:
    fail(Client(), 10, REMOTE_ADDR="192.0.2.1")
    assert give_password(Client(), REMOTE_ADDR="192.0.2.1").status_code == 429
    assert give_password(Client(), REMOTE_ADDR="192.0.2.2").status_code == 302


def test_a_forwarded_address_is_believed_only_from_the_proxy(root: User) -> None:
    for number in range(10):
        fail(Client(), 1, REMOTE_ADDR="198.51.100.9", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert give_password(Client(), REMOTE_ADDR="198.51.100.9").status_code == 429


def test_a_success_forgives_the_failures_before(root: User) -> None:
    browser = Client()
    fail(browser, 9)
    assert give_password(browser).status_code == 302
    assert fail(Client(), 9) == [200] * 9


def test_wrong_codes_lock_out_as_wrong_passwords_do(root: User, recovery_codes: list[str]) -> None:
    browser = Client()
    give_password(browser)
    statuses = [browser.post("/admin/second-factor/code/", {"code": "nonsense"}).status_code for _ in range(10)]
    assert statuses == [200] * 9 + [429]
    assert browser.post("/admin/second-factor/code/", {"code": recovery_codes[0]}).status_code == 429
    assert not may_work(browser)


# --- sessions ---------------------------------------------------------------------------------------------------
def test_a_session_ends_after_its_hours_however_busy_it_was(root: User, clock: time_machine.Traveller) -> None:
    browser = Client()
    give_password(browser)
    for _ in range(11):
        later(clock, hours=1)
        session = browser.session
        session["seen"] = True
        session.save()
        assert may_work(browser)
    later(clock, minutes=59)
    assert may_work(browser)
    later(clock, minutes=1, seconds=1)
    assert not may_work(browser)


def test_the_hours_are_a_setting(root: User, settings: Any, clock: time_machine.Traveller) -> None:
    settings.ADMIN_SESSION_HOURS = 2
    browser = Client()
    give_password(browser)
    later(clock, minutes=119)
    assert may_work(browser)
    later(clock, minutes=2)
    assert not may_work(browser)


def test_half_way_in_a_session_lasts_a_quarter_of_an_hour(
    root: User, recovery_codes: list[str], clock: time_machine.Traveller
) -> None:
    browser = Client()
    give_password(browser)
    later(clock, minutes=15, seconds=1)
    assert browser.post("/admin/second-factor/code/", {"code": code_of(root)})["Location"].startswith("/admin/login/")


def test_the_session_gets_a_new_key_with_the_second_factor(root: User, recovery_codes: list[str]) -> None:
    browser = Client()
    give_password(browser)
    before = browser.session.session_key
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    assert browser.session.session_key != before


# --- the audit trail --------------------------------------------------------------------------------------------
def test_each_step_of_a_sign_in_is_written_down_with_its_address(
    root: User, recovery_codes: list[str], clock: time_machine.Traveller
) -> None:
    assert trail() == [("sign_in", "ok", "root"), ("second_factor_set_up", "ok", "root")]
    browser = Client(REMOTE_ADDR="192.0.2.7")
    give_password(browser)
    browser.post("/admin/second-factor/code/", {"code": "123"})
    later(clock, minutes=1)
    browser.post("/admin/second-factor/code/", {"code": code_of(root)})
    browser.post("/admin/logout/")
    assert trail()[2:] == [
        ("sign_in", "code_needed", "root"),
        ("sign_in", "failed", "root"),
        ("sign_in", "ok", "root"),
        ("sign_out", "ok", "root"),
    ]
    assert set(AuditEntry.objects.order_by("pk")[2:6].values_list("address", flat=True)) == {"192.0.2.7"}


def test_a_name_that_does_not_exist_may_be_a_password_and_is_cut(root: User, caplog: pytest.LogCaptureFixture) -> None:
    give_password(Client(), "hunter2-in-the-wrong-field", "hunter3")
    give_password(Client(), "root", "hunter3")
    assert trail() == [("sign_in", "failed", "hu…"), ("sign_in", "failed", "root")]
    assert "hunter" not in caplog.text
    assert "hunter" not in everything_stored()


def everything_stored() -> str:
    """All tables as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - our own tables' names
            found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found)


def test_what_a_locked_out_address_goes_on_trying_fills_no_table(root: User) -> None:
    fail(Client(), 40)
    assert [outcome for _, outcome, _ in trail()] == ["failed"] * 9 + ["locked_out"]


def test_on_a_public_address_the_deploy_check_speaks_of_the_second_factor(settings: Any) -> None:
    settings.PUBLIC_HTTPS = True
    assert [message.id for message in staff_need_a_second_factor()] == ["cadence.I002"]
    settings.ADMIN_REQUIRE_TOTP = True
    assert staff_need_a_second_factor() == []
