"""Mailboxes at which whole calls fail: left out for a while, then asked for again by themselves.

Kept for a reader in the store that all processes share, under keyed hashes: it holds no address.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import msgspec
from django.utils.crypto import salted_hmac

from microsoft.graph import MailboxFailure, MailboxSchedule, ScheduleReport
from microsoft.schedule_report import failure
from tenants import measuring
from tenants.coordination import coordinator, going_on_without_the_store

log = logging.getLogger(__name__)

FIRST_SECONDS = 600.0  # doubled each time that it fails again
LONGEST_SECONDS = 4 * 3600.0
TRIAL_SECONDS = 30.0  # for so long after one question has begun to try it, others leave it out
KEPT_SECONDS = 86_400.0  # after the last failure, how often it was is forgotten
MOST = 200  # of one reader
_INDEX = "set-aside"


class _Record(msgspec.Struct, frozen=True):
    """Until when a mailbox is left out, for the which time, and why."""

    until: float
    times: int
    code: str
    raw: str | None = None


_Records = dict[str, _Record]
_decoder = msgspec.json.Decoder(_Records)
_index_decoder = msgspec.json.Decoder(dict[str, float])


@dataclass(frozen=True, slots=True)
class Plan:
    """`left_out`: what stands for those that are not asked for; `alone`: who is tried again. By `str.casefold`."""

    left_out: dict[str, MailboxFailure] = field(default_factory=dict)
    alone: frozenset[str] = frozenset()


def plan(reader: str, mailboxes: Collection[str]) -> Plan:
    """Whom to leave out of a question, and whom to ask for alone; of all processes one tries a mailbox at a time."""
    known = _known(reader, mailboxes)
    if not known:
        return Plan()
    now, tried = time.time(), set[str]()

    def claim(records: _Records) -> _Records:
        tried.clear()
        tried.update(key for key in known.values() if key in records and records[key].until <= now)
        claimed = {key: msgspec.structs.replace(records[key], until=now + TRIAL_SECONDS) for key in tried}
        return records | claimed

    due = any(record.until <= now for record in _read(reader).values())
    records = _change(reader, claim) if due else _read(reader)
    left_out = {
        mailbox: failure(records[key].code, raw=records[key].raw)
        for mailbox, key in known.items()
        if key in records and key not in tried
    }
    return Plan(left_out, frozenset(mailbox for mailbox, key in known.items() if key in tried))


def without(reader: str, mailboxes: Collection[str]) -> list[str]:
    """The mailboxes that are not set aside, and were not lately."""
    known = _known(reader, mailboxes)
    return [mailbox for mailbox in mailboxes if mailbox.casefold() not in known]


def readers() -> frozenset[str]:
    """Hashes of the readers for which anything may be set aside: one look for many readers."""
    found: bytes | None = None
    with going_on_without_the_store():
        found = coordinator().read(_INDEX)
    return frozenset(_index(found))


def may_concern(reader: str, found: Collection[str]) -> bool:
    """Whether a reader is among `readers()`."""
    return bool(found) and _hash(reader) in found


def learn(reader: str, alone: Collection[str], report: ScheduleReport) -> int:
    """Sets aside whoever was found to make calls fail, and forgets who is well again; returns how many were set aside.

    So many at once that it cannot be them are left alone.
    """
    bad = report.poison if len(report.poison) <= max(3, len(report.results) // 20) else frozenset[str]()
    well = {mailbox for mailbox in alone if isinstance(report.results.get(mailbox), MailboxSchedule)}
    if not bad and not well:
        return 0
    now = time.time()
    failures = {_hash(reader, mailbox): report.results[mailbox] for mailbox in bad}
    gone = {_hash(reader, mailbox) for mailbox in well}

    def note(records: _Records) -> _Records:
        kept = {key: record for key, record in records.items() if key not in gone and record.until > now - KEPT_SECONDS}
        for key, found in failures.items():
            if isinstance(found, MailboxFailure) and (key in kept or len(kept) < MOST):
                times = kept[key].times + 1 if key in kept else 1
                until = now + min(FIRST_SECONDS * 2.0 ** (times - 1), LONGEST_SECONDS)
                kept[key] = _Record(until, times, found.code, found.raw)
        return kept

    _change(reader, note)
    if bad:
        _list(reader, now)
        measuring.count("mailboxes_set_aside", len(bad))
        log.warning("mailboxes set aside", extra={"mailboxes": len(bad)})
    return len(bad)


def _known(reader: str, mailboxes: Collection[str]) -> dict[str, str]:
    """Those of the mailboxes of which there is a record, with its key. Hashes cost nothing while there is none."""
    records = _read(reader)
    if not records:
        return {}
    hashes = {mailbox.casefold(): _hash(reader, mailbox.casefold()) for mailbox in mailboxes}
    return {mailbox: key for mailbox, key in hashes.items() if key in records}


def _read(reader: str) -> _Records:
    with going_on_without_the_store():
        return _decoded(coordinator().read(_name(reader)))
    return {}


def _change(reader: str, change: Callable[[_Records], _Records]) -> _Records:
    def on_bytes(value: bytes | None) -> bytes | None:
        records = change(_decoded(value))
        return msgspec.json.encode(records) if records else None

    with going_on_without_the_store():
        return _decoded(coordinator().modify(_name(reader), on_bytes, KEPT_SECONDS + LONGEST_SECONDS))
    return {}


def _list(reader: str, now: float) -> None:
    def listed(value: bytes | None) -> bytes:
        names = {name: until for name, until in _index(value).items() if until > now}
        return msgspec.json.encode(names | {_hash(reader): now + KEPT_SECONDS + LONGEST_SECONDS})

    with going_on_without_the_store():
        coordinator().modify(_INDEX, listed, KEPT_SECONDS + LONGEST_SECONDS)


def _decoded(value: bytes | None) -> _Records:
    try:
        return _decoder.decode(value) if value else {}
    except msgspec.DecodeError:  # another version of this code wrote it
        return {}


def _index(value: bytes | None) -> dict[str, float]:
    try:
        return _index_decoder.decode(value) if value else {}
    except msgspec.DecodeError:
        return {}


def _name(reader: str) -> str:
    return f"{_INDEX}:{_hash(reader)}"


def _hash(reader: str, mailbox: str = "") -> str:
    return salted_hmac("freebusy.set_aside", f"{reader} {mailbox}", algorithm="sha256").hexdigest()[:32]
