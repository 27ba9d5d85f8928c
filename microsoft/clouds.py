"""The national clouds: where each one signs people in and where its Graph lives.

https://learn.microsoft.com/graph/deployments. Each needs an app registration of its own; tokens do not cross.
US GCC is served by the global cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Cloud:
    """`authority` is an origin; `graph` includes the version; both without a slash at the end."""

    name: str
    label: str
    authority: str
    graph: str


CLOUDS: dict[str, Cloud] = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            "global",
            "Microsoft 365 (worldwide and US GCC)",
            "https://login.microsoftonline.com",
            "https://graph.microsoft.com/v1.0",
        ),
        Cloud(
            "usgov",
            "Microsoft 365 US Government L4 (GCC High)",
            "https://login.microsoftonline.us",
            "https://graph.microsoft.us/v1.0",
        ),
        Cloud(
            "usgovdod",
            "Microsoft 365 US Government L5 (DoD)",
            "https://login.microsoftonline.us",
            "https://dod-graph.microsoft.us/v1.0",
        ),
        Cloud(
            "china",
            "Microsoft 365 operated by 21Vianet (China)",
            "https://login.partner.microsoftonline.cn",
            "https://microsoftgraph.chinacloudapi.cn/v1.0",
        ),
    )
}

# Besides the clouds' own, the aliases that https://login.microsoftonline.com/common/discovery/instance names.
_SIGN_IN_HOSTS = frozenset(urlsplit(cloud.authority).hostname for cloud in CLOUDS.values()) | {
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
    "login.chinacloudapi.cn",
    "login.usgovcloudapi.net",
    "login-us.microsoftonline.com",
}


def is_simulated(authority: str) -> bool:
    """Whether this address signs people in at something that is not Microsoft; "" stands for the cloud's own."""
    return bool(authority) and urlsplit(authority).hostname not in _SIGN_IN_HOSTS
