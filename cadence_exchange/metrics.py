"""`/metrics`: how the whole installation fares, in Prometheus' text format, for whoever has METRICS_TOKEN.

Counters and histograms are the sums that all processes share, gauges are asked for at each scrape, by a constant number
of queries. What cannot be asked is left out, and `cadence_source_up` says so: a scrape never fails as a whole.
"""

from __future__ import annotations

import hmac
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from kombu.exceptions import KombuError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from alerts.credentials import own_credential
from alerts.outbox import backlog as mail_backlog
from cadence_exchange import queue
from tenants import breakers, heartbeat, keys, measuring, status
from tenants.health import Health
from tenants.lifecycle import State
from tenants.metrics import METRICS, Kind, Metric, declared
from webhooks.outbox import backlog as webhook_backlog

log = logging.getLogger(__name__)

Values = Mapping[tuple[str, ...], float]


def page(request: HttpRequest) -> HttpResponse:
    """404 while there is no METRICS_TOKEN, 401 without it as bearer token."""
    if not settings.METRICS_TOKEN:
        return HttpResponse("Not found.\n", status=404, content_type="text/plain")
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {settings.METRICS_TOKEN}".encode()):
        refused = HttpResponse("Unauthorized.\n", status=401, content_type="text/plain")
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    return HttpResponse(generate_latest(_Scrape()), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Scrape(Collector):
    """All families of one scrape."""

    def collect(self) -> Iterator[Family]:
        up: dict[tuple[str, ...], float] = {}
        for name, ask in _SOURCES.items():
            try:
                families = list(ask())
            except (DatabaseError, RedisError, sqlite3.Error, OSError, ValueError, KombuError) as error:
                # The type says enough; a message could hold an address with a password.
                log.warning("not measured", extra={"source": name, "error": type(error).__name__})
                up[(name,)] = 0.0
            else:
                up[(name,)] = 1.0
                yield from families
        yield gauge("source_up", up)
        yield gauge("info", {(settings.VERSION,): 1.0})


def gauge(name: str, values: Values) -> GaugeMetricFamily:
    """The family of a declared gauge: values of its labels, in the order of their declaration → number."""
    metric = declared(name, Kind.GAUGE)
    family = GaugeMetricFamily(metric.exposed, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def counted() -> Iterator[Family]:
    """Counters and histograms; one without labels is there from the beginning, so that a first rise is seen as one."""
    found: dict[str, dict[tuple[str, ...], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for (name, labels, part), total in measuring.totals().items():
        found[name][labels][part] = total
    for metric in METRICS.values():
        parts = found[metric.name] or ({} if metric.labels else {(): {}})
        if metric.kind is Kind.COUNTER:
            yield _counter(metric, parts)
        elif metric.kind is Kind.HISTOGRAM:
            yield _histogram(metric, parts)


def _counter(metric: Metric, found: Mapping[tuple[str, ...], Mapping[str, float]]) -> Family:
    family = CounterMetricFamily(metric.exposed, metric.help, labels=metric.labels)
    for labels, parts in sorted(found.items()):
        family.add_metric(labels, parts.get("", 0.0))
    return family


def _histogram(metric: Metric, found: Mapping[tuple[str, ...], Mapping[str, float]]) -> Family:
    family = HistogramMetricFamily(metric.exposed, metric.help, labels=metric.labels)
    for labels, parts in sorted(found.items()):
        cumulated = accumulate(parts.get(edge, 0.0) for edge in measuring.EDGES)
        family.add_metric(labels, list(zip(measuring.EDGES, cumulated, strict=True)), parts.get("sum", 0.0))
    return family


def _rows() -> Iterator[Family]:
    now = timezone.now()
    found = status.states(now)
    states = {(state, health): found.get((state, health), 0) for state in State for health in Health}
    yield gauge("connections", {(state.value, health.value): n for (state, health), n in states.items()})
    backlogs = {
        "refresh": status.refresh_backlog(now),
        "probe": status.probe_backlog(now),
        "mail": mail_backlog(now),
        "webhook": webhook_backlog(now),
    }
    yield gauge("due", {(work,): backlog.due for work, backlog in backlogs.items()})
    yield gauge("oldest_due_seconds", {(work,): backlog.oldest_seconds(now) for work, backlog in backlogs.items()})
    yield gauge("encryption_keys_missing", {(): len(keys.missing_keys())})


def _credential() -> Iterator[Family]:
    credential = own_credential()
    left: Values = {} if credential is None else {(): (credential.expires_at - timezone.now()).total_seconds() / 86_400}
    yield gauge("credential_days_left", left)


def _heartbeats() -> Iterator[Family]:
    ages = {(process.value,): heartbeat.age(process) for process in heartbeat.Process}
    yield gauge("heartbeat_age_seconds", {labels: age for labels, age in ages.items() if age is not None})


def _breakers() -> Iterator[Family]:
    # Each of them is there from the beginning, so that one which opens is seen to rise.
    found: dict[tuple[str, ...], float] = {
        (service, scope): 0.0 for service in ("entra", "graph") for scope in ("tenant", "service")
    }
    for breaker in breakers.standing():
        service = breaker.service.partition(":")[0]
        found[service, "tenant" if breaker.tenant else "service"] += 1
    yield gauge("breakers_open", found)


def _queue() -> Iterator[Family]:
    yield gauge("queue_messages", {(): queue.waiting()})


_SOURCES: dict[str, Callable[[], Iterator[Family]]] = {
    "sums": counted,
    "database": _rows,
    "heartbeats": _heartbeats,
    "breakers": _breakers,
    "broker": _queue,
    "credential": _credential,
}
