"""The files that run the product, seen by the tools that know their languages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.reading import COMMON, INSTALLED, ROOT, UNITS, services

BIN = Path(sys.executable).parent
FORM = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
SYSTEMD = "systemd-analyze is needed for the units (on Debian: apt-get install systemd)"


def complaints(*command: str | Path, **environment: str) -> str:
    """What a tool has to say; nothing when it is content."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as they would be installed, with this checkout for /srv/cadence: verify looks for the programs."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        text = file.read_text(encoding="utf-8").replace(INSTALLED, f"{BIN}/").replace("/srv/cadence", str(ROOT))
        file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def systemd_analyze() -> str:
    """Where it is; without it the test says how to get it."""
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.skip(SYSTEMD)
    return path


def test_the_dockerfile_pleases_hadolint() -> None:
    assert complaints(BIN / "hadolint", "--failure-threshold", "style", "Dockerfile") == ""


def test_the_compose_file_keeps_to_the_specification() -> None:
    assert complaints(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml") == ""


def test_the_compose_file_is_tidy() -> None:
    assert complaints(BIN / "yamllint", "--strict", "-d", FORM, "compose.yaml") == ""


def test_systemd_understands_every_line_of_the_units(systemd_analyze: str, units: Path) -> None:
    files = sorted(units.glob("cadence*.*t*")) + sorted(units.glob("*.service"))
    done = subprocess.run(
        [systemd_analyze, "verify", "--man=no", *files],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # A word it does not know is only a warning to it. Of the machine's own units it may say what it likes.
    ours = [line for line in done.stderr.splitlines() if "cadence" in line or str(units) in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("service", services())
def test_a_unit_leaves_an_intruder_little(service: str, systemd_analyze: str, units: Path) -> None:
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=yes", "--no-pager", f"cadence-{service}.service"],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure, done.stderr
    assert float(exposure[1]) < 2.0  # of 10; "OK" begins below 5


def test_the_settings_shared_by_all_units_reach_them() -> None:
    assert COMMON.parent.name == "cadence-.service.d"
    assert {f"cadence-{service}.service" for service in services()} == {file.name for file in UNITS.glob("*.service")}
