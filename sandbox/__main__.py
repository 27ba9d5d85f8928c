"""`python -m sandbox`: the simulated Microsoft 365 as a process of its own."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from pathlib import Path

from sandbox.options import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, Registration
from sandbox.server import Server
from sandbox.service import SEED, Sandbox


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Simulated Entra ID and Microsoft Graph.")
    parser.add_argument("--state-dir", type=Path, default=Path("var/sandbox"))
    parser.add_argument("--https-port", type=int, default=8443, help="0 takes a free one")
    parser.add_argument("--http-port", type=int, default=8444, help="0 takes a free one")
    parser.add_argument("--redirect-uri", action="append", help="registered redirect URI; may be repeated")
    parser.add_argument("--client-id", default=CLIENT_ID)
    parser.add_argument(
        "--client-secret",
        default=os.environ.get("SANDBOX_CLIENT_SECRET", CLIENT_SECRET),
        help="default: SANDBOX_CLIENT_SECRET, else the sandbox's own",
    )
    parser.add_argument(
        "--client-certificate",
        type=Path,
        action="append",
        default=[],
        help="PEM file of a registered certificate",
    )
    parser.add_argument("--seed", default=SEED, help="makes the calendars")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 1 with one line when it cannot start."""
    given = _arguments(argv)
    # Before anything that takes time: a stop asked for during the start must be heard.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        registration = Registration(
            client_id=given.client_id,
            client_secret=given.client_secret,
            redirect_uris=tuple(given.redirect_uri or [REDIRECT_URI]),
            certificates=tuple(path.read_text() for path in given.client_certificate),
        )
        sandbox = Sandbox(seed=given.seed, state_dir=given.state_dir, registration=registration)
        server = Server(sandbox, state_dir=given.state_dir, https_port=given.https_port, http_port=given.http_port)
    except OSError as error:
        print(_why(error, given), file=sys.stderr)  # noqa: T201 - a command's message
        return 1
    with server:
        ready = f"sandbox ready {server.https_url} {server.http_url} ca={server.ca_path}"
        print(ready, flush=True)  # noqa: T201 - what a starter waits for
        signal.sigwait(signals)
    return 0


def _why(error: OSError, given: argparse.Namespace) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"sandbox: port {given.https_port} or {given.http_port} is taken; "
            "choose others with --https-port and --http-port"
        )
    return f"sandbox: {error}"


if __name__ == "__main__":
    sys.exit(main())
