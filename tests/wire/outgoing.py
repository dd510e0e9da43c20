"""Requests as a client's engine gets them."""

from __future__ import annotations

from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.request import Request


def outgoing(
    method: str, scheme: str, authority: str, target: bytes, fields: Fields = NO_FIELDS, protocol: str | None = None
) -> Request:
    path, _, query = target.partition(b"?")
    return Request(method, scheme, authority, "", "", path, query, fields, "", protocol)
