"""`python -m demo`: starts the whole product on this machine, does the main job and stays until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path

import requests

from demo import folder, ports, question, story
from demo.api import Api
from demo.environment import ROOT, Ports, Setting
from demo.folder import Seeded
from demo.processes import Children, Failed, StopAsked, StopSwitch
from demo.seeding import prepare
from demo.story import say


def main(argv: list[str] | None = None) -> int:
    """0 after Ctrl-C or a reset, 1 with a line that says why it cannot go on."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # always a text stream here
    given = _arguments(argv)
    where: Path = given.var.resolve()
    switch = StopSwitch()
    switch.install()
    try:
        if given.reset:
            say(f"Deleted {_short(where)}." if folder.forget(where) else f"Nothing to delete: no {_short(where)}.")
        else:
            setting = Setting(Ports(given.port, given.https_port, given.http_port), where)
            with folder.in_use(where):
                ports.check(setting.ports)
                _run(setting, switch)
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr, flush=True)
        return 1
    except StopAsked:
        say("\nStopped." if given.reset else f"\nStopped. The data stay in {_short(where)} for the next start.")
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="The whole product on this machine.")
    parser.add_argument("--port", type=int, default=8000, help="of the web server (default 8000)")
    parser.add_argument("--https-port", type=int, default=8443, help="of the simulated Microsoft 365 (8443)")
    parser.add_argument("--http-port", type=int, default=8444, help="of its pages for people (8444)")
    parser.add_argument("--var", type=Path, default=ROOT / "var" / "demo", help="folder of the demo's data")
    parser.add_argument("--reset", action="store_true", help="delete that folder and end")
    given = parser.parse_args(argv)
    for port in (given.port, given.https_port, given.http_port):
        if not 0 < port < 65_536:
            parser.error(f"{port} is no port: 1 to 65535 are.")
    return given


def _run(setting: Setting, switch: StopSwitch) -> None:
    began = time.monotonic()
    children = Children(environment=setting.environment(), logs=setting.folder / "logs", switch=switch)
    try:
        seeded = _start(setting, children)
        consent_url = _do_the_main_job(setting, seeded, children)
        children.wait_until(lambda: _says(setting, "worker", " ready."), "The worker is not ready")
        _show_ways(setting, seeded, consent_url, time.monotonic() - began)
        while True:
            children.check()
            time.sleep(0.3)
    finally:
        children.stop()


def _do_the_main_job(setting: Setting, seeded: Seeded, children: Children) -> str:
    """Consent, availability, slots; returns the address of fabrikam's consent page."""
    today = datetime.now(question.ZONE).date()
    try:
        with Api(setting.api_url, seeded.api_key) as api:
            story.connect(api)
            story.show_availability(api, today)
            story.show_slots(api, today)
            return str(api.connection("fabrikam")["consent_url"])
    except requests.RequestException as error:
        time.sleep(0.5)
        children.check()  # a server that has just died says more than its broken connection
        raise Failed(f"A page or answer did not come: {error}") from None


def _start(setting: Setting, children: Children) -> Seeded:
    """Everything up and answering; the worker may still be warming up."""
    known = folder.load(setting.folder)
    if known is None:
        folder.drop_half_made(setting.folder)
    say("Cadence Exchange, with a simulated Microsoft 365. Starting on this machine:")
    say(f"  sandbox:  https://localhost:{setting.ports.https} and http://localhost:{setting.ports.http}")
    children.start("sandbox", setting.sandbox())
    children.wait_until(lambda: _says(setting, "sandbox", "sandbox ready"), "The sandbox is not ready")
    seeded = prepare(setting, children, known)
    say(f"  web:      gunicorn on {setting.public_url}")
    children.start("web", setting.web())
    say("  worker:   Celery with its schedule (beat)")
    children.start("worker", setting.worker())
    children.wait_until(lambda: _answers(f"{setting.public_url}/healthz"), "The web server does not answer")
    say()
    return seeded


def _says(setting: Setting, name: str, words: str) -> bool:
    return words in (setting.folder / "logs" / f"{name}.log").read_text(encoding="utf-8", errors="replace")


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=2).status_code == 200
        except requests.RequestException:
            return False


def _show_ways(setting: Setting, seeded: Seeded, consent_url: str, seconds: float) -> None:
    body = json.dumps({**question.times(datetime.now(question.ZONE).date()), "limit": 3})
    say(f"""
Ready after {seconds:.1f} s. Now it is yours:
  Consent page of account fabrikam, to click through (sign in as cadence-service@fabrikam.example):
    {consent_url}
  Cadence Admin, as {seeded.admin_user} with password {seeded.admin_password}:
    {setting.public_url}/admin/
      who is connected, who is not, why and whose turn it is; four weeks of probes
    {setting.public_url}/admin/accounts/fourth-coffee/
      an account that is down: its history, and what to do. “Check now” asks the sandbox
    {setting.public_url}/admin/accounts/contoso/availability/
      what the API would answer, block by block. docs/console.md leads through all pages
  API reference:
    {setting.api_url}/docs/
  The simulated Microsoft 365, to watch and to break:
    http://localhost:{setting.ports.http}/_sandbox/
  The API, ready to paste:
    curl -s {setting.api_url}/accounts/contoso/slots/ \\
      -H 'Authorization: Bearer {seeded.api_key}' \\
      -H 'Content-Type: application/json' -d '{body}'

Mails are in {_short(setting.mails)}, logs in {_short(setting.folder / "logs")}. Ctrl-C ends everything.""")


def _short(path: Path) -> str:
    """Relative to where the person stands, if it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
