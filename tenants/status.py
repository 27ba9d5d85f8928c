"""What a status page and `/metrics` ask: each a query or two however many connections there are, on small columns.

Trends and uptime come from the sums by hour and day (tenants.rollups); single checks are never read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Case, CharField, Count, F, Min, Q, QuerySet, Value, When

from microsoft.reasons import Reason, reason
from tenants.health import Health
from tenants.lifecycle import State
from tenants.models import Account, AllChecks, CheckSums, Connection, ConnectionChecks, Period, TokenRecord
from tenants.pace import pace
from tenants.rollups import start_of

HOURS = 24
DAYS = 30
FAILING_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Failing:
    """A connection that does not work. `since`: when that began; `why`: None when only the last check is too old."""

    account: str
    name: str
    state: State
    health: Health
    since: datetime | None
    why: Reason | None


@dataclass(frozen=True, slots=True)
class Point:
    """The checks of one hour or day by outcome; `latency_ms` is the mean, None without an answer."""

    start: datetime
    checks: int = 0
    by_outcome: dict[str, int] = field(default_factory=dict)
    latency_ms: float | None = None
    latency_max_ms: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due and not done yet; `oldest`: since when the first of it waits, None when nothing does."""

    due: int
    oldest: datetime | None

    def oldest_seconds(self, now: datetime) -> float:
        """How long the first has waited."""
        return max((now - self.oldest).total_seconds(), 0.0) if self.oldest else 0.0


@dataclass(frozen=True, slots=True)
class Uptime:
    """Share of good checks, 0 to 1; None for a time without any. A suspicious answer is no good one."""

    day: float | None
    week: float | None
    month: float | None
    quarter: float | None


def shown_health(now: datetime, of: str = "") -> Case:
    """The health that may be shown, as an expression on connections; `tenants.standing` has it for one.

    `of`: how the connection is reached from other rows, such as "connection__" from accounts.
    """
    steps = pace()
    in_use_since = now - steps.in_use_for
    used = Q(**{f"{of}last_used_at__gte": in_use_since}) | Q(**{f"{of}connected_at__gte": in_use_since})
    fresh = Q(**{f"{of}last_check_at__gte": now - steps.stale_after(in_use=False)}) & ~used
    fresh |= Q(**{f"{of}last_check_at__gte": now - steps.stale_after(in_use=True)})
    fresh &= Q(**{f"{of}state": State.ENABLED.value}) | ~Q(**{f"{of}health": Health.HEALTHY.value})
    return Case(When(fresh, then=F(f"{of}health")), default=Value(Health.UNKNOWN.value), output_field=CharField())


def why(of: str = "") -> Case:
    """The code of what is wrong, "" when nothing is, as an expression beside `shown`: an old check explains nothing."""
    return Case(
        When(~Q(**{f"{of}reason_code": ""}), then=F(f"{of}reason_code")),
        When(shown__in=[Health.DOWN.value, Health.DEGRADED.value], then=F(f"{of}last_check_code")),
        default=Value(""),
        output_field=CharField(),
    )


def since(of: str = "") -> Case:
    """Since when it stands so, as an expression beside `shown`; null where nobody knows."""
    return Case(
        When(~Q(**{f"{of}state": State.ENABLED.value}), then=F(f"{of}state_changed_at")),
        When(shown=Health.UNKNOWN.value, then=F(f"{of}last_check_at")),
        default=F(f"{of}health_since"),
    )


def in_trouble(of: str = "") -> Q:
    """Connections that need somebody, as a condition beside `shown`."""
    working = Q(**{f"{of}state": State.ENABLED.value})
    return Q(**{f"{of}state": State.NEEDS_CONSENT.value}) | working & ~Q(shown=Health.HEALTHY.value)


def states(now: datetime) -> dict[tuple[State, Health], int]:
    """How many accounts stand how, by state and shown health; those never connected are pending."""
    rows = Connection.objects.annotate(shown=shown_health(now)).order_by().values_list("state", "shown")
    found = {(State(state), Health(shown)): count for state, shown, count in rows.annotate(count=Count("pk"))}
    never = Account.objects.count() - sum(found.values())  # one connection each at most; cheaper than a join
    if never:
        pending = (State.PENDING, Health.UNKNOWN)
        found[pending] = found.get(pending, 0) + never
    return found


def failing(now: datetime, limit: int = FAILING_SHOWN) -> list[Failing]:
    """The connections that need somebody, the worst and among them the latest first."""
    rows = (
        Connection.objects.annotate(shown=shown_health(now))
        .filter(in_trouble())
        .annotate(
            worst=Case(
                When(state=State.NEEDS_CONSENT.value, then=Value(0)),
                When(shown=Health.DOWN.value, then=Value(1)),
                When(shown=Health.DEGRADED.value, then=Value(2)),
                default=Value(3),
            ),
            since=since(),
            code=why(),
        )
        .order_by("worst", F("since").desc(nulls_last=True), "pk")
    )
    found = list(rows.values_list("account_id", "state", "shown", "since", "code")[:limit])
    # By themselves: a join would read every account before the first few are chosen.
    names = Account.objects.in_bulk([pk for pk, *_ in found])
    return [
        Failing(names[pk].slug, names[pk].name, State(state), Health(shown), since, reason(code) if code else None)
        for pk, state, shown, since, code in found
        if pk in names
    ]


def trend_of_hours(now: datetime, hours: int = HOURS) -> list[Point]:
    """All checks of the last hours, oldest first, the running hour last; hours without checks are there too."""
    return _trend(AllChecks.objects.all(), Period.HOUR, now, hours)


def trend_of_days(now: datetime, days: int = DAYS) -> list[Point]:
    """All checks of the last UTC days, oldest first, today last."""
    return _trend(AllChecks.objects.all(), Period.DAY, now, days)


def hours_of(connection: Connection, now: datetime, hours: int = HOURS) -> list[Point]:
    """One connection's checks of the last hours, as `trend_of_hours` has everybody's."""
    return _trend(ConnectionChecks.objects.filter(connection=connection), Period.HOUR, now, hours)


def refresh_backlog(now: datetime) -> Backlog:
    """Tokens whose refresh is due."""
    due = TokenRecord.objects.filter(refresh_due_at__lte=now, connection__state=State.ENABLED.value)
    return _backlog(due, "refresh_due_at")


def probe_backlog(now: datetime) -> Backlog:
    """Connections whose probe is due."""
    return _backlog(Connection.objects.filter(probe_due_at__lte=now, state=State.ENABLED.value), "probe_due_at")


def uptime(connection: Connection, now: datetime) -> Uptime:
    """Of one connection over 24 hours, 7, 30 and 90 days; the first by hours, the others by UTC days."""
    hours = _since(Period.HOUR, now, 24, timedelta(hours=1))
    days = _since(Period.DAY, now, 90, timedelta(days=1))
    wanted = Q(period=Period.HOUR, start__gte=hours) | Q(period=Period.DAY, start__gte=days)
    rows = list(ConnectionChecks.objects.filter(wanted, connection=connection))
    of_days = [row for row in rows if row.period == Period.DAY]

    def last(count: int) -> float | None:
        first = _since(Period.DAY, now, count, timedelta(days=1))
        return _share(row for row in of_days if row.start >= first)

    return Uptime(_share(row for row in rows if row.period == Period.HOUR), last(7), last(30), last(90))


def _since(period: Period, now: datetime, count: int, step: timedelta) -> datetime:
    return start_of(period, now) - step * (count - 1)


def _trend(
    rows: QuerySet[AllChecks] | QuerySet[ConnectionChecks], period: Period, now: datetime, count: int
) -> list[Point]:
    step = timedelta(hours=1) if period is Period.HOUR else timedelta(days=1)
    first = _since(period, now, count, step)
    found: dict[datetime, CheckSums] = {row.start: row for row in rows.filter(period=period, start__gte=first)}
    starts = (first + step * number for number in range(count))
    return [_point(found[start]) if start in found else Point(start) for start in starts]


def _point(row: CheckSums) -> Point:
    outcomes = {name: getattr(row, name) for name in ("ok", "suspicious", "throttled", "refused", "unreachable")}
    mean = row.latency_sum_ms / row.latency_count if row.latency_count else None
    return Point(row.start, row.checks, {name: n for name, n in outcomes.items() if n}, mean, row.latency_max_ms)


def _backlog(due: QuerySet[Connection] | QuerySet[TokenRecord], column: str) -> Backlog:
    found = due.aggregate(count=Count("pk"), oldest=Min(column))
    return Backlog(found["count"], found["oldest"])


def _share(rows: Iterable[ConnectionChecks]) -> float | None:
    counted: Sequence[ConnectionChecks] = list(rows)
    checks = sum(row.checks for row in counted)
    return sum(row.ok for row in counted) / checks if checks else None
