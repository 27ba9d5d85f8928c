"""The demo's folder: who uses it, what a second start must remember, and how it is forgotten."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.processes import Failed

_LOCK = "demo.lock"
_SEEDED = "demo.json"


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was made at the first start and cannot be asked for again; it opens nothing but this demo."""

    api_key: str
    admin_user: str
    admin_password: str


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Holds the folder for this process; raises Failed when another demo holds it, or it is not a demo's."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / _LOCK
    if not lock.exists() and any(folder.iterdir()):
        raise Failed(f"{folder} holds other files; give the demo a folder of its own with --var.")
    with lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise Failed(
                f"A demo is already running with {folder} (process {who}); end it with Ctrl-C there."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def forget(folder: Path) -> bool:
    """Deletes the folder; False when there is none. Raises Failed while a demo is running in it."""
    if not folder.exists():
        return False
    with in_use(folder):
        shutil.rmtree(folder)
    return True


def load(folder: Path) -> Seeded | None:
    """What the first start left; None before one has completed."""
    try:
        return Seeded(**json.loads((folder / _SEEDED).read_text(encoding="utf-8")))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def keep(folder: Path, seeded: Seeded) -> None:
    """Written last and whole: its presence means that seeding is complete. For the owner's eyes only."""
    part = folder / f".{_SEEDED}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(seeded), file)
    part.replace(folder / _SEEDED)


def drop_half_made(folder: Path) -> None:
    """After a first start that was broken off, everything begins anew; its logs stay."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != "logs":
            shutil.rmtree(path)
        elif path.is_file() and path.name != _LOCK:
            path.unlink()
