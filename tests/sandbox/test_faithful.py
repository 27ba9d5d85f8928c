"""The answers of getSchedule hold against Microsoft's own description and its own client."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml
from azure.core.credentials import AccessToken
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
from msgraph.generated.models.free_busy_status import FreeBusyStatus
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.users.item.calendar.get_schedule.get_schedule_post_request_body import (
    GetSchedulePostRequestBody,
)
from msgraph.graph_request_adapter import options as sdk_options
from msgraph_core import GraphClientFactory

from sandbox.server import Server

SPEC = Path(__file__).parent.parent / "samples" / "microsoft" / "getschedule.openapi.yaml"
READER = "cadence-service@contoso.example"


def as_json_schema(node: Any) -> Any:
    """OpenAPI to JSON Schema, as strict as the payloads allow.

    `nullable` becomes a null type, also where it hides in an anyOf that any object would pass; `@odata.type`,
    which the description wrongly requires everywhere, is only required by nobody.
    """
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("nullable") and set(node) == {"type", "nullable"} and node["type"] == "object":
        return {"type": "null"}
    made = {key: as_json_schema(value) for key, value in node.items() if key not in {"nullable", "discriminator"}}
    if isinstance(made.get("required"), list):
        made["required"] = [name for name in made["required"] if name != "@odata.type"]
    if node.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    return made


@pytest.fixture(scope="module")
def schemas() -> Any:
    document = as_json_schema(yaml.safe_load(SPEC.read_text()))
    schemas = document["components"]["schemas"]
    # Described with an offset, and sent without one in all samples.
    del schemas["microsoft.graph.ODataErrors.InnerError"]["properties"]["date"]["pattern"]
    # What the discriminator says: a zone with rules is a customTimeZone.
    hours = schemas["microsoft.graph.workingHours"]["properties"]["timeZone"]
    hours["if"] = {"type": "object", "required": ["@odata.type"]}
    hours["then"] = {"$ref": "#/components/schemas/microsoft.graph.customTimeZone"}
    action = document["paths"]["/me/calendar/getSchedule"]["post"]
    answers = {
        200: action["responses"]["2XX"]["content"]["application/json"]["schema"],
        400: document["components"]["responses"]["error"]["content"]["application/json"]["schema"],
    }
    question = action["requestBody"]["content"]["application/json"]["schema"]
    made = {status: {**schema, "components": {"schemas": schemas}} for status, schema in answers.items()}
    return {**made, "request": {**question, "components": {"schemas": schemas}}}


def check(schema: Any, payload: Any) -> None:
    jsonschema.Draft202012Validator(schema).validate(payload)


def lower(payload: Any) -> Any:
    """The answer with statuses as the description spells them; older payloads capitalise (Busy)."""
    for entry in payload["value"]:
        for item in entry.get("scheduleItems", []):
            item["status"] = item["status"][0].lower() + item["status"][1:]
    return payload


def test_all_answers_validate_against_microsofts_description(client, sandbox, schemas):
    token = client.tokens(READER)["access_token"]
    addresses = [account.upn for account in sandbox.directory.accounts()]
    for first in range(0, len(addresses), 20):
        answer = client.ask(token, addresses[first : first + 20]).json()
        check(schemas[200], lower(answer))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda entry: entry.update(scheduleItems=None), "None is not of type"),
        (lambda entry: entry["scheduleItems"][0].update(status="napping"), "napping"),
        (lambda entry: entry["scheduleItems"][0]["start"].update(dateTime=5), "is not valid under any"),
        (lambda entry: entry.update(error={"responseCode": 5009}), "is not valid under any"),
        (lambda entry: entry["workingHours"].update(startTime="early"), "is not valid under any"),
    ],
)
def test_the_description_refuses_what_is_wrong(client, schemas, spoil, why):
    token = client.tokens(READER)["access_token"]
    answer = lower(client.ask(token, ["ann@contoso.example"]).json())
    spoil(answer["value"][0])
    with pytest.raises(jsonschema.ValidationError, match=why):
        check(schemas[200], answer)


def test_a_zone_with_rules_is_held_to_their_description(client, schemas):
    token = client.tokens(READER)["access_token"]
    answer = lower(client.ask(token, ["ivy@contoso.example"]).json())
    check(schemas[200], answer)
    answer["value"][0]["workingHours"]["timeZone"]["bias"] = "300"
    with pytest.raises(jsonschema.ValidationError):
        check(schemas[200], answer)


@pytest.mark.parametrize("control", [{"max_mailboxes": 0}, {"max_requests": 0}, {"missing_scopes": ["Calendars.Read"]}])
def test_refusals_validate_too(client, sandbox, schemas, control):
    sandbox.control.set(control)
    answer = client.ask(client.tokens(READER)["access_token"], ["joe@contoso.example"])
    assert answer.status_code >= 400
    check(schemas[400], answer.json())


class StaticCredential:
    """The smallest credential the official client takes: one token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_more: object) -> AccessToken:
        return AccessToken(self._token, 4_102_444_800)


class Official:
    """Microsoft's own client in front of the sandbox's HTTPS server."""

    def __init__(self, server: Server, remote: Any) -> None:
        self._server, self.remote = server, remote
        self.token = remote.tokens(READER)["access_token"]

    def ask(self, addresses: list[str], *, prefer: str = "UTC", **more: Any) -> Any:
        return asyncio.run(self._ask(addresses, prefer=prefer, **more))

    async def _ask(self, addresses: list[str], *, prefer: str, days: int = 5) -> Any:
        context = ssl.create_default_context(cafile=str(self._server.ca_path))
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=30) as plain:
            http = GraphClientFactory.create_with_default_middleware(client=plain, options=sdk_options)
            provider = AzureIdentityAuthenticationProvider(StaticCredential(self.token), allowed_hosts=["localhost"])
            adapter = GraphRequestAdapter(provider, http)
            adapter.base_url = f"{self._server.https_url}/v1.0"
            body = GetSchedulePostRequestBody(
                schedules=addresses,
                start_time=DateTimeTimeZone(date_time="2027-03-15T00:00:00", time_zone="UTC"),
                end_time=DateTimeTimeZone(date_time=f"2027-03-{15 + days}T00:00:00", time_zone="UTC"),
                availability_view_interval=60,
            )
            wanted = RequestConfiguration()
            wanted.headers.add("Prefer", f'outlook.timezone="{prefer}"')
            client = GraphServiceClient(request_adapter=adapter)
            return await client.me.calendar.get_schedule.post(body, request_configuration=wanted)


@pytest.fixture
def official(tmp_path, sandbox, connect):
    with Server(sandbox, state_dir=tmp_path) as server:
        remote = connect(server.https_url, f"{server.https_url}/v1.0", server.ca_path)
        yield Official(server, remote)


def test_the_official_client_reads_what_we_answer(official):
    asked = ["cleo@contoso.example", "ivy@contoso.example", "nobody@contoso.example", "gil@contoso.example"]
    read = official.ask(asked).value
    plain = official.remote.ask(official.token, asked, availabilityViewInterval=60).json()["value"]
    assert [entry.schedule_id for entry in read] == asked
    assert [entry.error.response_code if entry.error else None for entry in read] == [None, None, "5009", "5006"]
    for entry, wire in zip(read[:2], plain, strict=False):
        assert entry.availability_view == wire["availabilityView"]
        found = [(item.start.date_time, item.end.date_time, item.status.value) for item in entry.schedule_items]
        assert found == [
            (item["start"]["dateTime"], item["end"]["dateTime"], item["status"]) for item in wire["scheduleItems"]
        ]
        assert found
    hours = read[1].working_hours
    assert (hours.time_zone.odata_type, hours.time_zone.bias) == ("#microsoft.graph.customTimeZone", 300)
    assert hours.time_zone.daylight_offset.daylight_bias == -60
    assert [day.value for day in hours.days_of_week] == ["monday", "tuesday", "wednesday", "thursday", "friday"]


def test_the_official_client_knows_every_status(official, sandbox):
    everyone = [a.upn for a in sandbox.directory.accounts() if a.mailbox and not a.mailbox.title_case]
    seen = {item.status for e in official.ask(everyone[:20]).value for item in e.schedule_items or []}
    wanted = {FreeBusyStatus.Busy, FreeBusyStatus.Tentative, FreeBusyStatus.Free, FreeBusyStatus.Oof}
    assert wanted | {FreeBusyStatus.WorkingElsewhere} <= seen


def test_the_official_client_raises_our_error_as_graphs_own(official, sandbox):
    sandbox.options.max_mailboxes = 1
    with pytest.raises(ODataError) as raised:
        official.ask(["ann@contoso.example", "joe@contoso.example"])
    assert (raised.value.response_status_code, raised.value.error.code) == (400, "ErrorMailboxDataArrayTooBig")


def test_the_official_client_waits_and_retries_as_we_tell_it(official, sandbox):
    sandbox.control.set({"faults": [{"path": "getSchedule", "status": 503, "retry_after": "1", "times": 1}]})
    assert official.ask(["joe@contoso.example"]).value[0].schedule_id == "joe@contoso.example"
    assert sandbox.counters["faults"] == 1
