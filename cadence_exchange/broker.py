"""Celery's file broker made safe for several processes: embedded mode needs no server.

The stock transport creates a message file under its final name and writes afterwards; a worker that reads in
between gets an empty message and dies. Here a message appears complete or not at all.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from time import time_ns
from typing import Any
from uuid import uuid4

import kombu.transport
from kombu.transport import filesystem
from kombu.utils.json import dumps

ALIAS = "embedded"


class Channel(filesystem.Channel):
    """Writes under a hidden name, then renames; the routing table of an exchange too."""

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        file: Path = self._exchange_file(exchange)  # type: ignore[no-untyped-call]
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        # The stock table is emptied first and locked afterwards: a second process at its start may read nothing.
        with (self.control_folder / ".lock").open("a") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            table = self.get_table(exchange)  # type: ignore[no-untyped-call]
            if binding not in table:
                part = file.with_name(f".{file.name}.part")
                part.write_text(dumps([binding, *table]), encoding="utf-8")  # type: ignore[no-untyped-call]
                part.replace(file)

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # as its parent
        # Nanoseconds of the wall clock keep the order over a reboot; the stock name uses the monotonic clock.
        name = f"{time_ns()}_{uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        part = folder / f".{name}.part"
        part.write_text(dumps(payload), encoding="utf-8")  # type: ignore[no-untyped-call]
        part.replace(folder / name)


class Transport(filesystem.Transport):
    """`embedded://`"""

    Channel = Channel


def options(folder: Path) -> dict[str, Any]:
    """Transport options for a broker that lives in `folder`; makes the folders."""
    paths = {name: folder / name for name in ("queue", "processed", "control")}
    for path in paths.values():
        path.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(paths["queue"]),
        "data_folder_out": str(paths["queue"]),
        "processed_folder": str(paths["processed"]),
        "control_folder": str(paths["control"]),
        "polling_interval": 0.25,
    }


def register() -> None:
    """Makes `embedded://` known to kombu; must run before the Celery application connects."""
    kombu.transport.TRANSPORT_ALIASES[ALIAS] = "cadence_exchange.broker:Transport"
