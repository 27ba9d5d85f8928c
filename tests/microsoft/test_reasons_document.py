"""docs/reasons.md is the table, word for word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from microsoft.reasons import REASONS
from microsoft.reasons_document import document

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
