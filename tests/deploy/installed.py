"""The product as it is deployed: the image's tree, written to by nobody, its own commands, user 65534."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.options import CLIENT_ID, CLIENT_SECRET
from tests.deploy.reading import (
    ROOT,
    SECRETS,
    cadence_env,
    command,
    dockerfile_environment,
    packed,
    seconds,
    services,
)
from tests.processes.installation import Installation, last_object
from tests.services import NOBODY

BIN = Path(sys.executable).parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
Footprint = dict[str, tuple[int, int, int]]


def secrets_as_documented(folder: Path) -> Path:
    """Runs the documentation's own lines in `folder`; gives where the secrets are."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (script,) = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "fernet_keys" in block]
    (folder / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "cadence.env.example", folder / "deploy")
    subprocess.run(["sh", "-eu", "-c", script], cwd=folder, check=True)
    return folder / "deploy" / "secrets"


def image_tree(folder: Path) -> Path:
    """What an image would hold, compiled as there, read-only."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    tree = folder / "app"
    for name in listed.stdout.decode().split("\0"):
        if name.split("/")[0] in packed() and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    compiling = re.search(r"^RUN python (-m compileall .*) /app$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert compiling
    subprocess.run([sys.executable, *compiling[1].split(), tree], check=True)
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return tree


def footprint(tree: Path) -> Footprint:
    """Mode, size and time of all that is in a tree."""
    return {
        str(path.relative_to(tree)): (seen.st_mode, seen.st_size if stat.S_ISREG(seen.st_mode) else 0, seen.st_mtime_ns)
        for path in [tree, *tree.rglob("*")]
        for seen in [path.lstat()]
    }


def as_nobody() -> list[str]:
    """What to put before a command so that it runs as 65534; nothing where the tests are not root's anyway."""
    if os.getuid() != 0:
        return []
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    # By way of sh: only a second exec has no rights of root left.
    trial = subprocess.run([*drop, "sh", "-c", f"'{BIN}/gunicorn' --version"], capture_output=True, check=False)
    if trial.returncode == 0:
        return drop
    # The interpreter or this checkout lies where only root may look: let it read all, and still write nothing.
    return [*drop, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@dataclass
class Deployed(Installation):
    """An installation whose own processes run from the image's tree; the sandbox runs from the checkout."""

    tree: Path = Path()
    nobody: list[str] = field(default_factory=as_nobody)

    def __post_init__(self) -> None:
        """The services are given: those of the compose file, so never the embedded ones."""
        secrets = secrets_as_documented(self.folder)
        for name, value in {
            "database_url": self.services["DATABASE_URL"],
            "microsoft_client_secret": CLIENT_SECRET,
        }.items():
            (secrets / name).chmod(0o644)
            (secrets / name).write_text(value + "\n")
        # As a container sees them: each by itself, in a folder that is open.
        shutil.copytree(secrets, self.folder / "secrets")
        (self.folder / "secrets").chmod(0o755)

    def environment_of(self, service: str) -> dict[str, str]:
        """As in the container, but for addresses: theirs are names of its network. There is no HOME."""
        said = {**dockerfile_environment(), **cadence_env(), **services()[service]["environment"]}
        authority = f"https://localhost:{self.https_port}"
        return {
            **{name: value.replace(SECRETS, f"{self.folder}/secrets/") for name, value in said.items()},
            "PATH": f"{BIN}:{SYSTEM_PATH}",
            "PUBLIC_URL": self.url,
            "BIND": f"127.0.0.1:{self.web_port}",
            "REDIS_URL": self.services["REDIS_URL"],
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_AUTHORITY_URL": authority,
            "MICROSOFT_GRAPH_URL": f"{authority}/v1.0",
            "MICROSOFT_CA_BUNDLE": str(self.folder / "ca.pem"),
        }

    def start_sandbox(self) -> None:
        super().start_sandbox()
        shutil.copyfile(self.folder / "sandbox" / "ca.pem", self.folder / "ca.pem")

    def run(self, service: str, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """A command beside a service, as `docker compose exec` would run it."""
        return subprocess.run(
            [*self.nobody, *words], cwd=self.tree, env={**self.environment_of(service), **environment},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def manage(self, *arguments: str) -> dict[str, Any]:
        done = self.run("web", ["python", "manage.py", *arguments])
        assert done.returncode == 0, done.stderr
        return last_object(done.stdout)

    def start(self, service: str) -> None:
        """What the compose file or the image says."""
        log = (self.folder / f"{service}.log").open("ab")
        self.running[service] = subprocess.Popen(
            [*self.nobody, *command(service)], cwd=self.tree, env=self.environment_of(service),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def end(self, service: str) -> tuple[int, float]:
        """TERM to the main process, and the time that the compose file allows; its status, and how long it took."""
        process, began = self.running.pop(service), time.monotonic()
        process.terminate()
        try:
            status = process.wait(seconds(services()[service]["stop_grace_period"]))
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return status, time.monotonic() - began
