"""Certificates for servers of tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from enfilade.net.tls import Certificate
from enfilade.pki import authority


def self_signed(names: Sequence[str]) -> Certificate:
    """One for `names` (host names, wildcards, addresses) that vouches for itself: its chain is whom to trust, too."""
    return Certificate("a test's", *authority.self_signed(names, datetime.now(UTC), timedelta(days=90)))
