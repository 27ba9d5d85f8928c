"""Lasting conditions of users, tenants or everybody: set by a test or a demo, in force until cured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from sandbox import aadsts
from sandbox.grants import EVERYBODY
from sandbox.people import Account


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition in force: its value and since when, in seconds."""

    value: Any
    since: float


def _flag(value: object) -> bool:
    return value is True


def _one_of(*allowed: object) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, bool) and value in allowed


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _known_error(value: object) -> bool:
    return isinstance(value, int) and value in aadsts.TABLE


# Name → which values it takes. `True` always means the first of a list.
KINDS: dict[str, Callable[[object], bool]] = {
    "mfa": _flag,  # 50076 until a sign-in that proves more than a password
    "conditional_access": _one_of(53003, 53000, 530032),
    "not_assigned": _flag,  # 50105
    "sign_in_frequency": _seconds,  # 70043 when the sign-in is older
    "inactive": _flag,  # 700082 for what was issued before, as if 90 days had passed
    "refuse": _known_error,  # any error of the table, at the token endpoint only
    "cae": _one_of("cures", "keeps"),  # Graph's 401 with claims; a refresh with them cures it, or does not
    "approval": _one_of(90094, 90095),  # a plain user's consent needs an administrator
    "deleted": _flag,  # 90002
    "wrong_cloud": _flag,  # 90038
    "app_removed": _flag,  # 700016 until somebody consents again
}
OF_TENANTS = frozenset({"deleted", "wrong_cloud", "app_removed"})
_FIRST = {"conditional_access": 53003, "cae": "cures", "approval": 90094}


class Conditions:
    """Conditions by subject (an object id, a tenant id or EVERYBODY), kept in `state_dir/conditions.json`."""

    def __init__(self, state_dir: Path | None) -> None:
        self._lock = RLock()
        self._path = None if state_dir is None else state_dir / "conditions.json"
        self._held: dict[str, dict[str, Condition]] = {}
        if self._path is not None and self._path.exists():
            kept = json.loads(self._path.read_text())
            self._held = {
                subject: {kind: Condition(**condition) for kind, condition in held.items()}
                for subject, held in kept.items()
            }

    def put(self, subject: str, kind: str, value: object, *, now: float) -> None:
        """Set a condition, or cure it with False or None; ValueError for what does not exist."""
        if kind not in KINDS:
            raise ValueError(f"{kind} is none of {', '.join(sorted(KINDS))}")
        if value is True:
            value = _FIRST.get(kind, value)
        if value not in (None, False) and not KINDS[kind](value):
            raise ValueError(f"{kind} cannot be {value!r}")
        with self._lock:
            held = self._held.setdefault(subject, {})
            held.pop(kind, None)
            if value not in (None, False):
                held[kind] = Condition(value, now)
            if not held:
                del self._held[subject]
            self._save()

    def cure(self, subject: str) -> None:
        """End all conditions of a subject; with EVERYBODY those of all subjects."""
        with self._lock:
            if subject == EVERYBODY:
                self._held.clear()
            self._held.pop(subject, None)
            self._save()

    def of(self, account: Account, kind: str) -> Condition | None:
        """Return the condition that holds for an account: its own, its tenant's or everybody's."""
        own = () if kind in OF_TENANTS else (account.oid,)
        return self._first((*own, account.tenant.tid, EVERYBODY), kind)

    def of_tenant(self, tid: str, kind: str) -> Condition | None:
        """Return the condition that holds for a tenant."""
        return self._first((tid, EVERYBODY), kind)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return subject → kind → value."""
        with self._lock:
            return {
                subject: {kind: condition.value for kind, condition in held.items()}
                for subject, held in self._held.items()
            }

    def _first(self, subjects: tuple[str, ...], kind: str) -> Condition | None:
        with self._lock:
            found = (self._held.get(subject, {}).get(kind) for subject in subjects)
            return next((condition for condition in found if condition is not None), None)

    def _save(self) -> None:
        if self._path is None:
            return
        kept = {
            subject: {kind: asdict(condition) for kind, condition in held.items()}
            for subject, held in self._held.items()
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._path)
