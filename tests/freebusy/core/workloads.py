# ruff: noqa
# fmt: off
# Copied unchanged, but for these lines, from the shared benchmark workloads (bench/workloads.py) of Event Cadence;
# same owner and licence as this project. Data generator and oracle only: it knows nothing of the code under test.
"""Fixed, seeded workloads for free-slot search, with a brute-force oracle.

Standard library only; importable stand-alone; nothing here is fast on purpose.

    python workloads.py --list
    python workloads.py W1 > w1.json            # one workload as JSON
    python workloads.py --graph 20 62 > gs.json # a getSchedule-like response
    python workloads.py --check [W0 W1 ...]     # oracle against EXPECTED
    python workloads.py --expected [W0 W1 ...]  # print the oracle's hashes

EXACT SEMANTICS (what every implementation under test must reproduce)
---------------------------------------------------------------------
Time is whole minutes since 1970-01-01T00:00Z ("epoch minutes", int). Every
interval is half open, [start, end): it contains start and does not contain end.

EVENT [start, end, status, all_day] of one person or one room. It BLOCKS iff
  1. status is "busy" or "oof" ("free", "tentative", "workingElsewhere" never
     block), and
  2. all_day is 0, and
  3. 0 < end - start < 360: elapsed (UTC) minutes, so an event of exactly six
     hours is ignored and one of 5 h 59 min blocks; zero- or negative-length
     events block nothing.
Rules 1-3 look at the event AS GIVEN: before clipping to any window (a 7-hour
event of which only one hour lies in the window is ignored) and before merging
(two touching 4-hour events block all 8 hours).

WORKING PERIODS belong to the organiser: for each of `days` consecutive local
calendar dates from `first_day` in `tz`, if its weekday (Mon=0) is in
`weekdays`, the period is [utc(date, work_start), utc(date, work_end)), local
wall times turned to UTC with the IANA rules (fold=0). work_end "24:00" is the
next date's 00:00. A period that contains a clock change is 60 elapsed minutes
shorter or longer; nothing else changes.

SLOT of a period [a, b): every start s = a + k*step, k = 0, 1, 2, ... with
s + duration <= b. The grid is anchored at each period's start and counted in
elapsed minutes. Back to back is allowed at both ends.

SEARCH {required, optional, rooms, want}: a slot [s, e) is OFFERED iff
  * no required person has a blocking event [x, y) with x < e and s < y, and
  * `rooms` is null, or at least one of the rooms listed has none either.
RESULT: a list, ascending by s, of rows
  [s, n, ids, free_rooms, first_room]
    n           how many optional people have such a conflict
    ids         their numbers, ascending, if want == "ids"; else null
    free_rooms  how many of the listed rooms are free (0 if rooms is null)
    first_room  the lowest-numbered free room of those listed (-1 if null)
RANKING for display is by (n, s); the result itself stays ordered by s.

HASH of a workload: sha256 over, for each search in order, the line
"#<index>\n" and for each row "s|n|id,id,..|free_rooms|first_room\n" (ids empty
if null). See `result_hash`.

WORKLOADS
  W0  edges        hand-made cases, 7-day 00:00-24:00 weeks with a clock change
  W1  sales        6 required + 4 optional, 14 days, EU clock change inside
  W2  department   20 required + 80 optional, 30 days, US and EU clock changes
  W3  event        2,000 people, 200 rooms, 10 days, 500 searches of 3-8 required
                   (every second one with 8-20 candidate rooms)
  W4-N scaling     5 required + (N-5) optional, 30 days, N = 10, 100, 1000, 10000
"""
import datetime as dt
import hashlib
import json
import random
import sys
from zoneinfo import ZoneInfo

STATUS = ["free", "tentative", "busy", "oof", "workingElsewhere"]
FREE, TENTATIVE, BUSY, OOF, ELSEWHERE = range(5)
LONG = 360  # minutes: this long or longer is ignored
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata"]
NAMES = ["W0", "W1", "W2", "W3", "W4-10", "W4-100", "W4-1000", "W4-10000"]

EXPECTED = {  # name: (hash, rows)
    "W0": ("0dda857a6cce28bb287dab4a289301b3421a597ed7169ae4f4bca6f3194e331d", 1694),
    "W1": ("f4f8e57e6011a3f9a5974f0b4a2d6a8f53fd128760eed6be37a8b7b8eea4befe", 29),
    "W2": ("5c7607e65e10771c41a423a090d5426448d63e94070b472b5e26e938c2b7af46", 302),
    "W3": ("d0a05164173fcee212bdcf51019d62baf9f3f18c8b49edaabe05e5e86a0f1efe", 35427),
    "W4-10": ("45e2e5a43b9347f6fd6f0b48c85b3a0c5badbd0a6bd6f236bbde0bdc1557d5b4", 126),
    "W4-100": ("38b3fb24f887c91ea3f9bb3f8415bd114318563029bcc98c207d0c6896d17541", 126),
    "W4-1000": ("72997226cc9c5585db753bfbb4bf1034084c810274512fa2e356689595b6bc06", 126),
    "W4-10000": ("ca0c54326c8c130f620ef99c60eeeb60323b7d5278a878c66d9abb7cd1bec1c4", 126),
}


# ------------------------------------------------------------------ time
def to_min(when):
    """Aware datetime -> epoch minutes (exact minutes only)."""
    seconds = int((when - EPOCH).total_seconds())
    assert seconds % 60 == 0
    return seconds // 60


def from_min(m):
    return EPOCH + dt.timedelta(minutes=m)


def local_min(tz, date, minute):
    """Epoch minutes of a local wall-clock minute of a local date."""
    date = date + dt.timedelta(days=minute // 1440)
    minute %= 1440
    return to_min(dt.datetime(date.year, date.month, date.day, minute // 60, minute % 60, tzinfo=ZoneInfo(tz)))


def hhmm(text):
    h, m = text.split(":")
    return int(h) * 60 + int(m)


def periods(frame):
    """The organiser's working periods as a list of (a, b) in epoch minutes."""
    out = []
    first = dt.date.fromisoformat(frame["first_day"])
    for i in range(frame["days"]):
        date = first + dt.timedelta(days=i)
        if date.weekday() in frame["weekdays"]:
            out.append((local_min(frame["tz"], date, hhmm(frame["work_start"])),
                        local_min(frame["tz"], date, hhmm(frame["work_end"]))))
    return out


def slot_starts(frame):
    out = []
    for a, b in periods(frame):
        s = a
        while s + frame["duration"] <= b:
            out.append(s)
            s += frame["step"]
    return out


def blocks(event):
    start, end, status, all_day = event
    return status in (BUSY, OOF) and not all_day and 0 < end - start < LONG


# ---------------------------------------------------------------- oracle
def oracle(work):
    """Minute by minute: mark every blocked minute, then look at every minute."""
    frame = work["frame"]
    starts = slot_starts(frame)
    if not starts:
        return [[] for _ in work["searches"]]
    lo, hi = min(starts), max(starts) + frame["duration"]
    maps = {}

    def minutes(kind, number):
        if (kind, number) not in maps:
            flags = bytearray(hi - lo)
            for event in work[kind][number]["events"]:
                if blocks(event):
                    for m in range(event[0], event[1]):
                        if lo <= m < hi:
                            flags[m - lo] = 1
            maps[kind, number] = flags
        return maps[kind, number]

    def conflict(kind, number, s):
        flags = minutes(kind, number)
        return any(flags[s - lo:s - lo + frame["duration"]])

    results = []
    for search in work["searches"]:
        rows = []
        for s in starts:
            if any(conflict("people", p, s) for p in search["required"]):
                continue
            rooms, first = 0, -1
            if search["rooms"] is not None:
                free = [r for r in sorted(search["rooms"]) if not conflict("rooms", r, s)]
                if not free:
                    continue
                rooms, first = len(free), free[0]
            ids = [p for p in sorted(search["optional"]) if conflict("people", p, s)]
            rows.append([s, len(ids), ids if search["want"] == "ids" else None, rooms, first])
        results.append(rows)
    return results


def result_hash(results):
    h = hashlib.sha256()
    for i, rows in enumerate(results):
        h.update(b"#%d\n" % i)
        for s, n, ids, rooms, first in rows:
            text = ",".join(map(str, ids)) if ids else ""
            h.update(f"{s}|{n}|{text}|{rooms}|{first}\n".encode())
    return h.hexdigest()


# ------------------------------------------------------------- generator
class Dice:
    """Only random.Random.random(), whose stream Python keeps stable."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def pick(self, seq):
        return seq[int(self.random() * len(seq))]

    def weighted(self, pairs):
        x = self.random() * sum(w for _, w in pairs)
        for value, w in pairs:
            x -= w
            if x < 0:
                return value
        return pairs[-1][0]

    def sample(self, n, k):
        chosen = set()
        while len(chosen) < k:
            chosen.add(self.below(n))
        return sorted(chosen)


STATUS_MIX = [(BUSY, 52), (TENTATIVE, 17), (FREE, 19), (OOF, 4), (ELSEWHERE, 8)]
LENGTHS = [(15, 20), (30, 42), (45, 10), (60, 14), (90, 2), (25, 6), (50, 3), (37, 2), (5, 1)]


def clock(dice):
    """A local start: mostly :00/:30, some :15/:45, some off grid, 07:00-18:59."""
    hour = 7 + dice.below(12)
    x = dice.random()
    if x < 0.68:
        return hour * 60 + 30 * dice.below(2)
    if x < 0.85:
        return hour * 60 + 15 + 30 * dice.below(2)
    return hour * 60 + dice.below(60)


class Calendar:
    """Per-zone table of days so that generation needs few zone look-ups."""

    def __init__(self, first_day, days):
        self.days = [dt.date.fromisoformat(first_day) + dt.timedelta(days=i) for i in range(-1, days + 1)]
        self.tables = {}

    def table(self, tz):
        if tz not in self.tables:
            self.tables[tz] = [(d.weekday(), local_min(tz, d, 0), local_min(tz, d, 12 * 60) - 720)
                               for d in self.days]
        return self.tables[tz]


def series(dice, count):
    """Recurring meetings: (weekdays, local start, length, status)."""
    out = []
    for _ in range(count):
        x = dice.random()
        if x < 0.25:
            days = (0, 1, 2, 3, 4)
        elif x < 0.5:
            days = tuple(sorted({dice.below(5), dice.below(5)}))
        else:
            days = (dice.below(5),)
        out.append((days, clock(dice), dice.weighted(LENGTHS), dice.weighted(STATUS_MIX)))
    return out


def make_person(dice, cal, tz, own_series, per_day, shared=(), take=0.0):
    table = cal.table(tz)
    mine = series(dice, own_series)
    events = [list(e) for e in shared if dice.random() < take]
    for i, (weekday, midnight, base) in enumerate(table):
        for days, at, length, status in mine:
            if weekday in days and dice.random() < 0.95:
                events.append([base + at, base + at + length, status, 0])
        count = int(per_day + dice.random()) if weekday < 5 else (1 if dice.random() < 0.1 else 0)
        for _ in range(count):
            at = clock(dice)
            events.append([base + at, base + at + dice.weighted(LENGTHS), dice.weighted(STATUS_MIX), 0])
        x = dice.random()
        if x < 0.08 and i + 1 < len(table):            # all day
            events.append([midnight, table[i + 1][1], dice.pick((FREE, BUSY, OOF, TENTATIVE)), 1])
        elif x < 0.13:                                  # 7 hours: ignored
            at = 8 * 60 + 15 * dice.below(12)
            events.append([base + at, base + at + 420, BUSY, 0])
        elif x < 0.15:                                  # exactly 6 hours: ignored
            events.append([base + 540, base + 900, BUSY, 0])
        elif x < 0.152:                                 # 5 h 59 min: blocks
            events.append([base + 540, base + 899, BUSY, 0])
        elif x < 0.16:                                  # zero length: blocks nothing
            at = clock(dice)
            events.append([base + at, base + at, BUSY, 0])
    events.sort()
    return {"tz": tz, "events": events}


def make_room(dice, cal, tz, per_day):
    events = []
    for weekday, midnight, base in cal.table(tz):
        if weekday < 5:
            for _ in range(int(per_day + dice.random())):
                at = clock(dice)
                events.append([base + at, base + at + dice.weighted(LENGTHS), BUSY, 0])
    events.sort()
    return {"tz": tz, "events": events}


def frame(tz, first_day, days, duration=30, step=15, start="09:00", end="17:00", weekdays=(0, 1, 2, 3, 4)):
    return {"tz": tz, "first_day": first_day, "days": days, "weekdays": list(weekdays),
            "work_start": start, "work_end": end, "duration": duration, "step": step}


def shared_series(dice, cal, tz, count):
    """One team's common meetings, as ready-made events."""
    out = []
    pool = series(dice, count)
    for weekday, midnight, base in cal.table(tz):
        for days, at, length, status in pool:
            if weekday in days:
                out.append((base + at, base + at + length, status, 0))
    return out


def w0():
    f = frame("Europe/Berlin", "2026-03-28", 3, 60, 30, "00:00", "24:00", (0, 1, 2, 3, 4, 5, 6))
    d = dt.date(2026, 3, 30)
    z = local_min("Europe/Berlin", d, 0)                # Monday 00:00 local
    sun = local_min("Europe/Berlin", dt.date(2026, 3, 29), 0)
    people = [
        [[z + 600, z + 660, BUSY, 0], [z + 660, z + 720, OOF, 0]],                  # back to back
        [[z + 607, z + 652, BUSY, 0], [z + 700, z + 701, BUSY, 0]],                 # off grid, one minute
        [[z + 540, z + 900, BUSY, 0], [z + 1000, z + 1359, BUSY, 0]],               # 6:00 ignored, 5:59 blocks
        [[sun, z, BUSY, 1], [sun + 60, sun + 60, BUSY, 0], [sun + 90, sun + 80, BUSY, 0]],  # 23-hour all-day; empty; reversed
        [[z + 60, z + 300, BUSY, 0], [z + 300, z + 540, BUSY, 0]],                  # two 4-hour, touching
        [[z - 2000, z - 1640, BUSY, 0], [sun + 100, sun + 200, TENTATIVE, 0], [sun + 150, sun + 160, ELSEWHERE, 0]],
        [[local_min("Europe/Berlin", dt.date(2026, 3, 28), 0) - 400, local_min("Europe/Berlin", dt.date(2026, 3, 28), 0) + 20, BUSY, 0]],  # 7 h, straddles the start: ignored
        [[local_min("Europe/Berlin", dt.date(2026, 3, 28), 0) - 200, local_min("Europe/Berlin", dt.date(2026, 3, 28), 0) + 20, BUSY, 0],
         [z + 1430, z + 1600, OOF, 0]],                                             # straddle start and end: block
        [[sun + 110, sun + 130, BUSY, 0], [sun + 115, sun + 118, BUSY, 0], [sun + 125, sun + 190, BUSY, 0]],  # around the clock change; nested
        [[sun, sun + 300, BUSY, 0]],                                                # 00:00-06:00 on the wall, five hours elapsed: blocks
    ]
    rooms = [[[z + 480, z + 720, BUSY, 0]], [[z + 600, z + 960, BUSY, 0]], [[z + 700, z + 1000, BUSY, 0], [z + 400, z + 500, BUSY, 0]]]
    mk = lambda evs: {"tz": "Europe/Berlin", "events": evs}
    n = len(people)
    searches = [{"required": [i], "optional": [j for j in range(n) if j != i], "rooms": None, "want": "ids"} for i in range(n)]
    searches += [{"required": list(range(n)), "optional": [], "rooms": [0, 1, 2], "want": "ids"},
                 {"required": [], "optional": list(range(n)), "rooms": None, "want": "count"},
                 {"required": [0], "optional": [4, 2], "rooms": [2, 0], "want": "ids"},
                 {"required": [0], "optional": [1], "rooms": [], "want": "ids"}]
    return {"frame": f, "people": [mk(p) for p in people], "rooms": [mk(r) for r in rooms], "searches": searches}


def w1():
    dice, cal = Dice(1001), Calendar("2026-03-23", 14)
    f = frame("Europe/Berlin", "2026-03-23", 14)
    people = [make_person(dice, cal, ZONES[i % 3], 8, 7) for i in range(10)]
    return {"frame": f, "people": people, "rooms": [],
            "searches": [{"required": list(range(6)), "optional": list(range(6, 10)), "rooms": None, "want": "ids"}]}


def w2():
    dice, cal = Dice(1002), Calendar("2026-03-02", 30)
    f = frame("America/New_York", "2026-03-02", 30)
    teams = [shared_series(dice, cal, "America/New_York", 16) for _ in range(4)]
    people = []
    for i in range(100):
        # required people (the first 20) keep light calendars of their own and
        # share a team's meetings; the others are ordinary
        if i < 20:
            people.append(make_person(dice, cal, ZONES[1], 0, 0.6, teams[0], 0.9))
        else:
            people.append(make_person(dice, cal, ZONES[i % 3], 4, 4, teams[i % 4], 0.6))
    return {"frame": f, "people": people, "rooms": [],
            "searches": [{"required": list(range(20)), "optional": list(range(20, 100)), "rooms": None, "want": "ids"}]}


def w3():
    dice, cal = Dice(1003), Calendar("2026-10-19", 10)
    f = frame("Europe/London", "2026-10-19", 10)
    people = [make_person(dice, cal, ["Europe/London", "America/New_York", "Asia/Kolkata"][dice.below(3)], 5, 6) for _ in range(2000)]
    rooms = [make_room(dice, cal, "Europe/London", 9) for _ in range(200)]
    searches = []
    for i in range(500):
        searches.append({"required": dice.sample(2000, 3 + dice.below(6)), "optional": [],
                         "rooms": dice.sample(200, 8 + dice.below(13)) if i % 2 else None, "want": "ids"})
    return {"frame": f, "people": people, "rooms": rooms, "searches": searches}


def w4(n):
    dice, cal = Dice(1004), Calendar("2026-03-02", 30)
    f = frame("Europe/Berlin", "2026-03-02", 30)
    people = [make_person(dice, cal, ZONES[i % 3], 8, 7) for i in range(n)]
    return {"frame": f, "people": people, "rooms": [],
            "searches": [{"required": list(range(5)), "optional": list(range(5, n)), "rooms": None, "want": "count"}]}


def make(name):
    if name.startswith("W4-"):
        work = w4(int(name[3:]))
    else:
        work = {"W0": w0, "W1": w1, "W2": w2, "W3": w3}[name]()
    work["name"], work["status"] = name, STATUS
    return work


# ------------------------------------------------- Graph-shaped response
def graph_time(m):
    return from_min(m).strftime("%Y-%m-%dT%H:%M:%S.0000000")


def graph_response(people, first_day="2026-03-02", days=62):
    """A getSchedule response body (as dict), times in UTC, fields as in Graph v1.0."""
    lo = to_min(dt.datetime.fromisoformat(first_day).replace(tzinfo=dt.timezone.utc))
    digit = "01234"  # availabilityView: free, tentative, busy, oof, workingElsewhere
    value = []
    for i, person in enumerate(people):
        view = ["0"] * (days * 48)
        items = []
        for start, end, status, all_day in person["events"]:
            if end <= lo or start >= lo + days * 1440:
                continue
            for k in range(max(0, (start - lo) // 30), min(len(view), -(-(end - lo) // 30))):
                view[k] = max(view[k], digit[status])
            items.append({"isPrivate": False, "status": STATUS[status],
                          "subject": f"Weekly sync about project {start % 97} - confidential",
                          "location": f"Conference Room {start % 31}, Building {start % 7}",
                          "isMeeting": True, "isRecurring": bool(start & 1), "isException": False, "isReminderSet": True,
                          "start": {"dateTime": graph_time(start), "timeZone": "UTC"},
                          "end": {"dateTime": graph_time(end), "timeZone": "UTC"}})
        value.append({"scheduleId": f"user{i:05d}@tenant.example", "availabilityView": "".join(view),
                      "scheduleItems": items,
                      "workingHours": {"daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                                       "startTime": "09:00:00.0000000", "endTime": "17:00:00.0000000",
                                       "timeZone": {"name": "Pacific Standard Time"}}})
    return {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(microsoft.graph.scheduleInformation)",
            "value": value}


def graph_people(n, days, first_day="2026-03-02"):
    dice, cal = Dice(1005), Calendar(first_day, days)
    return [make_person(dice, cal, ZONES[i % 3], 8, 7) for i in range(n)]


def main(argv):
    if not argv or argv[0] == "--list":
        print("\n".join(NAMES))
    elif argv[0] == "--graph":
        n, days = int(argv[1]), int(argv[2])
        json.dump(graph_response(graph_people(n, days), days=days), sys.stdout, separators=(",", ":"))
    elif argv[0] in ("--check", "--expected"):
        bad = 0
        for name in argv[1:] or NAMES:
            results = oracle(make(name))
            got, rows = result_hash(results), sum(map(len, results))
            if argv[0] == "--expected":
                print(f'    "{name}": ("{got}", {rows}),', flush=True)
            else:
                ok = EXPECTED.get(name) == (got, rows)
                bad += not ok
                print(name, "ok" if ok else f"DIFFERS: {got} {rows}", flush=True)
        return 1 if bad else 0
    else:
        json.dump(make(argv[0]), sys.stdout, separators=(",", ":"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
