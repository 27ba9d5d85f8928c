"""Who may do what in Cadence Admin: the permissions, and the ready-made groups that hold them.

Reading rows is Django's own `view_…` permission of each model; what is listed here goes beyond rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "view_status": "Can see the status page and the accounts' pages",
        "check_now": "Can probe a connection now",
        "refresh_now": "Can refresh a connection's token now",
        "send_link": "Can copy and send a reconnect link",
        "renew_key": "Can renew a consent key",
        "propose_switch": "Can propose that an account moves to another Entra tenant",
        "approve_switch": "Can approve such a move that somebody else proposed",
        "disconnect": "Can disconnect an account",
        "preflight": "Can check a roster of addresses",
        "see_availability": "Can see what the API would answer, busy times of people included",
        "make_evidence": "Can make the evidence pack for IT",
        "change_policy": "Can choose another conflict policy",
        "make_bundle": "Can make a support bundle",
    }
)
READ = frozenset({"view_status", "make_evidence"})
ACT = READ | {
    "check_now",
    "refresh_now",
    "send_link",
    "propose_switch",
    "preflight",
    "see_availability",
    "make_bundle",
}
ADMINISTER = frozenset(PERMISSIONS)
GROUPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"Support (read)": READ, "Support (act)": frozenset(ACT), "Administrators": ADMINISTER}
)
