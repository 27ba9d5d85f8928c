"""Entra ID v2.0: routes of one origin to discovery, keys, authorize and token."""

from __future__ import annotations

from sandbox import aadsts
from sandbox.authorize import Authorize
from sandbox.clock import Clock
from sandbox.counters import Counters
from sandbox.directory import Directory
from sandbox.messages import Request, Response, json_response
from sandbox.people import PERSONAL_TENANT_ID
from sandbox.redemption import Redemption
from sandbox.tokens import public_keys


class Entra:
    """Answers `/{tenant}/…`; None for paths that are not Entra's.

    `pages_origin`, when set, is where discovery says humans sign in: plain http, so that no certificate
    warning meets them.
    """

    def __init__(
        self,
        *,
        authorize: Authorize,
        redemption: Redemption,
        directory: Directory,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._authorize, self._redemption = authorize, redemption
        self._directory, self._clock, self._counters = directory, clock, counters
        self.pages_origin = ""

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
        if route == "POST oauth2/v2.0/token":
            return self._redemption.answer(request, tenant)
        return None

    def _discovery(self, request: Request, name: str) -> Response:
        """Answer the discovery document; members as recorded from Microsoft, where the sandbox has them."""
        self._counters.add("discovery")
        tenant = self._directory.tenant(name)
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
            "response_modes_supported": ["query"],
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
