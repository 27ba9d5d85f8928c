"""One installation for all browser tests, one Chromium per module, one profile per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import INSTALL, WIDE, Visitor, chromium, find_chromium, visitor
from tests.processes.installation import Installation

PASSWORD = "correct horse battery staple"
ACCOUNTS = 60  # more than the tests use; each takes the next one, so that none meets another's connection
SEED = f"""
import json
from django.contrib.auth.models import Group, User
from tenants.authentication import new_key
from tenants.models import Account, ApiKey
Group.objects.create(name="Support")
User.objects.create_superuser("root", password="{PASSWORD}")
made = [
    Account.objects.create(
        slug=f"org-{{n:02}}", name=f"Organisation {{n}}", domains=["contoso.example"], time_zone="Europe/Berlin")
    for n in range({ACCOUNTS})
]
key = new_key()
ApiKey.objects.create(name="Booking", prefix=key.prefix, key_hash=key.key_hash).accounts.set(made[:2])
print(json.dumps({{"urls": [account.consent_url for account in made]}}))
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.processes)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is; without it the test says how to get it."""
    path = find_chromium()
    if path is None:
        pytest.skip(INSTALL)
    return path


# One per module and not per session: its event loop must be gone before a test of the ORM runs in this process.
@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A running Chromium."""
    with chromium(chromium_path) as running:
        yield running


@pytest.fixture(scope="session")
def prepared(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, list[str]]]:
    """Sandbox and web server with accounts that nobody has used; their consent links."""
    made = Installation(tmp_path_factory.mktemp("browser"))
    try:
        made.start_sandbox()
        made.manage("migrate", "--noinput")
        urls = made.manage("shell", "-c", SEED)["urls"]
        made.start_web(workers=1)
        yield made, urls
    finally:
        made.stop()


@pytest.fixture
def installation(prepared: tuple[Installation, list[str]]) -> Installation:
    """The running installation; Microsoft's side as if nobody had ever consented and nothing were wrong."""
    made, _ = prepared
    made.control(clear_faults=True, user_consent=True, withdraw_consent="contoso.example", extra_scopes=[])
    return made


@pytest.fixture
def consent_url(prepared: tuple[Installation, list[str]], installation: Installation) -> str:
    """The consent link of an account of this test's own."""
    return prepared[1].pop()


@pytest.fixture
def visit(browser: Browser, installation: Installation) -> Iterator[Callable[..., Visitor]]:
    """`visit(size, scheme)`: a fresh profile. At the end nobody may have complained about anything."""
    with ExitStack() as stack:
        made: list[Visitor] = []

        def visit(size: tuple[int, int] = WIDE, scheme: Any = "light") -> Visitor:
            made.append(stack.enter_context(visitor(browser, installation.url, size, scheme)))
            return made[-1]

        yield visit
        assert [complaint for one in made for complaint in one.complaints] == []
        for one in made:
            for path, policy in one.policies.items():
                assert policy and "unsafe-inline" not in policy and "unsafe-eval" not in policy, (path, policy)
