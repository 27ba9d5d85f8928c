"""Reads environment variables; a bad value is kept as a problem for the system checks, never shown if secret."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One variable that cannot be used: what was read (nothing for a secret) and what is allowed."""

    variable: str
    read: str
    allowed: str


PROBLEMS: list[Problem] = []


def env_text(name: str, default: str = "") -> str:
    """The variable's text without surrounding blanks; an empty one counts as not set."""
    return os.environ.get(name, "").strip() or default


def env_secret(name: str) -> str:
    """`NAME`, else the content of the file that `NAME_FILE` points to, else empty."""
    value = env_text(name)
    path = env_text(f"{name}_FILE")
    if value or not path:
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        PROBLEMS.append(Problem(f"{name}_FILE", f"{path} ({type(error).__name__})", "a readable text file"))
        return ""


def env_parsed(name: str, default: str, parse: Callable[[str], T], *, allowed: str, secret: bool = False) -> T:
    """The variable through `parse`; what `parse` refuses with ValueError is noted and the default used instead."""
    text = env_secret(name) if secret else env_text(name)
    try:
        return parse(text or default)
    except ValueError:
        PROBLEMS.append(Problem(name, "a value that is kept secret" if secret else repr(text), allowed))
        return parse(default)


def env_bool(name: str, default: bool) -> bool:
    """`True` or `False`, nothing else: a typo must not switch debugging on or off unnoticed."""

    def parse(text: str) -> bool:
        if text not in ("True", "False"):
            raise ValueError(text)
        return text == "True"

    return env_parsed(name, str(default), parse, allowed="True or False")


def env_int(name: str, default: int, *, least: int, most: int) -> int:
    """A whole number between `least` and `most`."""

    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return env_parsed(name, str(default), parse, allowed=f"a whole number from {least} to {most}")


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of `choices`, spelled exactly so."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return env_parsed(name, default, parse, allowed="one of " + ", ".join(choices))


def env_address(name: str, default: str = "") -> str:
    """One mail address, without a name; strict enough that nothing in it can end a header."""

    def parse(text: str) -> str:
        if text and not re.fullmatch(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,253}", text):
            raise ValueError(text)
        return text

    return env_parsed(name, "", parse, allowed="one mail address such as support@example.com") or default


def env_date(name: str) -> date | None:
    """A day, or None when none is given."""
    return env_parsed(
        name, "", lambda text: date.fromisoformat(text) if text else None, allowed="a day such as 2027-03-31"
    )


def env_url(name: str, default: str = "", *, schemes: tuple[str, ...] = ("http", "https"), path: bool = False) -> str:
    """An absolute address without its last slash; with a path only where one makes sense."""

    def parse(text: str) -> str:
        if not text:
            return ""
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError(text)
        if parts.path.strip("/") and not path:
            raise ValueError(text)
        _ = parts.port  # a port that is no number raises ValueError here, not at the first link
        return text.rstrip("/")

    form = "an origin such as" if not path else "an address such as"
    return env_parsed(name, default, parse, allowed=f"{form} {schemes[-1]}://host.example")


def env_pem(name: str, load: Callable[[str], object], *, allowed: str) -> str:
    """Path of a file that `load` can use (it raises OSError for one it cannot), or empty."""
    path = env_text(name)
    try:
        if path and not Path(path).is_file():
            raise FileNotFoundError(path)
        if path:
            load(path)
    except (OSError, UnicodeError):  # ssl's errors are OSErrors
        PROBLEMS.append(Problem(name, repr(path), allowed))
        return ""
    return path


def trusted_certificates(path: str) -> None:
    """Raises OSError unless the file holds at least one certificate."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)


def client_certificate(path: str) -> None:
    """Raises OSError unless the file holds a certificate and its own private key, without a passphrase."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, password="")


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret kept in `path`, made at the first start; two processes starting at once agree on one.

    The file is linked into place complete and on disk: a second process never reads half of it, and no power loss
    takes away the key of what was encrypted since.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{uuid4()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_text(encoding="utf-8").strip()
