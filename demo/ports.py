"""Finds out before anything is started whether the ports are free."""

from __future__ import annotations

import errno
import socket

from demo.environment import Ports
from demo.processes import Failed

_NAMES = {"web": ("PORT", "--port"), "https": ("SANDBOX_HTTPS_PORT", "--https-port")}
_NAMES["http"] = ("SANDBOX_HTTP_PORT", "--http-port")


def check(ports: Ports) -> None:
    """Raises Failed with one line that names the port and the way round it."""
    for use, (variable, option) in _NAMES.items():
        port: int = getattr(ports, use)
        why = _why_not(port)
        if why:
            other = port + 10 if port < 65_000 else 8010
            way = f"make demo {variable}={other} (or python -m demo {option} {other})"
            raise Failed(f"Port {port} {why}. Take another one: {way}.")
    if len({ports.web, ports.https, ports.http}) < 3:
        raise Failed("The three ports must differ: PORT, SANDBOX_HTTPS_PORT, SANDBOX_HTTP_PORT.")


def _why_not(port: int) -> str:
    """Empty when `localhost:port` is free to listen on and nobody answers there already."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "is taken by another program" if taken else f"cannot be used ({error.strerror})"
    # A browser tries localhost's IPv6 address first: a stranger there would answer in the demo's place.
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) if socket.has_ipv6 else socket.socket() as caller:
        caller.settimeout(1)
        try:
            answered = socket.has_ipv6 and caller.connect_ex(("::1", port)) == 0
        except OSError:
            answered = False
    return "is taken by another program" if answered else ""
