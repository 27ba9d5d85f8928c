"""gunicorn's settings; read by `gunicorn cadence_exchange.wsgi` from the project's root."""

import os
from typing import Any

from gunicorn.glogging import Logger

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 60  # an answer takes 20 s at most; this catches a worker that is stuck for good
graceful_timeout = 30
max_requests = 20_000  # renew a worker now and then, at different moments
max_requests_jitter = 2_000
accesslog = "-"
# Path only: a query string would hold authorization codes and states, a referrer the address before.
access_log_format = '%(h)s "%(m)s %(U)s" %(s)s %(B)s %(M)sms'


class PathOnlyLogger(Logger):  # type: ignore[misc]
    """Leaves the consent key out of the path as well: it opens a customer's page."""

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        from cadence_exchange.logs import without_consent_key

        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        atoms["U"] = without_consent_key(atoms["U"])
        return atoms


logger_class = PathOnlyLogger
control_socket_disable = True  # nobody manages it that way, and a read-only home could not hold it


def on_starting(server: Any) -> None:
    """Says in the main process what the environment got wrong, once, before any worker tries."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
    django.setup()
    from cadence_exchange.checks import refuse_to_start_when_misconfigured

    refuse_to_start_when_misconfigured()
