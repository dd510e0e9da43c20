"""The objects of RFC 8555 section 7.1, as far as they are read here."""

from __future__ import annotations

from datetime import datetime

import msgspec

from enfilade.acme.problem import Identifier, Problem


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    external_account_required: bool = False
    profiles: dict[str, str] = {}


class Directory(msgspec.Struct, frozen=True, rename="camel"):
    """Where the authority is asked for what (section 7.1.1)."""

    new_nonce: str
    new_account: str
    new_order: str
    renewal_info: str | None = None
    meta: Meta = Meta()


class Account(msgspec.Struct, frozen=True):
    status: str


class Challenge(msgspec.Struct, frozen=True):
    type: str
    url: str
    status: str = "pending"
    token: str = ""
    error: Problem | None = None


class Authorization(msgspec.Struct, frozen=True):
    """What the authority must be shown before it signs for `identifier` (section 7.1.4)."""

    status: str
    identifier: Identifier
    challenges: list[Challenge]


class Order(msgspec.Struct, frozen=True):
    status: str
    authorizations: list[str]
    finalize: str
    certificate: str | None = None
    error: Problem | None = None


class Window(msgspec.Struct, frozen=True):
    start: datetime
    end: datetime


class RenewalInfo(msgspec.Struct, frozen=True, rename="camel"):
    """When the authority wants a certificate to be renewed (RFC 9773 section 4.2)."""

    suggested_window: Window
