"""Counts what passes between us and Microsoft."""

from __future__ import annotations

from microsoft.watching import Event, Exchange
from tenants import measuring


def count(event: Event) -> None:
    """A watcher of `microsoft.watching`."""
    if not isinstance(event, Exchange):
        measuring.count("graph_answers_with_details")
        return
    measuring.count("microsoft_calls", service=event.service, status=str(event.status or "none"))
    measuring.observe("microsoft_call_seconds", event.seconds, service=event.service)
    if event.status == 429:
        measuring.count("microsoft_throttled", service=event.service)
    if event.retry_after is not None:
        measuring.count("microsoft_retry_after_seconds", event.retry_after, service=event.service)
