"""The app of availability and slots."""

from __future__ import annotations

from django.apps import AppConfig


class FreebusyConfig(AppConfig):
    """Hears from the app below when a connection comes or goes."""

    name = "freebusy"
    verbose_name = "Free/busy"

    def ready(self) -> None:
        from freebusy import kept, mailboxes, probes
        from freebusy.cache import calendars
        from freebusy.preflight import runs
        from freebusy.roster import unfinished
        from tenants.signals import connection_changed, connection_established, connection_lost

        connection_established.connect(probes.schedule_next, dispatch_uid="freebusy.probes.schedule_next")
        connection_changed.connect(mailboxes.forget_ended, dispatch_uid="freebusy.mailboxes.forget_ended")
        connection_changed.connect(kept.forget_ended, dispatch_uid="freebusy.kept.forget_ended")
        connection_changed.connect(runs.forget_ended, dispatch_uid="freebusy.preflight.runs.forget_ended")
        connection_established.connect(calendars.forget_earlier, dispatch_uid="freebusy.cache.forget_earlier")
        connection_lost.connect(calendars.forget_lost, dispatch_uid="freebusy.cache.forget_lost")
        connection_changed.connect(unfinished.forget_ended, dispatch_uid="freebusy.roster.unfinished.forget_ended")
