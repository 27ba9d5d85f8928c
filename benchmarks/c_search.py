"""The search in C, called from Python: the limit that the engine is measured against. Compiled on the spot by gcc.

Input are the workload's lists of ints; turning them into arrays is part of building, and rows are made in Python.
Through NumPy it is the reference that the goals were set on; through arrays alone (lean) less is around each call.
"""

from __future__ import annotations

import ctypes
import struct
import subprocess
import tempfile
from array import array
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

LONG = 360  # minutes: so long an entry is ignored

SOURCE = r"""
#include <stdint.h>
#include <string.h>
/* ev: n x 4 int32 (start, end, status, all day); off: owners + 1; mask: owners x words, zeroed */
void build(const int32_t *ev, const int64_t *off, int64_t owners, const int32_t *lo, const int32_t *hi,
           int32_t base, int32_t top, int32_t words, uint64_t *mask) {
  for (int64_t p = 0; p < owners; p++) {
    uint64_t *m = mask + p * words;
    for (int64_t i = off[p]; i < off[p + 1]; i++) {
      int32_t s = ev[4*i], e = ev[4*i+1], st = ev[4*i+2];
      if ((st != 2 && st != 3) || ev[4*i+3] || e <= s || e - s >= 360 || e <= base || s >= top) continue;
      int32_t a = lo[s > base ? s - base : 0], b = hi[e < top ? e - base : top - base];
      if (b <= a) continue;
      int32_t wa = a >> 6, wb = (b - 1) >> 6;
      uint64_t fa = ~0ULL << (a & 63), fb = ~0ULL >> (63 - ((b - 1) & 63));
      if (wa == wb) m[wa] |= fa & fb;
      else { m[wa] |= fa; for (int32_t w = wa + 1; w < wb; w++) m[w] = ~0ULL; m[wb] |= fb; }
    }
  }
}
/* out: rows of slot number, count, free rooms, first room; ids: a flat list. Returns the number of rows. */
int32_t search(const uint64_t *people, const uint64_t *rooms, int32_t words, int32_t nslots,
               const int32_t *req, int32_t nreq, const int32_t *opt, int32_t nopt,
               const int32_t *rm, int32_t nrm, int32_t has_rooms, int32_t want_ids,
               int32_t *out, int32_t *ids, uint64_t *tmp) {
  for (int32_t w = 0; w < words; w++) {
    uint64_t bad = 0;
    for (int32_t i = 0; i < nreq; i++) bad |= people[(int64_t)req[i] * words + w];
    if (has_rooms) {
      uint64_t all = ~0ULL;
      for (int32_t i = 0; i < nrm; i++) all &= rooms[(int64_t)rm[i] * words + w];
      bad |= all;
    }
    tmp[w] = ~bad;
  }
  if (nslots & 63) tmp[words - 1] &= ~0ULL >> (64 - (nslots & 63));
  static int32_t cnt[1 << 16];
  memset(cnt, 0, sizeof(int32_t) * words * 64);
  if (!want_ids) for (int32_t i = 0; i < nopt; i++) {
    const uint64_t *m = people + (int64_t)opt[i] * words;
    for (int32_t w = 0; w < words; w++)
      for (uint64_t x = m[w] & tmp[w]; x; x &= x - 1) cnt[w * 64 + __builtin_ctzll(x)]++;
  }
  int32_t n = 0, q = 0;
  for (int32_t w = 0; w < words; w++) for (uint64_t x = tmp[w]; x; x &= x - 1) {
    int32_t b = __builtin_ctzll(x), k = w * 64 + b, c = 0, fr = 0, first = -1;
    if (want_ids) {
      for (int32_t i = 0; i < nopt; i++) if (people[(int64_t)opt[i] * words + w] >> b & 1) { ids[q++] = opt[i]; c++; }
    } else c = cnt[k];
    if (has_rooms) for (int32_t i = 0; i < nrm; i++)
      if (!(rooms[(int64_t)rm[i] * words + w] >> b & 1)) { if (!fr) first = rm[i]; fr++; }
    out[4*n] = k; out[4*n+1] = c; out[4*n+2] = fr; out[4*n+3] = first; n++;
  }
  return n;
}
"""
Work = dict[str, Any]
Row = list[Any]


def compiled() -> ctypes.CDLL:
    folder = Path(tempfile.mkdtemp(prefix="c-search-"))
    source, library = folder / "search.c", folder / "search.so"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)  # noqa: S607
    return ctypes.CDLL(str(library))


@dataclass(frozen=True, slots=True)
class Index:
    """Everybody's masks, in one array each."""

    starts: list[int]
    people: Any  # an array, or one of NumPy's
    rooms: Any
    words: int


def at(numbers: array[int]) -> ctypes.c_void_p:
    return ctypes.c_void_p(numbers.buffer_info()[0])


def zeros(code: str, count: int) -> array[int]:
    return array(code, bytes(array(code).itemsize * count))


class CSearch:
    """Built from lists, searched as often as wanted; `starts` are the epoch minutes at which slots begin."""

    def __init__(self) -> None:
        self._c = compiled()

    def build(self, work: Work, starts: list[int]) -> Index:
        duration = work["frame"]["duration"]
        base, top = starts[0] - LONG, starts[-1] + duration + LONG
        lo, hi = zeros("i", top - base + 1), zeros("i", top - base + 1)
        for s in starts:  # lo[m]: how many slots end by m; hi[m]: how many begin before m
            lo[s + duration - base] += 1
            hi[s + 1 - base] += 1
        lo, hi = array("i", accumulate(lo)), array("i", accumulate(hi))
        words = (len(starts) + 63) // 64
        people, rooms = (self._masks(work[kind], lo, hi, base, top, words) for kind in ("people", "rooms"))
        return Index(starts, people, rooms, words)

    def _masks(self, owners: list[Work], lo: array[int], hi: array[int], base: int, top: int, words: int) -> array[int]:
        off = array("q", accumulate((len(owner["events"]) for owner in owners), initial=0))
        # Of the ways to make an array of a list of lists (array, NumPy's array and fromiter, ctypes) the fastest here.
        flat = list(chain.from_iterable(chain.from_iterable([owner["events"] for owner in owners])))
        events = struct.pack(f"{len(flat)}i", *flat)
        masks = zeros("Q", len(owners) * words)
        self._c.build(events, at(off), ctypes.c_int64(len(owners)), at(lo), at(hi), base, top, words, at(masks))
        return masks

    def search(self, index: Index, asked: Work) -> list[Row]:
        required, optional, rooms = (array("i", sorted(asked[who] or [])) for who in ("required", "optional", "rooms"))
        want_ids = asked["want"] == "ids"
        out = zeros("i", 4 * len(index.starts))
        ids = zeros("i", len(index.starts) * len(optional) if want_ids else 0)
        scratch = zeros("Q", index.words)
        n = self._c.search(
            *(at(index.people), at(index.rooms), index.words, len(index.starts)),
            *(at(required), len(required), at(optional), len(optional), at(rooms), len(rooms)),
            *(int(asked["rooms"] is not None), int(want_ids), at(out), at(ids), at(scratch)),
        )
        starts, rows, q = index.starts, [], 0
        numbers = out[: 4 * n].tolist()
        for k, count, free, first in zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True):
            rows.append([starts[k], count, ids[q : q + count].tolist() if want_ids else None, free, first])
            q += count
        return rows


class NumpySearch(CSearch):
    """The same through NumPy."""

    def __init__(self) -> None:
        super().__init__()
        self._np: Any = import_module("numpy")

    def _masks(self, owners: list[Work], lo: array[int], hi: array[int], base: int, top: int, words: int) -> Any:
        np = self._np
        off = np.zeros(len(owners) + 1, np.int64)
        np.cumsum([len(owner["events"]) for owner in owners], out=off[1:])
        events = np.array([event for owner in owners for event in owner["events"]], dtype=np.int32)
        masks = np.zeros((len(owners), words), np.uint64)
        self._c.build(
            *(of(events), of(off), ctypes.c_int64(len(owners)), at(lo), at(hi), base, top, words, of(masks)),
        )
        return masks

    def search(self, index: Index, asked: Work) -> list[Row]:
        np = self._np
        required, optional, rooms = (
            np.array(sorted(asked[who] or []), np.int32) for who in ("required", "optional", "rooms")
        )
        want_ids = asked["want"] == "ids"
        out = np.zeros((len(index.starts), 4), np.int32)
        ids = np.zeros(len(index.starts) * max(1, len(optional)) if want_ids else 1, np.int32)
        scratch = np.zeros(index.words, np.uint64)
        n = self._c.search(
            *(of(index.people), of(index.rooms), index.words, len(index.starts)),
            *(of(required), len(required), of(optional), len(optional), of(rooms), len(rooms)),
            *(int(asked["rooms"] is not None), int(want_ids), of(out), of(ids), of(scratch)),
        )
        starts, rows, q = index.starts, [], 0
        found, flat = out[:n].tolist(), ids.tolist()
        for k, count, free, first in found:
            rows.append([starts[k], count, flat[q : q + count] if want_ids else None, free, first])
            q += count
        return rows


def of(numbers: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(numbers.ctypes.data)
