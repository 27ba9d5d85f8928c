"""Who may sign in where: the account picker's list, and why an account is kept out."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox import aadsts, pages
from sandbox.messages import Response
from sandbox.people import PERSONAL, Account, Tenant
from sandbox.world import World


def sign_in_page(
    world: World, tenant: Tenant | None, fields: Mapping[str, str], *, hint: str = "", problem: str = "", **form: str
) -> Response:
    """Return the picker with some accounts of each tenant, or of one; `form` as for `pages.sign_in_page`."""
    everyone = [account for account in world.directory.accounts(tenant) if account.can_sign_in]
    listed: list[Account] = []
    for found in dict.fromkeys(account.tenant for account in everyone):
        members = [account for account in everyone if account.tenant == found]
        first = [a for a in members if a.is_admin] + [a for a in members if a.kind == "service"]
        listed += first + [a for a in members if a not in first][:2]
    return pages.sign_in_page(
        app=world.registration.name,
        accounts=listed,
        everyone=everyone,
        fields=fields,
        hint=hint,
        problem=problem,
        **form,
    )


def why_not(world: World, account: Account | None, path_tenant: str, tenant: Tenant | None) -> str:
    """Return why this account cannot sign in here, in Entra's words, or an empty string."""
    if account is None or not account.can_sign_in:
        return "This username may be incorrect. Make sure that you typed it correctly."
    if account.tenant == PERSONAL and path_tenant == "organizations" and not world.options.allow_personal:
        return "You can't sign in here with a personal account. Use your work or school account instead."
    client_id = world.registration.client_id
    if tenant is not None and account.tenant != tenant:
        named = {"upn": account.upn, "tenant": tenant.title, "client_id": client_id}
        return aadsts.describe(50020, world.clock, named=named)[1]
    number = world.gate.at_sign_in(account)
    if not number:
        return ""
    return aadsts.describe(number, world.clock, named={"tenant": account.tenant.tid, "client_id": client_id})[1]
