"""A certificate authority of our own, for TLS on loopback."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme


def make_context(directory: Path, expired: bool = False) -> ssl.SSLContext:
    """A server context for localhost and its regions; writes the authority to `directory`/ca.pem for the clients."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / 'ca.pem'))
    past = datetime.now(timezone.utc) - timedelta(days=1)
    leaf = authority.issue_cert(
        'localhost', '127.0.0.1', 'localhost.local.geo', 'localhost.far.geo', not_after=past if expired else None
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    return context
