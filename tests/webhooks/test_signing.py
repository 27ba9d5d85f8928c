"""The signature of Standard Webhooks, held to its published vector and to the sample in our own document."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from microsoft.secret import Secret
from tests.webhooks.receiver import DOCUMENT, documented_verify
from webhooks.events import EventType
from webhooks.retrying import WAITS
from webhooks.signing import headers, new_secret

BODY = b'{"test": 2432232314}'


def test_the_published_example_comes_out() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, the test vector of its libraries
    at = datetime.fromtimestamp(1614265330, UTC)
    found = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, BODY, [Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")])
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_256_random_bits_and_no_two_are_the_same() -> None:
    made = {new_secret().reveal() for _ in range(20)}
    assert len(made) == 20
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32 for secret in made)


def test_while_two_secrets_are_in_force_a_receiver_may_know_either() -> None:
    new, old = new_secret(), new_secret()
    signed = headers("one", timezone.now(), BODY, [new, old])
    verify = documented_verify()
    verify(signed, BODY, new.reveal())
    verify(signed, BODY, old.reveal())
    with pytest.raises(ValueError, match="not signed"):
        verify(signed, BODY, new_secret().reveal())


@pytest.mark.parametrize("minutes", [-6, 6])
def test_the_documented_check_refuses_what_is_old_or_of_the_future(minutes: int) -> None:
    secret = new_secret()
    signed = headers("one", timezone.now() + timedelta(minutes=minutes), BODY, [secret])
    with pytest.raises(ValueError, match="too old"):
        documented_verify()(signed, BODY, secret.reveal())


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_the_documented_check_refuses_whatever_was_changed_on_the_way(changed: str) -> None:
    secret, now = new_secret(), timezone.now()
    signed = headers("one", now, BODY, [secret])
    signed |= {"webhook-id": "two"} if changed == "webhook-id" else {}
    signed |= {"webhook-timestamp": str(int(now.timestamp()) + 1)} if changed == "webhook-timestamp" else {}
    body = BODY + b" " if changed == "body" else BODY
    with pytest.raises(ValueError, match="not signed"):
        documented_verify()(signed, body, secret.reveal())


def test_the_document_names_every_event_and_the_times_of_all_retries() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert {f"`{event.value}`" for event in EventType} <= set(re.findall(r"`[a-z_]+\.[a-z_]+`", text))
    assert WAITS == (60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 24 * 3600, 24 * 3600)
    assert "1, 5 and 30 minutes, 2, 5, 10, 24 and 24 hours" in text


def test_the_documents_examples_are_events() -> None:
    samples = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    events = [json.loads(sample) for sample in samples]
    assert [event["type"] for event in events] == ["connection.needs_consent", "credential.expiring"]
    assert all(set(event) == {"id", "type", "at", "account", "data"} for event in events)
