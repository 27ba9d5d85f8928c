"""Entra ID v2.0: routes of one origin to discovery, keys, authorize and token."""

from __future__ import annotations

from sandbox import aadsts
from sandbox.adminconsent import AdminConsent
from sandbox.authorize import Authorize
from sandbox.messages import Request, Response, json_response
from sandbox.people import PERSONAL_TENANT_ID, Account
from sandbox.redemption import Redemption
from sandbox.tokens import public_keys
from sandbox.world import World


class Entra:
    """Answers `/{tenant}/…`; None for paths that are not Entra's.

    `pages_origin`, when set, is where discovery says humans sign in: plain http, so that no certificate
    warning meets them.
    """

    def __init__(self, world: World) -> None:
        self._authorize, self._admin_consent = Authorize(world), AdminConsent(world)
        self._redemption = Redemption(world)
        self._directory, self._clock, self._counters = world.directory, world.clock, world.counters
        self._gate = world.gate
        self.pages_origin = ""

    def bearer(self, request: Request) -> Account | None:
        """Return whose refresh token or code a token request brings, good or not."""
        return self._redemption.bearer(request)

    def answer(self, request: Request) -> Response | None:
        """Answer one request."""
        tenant, _, rest = request.path.lstrip("/").partition("/")
        route = f"{request.method} {rest}"
        if route == "GET v2.0/.well-known/openid-configuration":
            return self._discovery(request, tenant)
        if route == "GET discovery/v2.0/keys":
            return json_response(200, public_keys())
        if route == "GET oauth2/v2.0/authorize":
            return self._authorize.start(request, tenant)
        if route == "POST oauth2/v2.0/signin":
            return self._authorize.signed_in(request, tenant)
        if route == "POST oauth2/v2.0/consent":
            return self._authorize.decided(request, tenant)
        if rest in {"v2.0/adminconsent", "adminconsent"} and request.method in {"GET", "POST"}:
            return self._admin_consent.answer(request, tenant, older=rest == "adminconsent")
        if route == "GET discovery/instance":
            return self._instance(request, tenant)
        if route == "POST oauth2/v2.0/token":
            return self._redemption.answer(request, tenant)
        return None

    def _instance(self, request: Request, name: str) -> Response:
        """Answer the list of cloud aliases; the sandbox is a cloud of its own with one name."""
        self._counters.add("discovery")
        host = request.origin.partition("://")[2]
        metadata = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        where = f"{request.origin}/{name}/v2.0/.well-known/openid-configuration"
        document = {"tenant_discovery_endpoint": where, "api-version": "1.1", "metadata": metadata}
        return json_response(200, document)

    def _discovery(self, request: Request, name: str) -> Response:
        """Answer the discovery document; members as recorded from Microsoft, where the sandbox has them."""
        self._counters.add("discovery")
        tenant = self._directory.tenant(name)
        if tenant is not None and self._gate.is_deleted(tenant.tid):
            return aadsts.error_response(90002, self._clock, named={"tenant": name})
        if tenant is not None:
            issuer_tenant = tenant.tid
        elif name == "consumers":
            issuer_tenant = PERSONAL_TENANT_ID
        elif name in {"organizations", "common"}:
            issuer_tenant = "{tenantid}"
        else:
            return aadsts.error_response(90002, self._clock, named={"tenant": name})
        secure, human = f"{request.origin}/{name}", f"{self.pages_origin or request.origin}/{name}"
        document = {
            "token_endpoint": f"{secure}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
            "jwks_uri": f"{secure}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{request.origin}/{issuer_tenant}/v2.0",
            "request_uri_parameter_supported": False,
            "authorization_endpoint": f"{human}/oauth2/v2.0/authorize",
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "nonce",
                "preferred_username",
                "name",
                "tid",
                "ver",
            ],
            "tenant_region_scope": None,
            "cloud_instance_name": "sandbox",
            "cloud_graph_host_name": "sandbox",
            "msgraph_host": "sandbox",
        }
        return json_response(200, document, (("Cache-Control", "max-age=86400, private"),))
