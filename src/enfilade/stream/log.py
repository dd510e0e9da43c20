"""The log of a stream: one line for each connection, or UDP session, when it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from enfilade.http.reasons import Reason
from enfilade.observe.log import printable, timestamp


class Record(NamedTuple):
    """`began`: monotonic. `name`: the server that the client asked for by SNI. `peer`: None if none was reached. `received` and
    `sent`: bytes from the client and to it. `reason`: None if both sides ended in peace."""

    render: Callable[[tuple[Any, ...], float], bytes]
    began: float
    stream: str
    client: tuple[str, int | None]
    name: str | None
    peer: str | None
    received: int
    sent: int
    seconds: float
    reason: Reason | None


def text_line(entry: tuple[Any, ...], offset: float) -> bytes:
    """`2026-11-21T16:40:00.123Z db 192.0.2.1:4711 -> tcp://10.0.0.1:5432 in 120 out 4096 1.250 s -`."""
    r = Record._make(entry)
    name = f" ({r.name})" if r.name else ""
    return (
        f"{timestamp(r.began + offset)} {printable(r.stream)} {_shown(r.client)}{name} -> {printable(r.peer or '-')} "
        f"in {r.received} out {r.sent} {r.seconds:.3f} s {r.reason.name if r.reason else '-'}\n"
    ).encode(errors="replace")


def json_line(entry: tuple[Any, ...], offset: float) -> bytes:
    """The same as a JSON object."""
    r = Record._make(entry)
    row = {
        "time": timestamp(r.began + offset),
        "stream": r.stream,
        "client_ip": printable(r.client[0]) or None,
        "client_port": r.client[1],
        "server_name": r.name,
        "peer": r.peer,
        "received": r.received,
        "sent": r.sent,
        "duration": round(r.seconds, 6),
        "reason": r.reason.name if r.reason else None,
    }
    return msgspec.json.encode(row) + b"\n"


FORMATS: dict[Literal["text", "json"], Callable[[tuple[Any, ...], float], bytes]] = {
    "text": text_line,
    "json": json_line,
}


def _shown(client: tuple[str, int | None]) -> str:
    host, port = client
    if port is None:
        return "unix:" + printable(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
