"""The product's programs in one process with a clock that is moved: web server, worker and beat in the past.

They are found by the names that the command lines of gunicorn and Celery give (`cadence_exchange.wsgi`,
`-A cadence_exchange`), and are asked for what those programs ask: to answer requests, to run the tasks of the schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import time_machine
from celery.app.utils import find_app
from gunicorn.util import import_app


class Past:
    """One installation at the instant it was last moved to; its time stands still between moves."""

    def __init__(self, schedule: Schedule, clock: time_machine.Traveller) -> None:
        self._schedule, self._clock = schedule, clock

    def move_to(self, at: datetime) -> None:
        """Later, for everything in this process."""
        self._clock.move_to(at)

    def tick(self, at: datetime) -> None:
        """What beat would have sent by then a worker does now, each task once."""
        self._schedule.run_due(at)


class Schedule:
    """The installation's own, as beat reads it."""

    def __init__(self, began: datetime) -> None:
        self._app = find_app("cadence_exchange")
        self._app.loader.import_default_modules()
        entries = self._app.conf.beat_schedule.values()
        self._every = {entry["task"]: timedelta(seconds=entry["schedule"]) for entry in entries}
        self._due = dict.fromkeys(self._every, began)

    def run_due(self, at: datetime) -> None:
        """Those whose time has come; what they raise is raised."""
        for name, due in self._due.items():
            if due <= at:
                self._due[name] = at + self._every[name]
                self._app.tasks[name].apply(throw=True)


@contextmanager
def living(port: int, began: datetime) -> Iterator[Past]:
    """The web server answers on that port of the loopback interface, at that time."""
    with time_machine.travel(began, tick=False) as clock:
        server = make_server("127.0.0.1", port, import_app("cadence_exchange.wsgi"), _Server, _Quiet)
        answering = Thread(target=server.serve_forever, daemon=True)
        answering.start()
        try:
            yield Past(Schedule(began), clock)
        finally:
            server.shutdown()
            server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nothing: a query string may hold a code."""
