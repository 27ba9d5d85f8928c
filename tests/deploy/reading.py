"""What the files that run the product say: commands, variables, times; so that tests need not repeat them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
COMMON = UNITS / "cadence-.service.d" / "common.conf"
SECRETS = "/run/secrets/"
INSTALLED = "/srv/cadence/.venv/bin/"


def compose() -> dict[str, Any]:
    """compose.yaml, with its anchors resolved."""
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8")))


def services() -> dict[str, Any]:
    """The services of compose.yaml that are made from our own image."""
    return {name: service for name, service in compose()["services"].items() if "build" in service}


def dockerfile_commands() -> dict[str, list[str]]:
    """`start` and `health`: the image's CMD and the command of its HEALTHCHECK."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = dict(re.findall(r"^(CMD|HEALTHCHECK)[^\[\n]*(\[.*\])$", text, re.MULTILINE))
    return {"start": json.loads(found["CMD"]), "health": json.loads(found["HEALTHCHECK"])}


def dockerfile_environment() -> dict[str, str]:
    """What ENV sets in the final image."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return dict(
        pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for pair in shlex.split(line)
    )


def command(service: str) -> list[str]:
    """What a service of compose.yaml starts: its own command, else the image's."""
    return list(services()[service].get("command") or dockerfile_commands()["start"])


def health_command(service: str) -> list[str] | None:
    """What asks a service whether it is well: its own command, else the image's; None where it is switched off."""
    check = services()[service].get("healthcheck")
    if check is None:
        return dockerfile_commands()["health"]
    if check.get("disable"):
        return None
    kind, *words = check["test"]
    return ["sh", "-c", words[0].replace("$$", "$")] if kind == "CMD-SHELL" else list(words)


def seconds(text: str) -> float:
    """`35s`, `35`."""
    return float(text.removesuffix("s"))


def directives(file: Path) -> dict[str, list[str]]:
    """A systemd unit's settings without their sections; one that stands several times keeps its order."""
    found: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith(("#", ";")):
            found.setdefault(name, []).append(value)
    return found


def unit(service: str) -> dict[str, list[str]]:
    """The unit of a service of compose.yaml, by the same name."""
    return directives(UNITS / f"cadence-{service}.service")


def cadence_env() -> dict[str, str]:
    """The example of the file with an installation's own settings."""
    lines = (ROOT / "deploy" / "cadence.env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def packed() -> set[str]:
    """The names at the top of the tree that .dockerignore lets through; all others stay out by its first rule."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    return {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
