"""On what a benchmark ran: processor, cores, load, system, versions; figures without it cannot be compared."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Machine:
    """`load` is the one-minute average when the benchmark began: 0 is a quiet machine, above `cores` a crowded one."""

    processor: str
    cores: int
    load: float
    system: str
    python: str
    versions: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        where = f"{self.processor}, {self.cores} cores, load {self.load:.1f}; {self.system}; Python {self.python}"
        return where + (f"; {versions}" if versions else "")


def this_machine(packages: Iterable[str] = (), *, others: dict[str, str] | None = None) -> Machine:
    """This one, with the versions of these packages; `others` are what no package index knows, a server say."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        system=platform.platform(aliased=True, terse=True),
        python=platform.python_version(),
        versions={name: found for name in packages if (found := _version(name))} | (others or {}),
    )


def compiler() -> dict[str, str]:
    """gcc and its version; empty where there is none, and no C to compare with then."""
    if not (program := shutil.which("gcc")):
        return {}
    found = subprocess.run([program, "-dumpfullversion"], capture_output=True, text=True, check=True)
    return {"gcc": found.stdout.strip()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
