"""A simulated Entra ID and Microsoft Graph for demos and tests; it knows nothing of the product."""

from sandbox.service import Sandbox

__all__ = ["Sandbox"]
