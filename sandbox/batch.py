"""JSON batching: up to twenty requests in one, by the rules of concepts/json-batching.md."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox.counters import Counters
from sandbox.graph import Graph
from sandbox.messages import Request, Response, parse_request
from sandbox.questions import GraphError

LARGEST = 20
AT_A_TIME = 4
"""So many parts of a batch run in parallel; Outlook's rule is per mailbox, one reader makes them the same."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_NOT_ECHOED = frozenset({"content-encoding", "vary", "content-length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One request of a batch."""

    id: str
    request: Request
    depends_on: tuple[str, ...]


class Batch:
    """Answers POST /v1.0/$batch; `handle` answers each part as if it had come alone."""

    def __init__(self, *, graph: Graph, counters: Counters, handle: Callable[[Request], Response]) -> None:
        self._graph, self._counters, self._handle = graph, counters, handle

    def answer(self, request: Request) -> Response | None:
        """Answer one batch; None for other requests."""
        if request.path != "/v1.0/$batch" or request.method != "POST":
            return None
        refused = self._graph.refusal(request)
        if refused is not None:
            return refused
        try:
            parts = _parse(request)
        except GraphError as error:
            return self._graph.error(request, error)
        self._counters.add("batch")
        self._counters.add("batch_parts", by=len(parts))
        answers = self._run(parts)
        # In any order, and never the one asked for where there are two: joining by id must be tested.
        return self._graph.finished(request, {"responses": [answers[part.id] for part in reversed(parts)]})

    def _run(self, parts: list[Part]) -> dict[str, dict[str, object]]:
        answers: dict[str, dict[str, object]] = {}
        waiting = list(parts)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            while waiting:
                ready = [part for part in waiting if all(name in answers for name in part.depends_on)]
                if not ready:  # a circle; the check of the names has found everything else
                    ready = waiting
                waiting = [part for part in waiting if part not in ready]
                answered = list(pool.map(lambda part: self._one(part, answers), ready))
                answers.update((part.id, answer) for part, answer in zip(ready, answered, strict=True))
        return answers

    def _one(self, part: Part, answers: Mapping[str, dict[str, Any]]) -> dict[str, object]:
        if any(name not in answers or answers[name]["status"] >= 400 for name in part.depends_on):
            error = {"code": "FailedDependency", "message": "A request this one depends on has failed."}
            return {"id": part.id, "status": 424, "headers": {}, "body": {"error": error}}
        response = self._handle(part.request)
        if response.broken:  # inside Microsoft's house, where no connection of the client's is lost
            error = {"code": "GatewayTimeout", "message": "The service behind did not answer."}
            return {"id": part.id, "status": 504, "headers": {}, "body": {"error": error}}
        headers = {name: value for name, value in response.headers if name.lower() not in _NOT_ECHOED}
        return {"id": part.id, "status": response.status, "headers": headers, "body": _body(response)}


def _parse(request: Request) -> list[Part]:
    """Read the parts; GraphError for a batch that is refused as a whole."""
    try:
        asked = json.loads(request.body)["requests"]
        if not isinstance(asked, list) or not asked:
            raise _malformed("The requests property needs at least one request.")
        parts = [_part(request, fields) for fields in asked]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed("Unable to read JSON request payload.") from error
    if len(parts) > LARGEST:
        raise _malformed(f"Number of batch request steps exceeds the maximum value of {LARGEST}.")
    ids = [part.id for part in parts]
    if len(set(ids)) < len(ids):
        raise _malformed("Request Id values must be unique within a batch.")
    if any(not set(part.depends_on) <= set(ids) for part in parts):
        raise _malformed("A request depends on an Id that is not in the batch.")
    return parts


def _part(outer: Request, fields: Mapping[str, Any]) -> Part:
    name, method, url = fields["id"], fields["method"].upper(), fields["url"]
    if not isinstance(name, str) or not name or method not in _METHODS:
        raise _malformed("Each request needs an id, a method and a url.")
    if url.lstrip("/").lower().startswith("$batch"):
        raise _malformed("A batch must not contain a batch.")
    if "://" in url:
        raise _malformed("The url of a request must be relative.")
    given = {str(key).lower(): str(value) for key, value in (fields.get("headers") or {}).items()}
    body = b"" if fields.get("body") is None else json.dumps(fields["body"]).encode()
    if body and "content-type" not in given:
        raise _malformed("A request with a body needs a Content-Type header.")
    given.setdefault("authorization", outer.headers.get("authorization", ""))
    target = parse_request(method=method, url=f"{outer.origin}/v1.0/{url.lstrip('/')}", headers=given, body=body)
    return Part(id=name, request=target, depends_on=tuple(fields.get("dependsOn") or ()))


def _body(response: Response) -> object:
    """Return JSON as it is; anything else as base64 text, as Microsoft does."""
    if response.header("Content-Type").startswith("application/json"):
        return json.loads(response.body)
    return base64.b64encode(response.body).decode() if response.body else None


def _malformed(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)
