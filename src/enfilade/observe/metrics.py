"""What is counted, and how Prometheus reads it (text exposition format 0.0.4).

Counting is integer addition in this process's cells of the board; sums over all processes are made only when somebody asks.
Rows are taken in the supervisor (`register_...`), meters made in each worker from its own cells. Durations are counted in
microseconds and shown in seconds.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypedDict

from enfilade.http.reasons import REASONS, Reason

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, int]
"""One value of a family."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_LABEL = 200
"""Characters of a label's value; a longer one is cut and keeps a checksum, so that it stays distinct."""

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds: Prometheus' own defaults, extended to what files and caches answer in and to slow applications."""
_FIRST_BUCKET = BUCKETS[0]

STATUSES = (
    101, 103, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 412,
    413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507,
)  # fmt: skip
"""Statuses with a row of their own; any other counts as its class ("4xx"), so an application cannot make rows."""

PROTOCOLS = ("http1", "http2", "websocket")


class Block(Protocol):
    """Consecutive rows of the board that belong together."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Labels: ...
    @property
    def first(self) -> int: ...
    @property
    def size(self) -> int: ...


class Board(Protocol):
    """What is needed of process/board.py."""

    def rows(self, name: str, labels: Labels = (), size: int = 1, *, gauge: bool = False) -> int: ...
    def blocks(self) -> Iterable[Block]: ...
    def totals(self, first: int, size: int = 1) -> list[int]: ...


# -- the rows of a route, one block: buckets (the last is +Inf), microseconds, bytes, statuses

_MICROSECONDS = len(BUCKETS) + 1
_BYTES = _MICROSECONDS + 1
_STATUS = _BYTES + 1
_STATUS_LABELS = (*map(str, STATUSES), "1xx", "2xx", "3xx", "4xx", "5xx")
_ROUTE_SIZE = _STATUS + len(_STATUS_LABELS)


def _status_rows() -> tuple[int, ...]:
    exact = {status: row for row, status in enumerate(STATUSES, _STATUS)}
    classes = _STATUS + len(STATUSES)
    # RFC 9110 section 15: what is beyond 599 is invalid, and counts as 5xx.
    return tuple(exact.get(status, classes + min(max(0, status // 100 - 1), 4)) for status in range(1000))


_ROW_OF_STATUS = _status_rows()


def register_route(board: Board, site: str, pattern: str) -> int:
    """The first row of a route, for `RouteMeter`. ("", ""): what was refused before it was routed."""
    return board.rows("route", (("site", bound_label(site)), ("route", bound_label(pattern))), _ROUTE_SIZE)


class RouteMeter:
    """Counts the exchanges of one route in this worker."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[int], first_row: int) -> None:
        self._cells = cells[first_row : first_row + _ROUTE_SIZE]

    def count(self, status: int, sent: int, seconds: float) -> None:
        """An exchange ended: `status` 100 to 599, `sent` bytes of body, `seconds` since its head was complete."""
        cells = self._cells
        cells[0 if seconds <= _FIRST_BUCKET else bisect_left(BUCKETS, seconds)] += 1
        if status != 200:  # those are what the buckets have beyond all other statuses
            cells[_ROW_OF_STATUS[status]] += 1
        cells[_MICROSECONDS] += int(seconds * 1e6)
        cells[_BYTES] += sent


# -- the rows of a route's cache: requests by how they were answered

CACHE_RESULTS = ("hit", "stale", "miss", "bypass")


def register_cache(board: Board, site: str, pattern: str) -> int:
    """The first row of a route's cache, for `CacheMeter`."""
    labels = (("site", bound_label(site)), ("route", bound_label(pattern)))
    return board.rows("cache", labels, len(CACHE_RESULTS))


class CacheMeter:
    """Counts the requests to the cache of one route in this worker. A result is its index in CACHE_RESULTS."""

    __slots__ = ("_cells", "_first")

    def __init__(self, cells: memoryview[int], first_row: int) -> None:
        self._cells = cells
        self._first = first_row

    def count(self, result: int) -> None:
        self._cells[self._first + result] += 1


class RouteResults(TypedDict):
    """Requests to the cache of a route, by how they were answered."""

    site: str
    route: str
    hit: int
    stale: int
    miss: int
    bypass: int


def read_cache_results(board: Board) -> list[RouteResults]:
    """Of every route that ever had a cache, over all processes."""
    found = []
    for block in board.blocks():
        if block.name == "cache":
            labels = dict(block.labels)
            hit, stale, miss, bypass = board.totals(block.first, block.size)
            found.append(
                RouteResults(site=labels["site"], route=labels["route"], hit=hit, stale=stale, miss=miss, bypass=bypass)
            )
    return found


# -- the rows of a route's limits: requests that were refused, and those that a limit in the shadow would have refused


def register_limit(board: Board, site: str, pattern: str) -> int:
    """The first row of a route's limits, for `LimitMeter`."""
    return board.rows("limit", (("site", bound_label(site)), ("route", bound_label(pattern))), 2)


def register_alone(board: Board) -> int:
    """The row of a worker whose limits no other server hears of."""
    return board.rows("limits alone", gauge=True)


class LimitMeter:
    """Counts what the limits of one route refuse in this worker."""

    __slots__ = ("_cells", "_first")

    def __init__(self, cells: memoryview[int], first_row: int) -> None:
        self._cells = cells
        self._first = first_row

    def count(self, shadow: bool) -> None:
        self._cells[self._first + shadow] += 1


# -- the rows of certificates by ACME: tries to have one, by how they went


class CertificateRows(NamedTuple):
    issued: int
    failed: int


def register_certificates(board: Board) -> CertificateRows:
    """The rows for `CertificateMeter`."""
    name = "enfilade_certificate_orders_total"
    return CertificateRows(*(board.rows(name, (("result", result),)) for result in CertificateRows._fields))


class CertificateMeter:
    """Counts the certificates that this worker has made."""

    __slots__ = ("_cells", "_rows")

    def __init__(self, cells: memoryview[int], rows: CertificateRows) -> None:
        self._cells = cells
        self._rows = rows

    def count(self, issued: bool) -> None:
        self._cells[self._rows.issued if issued else self._rows.failed] += 1


# -- the rows of rules on requests: those that hit a rule of a group, and what became of them


class RuleRows(NamedTuple):
    """By group; by verdict, and whether it was only detected."""

    hits: Mapping[str, int]
    verdicts: Mapping[tuple[str, bool], int]


def register_rules(board: Board, groups: Iterable[str], verdicts: Iterable[str]) -> RuleRows:
    """The rows for `RuleMeter`."""
    return RuleRows(
        {group: board.rows("enfilade_rule_hits_total", (("group", group),)) for group in groups},
        {
            (verdict, detect): board.rows(
                "enfilade_rule_verdicts_total", (("verdict", verdict), ("detect", str(detect).lower()))
            )
            for verdict in verdicts
            for detect in (False, True)
        },
    )


class RuleMeter:
    """Counts the requests that hit rules in this worker."""

    __slots__ = ("_cells", "_rows")

    def __init__(self, cells: memoryview[int], rows: RuleRows) -> None:
        self._cells = cells
        self._rows = rows

    def count(self, verdict: str, detect: bool, groups: Iterable[str]) -> None:
        cells, rows = self._cells, self._rows
        cells[rows.verdicts[verdict, detect]] += 1
        for group in groups:
            cells[rows.hits[group]] += 1


# -- the rows of connections: opened and open by protocol, bytes, rejects by reason


class ConnectionRows(NamedTuple):
    opened: int
    open: int
    received: int
    sent: int
    rejects: int


def register_connections(board: Board) -> ConnectionRows:
    """The rows for `ConnectionMeter`."""
    return ConnectionRows(
        board.rows("opened", size=len(PROTOCOLS)),
        board.rows("open", size=len(PROTOCOLS), gauge=True),
        board.rows("enfilade_received_bytes_total"),
        board.rows("enfilade_sent_bytes_total"),
        board.rows("rejects", size=len(REASONS)),
    )


class ConnectionMeter:
    """Counts connections, bytes and rejects in this worker. A protocol is its index in PROTOCOLS."""

    __slots__ = ("_cells", "_rows")

    def __init__(self, cells: memoryview[int], rows: ConnectionRows) -> None:
        self._cells = cells
        self._rows = rows

    def opened(self, protocol: int) -> None:
        self._cells[self._rows.opened + protocol] += 1
        self._cells[self._rows.open + protocol] += 1

    def closed(self, protocol: int) -> None:
        self._cells[self._rows.open + protocol] -= 1

    def received(self, size: int) -> None:
        """`size` bytes from sockets, TLS taken off. May be called with sums, once a connection ends or now and then."""
        self._cells[self._rows.received] += size

    def sent(self, size: int) -> None:
        self._cells[self._rows.sent] += size

    def rejected(self, reason: Reason) -> None:
        """A request was refused or a connection cut because of `reason`."""
        self._cells[self._rows.rejects + reason.index] += 1


# -- the rows of a stream: raw TCP connections, or UDP sessions


class StreamRows(NamedTuple):
    opened: int
    open: int
    received: int
    sent: int
    requests: int


def register_stream(board: Board, name: str) -> StreamRows:
    """The rows for `StreamMeter`."""
    labels = (("stream", bound_label(name)),)
    return StreamRows(
        board.rows("enfilade_stream_connections_total", labels),
        board.rows("enfilade_stream_connections_open", labels, gauge=True),
        board.rows("enfilade_stream_received_bytes_total", labels),
        board.rows("enfilade_stream_sent_bytes_total", labels),
        board.rows("enfilade_stream_requests_total", labels),
    )


class StreamMeter:
    """Counts the connections of one stream in this worker, and their bytes."""

    __slots__ = ("_cells", "_rows")

    def __init__(self, cells: memoryview[int], rows: StreamRows) -> None:
        self._cells = cells
        self._rows = rows

    def opened(self) -> None:
        self._cells[self._rows.opened] += 1
        self._cells[self._rows.open] += 1

    def closed(self) -> None:
        self._cells[self._rows.open] -= 1

    def moved(self, received: int, sent: int, requests: int = 0) -> None:
        """So many bytes more came from clients and went to them, and handlers answered so many requests."""
        self._cells[self._rows.received] += received
        self._cells[self._rows.sent] += sent
        self._cells[self._rows.requests] += requests


# -- reading


class _Family(NamedTuple):
    type: str
    help: str


FAMILIES = {
    "enfilade_requests_total": _Family("counter", "Requests that ended, by the status of the answer."),
    "enfilade_request_duration_seconds": _Family(
        "histogram", "Time from the complete head of a request to the end of its answer."
    ),
    "enfilade_response_body_bytes_total": _Family("counter", "Bytes of answers' bodies."),
    "enfilade_rate_limited_total": _Family(
        "counter",
        "Requests that a limit refused; shadow: that it would have refused, had it not been told to watch only.",
    ),
    "enfilade_bans": _Family("gauge", "Addresses that are banned now, or would be, were it not a dry run."),
    "enfilade_bans_total": _Family("counter", "Bans for offences, and by hand, of this server."),
    "enfilade_bans_in_nftables": _Family("gauge", "Addresses that are banned in the kernel, too."),
    "enfilade_nftables_failures_total": _Family(
        "counter", "Texts that nft, which bans are handed to, did not carry out."
    ),
    "enfilade_rule_hits_total": _Family("counter", "Requests that hit a rule, by the group of the rule."),
    "enfilade_rule_verdicts_total": _Family(
        "counter", "Requests that hit a rule, by what became of them; detect: what would have, had it been carried out."
    ),
    "enfilade_limits_alone_workers": _Family("gauge", "Workers of whose limits no other server hears."),
    "enfilade_cache_requests_total": _Family(
        "counter",
        "Requests to routes with a cache, by result: hit, stale, miss (the origin was asked), bypass (the cache was not).",
    ),
    "enfilade_cache_objects": _Family("gauge", "Answers in a store of the cache."),
    "enfilade_cache_bytes": _Family("gauge", "Bytes that a store of the cache has in use."),
    "enfilade_cache_budget_bytes": _Family("gauge", "Bytes that a store of the cache may have in use."),
    "enfilade_cache_evictions_total": _Family("counter", "Answers that had to leave a store of the cache for others."),
    "enfilade_cache_failures_total": _Family("counter", "What a store of the cache could not read, write or remove."),
    "enfilade_cache_purges_total": _Family("counter", "Names that were purged from the cache, by whomever."),
    "enfilade_connections_opened_total": _Family("counter", "Connections that were opened, by protocol."),
    "enfilade_connections_open": _Family("gauge", "Connections open now, by protocol."),
    "enfilade_received_bytes_total": _Family("counter", "Bytes received from clients, inside TLS."),
    "enfilade_sent_bytes_total": _Family("counter", "Bytes sent to clients, inside TLS."),
    "enfilade_stream_connections_total": _Family("counter", "Connections, or UDP sessions, of streams."),
    "enfilade_stream_connections_open": _Family("gauge", "Connections, or UDP sessions, of streams that are open now."),
    "enfilade_stream_received_bytes_total": _Family("counter", "Bytes that streams received from clients."),
    "enfilade_stream_sent_bytes_total": _Family("counter", "Bytes that streams sent to clients."),
    "enfilade_stream_requests_total": _Family("counter", "Messages that handlers of streams answered."),
    "enfilade_rejects_total": _Family(
        "counter", "Requests refused and connections cut, by reason and by who caused it."
    ),
    "enfilade_certificate_expiry_time_seconds": _Family(
        "gauge", "Until when a certificate by ACME is good, in seconds since 1970."
    ),
    "enfilade_certificate_orders_total": _Family(
        "counter", "Tries to have a certificate from an authority, by result: issued, failed."
    ),
    "enfilade_upstream_peer_up": _Family(
        "gauge", "1: the peer is used; 0: it is ejected, or its checks fail, in the view of one worker at least."
    ),
    "enfilade_upstream_peer_requests_in_flight": _Family("gauge", "Requests that a peer has now."),
    "enfilade_upstream_peer_requests_total": _Family("counter", "Requests given to a peer, retries among them."),
    "enfilade_upstream_peer_failures_total": _Family(
        "counter",
        "Requests that a peer failed: it could not be reached, broke off, took too long, or answered 502 to 504.",
    ),
    "enfilade_upstream_queue_length": _Family("gauge", "Requests that wait until one of the peers has room."),
    "enfilade_upstream_retries_total": _Family("counter", "Requests that were made again after they had failed."),
    "enfilade_upstream_breaker_open_workers": _Family(
        "gauge", "Workers in which the circuit breaker of the upstream is open."
    ),
    "enfilade_app_workers": _Family("gauge", "Processes of an application, by what they do."),
    "enfilade_app_worker_restarts_total": _Family(
        "counter", "Processes of an application that were replaced, by cause."
    ),
    "enfilade_app_requests_in_flight": _Family("gauge", "Requests that an application has now."),
    "enfilade_app_requests_total": _Family("counter", "Requests given to an application."),
    "enfilade_app_queue_length": _Family("gauge", "Requests that wait for a process of the application."),
    "enfilade_app_resident_memory_bytes": _Family("gauge", "Resident memory of all processes of an application."),
    "enfilade_workers": _Family("gauge", "Workers that serve now."),
    "enfilade_generation": _Family(
        "gauge", "The configuration that serves now: 1 at the start, one more by each reload."
    ),
    "enfilade_start_time_seconds": _Family("gauge", "When the server started, in seconds since 1970."),
    "enfilade_worker_restarts_total": _Family("counter", "Workers that were started again because one had ended."),
    "enfilade_reloads_total": _Family("counter", "Reloads, done or refused."),
}
"""Every metric that there is, in the order in which it is shown. A row of the board with such a name is shown as it is."""


def render(board: Board, more: Iterable[Sample] = ()) -> bytes:
    """All metrics over all processes, and `more`. A status or a reason that never occurred is left out."""
    samples: dict[str, list[tuple[str, Labels, str]]] = {name: [] for name in FAMILIES}  # suffix, labels, value
    for block in board.blocks():
        read = _READERS.get(block.name, _read_single)
        for family, suffix, labels, value in read(block, board.totals(block.first, block.size)):
            samples[family].append((suffix, labels, value))
    for family, labels, number in more:
        samples[family].append(("", labels, str(int(number))))
    lines = []
    for name, (type_, help_) in FAMILIES.items():
        if samples[name]:
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} {type_}"]
            lines += [f"{name}{suffix}{_show_labels(labels)} {value}" for suffix, labels, value in samples[name]]
    return ("\n".join(lines) + "\n").encode()


_Read = Iterator[tuple[str, str, Labels, str]]


def _read_single(block: Block, values: Sequence[int]) -> _Read:
    if block.name in FAMILIES:
        yield block.name, "", block.labels, str(values[0])


def _read_route(block: Block, values: Sequence[int]) -> _Read:
    statuses = dict(zip(_STATUS_LABELS, values[_STATUS:], strict=True))
    statuses["200"] = sum(values[: len(BUCKETS) + 1]) - sum(statuses.values())
    for label, value in statuses.items():
        if value:
            yield "enfilade_requests_total", "", (*block.labels, ("status", label)), str(value)
    name = "enfilade_request_duration_seconds"
    count = 0
    for bound, value in zip((*BUCKETS, "+Inf"), values, strict=False):
        count += value
        yield name, "_bucket", (*block.labels, ("le", str(bound))), str(count)
    yield name, "_sum", block.labels, _seconds(values[_MICROSECONDS])
    yield name, "_count", block.labels, str(count)
    yield "enfilade_response_body_bytes_total", "", block.labels, str(values[_BYTES])


def _read_cache(block: Block, values: Sequence[int]) -> _Read:
    for result, value in zip(CACHE_RESULTS, values, strict=True):
        yield "enfilade_cache_requests_total", "", (*block.labels, ("result", result)), str(value)


def _read_limit(block: Block, values: Sequence[int]) -> _Read:
    for shadow, value in zip(("false", "true"), values, strict=True):
        yield "enfilade_rate_limited_total", "", (*block.labels, ("shadow", shadow)), str(value)


def _read_alone(block: Block, values: Sequence[int]) -> _Read:
    yield "enfilade_limits_alone_workers", "", (), str(values[0])


def _read_opened(block: Block, values: Sequence[int]) -> _Read:
    for protocol, value in zip(PROTOCOLS, values, strict=True):
        yield "enfilade_connections_opened_total", "", (("protocol", protocol),), str(value)


def _read_open(block: Block, values: Sequence[int]) -> _Read:
    for protocol, value in zip(PROTOCOLS, values, strict=True):
        yield "enfilade_connections_open", "", (("protocol", protocol),), str(value)


def _read_rejects(block: Block, values: Sequence[int]) -> _Read:
    for reason, value in zip(REASONS.values(), values, strict=True):
        if value:
            yield "enfilade_rejects_total", "", (("reason", reason.name), ("source", reason.source.value)), str(value)


_READERS = {
    "route": _read_route,
    "cache": _read_cache,
    "limit": _read_limit,
    "limits alone": _read_alone,
    "opened": _read_opened,
    "open": _read_open,
    "rejects": _read_rejects,
}


def bound_label(value: str) -> str:
    """`value` of at most MAX_LABEL characters, still distinct from others."""
    if len(value) <= MAX_LABEL:
        return value
    return f"{value[: MAX_LABEL - 9]}…{zlib.crc32(value.encode(errors='replace')):08x}"


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _show_labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels) + "}" if labels else ""


def _seconds(microseconds: int) -> str:
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
