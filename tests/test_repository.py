"""What may stand in the tree: lock files without addresses, secrets opened in few places, MSAL behind one door."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APPS = ("cadence_exchange", "microsoft", "tenants", "freebusy", "alerts", "webhooks", "staff", "console")
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-peers.txt"]

# Who turns a Secret into text, and why.
MAY_REVEAL = {
    "microsoft/entra.py": "hands credential, flow and refresh token to MSAL",
    "microsoft/graph_crew.py": "writes the Authorization header",
    "tenants/fields.py": "encrypts for the column",
    "tenants/management/commands/create_api_key.py": "shows a new API key this once",
    "tenants/admin/api_keys.py": "shows a new API key this once",
    "staff/models.py": "computes the codes of an authenticator app",
    "webhooks/signing.py": "signs what receivers are sent",
    "webhooks/management/commands/create_webhook.py": "shows a new signing secret this once",
    "webhooks/admin.py": "shows a new signing secret this once",
}
# Who may touch the rows that hold tokens: the vault, what it stands on, and what asks for times alone.
MAY_NAME_TOKEN_COLUMNS = {
    "tenants/models.py",
    "tenants/vault.py",
    "tenants/keys.py",  # rotation, on raw bytes
    "tenants/refreshing.py",  # only to leave them out of its query
    "tenants/verification.py",  # a new TokenSet, no row
    "freebusy/views.py",  # only to leave them encrypted
}


def sources(*packages: str) -> Iterator[tuple[str, str]]:
    """Path within the project and text of every module."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def imported(text: str) -> set[str]:
    """First names of the modules that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_address_and_no_place_to_fetch_from(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--(extra-)?index-url|--find-links|--trusted-host)\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_file_is_pinned_and_hashed(name: str) -> None:
    text = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text())
    pins = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(pins) > 20
    assert [line[:60] for line in pins if not re.match(r"[\w.\[\],-]+==\S+.*--hash=sha256:[0-9a-f]{64}", line)] == []


def test_everything_that_runs_is_also_pinned_for_development_in_the_same_version() -> None:
    pins = [set(re.findall(r"^([\w.\[\],-]+==[\w.]+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS]
    assert pins[0] <= pins[1]


def test_only_these_modules_open_a_secret() -> None:
    assert {path for path, text in sources(*APPS) if ".reveal()" in text} == set(MAY_REVEAL)


def test_only_the_vault_and_what_it_stands_on_names_the_token_columns() -> None:
    rows = [(path, text) for path, text in sources(*APPS) if not path.startswith(("microsoft/", "tenants/migrations/"))]
    assert {path for path, text in rows if re.search(r"\b(refresh|access)_token\b", text)} <= MAY_NAME_TOKEN_COLUMNS


def test_only_the_sign_in_module_imports_msal() -> None:
    assert {path for path, text in sources(*APPS) if "msal" in imported(text)} == {"microsoft/entra.py"}


def test_the_encrypted_field_package_is_imported_behind_its_guard_only() -> None:
    assert {path for path, text in sources(*APPS) if "fernet_fields" in imported(text)} == {"tenants/fields.py"}


def test_no_module_of_the_product_reads_the_environment_past_the_settings() -> None:
    reading = {path for path, text in sources(*APPS) if re.search(r"\bos\.(environ\b|getenv\()", text)}
    only_names_the_settings = {"cadence_exchange/wsgi.py", "cadence_exchange/celery.py"}
    assert reading - only_names_the_settings == {"cadence_exchange/env.py"}


def test_no_text_of_the_project_names_a_host_to_install_from() -> None:
    # Put together here, so that this file does not hold what it looks for.
    hosts = [f"{name}.org" for name in ("py" + "pi", "python" + "hosted")] + ["registry." + "npmjs"]
    kinds = {".py", ".txt", ".in", ".toml", ".md", ".cfg", ".yml", ".yaml", ".sh", ".html", ".json", ""}
    skipped = {".git", ".venv", ".venv-peers", "var", "node_modules", "samples"}
    naming = []
    for path in ROOT.rglob("*"):
        inside = path.relative_to(ROOT).parts
        if skipped & set(inside) or any(part.endswith(("cache", "cache__")) for part in inside):
            continue
        if path.is_file() and path.suffix in kinds:
            text = path.read_text(encoding="utf-8", errors="replace")
            naming += ["/".join(inside) for host in hosts if host in text]
    assert naming == []
