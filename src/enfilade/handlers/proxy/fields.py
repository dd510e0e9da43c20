"""Header fields on their way through: those of a connection end here, those that tell about the way are added (RFC 9110
section 7.6). What strangers claim about the way is thrown away before we say it ourselves."""

from __future__ import annotations

from enfilade.http.ends import Ends
from enfilade.http.fields import Fields, Pair
from enfilade.http.forwarded import is_claim
from enfilade.http.grammar import CONNECTION_FIELDS, list_members
from enfilade.http.memory import remember
from enfilade.http.request import Request

PSEUDONYM = b"enfilade"
"""What Via calls us (section 7.6.3): whoever wants to know more about a server should not learn it here."""

# Besides CONNECTION_FIELDS; Host and Via are written anew. HTTP2-Settings belongs to `Upgrade: h2c`, which goes no further.
_ENDS_HERE = CONNECTION_FIELDS | {
    b"host", b"http2-settings", b"proxy-authorization", b"te", b"via",
}  # fmt: skip
_BACK_ENDS_HERE = CONNECTION_FIELDS | {b"proxy-authenticate", b"te"}

_VIA = {version: version.encode() + b" " + PSEUDONYM for version in ("1.0", "1.1", "2")}


class _GoesOn(dict[bytes, bool]):
    """Whether a field of this name goes on to the peer. A name with an underscore does not: many applications take it for one
    with a hyphen, and so for one of ours."""

    def __missing__(self, name: bytes) -> bool:
        goes_on = not (name in _ENDS_HERE or is_claim(name) or b"_" in name)
        if len(name) <= _KEPT_BYTES:
            remember(self, name, goes_on, _KEPT)
        return goes_on


_KEPT = 1024
_KEPT_BYTES = 64
_goes_on = _GoesOn()


def outgoing_fields(request: Request, ends: Ends) -> list[Pair]:
    """The fields for the peer, less Host."""
    fields = request.fields
    pairs = [pair for pair in fields.pairs if _goes_on[pair[0]]]
    named = fields.get(b"connection")
    if named is not None:
        ended = list_members(named)
        pairs = [pair for pair in pairs if pair[0] not in ended]
    if request.method == "OPTIONS":
        pairs = _count_down(pairs)
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
    what it has said of the way before goes on."""
    connected = ends.client[0].encode("latin-1")
    host, scheme = request.authority.encode("ascii"), ends.scheme.encode("ascii")
    hops, forwarded = connected, None
    if ends.client_ip != ends.client[0]:
        hops = request.fields.get(b"x-forwarded-for") or ends.client_ip.encode("latin-1")
        hops = hops + b", " + connected if connected else hops
        forwarded = request.fields.get(b"forwarded")
    said = ((b"x-forwarded-for", hops), (b"x-forwarded-host", host), (b"x-forwarded-proto", scheme))
    pairs = [pair for pair in said if pair[1]]
    if forwarded is not None:
        pairs.append((b"forwarded", forwarded + b", " + _element(connected, host, scheme)))
    return pairs


def _element(address: bytes, host: bytes, scheme: bytes) -> bytes:
    """What we add to Forwarded (RFC 7239 section 4)."""
    node = b'"[%s]"' % address if b":" in address else address or b"unknown"
    return b'for=%s;host="%s";proto=%s' % (node, host, scheme)


def _count_down(pairs: list[Pair]) -> list[Pair]:
    """Section 7.6.2: one step fewer may follow."""
    return [
        (name, b"%d" % (int(value) - 1))
        if name == b"max-forwards" and value.isdigit() and value != b"0"
        else (name, value)
        for name, value in pairs
    ]


def _join_cookies(pairs: list[Pair]) -> list[Pair]:
    """HTTP/2 clients may send a cookie in crumbs; HTTP/1 knows only one line (RFC 9113 section 8.2.3)."""
    crumbs = [value for name, value in pairs if name == b"cookie"]
    if len(crumbs) < 2:
        return pairs
    return [*(pair for pair in pairs if pair[0] != b"cookie"), (b"cookie", b"; ".join(crumbs))]
