"""Where each national cloud lives: https://learn.microsoft.com/graph/deployments."""

from __future__ import annotations

import pytest

from microsoft.clouds import CLOUDS


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
