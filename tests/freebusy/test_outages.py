"""Whose trouble a failed look is, from what the same run has seen of others. The rest is in test_probes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from freebusy.looks import Finding, Target
from freebusy.outages import Outages
from microsoft.errors import Unavailable
from tenants.health import Outcome
from tenants.recording import CheckResult

ONE = Target(
    connection_id=1,
    account="one",
    tenant_id="one",
    reader="r@one.example",
    graph=cast(Any, None),
    graph_service="graph:https://graph.example",
    entra_service="entra:https://login.example",
    in_use=True,
    began=datetime(2027, 3, 1, tzinfo=UTC),
    sealed=b"token",
)
TWO = replace(ONE, connection_id=2, account="two", tenant_id="two")
GOOD = Finding(CheckResult(Outcome.OK))
FAILED = Finding(CheckResult(Outcome.UNREACHABLE), error=Unavailable(), service=ONE.graph_service)


def test_when_another_tenant_was_answered_a_moment_ago_nobody_else_is_asked(
    django_assert_num_queries: Any, db: None
) -> None:
    outages = Outages(override=False)
    outages.learn(TWO, GOOD)
    with django_assert_num_queries(0):
        assert not outages.general(ONE, FAILED)


@pytest.mark.parametrize(
    "finding", [GOOD, replace(FAILED, service=""), replace(FAILED, error=None, service="")], ids=["good", "own", "none"]
)
def test_what_is_no_failure_of_a_service_is_the_connections_own(finding: Finding) -> None:
    assert not Outages(override=False).general(ONE, finding)


def test_with_nobody_to_compare_with_the_trouble_is_its_own(db: None) -> None:
    outages = Outages(override=False)
    outages.learn(ONE, FAILED)
    assert not outages.general(ONE, FAILED)
    assert outages.may_ask(ONE)
