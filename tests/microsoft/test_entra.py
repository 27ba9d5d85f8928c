"""Signing in and refreshing: real MSAL against the sandbox, and against answers nobody should send."""

from __future__ import annotations

import base64
import json
import logging
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
import responses
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from microsoft.entra import AuthFlow, ClientCredential, Entra, get_entra
from microsoft.errors import ConsentRequired, IntegrationError, Misconfigured, Refused, Throttled, Unavailable
from microsoft.http import Deadline, build_session
from microsoft.secret import Secret
from sandbox import Sandbox
from sandbox.browser import sign_in
from sandbox.clock import Clock
from sandbox.faults import Fault
from sandbox.intercept import AUTHORITY, intercepted
from sandbox.options import CLIENT_ID, CLIENT_SECRET, REDIRECT_URI
from tests.microsoft.conftest import SAMPLES, send, serving

SCOPES = ["Calendars.Read"]
CREDENTIAL = ClientCredential(CLIENT_ID, Secret(CLIENT_SECRET))
DISCOVERY = "openid-configuration"

# Said at import time already; pytest starts every test with filters of its own.
pytestmark = pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")


@pytest.fixture
def sandbox():
    with intercepted(made := Sandbox(clock=Clock(datetime(2027, 3, 15, 8, 0, tzinfo=UTC)))):
        yield made


@pytest.fixture
def entra(sandbox):
    return Entra(AUTHORITY, CREDENTIAL, build_session(None, 2), now=sandbox.clock.now)


def soon() -> Deadline:
    return Deadline.after(30)


def begin(entra, *, prompt="select_account", state="our-state"):
    return entra.begin(scopes=SCOPES, redirect_uri=REDIRECT_URI, state=state, prompt=prompt, deadline=soon())


def callback(flow: AuthFlow, upn="ada@contoso.example", **pressed) -> dict[str, str]:
    with requests.Session() as browser:
        browser.trust_env = False
        return dict(parse_qsl(urlsplit(sign_in(flow.auth_uri, upn, session=browser, **pressed)).query))


def connected(entra):
    flow = begin(entra)
    return entra.redeem(flow.payload, callback(flow), soon())


def refresh(entra, token):
    return entra.refresh(token, scopes=SCOPES, deadline=soon())


def test_the_sign_in_address_asks_for_lasting_access_with_pkce_and_nonce(entra):
    flow = begin(entra, prompt="consent")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(flow.auth_uri).query).items()}
    assert set(asked["scope"].split()) == {"openid", "profile", "offline_access", "Calendars.Read"}
    assert asked["code_challenge_method"] == "S256"
    assert asked["response_mode"] == "query"
    assert (asked["prompt"], asked["state"], asked["redirect_uri"]) == ("consent", "our-state", REDIRECT_URI)
    kept = json.loads(flow.payload.reveal())
    assert kept["nonce"] not in flow.auth_uri
    assert kept["code_verifier"] not in flow.auth_uri


def test_a_sign_in_gives_tokens_and_says_who_it_was(entra, sandbox):
    tokens = connected(entra)
    ada = sandbox.directory.find("ada@contoso.example")
    assert tokens.claims.upn == "ada@contoso.example"
    assert (tokens.claims.oid, tokens.claims.tenant_id) == (ada.oid, ada.tenant.tid)
    assert tokens.expires_in == 3599
    assert tokens.access_token.reveal()
    assert tokens.refresh_token.reveal()


@pytest.mark.parametrize("form", ["uri", "short"])
def test_granted_scopes_are_kept_as_microsoft_spells_them(entra, sandbox, form):
    sandbox.options.scope_form = form
    expected = "https://graph.microsoft.com/Calendars.Read" if form == "uri" else "Calendars.Read"
    assert expected in connected(entra).scopes


def test_extra_scopes_are_reported(entra, sandbox):
    sandbox.options.extra_scopes = ("Mail.Read",)
    assert any(scope.endswith("Mail.Read") for scope in connected(entra).scopes)


def test_a_refresh_gives_new_tokens_of_the_same_reader(entra):
    first = connected(entra)
    second = refresh(entra, first.refresh_token)
    assert second.claims is None
    assert second.refresh_token != first.refresh_token
    assert second.access_token.reveal()
    assert refresh(entra, first.refresh_token).access_token.reveal(), "Microsoft does not revoke the old one"


def test_discovery_happens_once_for_all_threads(entra, sandbox):
    ready = threading.Barrier(8)

    def start():
        ready.wait(30)
        begin(entra)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(DISCOVERY in seen.path for seen in sandbox.counters.seen) == 1


def test_building_asks_nothing_before_the_first_use(sandbox):
    Entra(AUTHORITY, CREDENTIAL, build_session(None, 1))
    assert sandbox.counters.seen == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": 404},
        {"kind": "html"},
        {"kind": "empty"},
        {"kind": "dropped"},
        {"kind": "truncated"},
    ],
    ids=str,
)
def test_a_failed_discovery_is_unavailable_and_tried_again_next_time(entra, sandbox, fault):
    sandbox.faults.add(Fault(path=DISCOVERY, **fault))
    with pytest.raises(Unavailable):
        begin(entra)
    assert begin(entra).auth_uri


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"status": 500}, Unavailable, "microsoft_unavailable"),
        ({"status": 503, "retry_after": "7"}, Unavailable, "microsoft_unavailable"),
        ({"status": 429, "retry_after": "2.128"}, Throttled, "throttled"),
        ({"kind": "html"}, Unavailable, "microsoft_unavailable"),
        ({"status": 400, "kind": "html"}, Unavailable, "microsoft_unavailable"),
        ({"kind": "empty"}, Unavailable, "microsoft_unavailable"),
        ({"kind": "dropped"}, Unavailable, "microsoft_unavailable"),
        ({"kind": "truncated"}, Unavailable, "microsoft_unavailable"),
        ({"aadsts": 50173}, ConsentRequired, "AADSTS50173"),
        ({"aadsts": 7000222}, Misconfigured, "AADSTS7000222"),
    ],
    ids=str,
)
def test_no_failure_is_remembered(entra, sandbox, fault, error, code):
    tokens = connected(entra)
    for _ in range(2):
        sandbox.faults.add(Fault(path="/token", **fault))
        with pytest.raises(error) as failed:
            refresh(entra, tokens.refresh_token)
        assert failed.value.code == code
        assert refresh(entra, tokens.refresh_token).access_token.reveal()


@pytest.mark.parametrize(("sent", "seconds"), [("2.128", 2.128), ("30", 30.0), (None, 5.0)])
def test_throttling_says_how_long_to_stay_away(entra, sandbox, sent, seconds):
    tokens = connected(entra)
    sandbox.faults.add(Fault(path="/token", status=429, retry_after=sent))
    with pytest.raises(Throttled) as throttled:
        refresh(entra, tokens.refresh_token)
    assert throttled.value.retry_after == seconds


def test_our_expired_secret_is_our_fault(entra, sandbox):
    tokens = connected(entra)
    sandbox.options.secret_expired = True
    with pytest.raises(Misconfigured) as failed:
        refresh(entra, tokens.refresh_token)
    assert failed.value.code == "AADSTS7000222"


def test_a_code_works_once(entra):
    flow = begin(entra)
    query = callback(flow)
    entra.redeem(flow.payload, query, soon())
    with pytest.raises(ConsentRequired) as failed:
        entra.redeem(flow.payload, query, soon())
    assert failed.value.code == "AADSTS54005"


def test_a_declined_consent_is_told_from_a_failure(entra):
    flow = begin(entra, prompt="consent")
    with pytest.raises(ConsentRequired) as declined:
        entra.redeem(flow.payload, callback(flow, consent=False), soon())
    assert declined.value.code in {"AADSTS65004", "access_denied"}


@pytest.mark.parametrize(
    "query",
    [
        {"code": "c", "state": "another"},
        {"code": "c"},
        {"state": "our-state"},
        {"state": "our-state", "code": ""},
        {"error": "access_denied", "state": "another"},
    ],
)
def test_a_query_that_does_not_belong_to_the_flow_is_refused_without_a_call(entra, sandbox, query):
    flow = begin(entra)
    before = len(sandbox.counters.seen)
    with pytest.raises(Refused) as refused:
        entra.redeem(flow.payload, query, soon())
    assert refused.value.code == "state_unknown"
    assert len(sandbox.counters.seen) == before


@pytest.mark.parametrize("payload", ["", "[]", "{}", "null", '{"state": "our-state"}'])
def test_an_unreadable_stored_flow_is_refused(entra, payload):
    with pytest.raises(Refused) as refused:
        entra.redeem(Secret(payload), {"code": "c", "state": "our-state"}, soon())
    assert refused.value.code == "state_unknown"


def test_words_from_the_address_line_never_reach_a_later_request(entra, sandbox):
    flow = begin(entra)
    with pytest.raises(IntegrationError) as failed:
        entra.redeem(flow.payload, {"error": "x\r\nX-Evil: 1", "state": "our-state"}, soon())
    assert "Evil" not in str(failed.value)
    assert connected(entra).access_token.reveal()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-app"},
        {"tid": "99999999-2222-3333-4444-555555555555"},
        {"iss": "https://login.sandbox.test/elsewhere/v2.0"},
        {"exp": 1},
        {"nonce": "replayed"},
        {"oid": None},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
def test_an_id_token_that_does_not_fit_is_refused(entra, sandbox, claims):
    sandbox.options.id_token_claims = claims
    with pytest.raises(Refused) as refused:
        connected(entra)
    assert refused.value.code == "id_token_invalid"


def test_a_missing_refresh_token_is_refused(entra, sandbox):
    sandbox.options.omit_refresh_token = True
    with pytest.raises(ConsentRequired) as refused:
        connected(entra)
    assert refused.value.code == "refresh_token_missing"


def test_a_certificate_signs_us_in_instead_of_a_secret(sandbox):
    pem = certificate_pem()
    sandbox.registration.certificates = (pem[pem.index("-----BEGIN CERTIFICATE") :],)
    sandbox.registration.client_secret = "changed"
    # MSAL dates its assertion by the machine's clock.
    sandbox.clock.advance(datetime.now(UTC).timestamp() - sandbox.clock.now())
    entra = Entra(
        AUTHORITY,
        ClientCredential(CLIENT_ID, None, Secret(pem)),
        build_session(None, 1),
        now=sandbox.clock.now,
    )
    assert connected(entra).claims.upn == "ada@contoso.example"


def certificate_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cadence")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (private + certificate.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize(
    ("authority", "credential"),
    [
        (AUTHORITY, ClientCredential(CLIENT_ID)),
        (AUTHORITY, ClientCredential(CLIENT_ID, None, Secret("no PEM"))),
        (
            AUTHORITY,
            ClientCredential(
                CLIENT_ID,
                None,
                Secret(
                    "-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n"
                    "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----"
                ),
            ),
        ),
        ("http://login.sandbox.test", CREDENTIAL),
        ("nonsense", CREDENTIAL),
    ],
    ids=["nothing", "no PEM", "garbage in PEM", "plain http", "no address"],
)
def test_unusable_settings_are_our_fault(sandbox, authority, credential):
    with pytest.raises(Misconfigured) as failed:
        begin(Entra(authority, credential, build_session(None, 1)))
    assert failed.value.code == "misconfigured"


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("token-error-*.json")))
def test_a_recorded_error_keeps_its_trace_id_and_none_of_its_text(entra, sandbox, name):
    tokens = connected(entra)
    body = json.loads((SAMPLES / name).read_text())
    with responses.RequestsMock() as microsoft:
        microsoft.post(f"{AUTHORITY}/organizations/oauth2/v2.0/token", json=body, status=400)
        with pytest.raises(IntegrationError) as failed:
            refresh(entra, tokens.refresh_token)
    assert failed.value.request_id == body["trace_id"]
    assert body["error"] in failed.value.detail
    assert body["error_description"].split(": ")[1][:20] not in str(failed.value)


ODD_ANSWERS = {
    "a list": "[]",
    "a text": '"x"',
    "nothing inside": "{}",
    "a token that is no text": json.dumps({"access_token": 7, "refresh_token": "r", "expires_in": 1}),
    "no lifetime": json.dumps({"access_token": "a", "refresh_token": "r"}),
    "a lifetime in words": json.dumps({"access_token": "a", "refresh_token": "r", "expires_in": "long"}),
    "an endless lifetime": '{"access_token": "a", "refresh_token": "r", "expires_in": 1e999}',
    "bytes that are no text": b'{"access_token": "\xff"}',
    "absurd nesting": "[" * 100_000,
}


@pytest.mark.parametrize("body", ODD_ANSWERS.values(), ids=ODD_ANSWERS.keys())
def test_an_odd_answer_of_200_is_unavailable(entra, sandbox, body):
    tokens = connected(entra)
    with responses.RequestsMock() as microsoft:
        microsoft.post(f"{AUTHORITY}/organizations/oauth2/v2.0/token", body=body)
        with pytest.raises(Unavailable):
            refresh(entra, tokens.refresh_token)


@pytest.mark.parametrize("id_token", ["x", "a.b.c", 7, None, "x.W10.y"])
def test_an_id_token_of_another_form_is_refused(entra, sandbox, id_token):
    flow = begin(entra)
    with responses.RequestsMock() as microsoft:
        microsoft.post(
            f"{AUTHORITY}/organizations/oauth2/v2.0/token",
            json={"access_token": "a", "refresh_token": "r", "expires_in": 3599, "id_token": id_token},
        )
        with pytest.raises(Refused) as refused:
            entra.redeem(flow.payload, {"code": "c", "state": "our-state"}, soon())
    assert refused.value.code == "id_token_invalid"


def token_answer(**members):
    body = {"access_token": "a", "expires_in": "3599", "token_type": "Bearer", **members}
    return {name: value for name, value in body.items() if value is not None}


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("Calendars.Read openid", ("Calendars.Read", "openid")),
        (None, ("Calendars.Read",)),
        ("", ("Calendars.Read",)),
        ("https%3A%2F%2Fgraph.microsoft.com%2FCalendars.Read", ("https://graph.microsoft.com/Calendars.Read",)),
    ],
)
def test_scopes_are_read_in_every_form_seen(entra, sandbox, scope, granted):
    begin(entra)
    with responses.RequestsMock() as microsoft:
        microsoft.post(f"{AUTHORITY}/organizations/oauth2/v2.0/token", json=token_answer(scope=scope))
        tokens = refresh(entra, Secret("old"))
    assert tokens.scopes == granted
    assert tokens.expires_in == 3599
    assert tokens.refresh_token == Secret("old"), "without a new one the old one stays"


def test_the_deadline_holds_while_entra_hangs(tmp_path):
    box = []
    document = {
        "issuer": "https://x/{tenantid}/v2.0",
        "authorization_endpoint": "https://x/authorize",
        "token_endpoint": "",
    }

    def behave(handler, _):
        if handler.path.endswith(DISCOVERY):
            send(handler, 200, json.dumps(document).encode())
        else:
            box[0].released.wait()

    ca_bundle = str(tmp_path / "ca.pem")
    with tls_serving(behave, ca_bundle) as server:
        box.append(server)
        document["token_endpoint"] = f"{server.url}/organizations/oauth2/v2.0/token"
        entra = Entra(server.url, CREDENTIAL, build_session(ca_bundle, 1))
        begin(entra)
        with pytest.raises(Unavailable) as late:
            entra.refresh(Secret("old"), scopes=SCOPES, deadline=Deadline.after(0.2))
        assert not server.released.is_set()
    assert late.value.code == "timeout"


@contextmanager
def tls_serving(behave, bundle):
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA).configure_cert(context)
    authority.cert_pem.write_to_path(str(bundle))
    with serving(behave, context=context) as server:
        yield server


def test_nothing_secret_is_logged_or_shown(entra, sandbox, caplog):
    caplog.set_level(logging.DEBUG)
    tokens = connected(entra)
    again = refresh(entra, tokens.refresh_token)
    sandbox.faults.add(Fault(path="/token", kind="html"))
    with pytest.raises(Unavailable) as failed:
        refresh(entra, tokens.refresh_token)
    told = caplog.text + repr(tokens) + repr(again) + repr(failed.value) + repr(begin(entra)) + repr(CREDENTIAL)
    secrets = [box.reveal() for box in (tokens.access_token, tokens.refresh_token, again.access_token)]
    assert not [secret for secret in (*secrets, CLIENT_SECRET) if secret in told]
    assert "gateway had a bad moment" not in told


def test_nothing_is_kept_in_msals_token_cache(entra):
    first = connected(entra)
    second = connected(entra)
    assert first.access_token != second.access_token


def test_one_entra_serves_the_whole_process():
    get_entra.cache_clear()
    one = get_entra(AUTHORITY, ClientCredential("id", Secret("s")), None)
    assert get_entra(AUTHORITY, ClientCredential("id", Secret("s")), None) is one
    assert get_entra(AUTHORITY, ClientCredential("id", Secret("t")), None) is not one
    assert get_entra(AUTHORITY, ClientCredential("id", Secret("s")), "/ca.pem") is not one
    get_entra.cache_clear()


def test_the_recorded_discovery_document_is_enough(sandbox):
    document = json.loads((SAMPLES / "openid-configuration.recorded-2021.json").read_text())
    entra = Entra("https://login.microsoftonline.com", CREDENTIAL, build_session(None, 1))
    with responses.RequestsMock() as microsoft:
        microsoft.get(
            "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration", json=document
        )
        flow = begin(entra)
        assert len(microsoft.calls) == 1, "no instance discovery besides"
    assert flow.auth_uri.startswith(document["authorization_endpoint"])


def test_a_state_in_the_query_is_compared_as_text_of_any_script(entra):
    flow = begin(entra)
    with pytest.raises(Refused):
        entra.redeem(flow.payload, {"code": "c", "state": base64.b64encode(b"x").decode() + "ü"}, soon())
