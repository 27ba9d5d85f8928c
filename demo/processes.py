"""Starts the demo's processes, notices when one ends early, and ends each by a signal of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from demo.environment import ROOT

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_SECONDS = 25.0  # a Celery worker may take ten to stop, gunicorn waits for requests under way


class StopAsked(BaseException):
    """Ctrl-C, or a signal to end; like KeyboardInterrupt no `except Exception` may swallow it."""


class Failed(Exception):
    """The demo cannot go on; the text is for the person at the terminal."""


class StopSwitch:
    """Turns signals into StopAsked, but never between starting a process and noting it down."""

    def __init__(self) -> None:
        self._asked = False
        self._held = False

    def install(self) -> None:
        for number in _SIGNALS:
            # Under nohup a closed terminal is to be survived. SIGINT, though, a script's background jobs ignore too.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._heard)

    def ignore(self) -> None:
        """While stopping, a second Ctrl-C must not leave anything behind."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        """Once: `make` may pass on what the terminal has sent already, and stopping must not be broken off."""
        first, self._asked = not self._asked, True
        if first and not self._held:
            raise StopAsked

    def __enter__(self) -> None:
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False
        if self._asked:
            raise StopAsked


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours and the file it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 15) -> str:
        """The end of what it wrote, indented."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return "\n".join(f"    {line}" for line in lines)


class Children:
    """All processes of one demo. Each has a session of its own, so the terminal's Ctrl-C reaches only the demo."""

    def __init__(self, *, environment: Mapping[str, str], logs: Path, switch: StopSwitch) -> None:
        self._environment = dict(environment)
        self._logs = logs
        self._switch = switch
        self._running: list[Child] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str], **more: str) -> Child:
        """Starts a process that is to stay; its output goes to `<name>.log`. `more`: variables for it alone."""
        log = self._logs / f"{name}.log"
        with self._switch, log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self._environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            child = Child(name, process, log)
            self._running.append(child)
        return child

    def run(self, name: str, command: Sequence[str], **more: str) -> str:
        """Runs a process to its end and returns the last line it wrote; raises Failed when it failed."""
        child = self.start(name, command, **more)
        while (status := child.process.poll()) is None:
            time.sleep(0.02)
        self._running.remove(child)
        if status:
            raise Failed(f"“{name}” failed (exit status {status}). The end of {child.log}:\n{child.last_lines()}")
        return child.last_lines(1).strip()

    def wait_until(self, ready: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
        """Waits; raises Failed when a process ends in the meantime or it takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                logs = "\n".join(f"{child.log}:\n{child.last_lines()}" for child in self._running)
                raise Failed(f"{what} after {seconds:.0f} seconds.\n{logs}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raises Failed, with the end of its log, when a process that should stay has ended."""
        for child in self._running:
            status = child.process.poll()
            if status is not None:
                self._running.remove(child)
                raise Failed(
                    f"{child.name} has ended unexpectedly (exit status {status}). "
                    f"The end of {child.log}:\n{child.last_lines()}"
                )

    def stop(self) -> None:
        """Asks each process by itself to end and waits for all; the newest is asked first."""
        self._switch.ignore()
        for child in reversed(self._running):
            # Only the main process: a group's signal reaches a pool's members first, and the pool then hangs.
            child.process.terminate()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for child in self._running:
            try:
                child.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                self._end_by_force(child)
        self._running.clear()

    def _end_by_force(self, child: Child) -> None:
        """The last resort. Nobody is left to look after a killed process's own children, so they go with it."""
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
