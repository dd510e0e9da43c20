"""What is remembered of a name in the storage, and how a certificate lies in it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from enfilade.acme.x509 import Chain, read_chain

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class State(msgspec.Struct, frozen=True):
    """`failures`: in a row; `again`: no try before then, in seconds since 1970; `error`: what the last one
    said, with what to do.

    Of the certificate that it has: `authority` has signed it; `renew`: when it wants it renewed, 0 where it has not said;
    `ask`: when it is asked that again."""

    failures: int = 0
    again: float = 0.0
    error: str = ""
    authority: str = ""
    renew: float = 0.0
    ask: float = 0.0


class Wanted(msgspec.Struct, frozen=True):
    """Of a name that has a certificate on demand: when it was first asked for, and when last, to a day, in seconds since
    1970."""

    since: float
    asked: float


class Held(NamedTuple):
    """A certificate in the storage."""

    key: bytes
    chain: Chain


def encode(held: Held) -> bytes:
    """One file, so that key and certificate change together."""
    return held.key.rstrip() + b"\n" + held.chain.pem


def decode(pem: bytes) -> Held:
    """Raises ValueError."""
    at = pem.find(_CERTIFICATE)
    if at < 0:
        raise ValueError("it has no certificate")
    return Held(pem[:at], read_chain(pem[at:], pem[:at]))
