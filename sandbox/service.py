"""The whole simulation as one object: a request value in, a response value out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from sandbox import pages
from sandbox.batch import Batch
from sandbox.clock import Clock
from sandbox.control import Control
from sandbox.counters import Seen
from sandbox.entra import Entra
from sandbox.faults import Faults
from sandbox.grants import EVERYBODY
from sandbox.graph import Graph
from sandbox.messages import Request, Response, json_response
from sandbox.options import Options, Registration
from sandbox.people import Account
from sandbox.throttle import Quota, Throttle
from sandbox.world import make_world

SEED = "cadence"


class Sandbox:
    """Entra ID and Graph of several tenants.

    `clock` defaults to the machine's; `seed` makes the calendars; with `state_dir` consents, revocations,
    conditions and the tokens' secret survive a restart. `options` may be changed at any time, `faults`
    ordered, `conditions` set and cured, `counters` and `throttle` read, `directory` extended; `sleep` is what
    delays use, and may be replaced.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: str = SEED,
        state_dir: Path | None = None,
        registration: Registration | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        world = make_world(
            clock=clock or Clock(), seed=seed, state_dir=state_dir, registration=registration or Registration()
        )
        self.clock, self.registration, self.directory = world.clock, world.registration, world.directory
        self.options, self.counters, self.mint = world.options, world.counters, world.mint
        self.grants, self.conditions = world.grants, world.conditions
        self.faults = Faults()
        self.sleep = sleep
        self.throttle, self._quota = Throttle(self.counters), Quota()
        self.entra, self.graph = Entra(world), Graph(world)
        self.batch = Batch(graph=self.graph, counters=self.counters, handle=self.handle)
        self.control = Control(self)

    def handle(self, request: Request) -> Response:
        """Answer one request: control, throttling, faults, then the behaviour."""
        controlled = self.control.answer(request)
        if controlled is not None:
            return controlled
        mailbox = self.graph.charged(request)
        response = self._charged(request, mailbox) if mailbox else self._faulty(request)
        self._record(request, response)
        return response

    def caller(self, request: Request) -> Account | None:
        """Return whose request it is, by the bearer token, refresh token or code it brings."""
        caller = self.graph.caller(request)
        return caller.account if caller else self.entra.bearer(request)

    def reset(self) -> None:
        """End all faults, conditions, changed options and the clock's shift; consents and tokens stay."""
        for option in fields(Options):
            setattr(self.options, option.name, getattr(Options(), option.name))
        self.faults.clear()
        self.conditions.cure(EVERYBODY)
        for account in self.directory.accounts():
            self.grants.disable(account.oid, disabled=False)
        self._quota.forget()
        self.clock.set(None)

    def _charged(self, request: Request, mailbox: str) -> Response:
        """Answer a call within the limits of the mailbox it is counted against."""
        limits = self.options
        wait = self._quota.take(mailbox, now=self.clock.now(), limit=limits.max_requests, window=limits.request_window)
        if wait:
            self.counters.add("throttled", whose=mailbox)
            return self.graph.exhausted(request, wait)
        with self.throttle.slot(mailbox, limits.max_concurrent) as admitted:
            if admitted:
                self._wait(limits.latency)
                return self._faulty(request)
            self.counters.add("throttled", whose=mailbox)
            return self.graph.throttled(request)

    def _faulty(self, request: Request) -> Response:
        fault = self.faults.take(request, self.caller(request))
        if fault is None:
            return self._behave(request)
        self.counters.add("faults")
        self._wait(fault.delay)
        response = fault.answer(self.clock) or fault.spoil(self._behave(request))
        self._wait(fault.hold)
        return response

    def _behave(self, request: Request) -> Response:
        response = self.batch.answer(request) or self.graph.answer(request) or self.entra.answer(request)
        if response is not None:
            return response
        if request.path == "/" and request.method == "GET":
            text = (
                "<p>Simulates Microsoft Entra ID and Microsoft Graph. Sign-in starts at the application.</p>"
                '<p><a href="/_sandbox/">Watch and drive it</a></p>'
            )
            return pages.page("Microsoft 365 sandbox", text)
        return json_response(404, {"error": {"code": "NotFound", "message": "The sandbox has nothing here."}})

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)

    def _record(self, request: Request, response: Response) -> None:
        caller = self.caller(request)
        self.counters.add("requests")
        self.counters.add("asked", whose=request.path.rpartition("/")[2])
        self.counters.add(f"status:{response.status}")
        self.counters.record(
            Seen(
                method=request.method,
                path=request.path,
                status=response.status,
                reader=caller.upn if caller else "",
                # Every address holds exactly one @; the body may be one that cannot be parsed.
                mailboxes=request.body.count(b"@") if request.path.endswith("getSchedule") else 0,
                client_request_id=request.headers.get("client-request-id", ""),
                prefer=request.headers.get("prefer", ""),
                encoding=response.header("Content-Encoding"),
                at=self.clock.now(),
            )
        )
