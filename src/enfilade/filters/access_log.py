"""The access log: one line for each exchange, whatever became of it.

On the hot path a tuple is put into a list; `observe.log.LogSink` makes the lines later and writes them together.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from enfilade.exchange.exchange import Exchange, Filter, Outcome, Route
from enfilade.http.ends import Ends
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.memory import remember
from enfilade.http.request import Request
from enfilade.observe.log import LogSink, printable, quotable, timestamp

FORMATS: dict[str, str | list[str]] = {
    "common": '{client_ip} - - [{clf_time}] "{method} {target} HTTP/{version}" {status} {bytes}',
    "combined": '{client_ip} - - [{clf_time}] "{method} {target} HTTP/{version}" {status} {bytes}'
    ' "{referer}" "{user_agent}"',
    "json": [
        "time", "client_ip", "method", "host", "target", "version", "tls", "status", "bytes", "duration", "reason",
        "request_id", "user_agent", "referer", "site", "route", "cache",
    ],
}  # fmt: skip
"""The NCSA formats (no identd, no user), and the fields of a JSON line."""


MEMORY = 256
"""How many requests are remembered with their part of the line."""


@lru_cache(maxsize=4)
def clf_time(second: int) -> str:
    """The time in the Common Log Format, in UTC: `20/Nov/2026:11:27:57 +0000`."""
    t = time.gmtime(second)
    month = _MONTHS[t.tm_mon - 1]
    return f"{t.tm_mday:02d}/{month}/{t.tm_year}:{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} +0000"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the locale


class Record(NamedTuple):
    """What is kept of an exchange until its line is made: no body, whatever its size."""

    render: Callable[[tuple[Any, ...], float], bytes]
    started: float
    request: Request
    ends: Ends
    route: Route
    fields: Fields
    request_id: str | None
    outcome: Outcome


Value = str | int | float | None
Getter = Callable[[Record, float], Value]

FIELDS: dict[str, Getter] = {
    "time": lambda r, offset: timestamp(r.started + offset),
    "clf_time": lambda r, offset: clf_time(int(r.started + offset)),
    "client_ip": lambda r, _: r.ends.client_ip or None,
    "method": lambda r, _: r.request.method,
    "target": lambda r, _: r.request.target,
    "path": lambda r, _: r.request.path,
    "query": lambda r, _: _text(r.request.query),
    "host": lambda r, _: r.request.host,
    "version": lambda r, _: r.request.version,
    "tls": lambda r, _: r.ends.tls_version,
    "status": lambda r, _: r.outcome.status,
    "bytes": lambda r, _: r.outcome.sent,
    "duration": lambda r, _: round(r.outcome.seconds, 6),
    "reason": lambda r, _: None if r.outcome.reason is None else r.outcome.reason.name,
    "request_id": lambda r, _: r.request_id,
    "user_agent": lambda r, _: _text(r.request.fields.get(b"user-agent")),
    "referer": lambda r, _: _text(r.request.fields.get(b"referer")),
    "site": lambda r, _: r.route.site or None,
    "route": lambda r, _: r.route.pattern or None,
    "cache": lambda r, _: _cache_word(r.fields),
}
"""What can be logged, by name. Besides: `request.NAME` and `response.NAME`, any header field of either.
`cache` is what our own value of Cache-Status says in one word: its `detail`, or else `hit` or the reason of its `fwd`.
`bytes` are those of the body; `duration` is in seconds; both times say when the request's head was complete, in UTC."""


class AccessLog(Filter):
    """Logs each exchange to `sink` in `form`: a name in FORMATS; a text with `{field}` in it; or a list of fields, which makes
    JSON lines. ValueError where a field is not known."""

    def __init__(self, sink: LogSink, form: str | Sequence[str] = "common") -> None:
        known = FORMATS.get(form, form) if isinstance(form, str) else form
        self._render = _compile_text(known) if isinstance(known, str) else _compile_json(known)
        self._append = sink.append

    def on_done(self, x: Exchange, outcome: Outcome) -> None:
        r = x.response
        # The places of Record; a plain tuple is made in a sixth of the time.
        self._append(
            (self._render, x.started, x.request, x.ends, x.match.route, NO_FIELDS if r is None else r.fields, x.id, outcome)
        )  # fmt: skip


def getter(name: str) -> Getter:
    """How the field `name` is read from a record. ValueError if there is no such field."""
    known = FIELDS.get(name)
    if known is not None:
        return known
    side, dot, field = name.partition(".")
    key = field.lower().encode("ascii", "replace")
    if dot and key and side == "request":
        return lambda r, _: _text(r.request.fields.get(key))
    if dot and key and side == "response":
        return lambda r, _: _text(r.fields.get(key))
    raise ValueError(f"the access log has no field {name!r}; it has {', '.join(FIELDS)}, request.NAME, response.NAME")


def _compile_text(form: str) -> Callable[[tuple[Any, ...], float], bytes]:
    template, getters = "", list[Getter]()
    for of_request, pieces in groupby(_pieces(form), key=lambda piece: _is_of_request(piece[1])):
        part, gets = _template(pieces)
        if of_request:
            part, gets = "%s", [_remembered(part, gets)]
        template += part
        getters += gets
    if not getters:
        raise ValueError(
            f"the access log has no format {form!r}: it is {', '.join(FORMATS)} or a text with {{field}} in it"
        )

    def render(entry: tuple[Any, ...], offset: float) -> bytes:
        record = Record._make(entry)
        return (template % tuple([get(record, offset) for get in getters])).encode() + b"\n"

    return render


def _pieces(form: str) -> Iterator[tuple[str, str]]:
    """The format as texts, each with the name of the field behind it; `""` if there is none."""
    for text, name, spec, conversion in string.Formatter().parse(form):
        if spec or conversion:
            raise ValueError(f"the access log's format has more than a name in braces: {name!r}")
        if name == "":
            raise ValueError("the access log's format has braces without a name in them")
        yield text, name or ""


def _template(pieces: Iterable[tuple[str, str]]) -> tuple[str, list[Getter]]:
    template, getters = "", []
    for text, name in pieces:
        template += text.replace("%", "%%")
        if name:
            template += "%.6f" if name == "duration" else "%s"
            getters.append(getter(name) if name in _NUMBERS else _quoted(getter(name)))
    return template, getters


_NUMBERS = {"status", "bytes", "duration", "time", "clf_time"}
_OF_REQUEST = {"method", "target", "path", "query", "host", "version", "user_agent", "referer"}


def _is_of_request(name: str) -> bool:
    return name in _OF_REQUEST or name.startswith("request.")


def _quoted(get: Getter) -> Getter:
    def quoted(record: Record, offset: float) -> Value:
        value = get(record, offset)
        return "-" if value is None else quotable(str(value))

    return quoted


def _remembered(template: str, getters: list[Getter]) -> Getter:
    """The part of a line that depends on the request alone: engines hand out the same Request for the same bytes."""
    memory: dict[Request, str] = {}

    def remembered(record: Record, offset: float) -> Value:
        text = memory.get(record.request)
        if text is None:
            text = template % tuple([get(record, offset) for get in getters])
            remember(memory, record.request, text, MEMORY)
        return text

    return remembered


def _compile_json(names: Sequence[str]) -> Callable[[tuple[Any, ...], float], bytes]:
    if not names:
        raise ValueError("the access log's list of fields is empty")
    columns = [(name, getter(name)) for name in names]
    encode = msgspec.json.Encoder().encode

    def render(entry: tuple[Any, ...], offset: float) -> bytes:
        record = Record._make(entry)
        row = {name: get(record, offset) for name, get in columns}
        try:
            line = encode(row)
            plain = line.isascii() and b"\x7f" not in line
        except UnicodeEncodeError:
            plain = False
        # JSON escapes the controls of ASCII by itself; the others, and bytes that are no UTF-8, are escaped first.
        if not plain:
            line = encode({name: printable(v) if isinstance(v, str) else v for name, v in row.items()})
        return line + b"\n"

    return render


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _cache_word(fields: Fields) -> str | None:
    values = fields.all(b"cache-status")
    if not values or not values[-1].startswith(
        b"enfilade;"
    ):  # RFC 9211 section 2: who is nearest to the client adds to the end
        return None
    said = dict(part.strip().partition(b"=")[::2] for part in values[-1].split(b";")[1:])
    word = said.get(b"detail") or (b"hit" if b"hit" in said else said.get(b"fwd", b""))
    return word.decode("latin-1").replace("-", "_") or None
