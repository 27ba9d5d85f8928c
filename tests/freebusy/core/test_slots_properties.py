"""The search against an oracle that looks at every minute by itself, and what must hold of every search."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from freebusy.core.grid import Hours, SlotQuery, candidate_starts
from freebusy.core.intervals import HOUR, MINUTE, Interval, overlaps, to_instant
from freebusy.core.rules import CAUTIOUS, TECHNICAL, Code, blocks
from freebusy.core.schedule import External, FreeBusyStatus, Schedule, ScheduleItem, Unreadable
from freebusy.core.slots import Calendar, find_slots

BERLIN = ZoneInfo("Europe/Berlin")
UNREADABLE = Unreadable("too_many_entries", "Too many entries.", False, "5006")
PEOPLE, ROOMS = ["p0", "p1", "p2", "p3"], ["r0", "r1", "r2"]
DAY_START = to_instant(datetime(2027, 3, 28, tzinfo=UTC))  # Europe's clocks change within the day
item_strategy = st.builds(
    lambda start, length, status: ScheduleItem(
        DAY_START + start * MINUTE, DAY_START + (start + length) * MINUTE, status
    ),
    st.integers(-500, 1900),
    st.one_of(st.integers(1, 120), st.sampled_from([359, 360, 361, 420, 1380, 1440])),
    st.sampled_from(FreeBusyStatus),
)
known = st.lists(item_strategy, max_size=7).map(lambda found: Schedule(items=tuple(sorted(set(found)))))
person_schedules = st.one_of(known, known, known, st.just(UNREADABLE), st.just(External()))


@st.composite
def searches(draw: st.DrawFn) -> dict[str, object]:
    policy = draw(st.sampled_from([TECHNICAL, CAUTIOUS]))
    people = [Calendar(name, draw(person_schedules), policy, BERLIN) for name in PEOPLE]
    rooms = [Calendar(name, draw(person_schedules), policy.room, BERLIN) for name in ROOMS]
    opening = draw(st.integers(0, 1200))
    start = draw(st.integers(-300, 900))
    query = SlotQuery(
        window=Interval(DAY_START + start * MINUTE, DAY_START + (start + draw(st.integers(1, 1500))) * MINUTE),
        duration_minutes=draw(st.integers(1, 150)),
        step_minutes=draw(st.integers(5, 120)),
        zone=BERLIN,
        hours=Hours(frozenset(range(7)), opening, draw(st.integers(opening + 1, 1440))),
    )
    cut = draw(st.integers(0, len(people)))
    return {
        "query": query,
        "required": people[:cut],
        "optional": people[cut:],
        "rooms": draw(st.sampled_from([None, [], rooms[:1], rooms])),
        "include_unverified": draw(st.booleans()),
        "order": draw(st.sampled_from(["time", "fewest_conflicts"])),
        "limit": draw(st.sampled_from([1, 3, 500])),
    }


def blocked_minutes(found: Calendar, *, is_room: bool) -> dict[int, set[str]]:
    """Minute → statuses that count there; the rules once more, in the plainest words."""
    counting = {"busy", "oof", "unknown"} | (
        {"tentative", "workingElsewhere"} if found.policy.name == "cautious" else set()
    )
    minutes: dict[int, set[str]] = {}
    if isinstance(found.schedule, Schedule):
        for entry in found.schedule.items:
            if entry.status.value in counting and (is_room or entry.end - entry.start < 6 * HOUR):
                for instant in range(entry.start, entry.end, MINUTE):
                    minutes.setdefault(instant, set()).add(entry.status.value)
    return minutes


CODE_OF = {"busy": 1, "oof": 2, "unknown": 3, "tentative": 4, "workingElsewhere": 5}
CODES = [
    Code.UNKNOWN_REQUIRED,
    Code.OUTLOOK_BUSY,
    Code.OUTLOOK_OOF,
    Code.OUTLOOK_UNKNOWN,
    Code.OUTLOOK_TENTATIVE,
    Code.OUTLOOK_ELSEWHERE,
    Code.ROOM,
]
Row = tuple[int, bool, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
Reasons = list[tuple[Code, tuple[str, ...]]]


def oracle(
    query: SlotQuery,
    required: Sequence[Calendar],
    optional: Sequence[Calendar],
    rooms: Sequence[Calendar] | None,
    include_unverified: bool,
) -> tuple[list[Row], list[Reasons]]:
    """Rows by time and the reasons of every candidate, by looking at each minute of each candidate."""
    maps = {c.address: blocked_minutes(c, is_room=False) for c in (*required, *optional)}
    maps |= {c.address: blocked_minutes(c, is_room=True) for c in rooms or ()}

    def statuses(address: str, start: int) -> set[str]:
        minutes = range(start, start + query.duration_minutes * MINUTE, MINUTE)
        return set().union(*(maps[address].get(instant, set()) for instant in minutes))

    unknown = [c.address for c in required if isinstance(c.schedule, Unreadable)]
    unsure = [c.address for c in optional if isinstance(c.schedule, Unreadable)]
    rows: list[Row] = []
    explained: list[Reasons] = []
    for start in candidate_starts(query):
        names: dict[int, list[str]] = {}
        if unknown and not include_unverified:
            names[0] = unknown
        for person in required:
            for status in statuses(person.address, start):
                names.setdefault(CODE_OF[status], []).append(person.address)
        free = [r.address for r in rooms or () if isinstance(r.schedule, Schedule) and not statuses(r.address, start)]
        if rooms and not free:
            names[6] = [r.address for r in rooms]
        explained.append([(CODES[number], tuple(names[number])) for number in sorted(names)])
        if not names:
            conflicts = tuple(c.address for c in optional if statuses(c.address, start))
            rows.append((start, not unknown, tuple(free), conflicts, (*unknown, *unsure)))
    return rows, explained


@given(searches())
@settings(max_examples=250)
def test_the_engine_agrees_with_looking_at_every_minute(search: dict[str, object]) -> None:
    result = find_slots(**search, explain=True)  # type: ignore[arg-type]
    arguments = {name: value for name, value in search.items() if name not in ("order", "limit")}
    rows, explained = oracle(**arguments)  # type: ignore[arg-type]
    if search["order"] == "fewest_conflicts":
        rows.sort(key=lambda row: (len(row[3]), row[0]))
    found = [(s.start, s.verified, s.rooms, s.optional_conflicts, s.unverified) for s in result.slots]
    assert found == rows[: search["limit"]]  # type: ignore[misc]
    assert (result.offered, result.truncated) == (len(rows), len(rows) > len(found))
    assert result.explanation is not None
    assert [list(candidate.blocked_by) for candidate in result.explanation] == explained
    assert result.by_code == Counter(reasons[0][0] for reasons in explained if reasons)


@given(searches())
@settings(max_examples=100)
def test_offer_counts_and_explanation_never_disagree(search: dict[str, object]) -> None:
    search["limit"] = 5000
    result = find_slots(**search, explain=True)  # type: ignore[arg-type]
    assert result.explanation is not None
    assert sorted(slot.start for slot in result.slots) == [c.start for c in result.explanation if not c.blocked_by]
    assert result.candidates == len(result.explanation) == result.offered + sum(result.by_code.values())
    assert replace(result, explanation=None) == find_slots(**search)  # type: ignore[arg-type]


@given(searches())
@settings(max_examples=100)
def test_no_slot_touches_a_block_of_a_required_calendar(search: dict[str, object]) -> None:
    required: list[Calendar] = search["required"]  # type: ignore[assignment]
    taken = [
        Interval(block.start, block.end)
        for c in required
        if isinstance(c.schedule, Schedule)
        for block in blocks(c.schedule, c.policy, c.account_zone)
        if block.conflict
    ]
    for slot in find_slots(**search).slots:  # type: ignore[arg-type]
        assert not any(overlaps(Interval(slot.start, slot.end), block) for block in taken)


@given(searches(), st.lists(item_strategy, min_size=1, max_size=3), st.integers(0, 3))
@settings(max_examples=100)
def test_more_events_never_add_a_slot(search: dict[str, object], more: list[ScheduleItem], who: int) -> None:
    search["limit"] = 5000
    before = {slot.start for slot in find_slots(**search).slots}  # type: ignore[arg-type]

    def fuller(calendars: list[Calendar]) -> list[Calendar]:
        return [
            replace(c, schedule=Schedule(items=tuple(sorted({*c.schedule.items, *more}))))
            if k == who and isinstance(c.schedule, Schedule)
            else c
            for k, c in enumerate(calendars)
        ]

    search["required"] = fuller(search["required"])  # type: ignore[arg-type]
    search["rooms"] = fuller(search["rooms"]) if search["rooms"] else search["rooms"]  # type: ignore[arg-type]
    assert {slot.start for slot in find_slots(**search).slots} <= before  # type: ignore[arg-type]
