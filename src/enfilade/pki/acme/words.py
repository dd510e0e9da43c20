"""What the resources of an ACME server work with: what is asked, what is answered, what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any, Literal, NamedTuple

import msgspec

from enfilade.pki.acme.names import Identifier, Names
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.records import Record, Transaction
from enfilade.pki.acme.signed import Jwk, Signed
from enfilade.pki.authority import Authority

DAY = 86400.0


class Rules(NamedTuple):
    """`names`: for which certificates may be had; `lifetime`: of these. `bound`: the keys of external accounts, one of which
    every account must then be bound to, by their names; {}: none need be."""

    names: Names
    lifetime: timedelta
    bound: Mapping[str, bytes]


class Asked(NamedTuple):
    """A request. `base`: the URL of the directory's own directory, without a slash; `path`: what is behind it."""

    method: str
    base: str
    path: str
    media: str = ""
    body: bytes = b""


class Task(NamedTuple):
    """A challenge that is to be looked at. `proof`: the key authorization (RFC 8555 section 8.1)."""

    authorization: str
    kind: str
    identifier: Identifier
    token: str
    proof: str


class Answer(NamedTuple):
    """`task`: what is to be done then."""

    status: int
    body: bytes = b""
    fields: tuple[tuple[bytes, bytes], ...] = ()
    task: Task | None = None


class Account(Record):
    """Its owner is the thumbprint of its key."""

    jwk: Jwk
    contact: list[str] = []
    status: Literal["valid", "deactivated"] = "valid"
    bound: str = ""


class Challenge(msgspec.Struct):
    """`since`: when the client said that it is ready."""

    type: str
    token: str
    status: Literal["pending", "processing", "valid", "invalid"] = "pending"
    since: float = 0.0
    validated: str = ""
    error: dict[str, Any] | None = None


class Authorization(Record):
    """Its owner is an account, by its id; so is that of an order and of a certificate."""

    identifier: Identifier
    challenges: list[Challenge]
    status: Literal["pending", "valid", "invalid", "deactivated"] = "pending"


class Order(Record):
    """`certificate`: the id of that which was issued."""

    identifiers: list[Identifier]
    authorizations: list[str]
    certificate: str = ""


class Issued(Record):
    """A certificate, by its serial number."""

    chain: str
    names: list[Identifier]


class Revoked(Record):
    """A certificate, by its serial number."""

    since: float
    reason: int


class UsedNonce(Record):
    pass


class Call(NamedTuple):
    """A request that was signed, with all that a resource needs for its answer. `account`: who signed it, None where it brought a
    key; `rest`: what stands behind the resource's name."""

    tx: Transaction
    now: float
    base: str
    rest: tuple[str, ...]
    signed: Signed
    account: Account | None
    rules: Rules
    authority: Authority

    @property
    def payload(self) -> dict[str, Any]:
        """Of a request that must have one."""
        if self.signed.payload is None:
            raise Problem("malformed", "this resource is not read, but needs a payload")
        return self.signed.payload

    @property
    def owner(self) -> Account:
        """Who must have signed it. Raises Problem."""
        if self.account is None:
            raise Problem("malformed", "this must be signed by an account (kid)")
        return self.account

    def url(self, *parts: str) -> str:
        return "/".join((self.base, *parts))


Resource = Callable[[Call], Answer]


def new_id() -> str:
    return token_urlsafe(16)


def moment(now: float) -> str:
    """As RFC 3339 has it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_answer(status: int, document: object, *fields: tuple[bytes, bytes], task: Task | None = None) -> Answer:
    return Answer(status, msgspec.json.encode(document), ((b"content-type", b"application/json"), *fields), task)


def location(url: str) -> tuple[bytes, bytes]:
    return b"location", url.encode()


def one_of_ours(found: Record | None, account: Account) -> None:
    """What is not the account's is not there. Raises Problem."""
    if found is None or found.owner != account.id:
        raise Problem("malformed", "there is nothing here", 404)
