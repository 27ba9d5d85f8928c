"""The product's API as a caller with a key uses it."""

from __future__ import annotations

from typing import Any

import requests

from demo.processes import Failed

_TIMEOUT_SECONDS = 30  # an answer takes 20 s at most

Json = dict[str, Any]


class Api:
    """`connection(slug)`, `ask(slug, what, question)`; raises Failed with the problem's own words."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._session = requests.Session()
        # Without this a ~/.netrc or a proxy set for other work would get between us and localhost.
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def connection(self, slug: str) -> Json:
        """How the account is connected."""
        return _json(self._session.get(f"{self._url}/accounts/{slug}/connection/", timeout=_TIMEOUT_SECONDS))

    def ask(self, slug: str, what: str, question: Json) -> Json:
        """`what` is `availability` or `slots`."""
        url = f"{self._url}/accounts/{slug}/{what}/"
        return _json(self._session.post(url, json=question, timeout=_TIMEOUT_SECONDS))


def _json(answer: requests.Response) -> Json:
    if not answer.ok:
        raise Failed(f"{answer.url} answered {answer.status_code}: {answer.text[:500]}")
    body: Json = answer.json()
    return body
