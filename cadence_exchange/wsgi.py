"""The web server's way in: `gunicorn cadence_exchange.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cadence_exchange.settings")
application = get_wsgi_application()

from cadence_exchange import checks  # noqa: E402  (needs Django set up)

checks.refuse_to_start_when_misconfigured()
checks.tell_of_missing_keys()
