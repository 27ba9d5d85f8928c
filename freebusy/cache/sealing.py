"""A calendar as the shared cache holds it: times, statuses and hours, encrypted, bound to the name it is kept under."""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

import msgspec
from cryptography.fernet import InvalidToken
from django.conf import settings

from freebusy.cache.segments import Calendar, Segment
from freebusy.core.intervals import Interval
from freebusy.core.schedule import FreeBusyStatus, Schedule, ScheduleItem, Unreadable, WorkingHours
from freebusy.core.zones import CustomZone, iana_zone
from tenants.fields import current_fernet

_VERSION = 1  # of the form below; what has another is as good as not there
# By position, so that the order must not change within a version.
_STATUSES = (
    FreeBusyStatus.FREE,
    FreeBusyStatus.TENTATIVE,
    FreeBusyStatus.BUSY,
    FreeBusyStatus.OOF,
    FreeBusyStatus.WORKING_ELSEWHERE,
    FreeBusyStatus.UNKNOWN,
)
_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}


class Unsealable(Exception):
    """Not ours, of another version, under a key that is gone, or damaged: as good as not there."""


class _Segment(msgspec.Struct, array_like=True, frozen=True):
    start: int
    end: int
    read_at: int
    items: list[tuple[int, int, int]]
    hours: WorkingHours | None
    zone: str | CustomZone | None
    problem: Unreadable | None


class _Sealed(msgspec.Struct, array_like=True, frozen=True):
    version: int
    name: str
    segments: list[_Segment]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Sealed)
_PROBLEM = msgspec.msgpack.Decoder(tuple[str, Unreadable])


def name_of(*parts: object) -> str:
    """A name that says nothing of its parts to whoever has not the installation's secret."""
    return hmac.digest(_secret(settings.SECRET_KEY), _ENCODER.encode(parts), "sha256").hex()[:40]


def seal(name: str, calendar: Calendar) -> bytes:
    """The calendar encrypted under the newest of FERNET_KEYS."""
    segments = [_written(segment) for segment in calendar.segments]
    return current_fernet().encrypt(_ENCODER.encode(_Sealed(_VERSION, name, segments)))


def unseal(name: str, kept: bytes) -> Calendar:
    """The calendar kept under this name; raises Unsealable."""
    try:
        sealed = _DECODER.decode(current_fernet().decrypt(kept))
        if (sealed.version, sealed.name) != (_VERSION, name):
            raise Unsealable
        return Calendar(tuple(_read(segment) for segment in sealed.segments))
    except (InvalidToken, msgspec.MsgspecError, ValueError, IndexError):
        raise Unsealable from None


def seal_problem(name: str, problem: Unreadable) -> bytes:
    """Why a mailbox could not be read, for those who wait for this very read."""
    return current_fernet().encrypt(_ENCODER.encode((name, problem)))


def unseal_problem(name: str, kept: bytes) -> Unreadable:
    """The reason left under this name; raises Unsealable."""
    try:
        sealed, problem = _PROBLEM.decode(current_fernet().decrypt(kept))
    except (InvalidToken, msgspec.MsgspecError):
        raise Unsealable from None
    if sealed != name:
        raise Unsealable
    return problem


@lru_cache(maxsize=4)
def _secret(key: str) -> bytes:
    return sha256(b"freebusy.cache" + key.encode()).digest()


def _written(segment: Segment) -> _Segment:
    said, window = segment.said, segment.window
    if isinstance(said, Unreadable):
        return _Segment(window.start, window.end, segment.read_at, [], None, None, said)
    zone = said.zone
    return _Segment(
        start=window.start,
        end=window.end,
        read_at=segment.read_at,
        items=[(item.start, item.end, _NUMBERS[item.status]) for item in said.items],
        hours=said.working_hours,
        zone=zone.key if isinstance(zone, ZoneInfo) else zone if isinstance(zone, CustomZone) else None,
        problem=None,
    )


def _read(kept: _Segment) -> Segment:
    said: Schedule | Unreadable
    if kept.problem is not None:
        said = kept.problem
    else:
        zone = iana_zone(kept.zone) if isinstance(kept.zone, str) else kept.zone
        if zone is None and kept.zone is not None:
            raise Unsealable
        items = tuple([ScheduleItem(start, end, _STATUSES[number]) for start, end, number in kept.items])
        said = Schedule(items, kept.hours, zone)
    return Segment(Interval(kept.start, kept.end), kept.read_at, said)
