"""Reads EMAIL_URL, the one line that says how mails leave."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_BACKENDS = "django.core.mail.backends"
_PORTS = {"starttls": 587, "none": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Django's settings of a mail backend. `tls`: starttls, none, or smtps for TLS from the first byte."""

    backend: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    tls: str = ""
    folder: str = ""


def email_url(text: str) -> MailServer:
    """`smtp://user:password@host:587`, `smtps://…`, `console://` or `file:///folder`; raises ValueError for others.

    `smtp` means STARTTLS, and a server that cannot do it gets no mail, unless `?tls=none` says otherwise.
    """
    parts = urlsplit(text)
    if text == "console://":
        return MailServer(f"{_BACKENDS}.console.EmailBackend")
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1 and not parts.query:
        return MailServer(f"{_BACKENDS}.filebased.EmailBackend", folder=unquote(parts.path))
    query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    known = parts.scheme in ("smtp", "smtps") and parts.hostname and not parts.path.strip("/") and not parts.fragment
    if not known or set(query) - {"tls"}:
        raise ValueError("form")
    tls = query.get("tls", ["starttls"])[-1] if parts.scheme == "smtp" else "smtps"
    if tls not in _PORTS or (parts.scheme == "smtps") != (tls == "smtps") or (query and parts.scheme == "smtps"):
        raise ValueError("tls")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("user")
    return MailServer(
        f"{_BACKENDS}.smtp.EmailBackend", parts.hostname or "", parts.port or _PORTS[tls], user, password, tls
    )
