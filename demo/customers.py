"""Pure: the customers beside contoso and fabrikam, and what happened to them in the last weeks.

Each happening is a verb of the sandbox, a walk through the consent pages, or what support does in Cadence Admin; how
the product took it is nowhere said here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

DAYS = 28
PEOPLE = 3  # in each organisation, beside its service account
MINUTE, HOUR = 1 / 1440, 1 / 24  # in days
# What a customer's calendars and licences are, and what the network does, the sandbox forgets with its process.
_FORGOTTEN = ("licences", "mailboxes", "faults", "clear_faults")

Verbs = dict[str, Any]


class Act(StrEnum):
    """What people do."""

    CONNECT = "connect"
    TURN_BACK = "turn back"  # because the organisation lets only its administrators consent
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class Customer:
    """An account with an organisation of that name. `read`: the Cadence backend asks for its calendars every day."""

    slug: str
    name: str
    zone: str
    read: bool = False
    cloud: str = "global"

    @property
    def domain(self) -> str:
        """Of the organisation."""
        return f"{self.slug}.example"

    @property
    def reader(self) -> str:
        """Its service account."""
        return f"cadence-service@{self.domain}"

    @property
    def people(self) -> list[str]:
        """Whose calendars are asked for."""
        return [f"person{number}@{self.domain}" for number in range(1, PEOPLE + 1)]


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened so many days before now: an act of the customer's or about it, or verbs for the sandbox."""

    days_ago: float
    what: Act | Verbs
    customer: Customer | None = None


NORTHWIND = Customer("northwind", "Northwind Traders", "Europe/London", read=True)
ADATUM = Customer("adatum", "A. Datum Corporation", "America/Chicago")
ALPINE = Customer("alpine", "Alpine Ski House", "Europe/Vienna", read=True)
TAILSPIN = Customer("tailspin", "Tailspin Toys", "Europe/Paris")
WINGTIP = Customer("wingtip", "Wingtip Toys", "Europe/Madrid")
LITWARE = Customer("litware", "Litware", "America/New_York")
PROSEWARE = Customer("proseware", "Proseware", "Asia/Singapore")
WOODGROVE = Customer("woodgrove", "Woodgrove Bank", "Europe/Zurich")
RELECLOUD = Customer("relecloud", "Relecloud", "America/Denver", cloud="usgov")
FOURTH = Customer("fourth-coffee", "Fourth Coffee", "Europe/Rome")
MARGIES = Customer("margies", "Margie’s Travel", "Europe/Lisbon", read=True)
LUCERNE = Customer("lucerne", "Lucerne Publishing", "Europe/Berlin")
TREY = Customer("trey", "Trey Research", "America/Toronto")
HUMONGOUS = Customer("humongous", "Humongous Insurance", "America/Los_Angeles")
CUSTOMERS = (
    *(NORTHWIND, ADATUM, ALPINE, TAILSPIN, WINGTIP, LITWARE, PROSEWARE, WOODGROVE, RELECLOUD, FOURTH, MARGIES),
    *(LUCERNE, TREY, HUMONGOUS),
)


def _conditions(of: str, **kinds: object) -> Verbs:
    return {"conditions": {of: kinds}}


def _graph_fails(**how: object) -> Verbs:
    return {"faults": [{"path": "getSchedule", **how}]}


_HAPPENINGS = (
    # Everybody's trouble, three hours long. Whoever is asked to wait does not try again at once, in real seconds.
    Happening(19.4, _graph_fails(status=503, retry_after="600", times=None)),
    Happening(19.4 - 3 * HOUR, {"clear_faults": True}),
    # Over and done with.
    Happening(16, {"revoke_refresh_tokens": ALPINE.reader}),
    Happening(14.7, Act.CONNECT, ALPINE),
    Happening(11, {"licences": {ADATUM.reader: False}}),
    Happening(9.5, {"licences": {ADATUM.reader: True}}),
    # Still so.
    Happening(12.3, _conditions(WOODGROVE.domain, deleted=True)),
    Happening(7.4, _conditions(RELECLOUD.reader, not_assigned=True)),
    Happening(6, Act.DISCONNECT, TREY),
    Happening(5.1, _conditions(WINGTIP.reader, mfa=True)),
    Happening(4.2, _conditions(HUMONGOUS.domain, approval=True)),
    Happening(4, Act.TURN_BACK, HUMONGOUS),
    Happening(2.2, {"revoke_refresh_tokens": TAILSPIN.reader}),
    Happening(1.3, {"licences": {FOURTH.reader: False}}),
    Happening(1.1, _conditions(LITWARE.reader, conditional_access=True)),
    Happening(9 * HOUR, {"withdraw_consent": PROSEWARE.domain}),
    # Microsoft wants to be left alone for a day: the next probe would find it well again.
    Happening(7 * HOUR, _graph_fails(tenant=LUCERNE.domain, status=429, retry_after="86400")),
    Happening(3 * HOUR, {"mailboxes": MARGIES.people}),
)


def story() -> list[Happening]:
    """Everything that happened, in order; all but one connected at the beginning."""
    connected = [Happening(DAYS, Act.CONNECT, customer) for customer in CUSTOMERS if customer is not HUMONGOUS]
    return sorted([*connected, *_HAPPENINGS], key=lambda happening: -happening.days_ago)


def tenants() -> Verbs:
    """The organisations themselves, for the sandbox."""
    return {"tenants": {customer.slug: PEOPLE for customer in CUSTOMERS}}


def forgotten() -> list[Verbs]:
    """What a sandbox must be told when it starts again, in this order."""
    told = [happening.what for happening in story() if not isinstance(happening.what, Act)]
    kept = [{name: verbs[name] for name in _FORGOTTEN if name in verbs} for verbs in told]
    return [tenants(), *filter(None, kept)]
