"""The API's rate limit: a token bucket per key, shared by all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from tenants import measuring
from tenants.coordination import admit
from tenants.models import ApiKey

if TYPE_CHECKING:  # at run time rest_framework.views itself imports this module, by its settings
    from rest_framework.views import APIView


class ApiKeyThrottle(BaseThrottle):
    """`API_RATE_PER_MINUTE` with a burst on top; who has no key is refused before this counts."""

    _wait = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        key = request.user
        if not isinstance(key, ApiKey):
            return True
        per_second = settings.API_RATE_PER_MINUTE / 60
        self._wait = admit(f"key:{key.pk}", per_second, settings.API_RATE_BURST)
        if self._wait > 0.0:
            measuring.count("api_rate_limited")
        return self._wait == 0.0

    def wait(self) -> float:
        return self._wait
