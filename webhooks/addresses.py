"""Which addresses events may be sent to: public ones over https, and whatever hosts the operator has named.

Whoever may enter an address must not make this service speak to the network it stands in. So a name counts by what it
resolves to, each time anew, and the sender connects to the very address that was checked: a name that answers
differently the second time gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Set
from dataclasses import dataclass
from urllib.parse import urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_TEXT = re.compile(r"[!-\[\]-~]+")  # printable ASCII but the backslash, which browsers take for a slash
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_PORTS = {"http": 80, "https": 443}
# All that IANA has given out for unicast; what lies outside (site-local, IPv4-compatible, …) Python may call global.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Special by IANA's registries, though tables of older Pythons know less: protocol assignments, the dead relays of
# 6to4, documentation.
_SPECIAL = (
    ipaddress.IPv4Network("192.0.0.0/24"),
    ipaddress.IPv4Network("192.88.99.0/24"),
    ipaddress.IPv6Network("3fff::/20"),
)


class AddressRefused(Exception):
    """Nothing may be sent there. `code` for logs and rows, the text for the person who typed it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """An address in its parts. `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """As the Host header and the allow-list write it: without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def is_among(self, hosts: Set[str]) -> bool:
        """Whether the operator named this host, with this port or without any."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return not hosts.isdisjoint((host, f"{host}:{self.port}"))


@dataclass(frozen=True, slots=True)
class Place:
    """What a name resolved to, ready for `socket.connect`."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


def parse(url: str, private_hosts: Set[str]) -> Target:
    """The address in its parts. Raises AddressRefused for what is no https address (http: only to named hosts)."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("address_invalid", "This is no address.") from None
    host = (parts.hostname or "").lower()
    if not _TEXT.fullmatch(url) or parts.scheme not in _PORTS or not _HOST.fullmatch(host) or port == 0:
        raise AddressRefused("address_invalid", "An address such as https://hooks.example.com/cadence is needed.")
    if "@" in parts.netloc or "#" in url:
        raise AddressRefused("address_invalid", "An address without user name, password and fragment is needed.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, host, port or _PORTS[parts.scheme], path)
    if target.scheme != "https" and not target.is_among(private_hosts):
        raise AddressRefused("address_not_allowed", "Only https addresses are allowed.")
    return target


def resolve(target: Target, private_hosts: Set[str]) -> list[Place]:
    """Where to connect to. Raises AddressRefused when the name is unknown or any of its addresses is not public."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused("name_unknown", "This host name cannot be found.") from None
    places = [Place(family, sockaddr) for family, _, _, _, sockaddr in found]  # type: ignore[arg-type]
    if not target.is_among(private_hosts) and not all(is_public(str(place.sockaddr[0])) for place in places):
        raise AddressRefused("address_not_allowed", "This host is in a private or reserved network.")
    return places


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, seen through the forms in which IPv6 wraps IPv4."""
    try:
        address: IPAddress = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = _wrapped(address) or address
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    special = address.is_multicast or address.is_reserved or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a gateway, or this machine itself, would speak to instead."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
