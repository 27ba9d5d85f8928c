"""`python -m demo.history`: lives through the last weeks with the real product, so that its status page has a past.

Nothing is written that the product does not write itself: people click, the backend asks, the sandbox breaks, the
schedule runs. Only the clocks are moved, the product's and the sandbox's together.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta

from demo import customers
from demo.api import Api
from demo.browser import Browser
from demo.consenting import consent, go_back
from demo.customers import CUSTOMERS, DAYS, HOUR, MINUTE, Act, Customer, Happening
from demo.environment import KEY, PASSWORD, USER
from demo.microsoft import Microsoft
from demo.past import Past, living
from demo.processes import Failed
from demo.support import Support

_LOOKS_AFTER = (2 * MINUTE, 8 * MINUTE, 20 * MINUTE)  # a change is seen, confirmed, and told in a mail
_FINE_DAYS, _FINE, _COARSE = 1, HOUR, 8 * HOUR  # the last day is shown by the hour, the rest by the day
_READ_AT = 2 * HOUR  # before the hour at which the demo is started, each day


def main(argv: list[str] | None = None) -> int:
    """0 when all has happened, 1 with a line that says what did not."""
    parser = argparse.ArgumentParser(prog="python -m demo.history", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="of the web server")
    parser.add_argument("--sandbox", required=True, help="origin of the sandbox's pages for people")
    given = parser.parse_args(argv)
    now = datetime.now(UTC)
    url = f"http://localhost:{given.port}"
    try:
        with (
            Microsoft(given.sandbox) as microsoft,
            Browser() as browser,
            Api(f"{url}/api/v1", os.environ[KEY]) as api,
            living(given.port, now - timedelta(days=DAYS)) as past,
        ):
            try:
                _History(now, past, microsoft, api, Support(browser, f"{url}/admin")).live()
            finally:
                microsoft.run_clock()
    except Failed as failure:
        print(failure, file=sys.stderr, flush=True)
        return 1
    return 0


class _History:
    def __init__(self, now: datetime, past: Past, microsoft: Microsoft, api: Api, support: Support) -> None:
        self._now, self._past, self._microsoft, self._api, self._support = now, past, microsoft, api, support

    def live(self) -> None:
        """From the first day to now."""
        self._microsoft.set(customers.tenants())
        self._move(self._now - timedelta(days=DAYS))
        self._sign_in()
        for customer in CUSTOMERS:
            self._support.add(customer)
        for days_ago, what in moments():
            at = self._now - timedelta(days=days_ago)
            self._move(at)
            if what is None:
                self._past.tick(at)
            elif isinstance(what, Customer):
                self._read(what, at)
            else:
                self._happen(what)

    def _move(self, at: datetime) -> None:
        self._past.move_to(at)
        self._microsoft.stop_clock(at)

    def _sign_in(self) -> None:
        self._support.sign_in(os.environ[USER], os.environ[PASSWORD])

    def _happen(self, happening: Happening) -> None:
        customer = happening.customer
        if not isinstance(happening.what, Act):
            self._microsoft.set(happening.what)
        elif customer is None:
            raise Failed(f"Nobody is there to {happening.what}.")
        elif happening.what is Act.DISCONNECT:
            self._sign_in()
            self._support.disconnect(customer, "Contract ended")
        else:
            url = str(self._api.connection(customer.slug)["consent_url"])
            with Browser() as theirs:
                if happening.what is Act.CONNECT:
                    list(consent(theirs, url, customer.reader))
                else:
                    go_back(theirs, url, customer.reader)

    def _read(self, customer: Customer, at: datetime) -> None:
        """As the Cadence backend does; a connection that needs a new consent it leaves alone."""
        if self._api.connection(customer.slug)["enabled"]:
            window = {"start": at.isoformat(), "end": (at + timedelta(days=7)).isoformat()}
            people = [{"email": email} for email in customer.people]
            self._api.ask(customer.slug, "availability", {**window, "attendees": people})


def moments() -> list[tuple[float, Happening | Customer | None]]:
    """Pure: what comes when, in order: something happens, a customer's calendars are read, or (None) tasks run.

    The first of each pair says how many days before now.
    """
    happenings = customers.story()
    reads = [(day + _READ_AT, customer) for day in range(DAYS) for customer in CUSTOMERS if customer.read]
    ticks = {tick * _COARSE for tick in range(round(_FINE_DAYS / _COARSE), round(DAYS / _COARSE))}
    ticks |= {tick * _FINE for tick in range(round(_FINE_DAYS / _FINE))}
    ticks |= {happening.days_ago - after for happening in happenings for after in _LOOKS_AFTER}
    everything: list[tuple[float, Happening | Customer | None]] = [
        *((happening.days_ago, happening) for happening in happenings),
        *reads,
        *((tick, None) for tick in ticks if tick >= 0),
    ]
    return sorted(everything, key=lambda moment: -moment[0])


if __name__ == "__main__":
    sys.exit(main())
