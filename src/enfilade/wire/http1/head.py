"""From the bytes of a head to what it means, or to the reason why it is refused. Pure functions, but for their memories: of
request lines, of field lines, of what they decide, and of what a browser says again and again, the Cookie left out."""

from __future__ import annotations

from typing import NamedTuple, cast

from enfilade.http.fields import Fields, Pair
from enfilade.http.framing import Framing, request_framing, response_framing
from enfilade.http.grammar import list_members
from enfilade.http.memory import remember
from enfilade.http.reasons import Reason, reason
from enfilade.http.uri import UriError, parse_authority, split_target
from enfilade.wire.http1.grammar import (
    match_absolute,
    match_field_line,
    match_field_text,
    match_request_line,
    match_status_line,
    search_bare_lf,
)
from enfilade.wire.http1.limits import Http1Limits

_BAD_REQUEST_LINE = reason("bad_request_line")
_BAD_VERSION = reason("bad_version")
_BAD_TARGET = reason("bad_target")
_BAD_HOST = reason("bad_host")
_BAD_FIELD = reason("bad_field")
_CONNECT_REFUSED = reason("connect_refused")
_URI_TOO_LONG = reason("uri_too_long")
_HEAD_TOO_LARGE = reason("head_too_large")
_TOO_MANY_FIELDS = reason("too_many_fields")
_EXPECTATION_FAILED = reason("expectation_failed")
_BAD_RESPONSE = reason("bad_response")

SECRETS = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"))
"""Fields that no memory shared by connections keeps."""

RequestLine = tuple[str, str, str, bytes, bytes, str, str]
"""`(method, version, path, raw_path, query, authority, host)`: the last two only from a target in absolute-form, else empty.
A plain tuple because one is made for every request line."""

_LINES_ENTRIES = 4096
_LINE_BYTES = 512
_request_lines: dict[bytes, RequestLine] = {}
_lines: dict[bytes, Pair] = {}


class Control:
    """What the fields of a request decide about its connection and its body: the same for all that agree in `_CONTROL_FIELDS`.

    `upgrade` is the protocol asked for, None if none is. `expects`: it waits for 100 (Continue).
    """

    __slots__ = ("authority", "expects", "framing", "host", "keep_alive", "upgrade", "version")

    def __init__(self, version: str, fields: Fields, framing: Framing, authority: str, host: str) -> None:
        self.version = version
        self.framing = framing
        self.authority = authority
        self.host = host
        options = connection_options(fields)
        self.keep_alive = persists(version, options)
        self.upgrade = upgrade_asked(fields) if version == "1.1" and b"upgrade" in options else None
        self.expects = version == "1.1" and framing != 0 and b"expect" in fields


class Block(NamedTuple):
    """The field lines of a request, read: everything that does not depend on its request line."""

    fields: Fields
    control: Control


def parse_request_line(line: bytes, scheme: str) -> RequestLine | Reason:
    """RFC 9112 section 3: `line` without its CRLF, from a connection with `scheme`."""
    known = _request_lines.get(line)
    if known is not None:
        return known
    match = match_request_line(line)
    if match is None:
        return _BAD_REQUEST_LINE
    method, target, number = match.groups()
    version = _VERSIONS.get(number)
    if version is None:
        return _BAD_VERSION
    try:
        if target[:1] == b"/" and method != b"CONNECT":
            path, raw_path, query = split_target(target)
            read = method.decode("ascii"), version, path, raw_path, query, "", ""
            if not query and len(line) <= _LINE_BYTES:
                remember(_request_lines, line, read, _LINES_ENTRIES)
            return read
        return _other_forms(method.decode("ascii"), version, target, scheme)
    except UriError as refused:
        return refused.reason


# A minor version that is not known yet is read as the highest one that is (RFC 9110 section 2.5).
_VERSIONS = {b"1.0": "1.0", **{b"1.%d" % minor: "1.1" for minor in range(1, 10)}}


def _other_forms(method: str, version: str, target: bytes, scheme: str) -> RequestLine | Reason:
    """Absolute-form, authority-form, asterisk-form (sections 3.2.2 to 3.2.4)."""
    if method == "CONNECT":
        return _CONNECT_REFUSED
    if target == b"*":
        return (method, version, "*", b"*", b"", "", "") if method == "OPTIONS" else _BAD_TARGET
    match = match_absolute(target)
    # A scheme that is not the connection's is a target of another server (RFC 9110 section 7.4).
    if match is None or match[1].lower() != scheme.encode("ascii"):
        return _BAD_TARGET
    rest = match[3]
    path, raw_path, query = split_target(rest if rest[:1] == b"/" else b"/" + rest)
    authority, host = parse_authority(match[2])
    return method, version, path, raw_path, query, authority, host


def parse_fields(block: bytes, most: int) -> Fields | Reason:
    """Field lines, each with its CRLF (RFC 9112 section 5); `most` of them at most."""
    if not block:
        return Fields()
    lines = block[:-2].split(b"\r\n")
    if len(lines) > most:
        # A reader that gets the lines one by one meets a bare LF before it can count them all.
        return _BAD_FIELD if search_bare_lf(block) is not None else _TOO_MANY_FIELDS
    pairs = list(map(_lines.get, lines))
    if not all(pairs):
        pairs = [pair or _parse_line(line) for line, pair in zip(lines, pairs, strict=True)]
        if not all(pairs):
            return _BAD_FIELD
    return Fields(cast(list[Pair], pairs))


def _parse_line(line: bytes) -> Pair | None:
    match = match_field_line(line)
    if match is None:
        return None
    pair = match[1].lower(), match[2].strip(b" \t")
    if len(line) <= _LINE_BYTES and pair[0] not in SECRETS:
        remember(_lines, line, pair, _LINES_ENTRIES)
    return pair


class Shape(NamedTuple):
    """The field lines of a request whose Cookie stands at position `at`, without its value: as one kind of browser says them to
    a site again and again, whoever sits before it."""

    fields: Fields
    at: int
    control: Control


def read_block(raw: bytes, version: str, most: int) -> Block | Reason:
    """The field lines `raw` of a request; `most` of them at most."""
    before, named, rest = raw.partition(_COOKIE)
    if not named:
        return _read_lines(raw, version, most)
    cookie, _, after = rest.partition(b"\r\n")
    key = version, before, after
    shape = _shapes.get(key)
    if shape is not None and len(shape.fields.pairs) <= most and match_field_text(cookie) is not None:
        return Block(shape.fields.filling(shape.at, cookie.strip(b" \t")), shape.control)
    block = _read_lines(raw, version, most)
    if isinstance(block, Block) and block.control.framing <= 0 and len(before) + len(after) <= _SHAPE_BYTES:
        at = before.count(b"\r\n") + 1
        pairs = list(block.fields)
        del pairs[at]
        if SECRETS.isdisjoint([name for name, _ in pairs]):
            pairs.insert(at, (b"cookie", b""))
            remember(_shapes, key, Shape(Fields(pairs), at, block.control), _SHAPES)
    return block


_COOKIE = b"\r\nCookie: "
_SHAPES = 1024
_SHAPE_BYTES = 2048
_shapes: dict[tuple[str, bytes, bytes], Shape] = {}


def _read_lines(raw: bytes, version: str, most: int) -> Block | Reason:
    fields = parse_fields(raw, most)
    if isinstance(fields, Reason):
        return fields
    values = fields.values(_CONTROL_FIELDS)
    key = version, values
    control = _controls.get(key)
    if control is None:
        read = _read_control(version, fields)
        if isinstance(read, Reason):
            return read
        control = read
        if control.framing <= 0 and sum(map(len, filter(None, values))) <= _LINE_BYTES:
            remember(_controls, key, control, _LINES_ENTRIES)
    return Block(fields, control)


_CONTROL_FIELDS = (b"host", b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"expect")
_controls: dict[tuple[str, tuple[bytes | None, ...]], Control] = {}


def _read_control(version: str, fields: Fields) -> Control | Reason:
    asked = fields.get(b"host")  # a repeated one is joined with ", ": no host has a space in it
    if asked is None and version == "1.1":
        return _BAD_HOST
    try:
        authority, host = ("", "") if asked is None else parse_authority(asked)
    except UriError as refused:
        return refused.reason
    framing = request_framing(version, fields)
    if isinstance(framing, Reason):
        return framing
    expect = fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue" and version == "1.1":
        return _EXPECTATION_FAILED
    return Control(version, fields, framing, authority, host)


def connection_options(fields: Fields) -> list[bytes]:
    """What Connection lists, in lower case."""
    value = fields.get(b"connection")
    return [] if value is None else list_members(value)


def persists(version: str, options: list[bytes]) -> bool:
    """Whether the sender lets the connection live on (RFC 9112 section 9.3)."""
    if b"close" in options:
        return False
    return version == "1.1" or b"keep-alive" in options


def upgrade_asked(fields: Fields) -> str | None:
    """The protocol that Upgrade names; websocket where it is among several. h2c is not spoken, and never forwarded."""
    names = [name for name in list_members(fields.get(b"upgrade") or b"") if name != b"h2c"]
    if not names:
        return None
    return "websocket" if b"websocket" in names else names[0].decode("latin-1")


def judge_partial(buffer: bytes, scheme: str, limits: Http1Limits, seen: int = 0) -> Reason | None:
    """Why a request head that has only begun, or is too large, can be refused already; None: wait for more.

    The answer must not depend on how the bytes were cut: each rule looks at the shortest beginning that breaks it.
    What stands before `seen` was judged when it came, so that single bytes do not cost a walk through all of them.
    """
    line_end = buffer.find(b"\r\n")
    if 0 <= line_end <= limits.request_line:
        line = parse_request_line(buffer[:line_end], scheme) if line_end >= seen else None
        if isinstance(line, Reason):
            return line
        if search_bare_lf(buffer, seen, limits.head) is not None:
            return _BAD_FIELD
        return _HEAD_TOO_LARGE if len(buffer) > limits.head else None
    if search_bare_lf(buffer, seen, limits.request_line + 1) is not None:
        return _BAD_REQUEST_LINE
    return _URI_TOO_LONG if len(buffer) > limits.request_line + 1 else None


class ResponseHead:
    """The head of a response. `framing`: how its body ends, if it has one by its method (RFC 9112 section 6.3)."""

    __slots__ = ("fields", "framing", "keep_alive", "status", "version")

    def __init__(self, status: int, version: str, fields: Fields) -> None:
        self.status = status
        self.version = version
        self.fields = fields
        self.framing = response_framing("GET", status, version, fields)
        self.keep_alive = persists(version, connection_options(fields))


def read_response_head(head: bytes, most: int) -> ResponseHead | Reason:
    """Status line and field lines of a response, each with its CRLF; `most` fields at most."""
    known = _responses.get(head)
    if known is not None:
        return known
    line_end = head.find(b"\r\n")
    match = match_status_line(head, 0, line_end)
    if match is None:
        return _BAD_RESPONSE
    fields = parse_fields(head[line_end + 2 :], most)
    if isinstance(fields, Reason):
        return fields
    made = ResponseHead(int(match[2]), match[1].decode("ascii"), fields)
    if len(head) <= _RESPONSE_BYTES and SECRETS.isdisjoint(made.fields.names):
        remember(_responses, head, made, _RESPONSES)
    return made


# An upstream says much the same again and again, but for its Date, which changes once a second.
_RESPONSES = 512
_RESPONSE_BYTES = 1024
_responses: dict[bytes, ResponseHead] = {}
