"""The national clouds: where each one signs people in and where its Graph lives.

https://learn.microsoft.com/graph/deployments. Each needs an app registration of its own; tokens do not cross.
US GCC is served by the global cloud.
"""

from __future__ import annotations

from dataclasses import dataclass


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
