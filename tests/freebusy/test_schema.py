"""The published OpenAPI document: valid, complete, and true of what the API really answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from jsonschema import Draft202012Validator

from sandbox import Sandbox
from tenants.disconnecting import disconnect
from tenants.models import Connection, TokenRecord
from tests.factories import Api, make_account, make_api_key
from tests.freebusy.asking import mailbox, optional, question
from tests.freebusy.test_problems import another_key  # noqa: F401  (a fixture)

PATHS = {
    "connection": ("/api/v1/accounts/{slug}/connection/", "get"),
    "availability": ("/api/v1/accounts/{slug}/availability/", "post"),
    "slots": ("/api/v1/accounts/{slug}/slots/", "post"),
    "roster/refresh": ("/api/v1/accounts/{slug}/roster/refresh/", "post"),
}
EVERY = {"200", "401", "403", "404", "405", "429", "500"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as it is served, without a key."""
    answer = Client().get("/api/v1/schema/")
    assert answer.status_code == 200
    schema: dict[str, Any] = json.loads(answer.content)
    return schema


def closed(schema: Any) -> Any:
    """The same schema, refusing members it does not name: an answer must not say more than is published."""
    if isinstance(schema, dict):
        schema = {name: closed(inner) for name, inner in schema.items()}
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        return schema
    return [closed(inner) for inner in schema] if isinstance(schema, list) else schema


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """What is wrong with a value by a schema of the document."""
    whole = closed({**deepcopy(schema), "components": deepcopy(document["components"])})
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def operation(document: dict[str, Any], what: str) -> dict[str, Any]:
    path, method = PATHS[what]
    found: dict[str, Any] = document["paths"][path][method]
    return found


def assert_published(document: dict[str, Any], what: str, answer: Any) -> None:
    """The answer has a status, a content type and a shape that the document gives for this operation."""
    response = operation(document, what)["responses"][str(answer.status_code)]
    content = response["content"][answer["Content-Type"]]
    assert faults(document, content["schema"], answer.json()) == []


# --- the document itself ------------------------------------------------------------------------------------------
def test_the_document_is_valid_and_made_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert file.read_text().startswith("openapi: 3.1")


def test_the_document_is_openapi_3_1_as_json(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert set(document["paths"]) == {path for path, _ in PATHS.values()}
    assert {path: set(methods) for path, methods in document["paths"].items()} == {
        path: {method} for path, method in PATHS.values()
    }


def test_every_schema_in_it_is_a_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("what", PATHS)
def test_every_problem_an_operation_may_answer_with_is_documented(document: dict[str, Any], what: str) -> None:
    responses = operation(document, what)["responses"]
    assert set(responses) == (EVERY if what == "connection" else EVERY | {"400", "409", "415", "503"})
    for status, response in responses.items():
        kind = "application/json" if status == "200" else "application/problem+json"
        assert list(response["content"]) == [kind]
        if status != "200":
            assert response["description"].startswith("`")
        if status in ("429", "503"):
            assert "Retry-After" in response["headers"]


@pytest.mark.parametrize("what", PATHS)
def test_every_operation_needs_a_bearer_key(document: dict[str, Any], what: str) -> None:
    [scheme] = operation(document, what)["security"]
    [name] = scheme
    assert document["components"]["securitySchemes"][name]["type"] == "http"
    assert document["components"]["securitySchemes"][name]["scheme"] == "bearer"


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for what in PATHS:
        body = operation(document, what).get("requestBody", {"content": {}})
        contents = [*body["content"].values()]
        for response in operation(document, what)["responses"].values():
            contents += response.get("content", {}).values()
        for content in contents:
            for example in content.get("examples", {}).values():
                yield what, content["schema"], example["value"]


def test_every_example_has_the_shape_it_is_an_example_of(document: dict[str, Any]) -> None:
    found = list(examples(document))
    questions = ["availability", "slots", "roster/refresh"]
    assert [what for what, _, _ in found] == ["connection", *(what for what in questions for _ in range(2))]
    for _, schema, value in found:
        assert faults(document, schema, value) == []


@pytest.mark.parametrize("what", ["availability", "slots", "roster/refresh"])
def test_every_example_of_a_question_is_understood(db: None, document: dict[str, Any], what: str) -> None:
    [example] = operation(document, what)["requestBody"]["content"]["application/json"]["examples"].values()
    api = Api(make_api_key(make_account("contoso")))
    assert api.post("contoso", what, example["value"]).status_code == 409


# --- the limits of requests ---------------------------------------------------------------------------------------
LIMITS = {
    "max_age_seconds": (0, 3600, 60),
    "duration_minutes": (1, 1440, None),
    "step_minutes": (1, 1440, 15),
    "limit": (1, 5000, 500),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_and_defaults_are_published(document: dict[str, Any], name: str) -> None:
    schema = document["components"]["schemas"]["SlotsRequest"]["properties"][name]
    assert (schema["minimum"], schema["maximum"], schema.get("default")) == LIMITS[name]


@pytest.mark.parametrize(
    ("component", "needed"),
    [
        ("AvailabilityRequest", {"start", "end"}),
        ("SlotsRequest", {"start", "end", "duration_minutes"}),
        ("AttendeeRequest", {"email"}),
        ("WorkingHoursRequest", {"days", "start", "end"}),
    ],
)
def test_what_a_question_needs_is_published(document: dict[str, Any], component: str, needed: set[str]) -> None:
    assert set(document["components"]["schemas"][component]["required"]) == needed


# --- real answers -------------------------------------------------------------------------------------------------
def test_the_connection_in_every_state_is_as_published(contoso: Any, api: Api, document: dict[str, Any]) -> None:
    assert_published(document, "connection", api.get("contoso"))
    for state in ("pending", "verifying", "needs_consent"):
        Connection.objects.update(state=state, reason_code="AADSTS50173", extra_scopes=["Mail.Read"])
        assert_published(document, "connection", api.get("contoso"))
    disconnect(contoso, why="test", actor="test")
    assert_published(document, "connection", api.get("contoso"))
    Connection.objects.all().delete()
    assert_published(document, "connection", api.get("contoso"))


def everybody(microsoft: Sandbox) -> dict[str, Any]:
    """A question whose answer holds every state, status and odd working hours."""
    statuses = ("busy", "oof", "tentative", "workingElsewhere", "free", "unknown")
    hour = [(f"2027-03-16T{9 + n:02}:00:00Z", f"2027-03-16T{10 + n:02}:00:00Z", s) for n, s in enumerate(statuses)]
    long = ("2027-03-16T06:00:00Z", "2027-03-16T18:00:00Z")
    day = ("2027-03-16T00:00:00Z", "2027-03-17T00:00:00Z")
    return question(
        mailbox(microsoft, "person", *hour, long, day),
        mailbox(microsoft, "other", trouble="5008"),
        optional("ivy@contoso.example"),
        optional("joe@contoso.example"),
        optional("guest@elsewhere.example"),
        rooms=("room1@contoso.example", "nowhere@contoso.example"),
    )


def test_real_availability_is_as_published(api: Api, microsoft: Sandbox, document: dict[str, Any]) -> None:
    answer = api.post("contoso", "availability", {**everybody(microsoft), "include_ignored": True})
    states = {one["state"] for one in (*answer.json()["attendees"], *answer.json()["rooms"])}
    assert states == {"known", "unknown", "external"}
    assert_published(document, "availability", answer)


@pytest.mark.parametrize("more", [{}, {"explain": True}, {"explain": True, "include_unverified": True}])
def test_real_slots_are_as_published(
    api: Api, microsoft: Sandbox, document: dict[str, Any], more: dict[str, bool]
) -> None:
    answer = api.post("contoso", "slots", {**everybody(microsoft), "duration_minutes": 30, **more})
    assert answer.json()["unknown"]
    assert_published(document, "slots", answer)


def test_a_real_refreshed_roster_is_as_published(api: Api, microsoft: Sandbox, document: dict[str, Any]) -> None:
    asked = everybody(microsoft)
    people = [person["email"] for person in asked["attendees"]]
    answer = api.post("contoso", "roster/refresh", {"mailboxes": people, "start": asked["start"], "end": asked["end"]})
    assert answer.json()["unknown"]
    assert_published(document, "roster/refresh", answer)


def test_real_problems_are_as_published(api: Api, microsoft: Sandbox, document: dict[str, Any], settings: Any) -> None:
    good = question("ann@contoso.example")
    path, headers = "/api/v1/accounts/contoso/slots/", {"Authorization": f"Bearer {api.key}"}
    TokenRecord.objects.update(access_expires_at=timezone.now())
    microsoft.control.set({"secret_expired": True})
    problems = [
        api.post("contoso", "availability", good),
        api.post("contoso", "availability", {**good, "colour": "red"}),
        api.post("contoso", "availability", []),
        Api("no key").post("contoso", "availability", good),
        api.post("fabrikam", "availability", good),
        api.client.put(path, headers=headers),
        api.client.post(path, "x", content_type="text/plain", headers=headers),
    ]
    disconnect(Connection.objects.get().account, why="test", actor="test")
    problems.append(api.post("contoso", "availability", good))
    settings.API_RATE_PER_MINUTE, settings.API_RATE_BURST = 1, 1
    api.post("contoso", "availability", good)  # the one that may still pass
    problems.append(api.post("contoso", "availability", good))
    assert [one.status_code for one in problems] == [503, 400, 400, 401, 404, 405, 415, 409, 429]
    for problem in problems:
        assert_published(document, "availability", problem)


def test_a_real_internal_error_is_as_published(
    api: Api,
    another_key: None,  # noqa: F811
    document: dict[str, Any],
) -> None:
    answer = api.post("contoso", "slots", {**question("ann@contoso.example"), "duration_minutes": 30})
    assert answer.status_code == 500
    assert_published(document, "slots", answer)


# --- the browsable reference --------------------------------------------------------------------------------------
ADDRESS = re.compile(r"""(?:src|href)=["']([^"']+)["']""")


def test_the_reference_needs_no_key_and_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/v1/docs/")
    assert page.status_code == 200
    html = page.content.decode()
    addresses = ADDRESS.findall(html)
    assert any(address.endswith(".css") for address in addresses)
    assert any("script" in address for address in addresses)
    assert all(re.match(r"/[^/]", address) or address.startswith("?") for address in addresses), addresses


def test_everything_the_reference_loads_is_served(db: None) -> None:
    client = Client()
    for address in ADDRESS.findall(client.get("/api/v1/docs/").content.decode()):
        where = f"/api/v1/docs/{address}" if address.startswith("?") else address
        answer = client.get(where)
        assert answer.status_code == 200, where
        answer.close()


def test_the_reference_holds_no_inline_script_or_style_which_its_own_policy_forbids() -> None:
    page = Client().get("/api/v1/docs/")
    html = page.content.decode()
    policy = page["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", html) == []


def test_the_references_script_asks_our_own_document() -> None:
    script = Client().get("/api/v1/docs/?script=").content.decode()
    assert "/api/v1/schema/" in script
    assert not re.search(r"https?://(?!\{)", script)


def test_the_document_and_the_reference_answer_wrong_methods_with_problems() -> None:
    for path in ("/api/v1/schema/", "/api/v1/docs/"):
        answer = Client().post(path, {}, content_type="application/json")
        assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json"), path
