"""The product's own web server with two views more: what Django, the middleware and our API's door cost by themselves.

    gunicorn benchmarks.bare:application

Both give back BARE_BYTES bytes of JSON that were ready before; every other answer is a multiple of the first.

- `POST /bare/SLUG/` stands behind the same middleware, throttle and authentication as the API. To authenticate is to
  find that this key may see this account, now: that is one query.
- `POST /bare/` is behind the door only: whose key it is, and the throttle. No part of the API is as open as that.
"""

from __future__ import annotations

import os

from cadence_exchange.wsgi import application

# isort: split
from django.conf import settings  # needs Django set up, which the application does
from django.http import HttpResponse
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.views import APIView

from freebusy.views import AccountView

BODY = b'{"ready": "' + b"x" * (int(os.environ.get("BARE_BYTES", "4096")) - 13) + b'"}'


class BareView(AccountView):
    """An API view with nothing in it."""

    def post(self, request: Request, slug: str) -> HttpResponse:
        self.account(slug)
        return HttpResponse(BODY, content_type="application/json")


class DoorView(APIView):
    """Not even an account."""

    http_method_names = ["post"]

    def post(self, request: Request) -> HttpResponse:
        return HttpResponse(BODY, content_type="application/json")


urlpatterns = [
    path("bare/<slug:slug>/", BareView.as_view()),
    path("bare/", DoorView.as_view()),
    path("", include("cadence_exchange.urls")),
]
settings.ROOT_URLCONF = __name__

__all__ = ["application", "urlpatterns"]
