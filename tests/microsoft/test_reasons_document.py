"""docs/reasons.md is the table, word for word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from microsoft.reasons import REASONS
from microsoft.reasons_document import BEGIN, END, document, runbook, with_runbook

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_reasons_is_up_to_date():
    assert (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8") == document(), "run `make docs`"


def test_the_page_names_every_code_once():
    page = document()
    assert {code for code in REASONS if page.count(f"`{code}`") != 1} == set()


def test_the_command_prints_the_page():
    made = subprocess.run(
        [sys.executable, "-m", "microsoft.reasons_document"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
    )
    assert made.stdout.decode("utf-8") == document()


def test_the_runbook_in_the_page_of_operations_is_up_to_date():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert with_runbook(page) == page, "run `make docs`"


def test_the_runbook_has_every_code_once_and_says_what_support_does():
    lines = runbook().splitlines()
    entries = {code: [line for line in lines if f"`{code}`" in line.split(" | ")[0]] for code in REASONS}
    assert {code for code, found in entries.items() if len(found) != 1} == set()
    assert {code for code, (line,) in entries.items() if REASONS[code].support.replace("|", "\\|") not in line} == set()


def test_the_command_writes_the_runbook_between_its_marks_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    command = [sys.executable, "-m", "microsoft.reasons_document", str(page)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONUTF8": "1"}, check=True)
    assert page.read_text(encoding="utf-8") == f"before\n{runbook()}\nafter\n"


def test_a_page_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="marks"):
        with_runbook("no marks")
