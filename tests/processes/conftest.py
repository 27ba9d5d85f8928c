"""Real processes; they run one test at a time, so that no two installations fight for the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.installation import Installation


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.processes)
            item.add_marker(pytest.mark.xdist_group("processes"))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """Migrated, with a running sandbox; web and worker are the test's to start."""
    made = Installation(tmp_path)
    try:
        made.start_sandbox()  # first: it makes the CA file that the settings ask for
        made.manage("migrate", "--noinput")
        yield made
    finally:
        made.stop()
