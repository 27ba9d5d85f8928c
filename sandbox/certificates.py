"""A certificate authority of the sandbox's own, made at the first start and kept."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509


def ensure_certificates(state_dir: Path) -> Path:
    """Make `ca.pem` and `server.pem` in `state_dir` unless both are there and good for another day.

    Returns the path of `ca.pem`, which clients must trust.
    """
    ca_path, server_path = state_dir / "ca.pem", state_dir / "server.pem"
    if ca_path.exists() and server_path.exists() and _still_good(server_path):
        return ca_path
    state_dir.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Microsoft 365 sandbox", organization_unit_name="not Microsoft")
    issued = authority.issue_cert("localhost", "127.0.0.1", "::1", common_name="localhost")
    server_path.touch(mode=0o600)
    issued.private_key_and_cert_chain_pem.write_to_path(str(server_path))
    authority.cert_pem.write_to_path(str(ca_path))
    return ca_path


def server_context(state_dir: Path) -> ssl.SSLContext:
    """Return the TLS context of the server's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state_dir / "server.pem")
    return context


def _still_good(server_path: Path) -> bool:
    pem = server_path.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    return certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
