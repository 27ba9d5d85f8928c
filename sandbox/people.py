"""Who works at the sandbox's organisations: names, rooms, zones, and those with something odd."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

PERSONAL_TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"
_NAMESPACE = uuid.UUID("5a9db0c5-0000-5000-8000-000000000001")


@dataclass(frozen=True, slots=True)
class Tenant:
    """One Entra tenant."""

    name: str
    title: str
    tid: str
    domain: str


CONTOSO = Tenant("contoso", "Contoso Ltd", "c0a70500-1111-4222-8333-444455556666", "contoso.example")
FABRIKAM = Tenant("fabrikam", "Fabrikam Inc", "fab21ca0-7777-4888-8999-aaaabbbbcccc", "fabrikam.example")
PERSONAL = Tenant("personal", "Personal accounts", PERSONAL_TENANT_ID, "outlook.example")
TENANTS = (CONTOSO, FABRIKAM, PERSONAL)

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney")


def _words(text: str) -> list[str]:
    return text.split()


_CONTOSO_PEOPLE = _words(
    "Ann Bob Cleo Dan Eva Finn Gil Hal Ivy Joe Kim Lea Max Nia Oli Pia Quinn Rosa Sam Tara Uma Vic Wes Xenia "
    "Yara Zoe Ada Bea Carl Dora Emil Freya Gus Hana Igor Jana Kurt Lars Mona Nils Olga Paul Rita Sven Toni "
    "Ulla Vera Wim Yuri Zita Arun Bina Chen Devi Elif Faye Gita Hugo Isla Jack"
)
_FABRIKAM_PEOPLE = _words("Fay Abe Bess Cole Dina Earl Flo Glen Hope Ian June Kai")
_SURNAMES = _words("Adler Brooks Chopra Dietz Evans Fischer Gupta Hughes Iyer Jansen Keller Lopez")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Working hours as Outlook keeps them; wall time in the mailbox's zone."""

    days: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday")
    start: str = "08:00:00.0000000"
    end: str = "17:00:00.0000000"
    custom_zone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mailbox; `trouble` is the responseCode its free/busy fails with, `title_case` the older spelling."""

    zone: str = "Europe/Berlin"
    pattern: str = "ordinary"
    index: int = 0
    hours: Hours | None = Hours()
    trouble: str = ""
    title_case: bool = False
    shows_details: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A directory object: person, administrator, service account, room or personal account."""

    upn: str
    name: str
    tenant: Tenant
    kind: str = "person"
    is_admin: bool = False
    mailbox: Mailbox | None = None

    @property
    def oid(self) -> str:
        """Return the object id, the same in every run."""
        return str(uuid.uuid5(_NAMESPACE, self.upn.casefold()))

    @property
    def can_sign_in(self) -> bool:
        """Return whether a human signs in with it."""
        return self.kind != "room"


_ODD = {
    "gil": Mailbox(zone="America/New_York", pattern="crowded", index=6),
    "hal": Mailbox(zone="Australia/Sydney", index=7, trouble="ErrorNoFreeBusyAccess"),
    "ivy": Mailbox(zone="America/New_York", index=8, hours=Hours(custom_zone=True)),
    "joe": Mailbox(zone="America/New_York", index=9, hours=None),
}


def _people(tenant: Tenant, names: list[str], admin: str) -> Iterator[Account]:
    for index, name in enumerate(names):
        mailbox = Mailbox(zone=ZONES[index % 4], index=index, title_case=index % 5 == 4, shows_details=index % 8 != 7)
        if tenant is CONTOSO:
            mailbox = _ODD.get(name.lower(), mailbox)
        yield Account(
            upn=f"{name.lower()}@{tenant.domain}",
            name=f"{name} {_SURNAMES[index % 12]}",
            tenant=tenant,
            is_admin=name == admin,
            mailbox=mailbox,
        )


def _rooms(tenant: Tenant, count: int) -> Iterator[Account]:
    for number in range(1, count + 1):
        mailbox = Mailbox(zone=ZONES[0 if number <= 4 else number % 4], pattern="room", index=number)
        yield Account(
            upn=f"room{number}@{tenant.domain}",
            name=f"Room {number}",
            tenant=tenant,
            kind="room",
            mailbox=mailbox,
        )


def _organisation(tenant: Tenant, names: list[str], admin: str, rooms: int) -> Iterator[Account]:
    yield from _people(tenant, names, admin)
    yield from _rooms(tenant, rooms)
    yield Account(
        upn=f"admin@{tenant.domain}", name="Admin without mailbox", tenant=tenant, kind="admin", is_admin=True
    )
    yield Account(
        upn=f"cadence-service@{tenant.domain}",
        name="Cadence service account",
        tenant=tenant,
        kind="service",
        mailbox=Mailbox(pattern="empty", index=99),
    )


def make_tenant(name: str) -> Tenant:
    """Return a further tenant, the same for the same name; its domain is `<name>.example`."""
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", name):
        raise ValueError(f"{name!r} is no name of lower-case letters, digits and hyphens")
    return Tenant(name, f"{name.title()} Ltd", str(uuid.uuid5(_NAMESPACE, name)), f"{name}.example")


def staff(tenant: Tenant, people: int) -> Iterator[Account]:
    """Yield the accounts of a further tenant: `person1` …, administrator and service account."""
    yield from _organisation(tenant, [f"Person{number}" for number in range(1, people + 1)], "Person1", 0)


def everyone() -> Iterator[Account]:
    """Yield all accounts of the seeded directory."""
    yield from _organisation(CONTOSO, _CONTOSO_PEOPLE, "Ada", 12)
    yield from _organisation(FABRIKAM, _FABRIKAM_PEOPLE, "Fay", 3)
    yield Account(
        upn=f"casey@{PERSONAL.domain}",
        name="Casey Private",
        tenant=PERSONAL,
        kind="personal",
        mailbox=Mailbox(index=3),
    )
