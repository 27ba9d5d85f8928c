"""What every part of the sandbox shares: the directory, the switches, the clock and the memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sandbox.clock import Clock
from sandbox.codes import Codes
from sandbox.conditions import Conditions
from sandbox.counters import Counters
from sandbox.directory import Directory
from sandbox.gate import Gate
from sandbox.grants import Grants
from sandbox.options import Options, Registration
from sandbox.tokens import Mint


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One simulated Microsoft 365."""

    clock: Clock
    registration: Registration
    directory: Directory
    grants: Grants
    conditions: Conditions
    mint: Mint
    gate: Gate
    options: Options
    counters: Counters = field(default_factory=Counters)
    codes: Codes = field(default_factory=Codes)


def make_world(*, clock: Clock, seed: str, state_dir: Path | None, registration: Registration) -> World:
    """Put a world together; with `state_dir` its grants and conditions survive a restart."""
    options, grants, conditions = Options(), Grants(state_dir), Conditions(state_dir)
    return World(
        clock=clock,
        registration=registration,
        directory=Directory(seed=seed, clock=clock),
        grants=grants,
        conditions=conditions,
        mint=Mint(grants.secret),
        gate=Gate(conditions=conditions, grants=grants, options=options, clock=clock),
        options=options,
    )
