"""What the demo's processes are told: where they listen, whom they trust, where their data lie."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENT_ID = "de300000-0000-4000-8000-00000000ca1e"
CLIENT_SECRET = "demo~client-secret"  # noqa: S105 - opens nothing but the simulation on this machine
USER, PASSWORD, KEY = "DEMO_USER", "DEMO_PASSWORD", "DEMO_KEY"  # how the history is told who works in it
# Of the caller's environment only this is passed on: a DATABASE_URL, REDIS_URL, proxy or CA bundle set for other
# work on this machine must neither be used nor be able to spoil the demo.
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the web server and the sandbox's two doors listen, all on the loopback interface."""

    web: int
    https: int
    http: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One demo: its ports and its folder."""

    ports: Ports
    folder: Path

    @property
    def public_url(self) -> str:
        return f"http://localhost:{self.ports.web}"

    @property
    def api_url(self) -> str:
        return f"{self.public_url}/api/v1"

    @property
    def sandbox_folder(self) -> Path:
        return self.folder / "sandbox"

    @property
    def sandbox_pages(self) -> str:
        """Where people find the sandbox, and its verbs are."""
        return f"http://localhost:{self.ports.http}"

    @property
    def mails(self) -> Path:
        """Where mails end."""
        return self.folder / "mails"

    def environment(self) -> dict[str, str]:
        """All that the product and the sandbox need to know; secrets of their own they make themselves."""
        sandbox = f"https://localhost:{self.ports.https}"
        return {
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            "PUBLIC_URL": self.public_url,
            "BIND": f"127.0.0.1:{self.ports.web}",
            "DATABASE_URL": f"sqlite:///{self.folder / 'cadence.sqlite3'}",
            "EMAIL_URL": self.mails.as_uri(),
            "SUPPORT_EMAIL": "support@eventcadence.example",
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
            "MICROSOFT_AUTHORITY_URL": sandbox,
            "MICROSOFT_GRAPH_URL": f"{sandbox}/v1.0",
            "MICROSOFT_CA_BUNDLE": str(self.sandbox_folder / "ca.pem"),
            "SANDBOX_CLIENT_SECRET": CLIENT_SECRET,
        }

    def sandbox(self) -> list[str]:
        """The simulated Microsoft 365."""
        return [
            *(sys.executable, "-m", "sandbox", "--state-dir", str(self.sandbox_folder)),
            *("--https-port", str(self.ports.https), "--http-port", str(self.ports.http)),
            *("--client-id", CLIENT_ID, "--redirect-uri", f"{self.public_url}/connect/callback/"),
        ]

    def web(self) -> list[str]:
        """The web server as in production; gunicorn.conf.py says the rest."""
        return [sys.executable, "-m", "gunicorn", "cadence_exchange.wsgi"]

    def worker(self) -> list[str]:
        """One worker with its schedule: enough for one machine."""
        return [
            *(sys.executable, "-m", "celery", "-A", "cadence_exchange", "worker", "-B"),
            *("--pool", "solo", "--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        ]

    def history(self) -> list[str]:
        """Web server, worker and people of the last weeks, in one process with a moved clock."""
        where = ("--port", str(self.ports.web), "--sandbox", self.sandbox_pages)
        return [sys.executable, "-m", "demo.history", *where]

    def manage(self, *arguments: str) -> list[str]:
        """A command of the product."""
        return [sys.executable, "manage.py", *arguments]
