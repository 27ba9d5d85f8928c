"""Every metric of the product, declared once: what it is called, what it counts, which labels it has.

`/metrics` shows them as `cadence_<name>`, counters with `_total` behind. Labels are few and of few values: never an
address, an account, an Entra tenant or a request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What may be done with the value, in Prometheus' words."""

    COUNTER = "counter"  # only rises; the processes add to it
    HISTOGRAM = "histogram"  # durations in seconds; the processes add to it
    GAUGE = "gauge"  # how things stand now; asked for at each scrape


@dataclass(frozen=True, slots=True)
class Metric:
    """One declaration."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def exposed(self) -> str:
        """The name on `/metrics`, which for a histogram stands before `_bucket`, `_count` and `_sum`."""
        return f"cadence_{self.name}{'_total' if self.kind is Kind.COUNTER else ''}"


class UndeclaredMetric(LookupError):
    """A name, a kind of use or a label that the table does not have: a bug where it was counted."""


def declared(name: str, *kinds: Kind) -> Metric:
    """The metric of this name; raises UndeclaredMetric when there is none of one of these kinds."""
    metric = METRICS.get(name)
    if metric is None or metric.kind not in kinds:
        raise UndeclaredMetric(f"no {' or '.join(kinds)} “{name}” in tenants/metrics.py")
    return metric


def _table(rows: Iterable[Metric]) -> dict[str, Metric]:
    return {row.name: row for row in rows}


_C, _H, _G = Kind.COUNTER, Kind.HISTOGRAM, Kind.GAUGE

METRICS = _table(
    [
        # Connections and what keeps them alive
        Metric("connections", _G, "Connections by state and health.", ("state", "health")),
        Metric("token_refreshes", _C, "Token refreshes by outcome.", ("outcome",)),
        Metric("token_refresh_seconds", _H, "How long Entra ID took for a refresh."),
        Metric("probes", _C, "Probes of connections by outcome.", ("outcome",)),
        Metric("probe_seconds", _H, "How long Microsoft took for a probe's read."),
        Metric("due", _G, "Rows whose time has come: refresh, probe, mail, webhook.", ("work",)),
        Metric("oldest_due_seconds", _G, "How long the oldest of them has waited; 0 without any.", ("work",)),
        Metric("credential_days_left", _G, "Days until our own client secret or certificate ends, where known."),
        # Microsoft
        Metric("microsoft_calls", _C, "HTTP requests by status, `none` without one.", ("service", "status")),
        Metric("microsoft_call_seconds", _H, "How long they took.", ("service",)),
        Metric("microsoft_throttled", _C, "Answers with status 429.", ("service",)),
        Metric("graph_wait_seconds", _H, "How long calls waited for one of a reader's four places.", ("urgency",)),
        Metric("graph_calls_held_back", _C, "Calls not made, to keep within Microsoft's limits.", ("urgency",)),
        Metric("mailboxes_set_aside", _C, "Mailboxes at which whole calls failed, set aside for a while."),
        Metric("microsoft_retry_after_seconds", _C, "Seconds that Microsoft asked us to stay away.", ("service",)),
        Metric("graph_answers_with_details", _C, "Answers larger than times and statuses can be; never decoded."),
        Metric("calendars", _C, "Calendars that questions needed, by where they came from.", ("source",)),
        Metric("breakers_open", _G, "Open circuit breakers, of a tenant or a whole service.", ("service", "scope")),
        Metric("breaker_changes", _C, "Openings and closings of breakers.", ("service", "scope", "to")),
        Metric("breaker_changes", _C, "Circuit breakers that opened or closed.", ("service", "scope", "to")),
        # Messages to people and systems
        Metric("mails", _C, "Mails by outcome of each attempt to send.", ("audience", "outcome")),
        Metric("webhook_deliveries", _C, "Attempts to deliver a webhook by outcome.", ("outcome",)),
        # Processes
        Metric("heartbeat_age_seconds", _G, "Since the last sign of life of worker and beat.", ("process",)),
        Metric("queue_messages", _G, "Messages that wait in the broker."),
        Metric("encryption_keys_missing", _G, "Keys still in use that are not among FERNET_KEYS."),
        # Web
        Metric("web_requests", _C, "Answers by route, method and status.", ("route", "method", "status")),
        Metric("web_request_seconds", _H, "How long an answer took.", ("route",)),
        Metric("api_rate_limited", _C, "API requests refused for coming too fast."),
        Metric("source_up", _G, "Whether this part could be asked for this scrape.", ("source",)),
        Metric("info", _G, "Always 1; the version that answers.", ("version",)),
    ]
)
