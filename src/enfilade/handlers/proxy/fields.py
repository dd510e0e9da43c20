"""Header fields on their way through: those of a connection end here, those that tell about the way are added (RFC 9110
section 7.6). What strangers claim about the way is thrown away before we say it ourselves."""

from __future__ import annotations

from enfilade.http.ends import Ends
from enfilade.http.fields import Fields, Pair
from enfilade.http.grammar import CONNECTION_FIELDS, list_members
from enfilade.http.request import Request

PSEUDONYM = b"enfilade"
"""What Via calls us (section 7.6.3): whoever wants to know more about a server should not learn it here."""

# Besides CONNECTION_FIELDS; Host and Via are written anew. HTTP2-Settings belongs to `Upgrade: h2c`, which goes no further.
_ENDS_HERE = CONNECTION_FIELDS | {b"host", b"http2-settings", b"proxy-authorization", b"te", b"via"}
_ON_THE_WAY = {
    b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip",
}  # fmt: skip
_BACK_ENDS_HERE = CONNECTION_FIELDS | {b"proxy-authenticate", b"te"}

_VIA = {version: version.encode() + b" " + PSEUDONYM for version in ("1.0", "1.1", "2")}


def outgoing_fields(request: Request, ends: Ends) -> list[Pair]:
    """The fields for the peer, less Host. A name with an underscore is dropped: many applications take it for one with a
    hyphen, and so for one of ours (FAILURES: underscore aliases)."""
    fields = request.fields
    ended = _ENDS_HERE | _ON_THE_WAY
    named = fields.get(b"connection")
    if named is not None:
        ended = ended.union(list_members(named))
    pairs = [pair for pair in fields.pairs if pair[0] not in ended and b"_" not in pair[0]]
    if request.version == "2":
        pairs = _join_cookies(pairs)
    if (fields.get(b"te") or b"").strip().lower() == b"trailers":
        pairs.append((b"te", b"trailers"))
    via = fields.get(b"via")
    own = _VIA[request.version]
    return [*pairs, *_forwarding(request, ends), (b"via", own if via is None else via + b", " + own)]


def returned_fields(fields: Fields) -> Fields:
    """The fields for the client, remembered on those of the peer. A Via of ours is not among them: a gateway needs none."""
    known = fields.forwarded
    if known is None:
        ended = _BACK_ENDS_HERE
        named = fields.get(b"connection")
        if named is not None:
            ended = ended.union(list_members(named))
        known = fields.forwarded = fields.without(*ended)
    return known


def _forwarding(request: Request, ends: Ends) -> list[Pair]:
    """Who asks, how and for whom. Where a trusted proxy has sent the request to us (then the client is not who is connected),
    its list goes on."""
    connected = ends.client[0]
    address = ends.client_ip
    if address != connected:
        known = request.fields.get(b"x-forwarded-for")
        hops = [known.decode("latin-1")] if known is not None else [address]
        address = ", ".join([*hops, connected])
    pairs = [(b"x-forwarded-for", address.encode("latin-1"))] if address else []
    return [
        *pairs,
        (b"x-forwarded-host", request.authority.encode("ascii")),
        (b"x-forwarded-proto", ends.scheme.encode("ascii")),
    ]


def _join_cookies(pairs: list[Pair]) -> list[Pair]:
    """HTTP/2 clients may send a cookie in crumbs; HTTP/1 knows only one line (RFC 9113 section 8.2.3)."""
    crumbs = [value for name, value in pairs if name == b"cookie"]
    if len(crumbs) < 2:
        return pairs
    return [*(pair for pair in pairs if pair[0] != b"cookie"), (b"cookie", b"; ".join(crumbs))]
