"""The whole simulation as one object: a request value in, a response value out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sandbox import pages
from sandbox.authorize import Authorize
from sandbox.clock import Clock
from sandbox.codes import Codes
from sandbox.control import Control
from sandbox.counters import Counters, Seen
from sandbox.directory import Directory
from sandbox.entra import Entra
from sandbox.faults import Faults
from sandbox.grants import Grants
from sandbox.graph import Graph
from sandbox.messages import Request, Response, json_response
from sandbox.options import Options, Registration
from sandbox.redemption import Redemption
from sandbox.throttle import Throttle
from sandbox.tokens import Mint

SEED = "cadence"


class Sandbox:
    """Entra ID and Graph of several tenants.

    `clock` defaults to the machine's; `seed` makes the calendars; with `state_dir` consents, revocations and
    the tokens' secret survive a restart. `options` may be changed at any time, `faults` ordered, `counters`
    read, `directory` extended; `sleep` is what delays use, and may be replaced.
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
        self.clock = clock or Clock()
        self.registration = registration or Registration()
        self.options, self.counters, self.faults = Options(), Counters(), Faults()
        self.directory = Directory(seed=seed, clock=self.clock)
        self.grants = Grants(state_dir)
        self.sleep = sleep
        self._throttle = Throttle(self.counters)
        self.mint, codes = Mint(self.grants.secret), Codes()
        authorize = Authorize(
            directory=self.directory,
            registration=self.registration,
            options=self.options,
            grants=self.grants,
            codes=codes,
            clock=self.clock,
            counters=self.counters,
        )
        redemption = Redemption(
            directory=self.directory,
            registration=self.registration,
            options=self.options,
            grants=self.grants,
            codes=codes,
            mint=self.mint,
            clock=self.clock,
            counters=self.counters,
        )
        self.entra = Entra(
            authorize=authorize,
            redemption=redemption,
            directory=self.directory,
            clock=self.clock,
            counters=self.counters,
        )
        self.graph = Graph(
            directory=self.directory,
            mint=self.mint,
            grants=self.grants,
            options=self.options,
            clock=self.clock,
            counters=self.counters,
        )
        self.control = Control(self)

    def handle(self, request: Request) -> Response:
        """Answer one request: control, throttling, faults, then the behaviour."""
        controlled = self.control.answer(request)
        if controlled is not None:
            return controlled
        mailbox = self.graph.charged(request)
        if not mailbox:
            response = self._faulty(request)
        else:
            with self._throttle.slot(mailbox, self.options.max_concurrent) as admitted:
                if admitted:
                    self._wait(self.options.latency)
                    response = self._faulty(request)
                else:
                    self.counters.add("throttled", whose=mailbox)
                    response = self.graph.throttled(request)
        self._record(request, response)
        return response

    def _faulty(self, request: Request) -> Response:
        caller = self.graph.caller(request)
        fault = self.faults.take(request, caller.account.upn if caller else "")
        if fault is None:
            return self._behave(request)
        self.counters.add("faults")
        self._wait(fault.delay)
        response = fault.answer(self.clock) or fault.spoil(self._behave(request))
        self._wait(fault.hold)
        return response

    def _behave(self, request: Request) -> Response:
        response = self.graph.answer(request) or self.entra.answer(request)
        if response is not None:
            return response
        if request.path == "/" and request.method == "GET":
            text = "<p>Simulates Microsoft Entra ID and Microsoft Graph. Sign-in starts at the application.</p>"
            return pages.page("Microsoft 365 sandbox", text)
        return json_response(404, {"error": {"code": "NotFound", "message": "The sandbox has nothing here."}})

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.sleep(seconds)

    def _record(self, request: Request, response: Response) -> None:
        caller = self.graph.caller(request)
        self.counters.add("requests")
        self.counters.record(
            Seen(
                method=request.method,
                path=request.path,
                status=response.status,
                reader=caller.account.upn if caller else "",
                # Every address holds exactly one @; the body may be one that cannot be parsed.
                mailboxes=request.body.count(b"@") if request.path.endswith("getSchedule") else 0,
                client_request_id=request.headers.get("client-request-id", ""),
                prefer=request.headers.get("prefer", ""),
                encoding=response.header("Content-Encoding"),
            )
        )
