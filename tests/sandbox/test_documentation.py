"""docs/sandbox.md names what exists: the tests it cites, and every verb, condition and fault there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.conditions import KINDS
from sandbox.faults import KINDS as BODIES
from sandbox.faults import Fault

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "sandbox.md").read_text()
CITED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT)))


def test_many_facts_are_listed():
    assert len(CITED) > 50


@pytest.mark.parametrize(("module", "name"), CITED)
def test_a_cited_test_exists(module, name):
    assert f"\ndef {name}(" in (HERE / module).read_text()


@pytest.mark.parametrize("name", [*KINDS, *BODIES, *(field.name for field in fields(Fault))])
def test_every_condition_and_fault_is_described(name):
    assert f"`{name}`" in TEXT


def test_every_verb_is_described(sandbox):
    assert {verb for verb in sandbox.control.verbs if f"`{verb}`" not in TEXT} == set()
