/* What one pass over a getSchedule answer costs at the least: the bytes to the entries of each calendar, in C.

   Only for the benchmark's own bodies: no white space, times in UTC with seven digits, statuses in lower case. What comes
   out is what the product makes: bounds in microseconds since 1970 and a status, for each calendar the entries that have a
   length and touch the window, sorted, each once.
*/
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  int64_t start, end, status;
} entry;

/* In the order of their texts, which is the order in which the product sorts them. */
static const char *STATUSES[] = {"busy", "free", "oof", "tentative", "unknown", "workingElsewhere"};

static int64_t status_of(const char *text) {
  switch (*text) {
    case 'b': return 0;
    case 'f': return 1;
    case 'o': return 2;
    case 't': return 3;
    case 'u': return 4;
    default: return 5;
  }
}

const char *status_name(int64_t status) { return STATUSES[status]; }

/* Behind the closing quote of the string that p is inside of. */
static const char *past_string(const char *p) {
  while (*p != '"') p += *p == '\\' ? 2 : 1;
  return p + 1;
}

static int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = year / 400, of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

#define TWO(p) (((p)[0] - '0') * 10 + (p)[1] - '0')

/* "2026-03-02T09:00:00.0000000" */
static int64_t instant_of(const char *p) {
  int64_t seconds = days_of(TWO(p) * 100 + TWO(p + 2), TWO(p + 5), TWO(p + 8)) * 86400;
  seconds += TWO(p + 11) * 3600 + TWO(p + 14) * 60 + TWO(p + 17);
  return seconds * 1000000 + TWO(p + 20) * 10000 + TWO(p + 22) * 100 + TWO(p + 24);
}

static int by_time(const void *one, const void *other) {
  const entry *a = one, *b = other;
  if (a->start != b->start) return a->start < b->start ? -1 : 1;
  if (a->end != b->end) return a->end < b->end ? -1 : 1;
  return (a->status > b->status) - (a->status < b->status);
}

/* The new end of the calendar out[first..last): sorted, each once. */
static int64_t sorted_once(entry *out, int64_t first, int64_t last) {
  int64_t kept = first;
  qsort(out + first, last - first, sizeof(entry), by_time);
  for (int64_t i = first; i < last; i++)
    if (kept == first || by_time(out + kept - 1, out + i)) out[kept++] = out[i];
  return kept;
}

#define KEY(name) (length == sizeof(name) - 1 && !memcmp(key, name, sizeof(name) - 1))

/* ends[k]: where in `out` calendar k ends. Returns the number of calendars. */
int64_t parse(const char *p, int64_t size, int64_t earliest, int64_t latest, entry *out, int64_t *ends) {
  const char *stop = p + size;
  int64_t calendars = 0, first = 0, count = 0, depth = 0, inside = 0;
  entry now = {0, 0, 0};
  while (p < stop) {
    char c = *p++;
    if (c == '{') {
      depth++;
    } else if (c == '}') {
      if (depth == 3 && inside && now.start < now.end && now.start < latest && now.end > earliest) out[count++] = now;
      depth--;
    } else if (c == ']') {
      if (inside && depth == 2) {
        inside = 0;
        first = ends[calendars++] = count = sorted_once(out, first, count);
      }
    } else if (c == '"') {
      const char *key = p;
      p = past_string(p);
      int64_t length = p - key - 1;
      if (*p != ':') continue;
      if (KEY("scheduleItems")) {
        inside = 1;
      } else if (inside && depth == 3 && KEY("status")) {
        now.status = status_of(p + 2);
        p = past_string(p + 2);
      } else if (inside && depth == 3 && (KEY("start") || KEY("end"))) {
        int64_t *bound = *key == 's' ? &now.start : &now.end;
        p = strstr(p, "dateTime\":\"") + 11;
        *bound = instant_of(p);
        p = past_string(p);
        depth++; /* the brace that strstr went over */
      }
    }
  }
  return calendars;
}
