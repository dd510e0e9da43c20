"""Which hosts an authority of the public Internet can know."""

from __future__ import annotations

from ipaddress import ip_address

# What means something only on this machine or network (RFC 6761, RFC 6762, RFC 7686, RFC 8375; .internal is ICANN's).
_LOCAL = {"localhost", "local", "internal", "test", "example", "invalid", "onion", "arpa", "alt"}


def is_public(host: str) -> bool:
    """Whether `host` (a name, a wildcard or an address, lower case) can be somebody's on the public Internet; `*` is nobody's."""
    try:
        return ip_address(host.strip("[]")).is_global
    except ValueError:
        labels = host.removeprefix("*.").removesuffix(".").split(".")
        return len(labels) > 1 and labels[-1] not in _LOCAL
