"""Requests that trusted proxies pass on to us, as if their clients had made them here."""

from __future__ import annotations

from enfilade.http.addresses import Networks
from enfilade.http.ends import Ends
from enfilade.http.forwarded import Told, client_of
from enfilade.http.request import Request

Behind = tuple[Request, Ends]


class TrustedProxies:
    """`proxies` are the networks in which they are."""

    __slots__ = ("_proxies",)

    def __init__(self, proxies: Networks) -> None:
        self._proxies = proxies

    def __contains__(self, ends: Ends) -> bool:
        """Whether the client of `ends` is a trusted proxy."""
        return ends.client_ip in self._proxies

    def behind(self, request: Request, ends: Ends) -> Behind:
        """What the trusted proxy's `request` is: the client's, with its scheme and host, and the ends with the client's address.
        Engines hand out the same Request only on the same connection, so it is remembered there."""
        known: Behind | None = request.forwarded
        if known is None:
            told = client_of(request.fields, ends.client_ip, self._proxies)
            known = request.forwarded = (_request(request, told), _ends(ends, told))
        return known


def _request(r: Request, told: Told) -> Request:
    fields, authority, host = r.fields, r.authority, r.host
    if told.authority is not None and told.host is not None and told.authority != authority:
        authority, host = told.authority, told.host
        fields = fields.setting((b"host", authority.encode("ascii")))  # nobody behind us may read another one
    return Request(
        r.method, told.scheme or r.scheme, authority, host, r.path, r.raw_path, r.query, fields, r.version, r.protocol
    )


def _ends(e: Ends, told: Told) -> Ends:
    ends = Ends(e.client, e.server, told.scheme or e.scheme, e.sni, e.alpn, e.tls_version, e.tls, e.certificate)
    ends.client_ip = told.client_ip
    return ends
