"""Where each national cloud lives: https://learn.microsoft.com/graph/deployments."""

from __future__ import annotations

import pytest

from microsoft.clouds import CLOUDS, is_simulated


@pytest.mark.parametrize(
    ("name", "authority", "graph"),
    [
        ("global", "https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"),
        ("usgov", "https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0"),
        ("usgovdod", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us/v1.0"),
        ("china", "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn/v1.0"),
    ],
)
def test_a_cloud_has_its_own_addresses(name, authority, graph):
    cloud = CLOUDS[name]
    assert (cloud.name, cloud.authority, cloud.graph) == (name, authority, graph)


def test_there_are_four_clouds():
    assert list(CLOUDS) == ["global", "usgov", "usgovdod", "china"]


@pytest.mark.parametrize(
    ("authority", "simulated", "why"),
    [
        ("", False, "no address of its own: the cloud's"),
        *[(cloud.authority, False, "a cloud's own") for cloud in CLOUDS.values()],
        ("https://login.windows.net", False, "an alias of the global cloud"),
        ("https://LOGIN.microsoftonline.COM:443", False, "host names have no case"),
        ("https://localhost:8443", True, "the sandbox"),
        ("https://login.microsoftonline.com.evil.example", True, "only begins like Microsoft"),
        ("https://evil-login.microsoftonline.com", True, "only ends like Microsoft"),
        ("https://login.microsoftonline.com@evil.example", True, "the host comes after the @"),
    ],
)
def test_an_authority_that_is_no_host_of_microsofts_is_simulated(authority, simulated, why):
    assert is_simulated(authority) is simulated, why
