"""The product's own web server with one view more: what Django, the middleware and our API's door cost by themselves.

    gunicorn benchmarks.bare:application

`POST /bare/` stands behind the same authentication, permission, throttle and middleware as the API, and gives back
BARE_BYTES bytes of JSON that were ready before: every other answer is a multiple of it.
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

BODY = b'{"ready": "' + b"x" * (int(os.environ.get("BARE_BYTES", "4096")) - 13) + b'"}'


class BareView(APIView):
    """As an API view, with nothing in it."""

    http_method_names = ["post"]

    def post(self, request: Request) -> HttpResponse:
        return HttpResponse(BODY, content_type="application/json")


urlpatterns = [path("bare/", BareView.as_view()), path("", include("cadence_exchange.urls"))]
settings.ROOT_URLCONF = __name__

__all__ = ["application", "urlpatterns"]
