"""The environment as a whole: defaults, what a bad value is told, and that nothing starts with one."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from cadence_exchange import env
from cadence_exchange.checks import environment_is_usable

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = "postgres://cadence:hunter2@127.0.0.1:1/cadence"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # one for all processes: it is part of names of tests
OURS = (
    *("DJANGO_SECRET_KEY", "FERNET_KEYS", "DEBUG", "ALLOWED_HOSTS", "PUBLIC_URL", "DATABASE_URL", "REDIS_URL"),
    *("MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET", "MICROSOFT_CLIENT_CERTIFICATE", "MICROSOFT_CALENDAR_SCOPE"),
    *("MICROSOFT_AUTHORITY_URL", "MICROSOFT_GRAPH_URL", "MICROSOFT_CA_BUNDLE", "API_RATE_PER_MINUTE", "LOG_LEVEL"),
    *("ALLOW_SIMULATED_MICROSOFT", "METRICS_TOKEN"),
    "WEBHOOK_PRIVATE_HOSTS",
    *("EMAIL_URL", "EMAIL_FROM", "SUPPORT_EMAIL", "MICROSOFT_CLIENT_SECRET_EXPIRES", "ALERT_SETTLE_SECONDS"),
    "ALERT_PAUSE_SECONDS",
)

Read = Callable[..., tuple[dict[str, Any], list[str]]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Read]:
    """The settings that an environment gives, and the lines of the system check about it."""
    before = env.PROBLEMS[:]
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)

    def run(**variables: str) -> tuple[dict[str, Any], list[str]]:
        for name, value in {"DATABASE_URL": f"sqlite:///{tmp_path}/cadence.sqlite3", **variables}.items():
            monkeypatch.setenv(name, value)
        env.PROBLEMS.clear()
        found = runpy.run_path(str(ROOT / "cadence_exchange" / "settings.py"))
        return found, [f"{error.id} {error.msg} {error.hint}" for error in environment_is_usable()]

    yield run
    env.PROBLEMS[:] = before


def test_without_any_variable_everything_has_its_default(read: Read) -> None:
    found, problems = read()
    assert problems == []
    expected = {
        "DEBUG": False,
        "PUBLIC_URL": "http://localhost:8000",
        "ALLOWED_HOSTS": ["localhost"],
        "REDIS_URL": "",
        "MICROSOFT_CLIENT_ID": "",
        "MICROSOFT_CLIENT_SECRET": "",
        "MICROSOFT_CALENDAR_SCOPE": "Calendars.Read",
        "MICROSOFT_AUTHORITY_URL": "",
        "ALLOW_SIMULATED_MICROSOFT": False,
        "MICROSOFT_GRAPH_URL": "",
        "MICROSOFT_CA_BUNDLE": "",
        "API_RATE_PER_MINUTE": 1200,
        "API_RATE_BURST": 300,
        "METRICS_TOKEN": "",
        "SECURE_SSL_REDIRECT": False,
        "CELERY_BROKER_URL": "embedded://",
        "WEBHOOK_PRIVATE_HOSTS": frozenset(),
    }
    assert {name: found[name] for name in expected} == expected
    assert found["SECRET_KEY"]
    assert found["FERNET_KEYS"]


def test_the_files_of_embedded_mode_lie_beside_the_database(read: Read, tmp_path: Path) -> None:
    found, _ = read()
    assert found["COORDINATION_FILE"].parent == tmp_path
    assert Path(found["CELERY_BROKER_TRANSPORT_OPTIONS"]["data_folder_in"]).is_relative_to(tmp_path)


BAD = [
    ("DEBUG", "yes", "True or False"),
    ("PUBLIC_URL", "exchange.example", "http"),
    ("PUBLIC_URL", "https://exchange.example/sub/", "origin"),
    ("DATABASE_URL", "mysql://user:hunter2@host/name", "sqlite:///path or postgres://"),
    ("DATABASE_URL", "sqlite://:memory:", "sqlite:///path"),
    ("DATABASE_URL", "sqlite:///", "sqlite:///path"),
    ("DATABASE_URL", "sqlite:///:memory:", "sqlite:///path"),
    ("DATABASE_URL", "postgres://user:hunter2@host:port/name", "postgres://"),
    ("DATABASE_URL", "postgres://user:hunter2@host/", "postgres://"),
    ("REDIS_URL", "http://:hunter2@host", "redis://"),
    ("REDIS_URL", "redis://:hunter2@host:port/0", "redis://"),
    ("REDIS_URL", "redis://:hunter2@host/zero", "redis://"),
    ("REDIS_URL", "unix:///run/hunter2.sock", "redis://"),
    ("FERNET_KEYS", "hunter2", "Fernet keys"),
    ("FERNET_KEYS", f"{KEY},hunter2", "Fernet keys"),
    ("FERNET_KEYS", f"{KEY} hunter2", "Fernet keys"),
    ("MICROSOFT_CALENDAR_SCOPE", "calendars.read", "Calendars.Read, Calendars.Read.Shared, Calendars.ReadBasic"),
    ("MICROSOFT_CALENDAR_SCOPE", "Mail.Read", "one of"),
    ("MICROSOFT_AUTHORITY_URL", "http://login.example", "https://"),
    ("MICROSOFT_AUTHORITY_URL", "https://login.example/organizations", "origin"),
    ("MICROSOFT_GRAPH_URL", "graph.example", "https://"),
    ("MICROSOFT_CA_BUNDLE", "/nowhere/ca.pem", "PEM"),
    ("MICROSOFT_CLIENT_CERTIFICATE", "/nowhere/client.pem", "PEM"),
    ("API_RATE_PER_MINUTE", "0", "whole number"),
    ("API_RATE_PER_MINUTE", "many", "whole number"),
    ("WEBHOOK_PRIVATE_HOSTS", "https://backend.internal", "host names"),
    ("WEBHOOK_PRIVATE_HOSTS", "*.internal", "host names"),
    ("WEBHOOK_PRIVATE_HOSTS", "10.0.0.0/8", "host names"),
    ("WEBHOOK_PRIVATE_HOSTS", "backend:0", "host names"),
    ("WEBHOOK_PRIVATE_HOSTS", "backend:65536", "host names"),
    ("EMAIL_URL", "smtp://me:hunter2@mail.example:port", "smtp://user:password@host:587"),
    ("EMAIL_URL", "hunter2", "smtp://"),
    ("EMAIL_FROM", "Cadence <exchange@example.com>", "one mail address"),
    ("SUPPORT_EMAIL", "support", "one mail address"),
    ("MICROSOFT_CLIENT_SECRET_EXPIRES", "31.3.2027", "2027-03-31"),
    ("ALERT_SETTLE_SECONDS", "3601", "whole number"),
    ("ALERT_PAUSE_SECONDS", "-1", "whole number"),
    ("METRICS_TOKEN", "hunter2", "at least 16"),
    ("METRICS_TOKEN", "hunter2 and some more words", "without blanks"),
    ("LOG_LEVEL", "verbose", "one of"),
]


@pytest.mark.parametrize(("variable", "value", "allowed"), BAD)
def test_a_bad_value_is_named_with_what_is_allowed_and_never_shows_a_secret(
    read: Read, variable: str, value: str, allowed: str
) -> None:
    _, problems = read(**{variable: value})
    (problem,) = problems
    assert problem.startswith(f"cadence.E001 {variable} cannot be used")
    assert allowed in problem
    assert "hunter2" not in problem
    assert KEY not in problem
    if "hunter2" not in value and variable != "DATABASE_URL":
        assert value in problem


def test_without_a_server_no_mail_leaves_and_with_one_its_password_is_kept_apart(read: Read) -> None:
    found, _ = read(PUBLIC_URL="http://[::1]:8000")
    assert (found["SENDS_MAILS"], found["EMAIL_FROM"]) == (False, "cadence-exchange@::1")
    found, problems = read(EMAIL_URL="smtp://me:hunter2@mail.example")
    assert problems == []
    assert (found["SENDS_MAILS"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (True, True, False)
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_TIMEOUT"]) == ("mail.example", 587, 10)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("me", "hunter2")


def test_private_hosts_of_webhooks_are_names_with_or_without_a_port(read: Read) -> None:
    found, problems = read(WEBHOOK_PRIVATE_HOSTS=" Backend.internal, 10.0.0.5:8080 ,[fd00::5]:443,")
    assert problems == []
    assert found["WEBHOOK_PRIVATE_HOSTS"] == {"backend.internal", "10.0.0.5:8080", "[fd00::5]:443"}


@pytest.mark.parametrize("name", ["DJANGO_SECRET_KEY", "FERNET_KEYS", "MICROSOFT_CLIENT_SECRET", "DATABASE_URL"])
def test_every_secret_may_come_from_a_file(read: Read, tmp_path: Path, name: str) -> None:
    values = {
        "DJANGO_SECRET_KEY": ("a secret", lambda found: found["SECRET_KEY"]),
        "FERNET_KEYS": (KEY, lambda found: found["FERNET_KEYS"][0]),
        "MICROSOFT_CLIENT_SECRET": ("a secret", lambda found: found["MICROSOFT_CLIENT_SECRET"]),
        "DATABASE_URL": (f"sqlite:///{tmp_path}/other.sqlite3", lambda found: found["DATABASES"]["default"]["NAME"]),
    }
    value, where = values[name]
    (tmp_path / "file").write_text(f"{value}\n")
    found, problems = read(
        **({"DATABASE_URL": ""} if name == "DATABASE_URL" else {}), **{f"{name}_FILE": str(tmp_path / "file")}
    )
    assert problems == []
    assert where(found) == value.removeprefix("sqlite:///")


def test_redis_may_come_from_a_file_and_takes_cache_limits_and_broker(read: Read, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("redis://:hunter2@cache.example:6379/1\n")
    found, problems = read(REDIS_URL_FILE=str(tmp_path / "file"))
    assert problems == []
    assert found["REDIS_URL"] == found["CELERY_BROKER_URL"] == found["CACHES"]["default"]["LOCATION"]


@pytest.mark.parametrize(
    "url", ["redis://cache.example", "redis://cache.example:6379/1", "rediss://:pw@cache.example/0"]
)
def test_the_usual_redis_addresses_are_taken(read: Read, url: str) -> None:
    assert read(REDIS_URL=url)[1] == []


def test_several_encryption_keys_keep_their_order(read: Read) -> None:
    other = Fernet.generate_key().decode()
    assert read(FERNET_KEYS=f" {other}, {KEY},")[0]["FERNET_KEYS"] == [other, KEY]


@pytest.mark.parametrize(("url", "secure"), [("https://exchange.example", True), ("http://exchange.example", False)])
def test_cookies_redirect_and_hsts_follow_the_scheme_of_the_public_address(read: Read, url: str, secure: bool) -> None:
    found, _ = read(PUBLIC_URL=url)
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is found["SECURE_SSL_REDIRECT"] is secure
    assert bool(found["SECURE_HSTS_SECONDS"]) is secure
    assert found["ALLOWED_HOSTS"] == ["exchange.example"]
    assert found["CSRF_TRUSTED_ORIGINS"] == [url]


def test_allowed_hosts_are_a_list(read: Read) -> None:
    assert read(ALLOWED_HOSTS="a.example, b.example,")[0]["ALLOWED_HOSTS"] == ["a.example", "b.example"]


def test_the_consent_form_may_lead_to_every_cloud_and_to_a_configured_authority(read: Read) -> None:
    allowed = read()[0]["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"]
    assert {"'self'", "https://login.microsoftonline.com", "https://login.microsoftonline.us"} <= set(allowed)
    configured = read(MICROSOFT_AUTHORITY_URL="https://login.example")[0]
    assert "https://login.example" in configured["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]["form-action"]


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, ["DJANGO_SECRET_KEY", "FERNET_KEYS"]),
        ({"DJANGO_SECRET_KEY": "s"}, ["FERNET_KEYS"]),
        ({"FERNET_KEYS": KEY}, ["DJANGO_SECRET_KEY"]),
        ({"DJANGO_SECRET_KEY": "s", "FERNET_KEYS": " , "}, ["FERNET_KEYS"]),
        ({"DJANGO_SECRET_KEY": "s", "FERNET_KEYS": KEY}, []),
    ],
)
def test_with_another_database_no_secret_is_made_up(read: Read, variables: dict[str, str], missing: list[str]) -> None:
    found, problems = read(DATABASE_URL=POSTGRES, **variables)
    assert [problem.split()[1] for problem in problems] == missing
    assert "hunter2" not in str(problems)
    if "DJANGO_SECRET_KEY" in missing:
        assert not found["SECRET_KEY"]


# --- as processes ---------------------------------------------------------------------------------------------------


def start(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "cadence_exchange.settings", **variables}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


WSGI = ("-c", "import cadence_exchange.wsgi")
STARTS = [("manage.py", "check"), ("manage.py", "refresh_tokens"), WSGI]


@pytest.mark.parametrize("command", STARTS, ids=["check", "command", "wsgi"])
def test_nothing_starts_on_another_database_without_its_secrets(command: tuple[str, ...]) -> None:
    done = start(*command, DATABASE_URL=POSTGRES)
    assert done.returncode not in (0, 2)
    assert "DJANGO_SECRET_KEY" in done.stderr
    assert "FERNET_KEYS" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [STARTS[0], WSGI], ids=["check", "wsgi"])
def test_nothing_starts_with_a_bad_value(command: tuple[str, ...], tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/cadence.sqlite3"
    done = start(*command, DATABASE_URL=database, DEBUG="maybe", API_RATE_PER_MINUTE="0", FERNET_KEYS="hunter2")
    assert done.returncode not in (0, 2)
    for named in ("DEBUG", "'maybe'", "True or False", "API_RATE_PER_MINUTE", "FERNET_KEYS"):
        assert named in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_gunicorn_gives_up_at_once_when_it_must_not_start(tmp_path: Path) -> None:
    done = start("-m", "gunicorn", "cadence_exchange.wsgi", DATABASE_URL=POSTGRES, BIND=f"unix:{tmp_path}/s")
    assert done.returncode != 0
    assert "DJANGO_SECRET_KEY" in done.stderr


def test_half_an_app_registration_is_warned_of(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/cadence.sqlite3"
    done = start("manage.py", "check", DATABASE_URL=database, MICROSOFT_CLIENT_ID="an id")
    assert done.returncode == 0
    assert "cadence.W001" in done.stderr
