# ruff: noqa
# fmt: off
# Copied unchanged, but for these lines and the import, from the shared benchmark (bench/mutants.py) of Event
# Cadence; same owner and licence as this project.
"""Does each workload notice a broken rule? python mutants.py  (prints which workloads catch which mistake)"""
import copy
from zoneinfo import ZoneInfo
import datetime as dt

from tests.freebusy.core import workloads as W


def solve(work, block=W.blocks, hit=lambda x, y, s, e: x < e and s < y, starts=None, pre=lambda evs, w: evs):
    starts = starts or W.slot_starts(work["frame"])
    dur = work["frame"]["duration"]
    sets = {}

    def mine(kind, n):
        if (kind, n) not in sets:
            evs = [e for e in pre(work[kind][n]["events"], work) if block(e)]
            sets[kind, n] = {s for s in starts if any(hit(e[0], e[1], s, s + dur) for e in evs)}
        return sets[kind, n]
    out = []
    for q in work["searches"]:
        rows = []
        for s in starts:
            if any(s in mine("people", p) for p in q["required"]):
                continue
            nf, first = 0, -1
            if q["rooms"] is not None:
                free = [r for r in sorted(q["rooms"]) if s not in mine("rooms", r)]
                if not free:
                    continue
                nf, first = len(free), free[0]
            ids = [p for p in sorted(q["optional"]) if s in mine("people", p)]
            rows.append([s, len(ids), ids if q["want"] == "ids" else None, nf, first])
        out.append(rows)
    return W.result_hash(out)


def status(st):
    return lambda e: e[2] in st and not e[3] and 0 < e[1] - e[0] < 360


def merged(evs, w):
    out = []
    for s, e, st, a in sorted(x for x in evs if x[2] in (2, 3) and not x[3]):
        if out and s <= out[-1][1]:
            out[-1][1] = max(out[-1][1], e)
        else:
            out.append([s, e, 2, 0])
    return out


def clipped(evs, w):
    p = W.periods(w["frame"])
    lo, hi = p[0][0], p[-1][1]
    return [[max(s, lo), min(e, hi), st, a] for s, e, st, a in evs if e > lo and s < hi]


def fixed_offset(w):
    f = w["frame"]
    first = dt.date.fromisoformat(f["first_day"])
    base = W.local_min(f["tz"], first, 0)
    out = []
    for i in range(f["days"]):
        if (first + dt.timedelta(days=i)).weekday() in f["weekdays"]:
            a, b = base + 1440 * i + W.hhmm(f["work_start"]), base + 1440 * i + W.hhmm(f["work_end"])
            out += list(range(a, b - f["duration"] + 1, f["step"]))
    return out


def spill(w):
    return [s for a, b in W.periods(w["frame"]) for s in range(a, b, w["frame"]["step"])]


def wall(w):
    z = ZoneInfo(w["frame"]["tz"])
    naive = lambda m: W.from_min(m).astimezone(z).replace(tzinfo=None)
    return lambda e: e[2] in (2, 3) and not e[3] and e[1] > e[0] and naive(e[1]) - naive(e[0]) < dt.timedelta(hours=6)


MUTANTS = {
    "none (must not be caught)": lambda w: solve(w),
    "exactly 6 h blocks": lambda w: solve(w, lambda e: e[2] in (2, 3) and not e[3] and 0 < e[1] - e[0] <= 360),
    "6 h rule missing": lambda w: solve(w, lambda e: e[2] in (2, 3) and not e[3] and 0 < e[1] - e[0]),
    "6 h and all-day rules missing": lambda w: solve(w, lambda e: e[2] in (2, 3) and 0 < e[1] - e[0]),
    "6 h by wall clock": lambda w: solve(w, wall(w)),
    "tentative blocks": lambda w: solve(w, status((1, 2, 3))),
    "out of office does not block": lambda w: solve(w, status((2,))),
    "workingElsewhere blocks": lambda w: solve(w, status((2, 3, 4))),
    "merged before the 6 h rule": lambda w: solve(w, pre=merged),
    "clipped before the 6 h rule": lambda w: solve(w, pre=clipped),
    "back to back forbidden": lambda w: solve(w, hit=lambda x, y, s, e: x <= e and s <= y),
    "empty events block": lambda w: solve(w, lambda e: e[2] in (2, 3) and not e[3] and 0 <= e[1] - e[0] < 360),
    "no clock change": lambda w: solve(w, starts=fixed_offset(w)),
    "slot may leave working hours": lambda w: solve(w, starts=spill(w)),
    "events rounded in to 5 min": lambda w: solve(w, pre=lambda ev, w: [[-(-s // 5) * 5, e // 5 * 5, st, a] for s, e, st, a in ev]),
    "events rounded out to 5 min": lambda w: solve(w, pre=lambda ev, w: [[s // 5 * 5, -(-e // 5) * 5, st, a] for s, e, st, a in ev]),
    "only the slot start is tested": lambda w: solve(w, hit=lambda x, y, s, e: x <= s < y),
}
if __name__ == "__main__":
    names = ["W0", "W1", "W2", "W4-10"]
    works = {n: W.make(n) for n in names}
    for label, f in MUTANTS.items():
        print(f"{label:38s}", "  ".join(f"{n}:{'CAUGHT' if f(copy.deepcopy(works[n])) != W.EXPECTED[n][0] else '-':6s}" for n in names), flush=True)
