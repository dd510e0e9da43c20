"""What an authority complains about (RFC 8555 section 6.7), as sentences that say what to do."""

from __future__ import annotations

import msgspec

_PREFIX = "urn:ietf:params:acme:error:"

ADVICE = {
    "accountDoesNotExist": "the authority has forgotten the account; with the next try another one is opened",
    "badCSR": "the authority does not sign for this name; choose another name, or another authority",
    "badNonce": "the authority refuses its own nonces; a proxy between it and this server may be caching",
    "caa": "the CAA records of the domain do not allow this authority: add one for it, or choose another authority",
    "connection": "it could not connect: the addresses of the name must be this server's, and its port open to everybody",
    "dns": "the name could not be looked up: it needs A or AAAA records that lead here, and no broken DNSSEC",
    "externalAccountRequired": "this authority wants an account made elsewhere: set account_key_id and account_hmac",
    "incorrectResponse": "something else answered: the addresses of the name must be this server's, every one of them",
    "invalidContact": "the authority refuses the email address: correct email",
    "invalidProfile": "the authority has no such profile: correct profile, or leave it out",
    "rateLimited": "the authority's limit is reached: nothing is to be done but to wait; it is tried again by itself",
    "rejectedIdentifier": "the authority does not sign for this name at all; choose another one, or another authority",
    "serverInternal": "the authority has trouble of its own; it is tried again by itself",
    "tls": "it could not speak TLS with this server: something in front of it may end TLS itself",
    "unauthorized": "something else answered: the addresses of the name must be this server's, every one of them",
    "unsupportedContact": "the authority takes no such address: correct email",
    "unsupportedIdentifier": "the authority does not sign for this kind of name (an address?); choose another authority",
    "userActionRequired": "the terms of the authority have changed: read them where it says, and agree there",
}
"""By type, without ACME's prefix: what whoever runs this server can do about it."""


class Identifier(msgspec.Struct, frozen=True):
    """A name or an address that is to be certified: `type` is "dns" or "ip"."""

    type: str
    value: str


class Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457)."""

    type: str = ""
    detail: str = ""
    identifier: Identifier | None = None
    subproblems: list[Problem] = []

    @property
    def kind(self) -> str:
        """The type, short where it is one of ACME's."""
        return self.type.removeprefix(_PREFIX)


def sentence(problem: Problem) -> str:
    """What is wrong, in the authority's words, and what to do about it, in ours."""
    said = [_said(problem), *map(_said, problem.subproblems)]
    kinds = dict.fromkeys(one.kind for one in (problem, *problem.subproblems))
    advice = next((ADVICE[kind] for kind in kinds if kind in ADVICE), "")
    return "; ".join(filter(None, (*said, advice)))


def _said(problem: Problem) -> str:
    name = "" if problem.identifier is None else f"{problem.identifier.value}: "
    kind = f" ({problem.kind})" if problem.kind else ""
    return f"{name}{_plain(problem.detail) or 'no details'}{kind}"


def _plain(text: str) -> str:
    """One line of what somebody else wrote, of a bounded length."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in line[:500]).rstrip(".")
