"""Messages as field sections (RFC 9113 section 8): the rules that a peer's have to keep, and ours made into blocks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from enfilade.http.fields import Fields, Pair
from enfilade.http.framing import content_length
from enfilade.http.grammar import CONNECTION_FIELDS, FORBIDDEN_TRAILERS, is_field_name, is_field_value, is_token
from enfilade.http.memory import remember
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.http.uri import UriError, parse_authority, split_target
from enfilade.wire.codec import LocalError
from enfilade.wire.hpack import static_block, static_field

_BAD_FIELD = reason("bad_field")
_BAD_HOST = reason("bad_host")
_BAD_LENGTH = reason("bad_content_length")
_BAD_REQUEST_LINE = reason("bad_request_line")
_BAD_TARGET = reason("bad_target")
_BAD_TRAILER = reason("bad_trailer")
_BAD_UPGRADE = reason("bad_upgrade")
_CONNECT_REFUSED = reason("connect_refused")
_EXPECTATION_FAILED = reason("expectation_failed")
_STREAM_ERROR = reason("stream_error")
_URI_TOO_LONG = reason("uri_too_long")

_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
PSEUDO_FIELDS = len(_REQUEST_PSEUDO)
_RESPONSE_PSEUDO = frozenset((b":status",))
_NO_PSEUDO: frozenset[bytes] = frozenset()

# Field lines that kept the rules once, and those that we sent, encoded. Not those that would tell somebody's secrets by the
# time they take; cleared when full.
_VALID_KEPT = 2048
_VALID_BYTES = 256
_NOT_KEPT = frozenset((b"cookie", b"authorization", b"proxy-authorization", b"set-cookie"))
_valid: set[Pair] = set()
_lines: dict[Pair, bytes] = {}


class Malformed(Exception):
    """The message breaks a rule of section 8.1.1: its stream ends, nothing of it goes on."""

    def __init__(self, why: Reason) -> None:
        super().__init__(why.text)
        self.reason = why


# -- what comes in


def read_request(pairs: list[Pair], scheme: str, uri_limit: int) -> tuple[Request, Reason | None]:
    """The request that `pairs` are, and the reason why it can only be refused, if there is one. Raises Malformed.

    `scheme` is the connection's. A request that is refused for its target or host has `/` or `""` there.
    """
    pseudo, lines = _split(pairs, _REQUEST_PSEUDO)
    method = pseudo.get(b":method", b"")
    if not is_token(method):
        raise Malformed(_BAD_REQUEST_LINE)
    protocol = pseudo.get(b":protocol")
    connect = method == b"CONNECT"
    if protocol is not None and not (connect and is_token(protocol)):  # RFC 8441 section 4
        raise Malformed(_BAD_UPGRADE)
    tunnel = connect and protocol is None
    if (b":path" in pseudo) is tunnel or (b":scheme" in pseudo) is tunnel:  # section 8.5: plain CONNECT has neither
        raise Malformed(_BAD_REQUEST_LINE)
    if not tunnel and pseudo[b":scheme"].lower() not in (b"http", b"https"):
        raise Malformed(_BAD_REQUEST_LINE)
    hosts = [value for name, value in lines if name == b"host"]
    given = _authority(pseudo.get(b":authority"), hosts)
    if given is not None and not hosts:
        lines.insert(0, (b"host", given))
    fields = Fields(lines)
    authority, host, refusal = _host(given)
    path, raw_path, query = "/", b"/", b""
    if tunnel:
        refusal = refusal or _CONNECT_REFUSED
    elif len(pseudo[b":path"]) > uri_limit:
        refusal = _URI_TOO_LONG
    else:
        try:
            path, raw_path, query = _target(method, pseudo[b":path"])
        except UriError as e:
            refusal = refusal or e.reason
    expected = fields.get(b"expect")
    if expected is not None and expected.lower() != b"100-continue":
        refusal = refusal or _EXPECTATION_FAILED
    request = Request(
        method.decode("ascii"), scheme, authority, host, path, raw_path, query, fields, "2",
        None if protocol is None else protocol.lower().decode("ascii"),
    )  # fmt: skip
    return request, refusal


def read_response(pairs: list[Pair]) -> tuple[int, Fields]:
    """Status and fields of a response. Raises Malformed; also for 101, which HTTP/2 does not have (section 8.6)."""
    pseudo, lines = _split(pairs, _RESPONSE_PSEUDO)
    status = pseudo.get(b":status", b"")
    if len(status) != 3 or not status.isdigit() or not 100 <= int(status) <= 599 or status == b"101":
        raise Malformed(_STREAM_ERROR)
    return int(status), Fields(lines)


def read_trailers(pairs: list[Pair]) -> Fields:
    """Trailers: no pseudo-fields, nothing that frames or routes. Raises Malformed."""
    _, lines = _split(pairs, _NO_PSEUDO)
    if any(name in FORBIDDEN_TRAILERS for name, _ in lines):
        raise Malformed(_BAD_TRAILER)
    return Fields(lines)


def declared_length(fields: Fields) -> int:
    """Content-Length; -1 if it is absent. Raises Malformed."""
    length = content_length(fields)
    if length is None:
        return -1
    if isinstance(length, Reason):
        raise Malformed(_BAD_LENGTH)
    return length


def _split(pairs: list[Pair], allowed: frozenset[bytes]) -> tuple[dict[bytes, bytes], list[Pair]]:
    """The pseudo-fields, which come first and once (section 8.3), and the other lines, each of them checked."""
    pseudo: dict[bytes, bytes] = {}
    first = len(pairs)
    for place, (name, value) in enumerate(pairs):
        if name[:1] != b":":
            first = place
            break
        if name not in allowed or name in pseudo:
            raise Malformed(_BAD_FIELD)
        pseudo[name] = value
    lines = pairs[first:]
    for line in lines:
        if line not in _valid:
            _check(line)
    return pseudo, lines


def _check(line: Pair) -> None:
    """Section 8.2. A pseudo-field that comes late fails as a name."""
    name, value = line
    if not is_field_name(name) or not is_field_value(value) or name in CONNECTION_FIELDS:
        raise Malformed(_BAD_FIELD)
    if name == b"te" and value.lower() != b"trailers":
        raise Malformed(_BAD_FIELD)
    if name not in _NOT_KEPT and len(value) <= _VALID_BYTES:
        if len(_valid) >= _VALID_KEPT:
            _valid.clear()
        _valid.add(line)


def _authority(given: bytes | None, hosts: list[bytes]) -> bytes | None:
    """What names the server: `:authority`, or Host, which must not differ from it (section 8.3.1)."""
    if len(hosts) > 1 or (given is not None and hosts and hosts[0].lower() != given.lower()):
        raise Malformed(_BAD_HOST)
    return given if given is not None or not hosts else hosts[0]


def _host(given: bytes | None) -> tuple[str, str, Reason | None]:
    if given is None:
        return "", "", _BAD_HOST
    try:
        return *parse_authority(given), None
    except UriError as e:
        return "", "", e.reason


def _target(method: bytes, raw: bytes) -> tuple[str, bytes, bytes]:
    if raw == b"*":
        if method != b"OPTIONS":
            raise UriError(_BAD_TARGET)
        return "*", b"*", b""
    return split_target(raw)


# -- what goes out


class EncodedFields:
    """What `Fields` remember in `encoded_http2`: their lines as a block that holds on every connection, and the last
    answer made with them: the frames around a body of `size` bytes, which come again and again.

    `length` is the declared Content-Length, None without one.
    """

    __slots__ = ("before", "between", "block", "date", "dated", "length", "size", "status")

    def __init__(self, block: bytes, length: int | None, dated: bool) -> None:
        self.block = block
        self.length = length
        self.dated = dated
        self.status = self.size = -1
        self.date = b""
        self.before = b""
        self.between = b""


def encoded(fields: Fields) -> EncodedFields:
    """`fields` validated and encoded, once. Raises LocalError if they cannot be sent."""
    known: EncodedFields | None = fields.encoded_http2  # type: ignore[assignment]  # nobody else writes it
    if known is None:
        length: int | None = None
        dated = False
        pieces: list[bytes] = []
        if fields.base is not None:
            before = encoded(fields.base)
            length, dated, pieces = before.length, before.dated, [before.block]
        for line in fields.added:
            pieces.append(_lines.get(line) or _encode_line(line, keep=fields.base is None))
            if line[0] == b"content-length":
                if length is not None or not line[1].isdigit():
                    raise LocalError(f"Content-Length is {fields.get(b'content-length')!r}")
                length = int(line[1])
            elif line[0] == b"date":
                dated = True
        known = fields.encoded_http2 = EncodedFields(b"".join(pieces), length, dated)
    return known


def _encode_line(line: Pair, keep: bool) -> bytes:
    """What is added to other fields is mostly new each time, such as an id: it would drive the rest out of the memory."""
    piece = static_block(sendable((line,)))
    if keep and line[0] not in _NOT_KEPT and len(line[1]) <= _VALID_BYTES:
        remember(_lines, line, piece, _VALID_KEPT)
    return piece


def sendable(fields: Iterable[Pair]) -> list[Pair]:
    """`fields` without those of the connection (section 8.2.2). Raises LocalError where a line is not one."""
    lines = [line for line in fields if line[0] not in CONNECTION_FIELDS]
    for line in lines:
        if line not in _valid and not (is_field_name(line[0]) and is_field_value(line[1])):
            raise LocalError(f"not a field: {line!r}")
    return lines


@lru_cache(maxsize=512)
def status_field(status: int) -> bytes:
    return static_field((b":status", b"%d" % status))


@lru_cache(maxsize=4)
def date_field(value: bytes) -> bytes:
    """Once a second for all connections."""
    return static_field((b"date", value))


@lru_cache(maxsize=1024)
def length_field(size: int) -> bytes:
    return static_field((b"content-length", b"%d" % size))
