"""Where events may be sent: the form of an address, which networks are public, and names that lie about it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from webhooks.addresses import AddressRefused, Target, is_public, parse, resolve
from webhooks.models import validate_address

NOBODY: frozenset[str] = frozenset()

# ruff: noqa: S104 - nobody binds to these
PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1"),
    *("172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::10.0.0.1"),
    *("::ffff:0:10.0.0.1", "fe80::1", "fe80::1%1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "100::1"),
    *("2001:db8::1", "2001::1", "2001:10::1", "3fff::1", "5f00::1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "2002:0a00:0001::1", "2002:7f00:0001::1", "2002:a9fe:a9fe::", "no address", ""),
]
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1"),
    *("223.255.255.254", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:0808:0808::1", "2606:4700:4700::1111"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_no_address_of_a_private_or_special_network_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


# --- the form -----------------------------------------------------------------------------------------------------
def test_an_address_in_its_parts() -> None:
    assert parse("https://Hooks.Example:8443/a/b?c=d&e", NOBODY) == Target("https", "hooks.example", 8443, "/a/b?c=d&e")
    assert parse("https://hooks.example", NOBODY) == Target("https", "hooks.example", 443, "/")
    assert parse("https://[2606:4700::1]/x", NOBODY).name == "[2606:4700::1]"
    assert parse("https://hooks.example:8443", NOBODY).name == "hooks.example:8443"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hooks.example",
            "//hooks.example/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "gopher://hooks.example",
        ),
        *("https://", "https:///path", "https://user@hooks.example/", "https://user:pw@hooks.example/"),
        *("https://hooks.example/#part", "https://hooks.example\\@10.0.0.1/", "https://hooks.example:0/"),
        *("https://hooks.example:port/", "https://hooks.example:99999/", "https://hooks example/"),
        *("https://hooks.example/\r\nHost: evil", "https://hooks.example/ä", "https://höoks.example/", "https://[::1"),
        *("https://[fe80::1%25eth0]/", "https://hooks.example/\x00", "\thttps://hooks.example/"),
    ],
)
def test_what_is_no_plain_https_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused, match=r"needed|no address") as refused:
        parse(url, NOBODY)
    assert refused.value.code == "address_invalid"


@pytest.mark.parametrize(
    ("url", "hosts", "allowed"),
    [
        ("http://hooks.example/", set(), False),
        ("http://backend/", {"backend"}, True),
        ("http://backend:8000/", {"backend"}, True),
        ("http://BACKEND:8000/", {"backend:8000"}, True),
        ("http://backend:8001/", {"backend:8000"}, False),
        ("http://backend/", {"backend:80"}, True),
        ("http://xbackend/", {"backend"}, False),
        ("http://backend.example/", {"backend"}, False),
        ("http://[::1]:9000/", {"[::1]:9000"}, True),
    ],
)
def test_plain_http_is_for_named_hosts_alone(url: str, hosts: set[str], allowed: bool) -> None:
    try:
        parse(url, hosts)
    except AddressRefused as refused:
        assert not allowed and refused.code == "address_not_allowed"
    else:
        assert allowed


# --- names --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "127.1"),
        *("0", "0.0.0.0", "10.1", "169.254.169.254", "2852039166", "0xa9.0xfe.0xa9.0xfe", "[::1]", "[::ffff:10.0.0.1]"),
        *("[::ffff:7f00:1]", "[::]", "[fe80::1]", "100.64.0.1"),
    ],
)
def test_every_spelling_of_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_address(f"https://{host}/")
    assert refused.value.code in ("address_not_allowed", "name_unknown")  # not all spellings resolve everywhere
    assert host not in ("127.0.0.1", "localhost", "2130706433", "[::ffff:10.0.0.1]") or (
        refused.value.code == "address_not_allowed"
    )


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server of our own: name → addresses."""
    known: dict[str, list[str]] = {}

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        family: Callable[[str], int] = lambda ip: socket.AF_INET6 if ":" in ip else socket.AF_INET  # noqa: E731
        return [(family(ip), socket.SOCK_STREAM, 6, "", (ip, port)) for ip in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def test_a_name_counts_by_all_that_it_resolves_to(names: dict[str, list[str]]) -> None:
    names["good.example"] = ["8.8.8.8", "2606:4700::1"]
    names["mixed.example"] = ["8.8.8.8", "10.0.0.1"]
    names["bad.example"] = ["169.254.169.254"]
    validate_address("https://good.example/hook")
    for host in ("mixed.example", "bad.example"):
        with pytest.raises(ValidationError, match="private or reserved"):
            validate_address(f"https://{host}/hook")


def test_a_name_that_nobody_knows_is_refused(names: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match="cannot be found"):
        validate_address("https://nowhere.example/")


def test_a_named_host_may_be_anywhere(names: dict[str, list[str]], settings: Any) -> None:
    names["backend.internal"] = ["10.0.0.1"]
    settings.WEBHOOK_PRIVATE_HOSTS = frozenset({"backend.internal"})
    validate_address("http://backend.internal/hook")
    places = resolve(
        parse("https://backend.internal:8443/", frozenset({"backend.internal:8443"})), {"backend.internal"}
    )
    assert [place.sockaddr for place in places] == [("10.0.0.1", 8443)]
