"""The Celery application: `celery -A cadence_exchange worker`, schedule in settings."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

from cadence_exchange import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
broker.register()

app = Celery("cadence_exchange")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _check_first(**_: Any) -> None:
    from cadence_exchange.checks import refuse_to_start_when_misconfigured

    refuse_to_start_when_misconfigured()
