"""The status of a running server, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from enfilade.http.dates import local_time

Facts = Mapping[str, Any]

_WORKER = {"slot": "slot", "pid": "pid", "state": "state", "since": "started", "generation": "generation"}
"""The columns of a table, and what stands in them."""
_OUR_WORKER = {"crew": "crew", **_WORKER, "restarts": "restarts"}
_APP_WORKER = {**_WORKER, "in flight": "in_flight", "requests": "requests", "memory": "memory"}
_CERTIFICATE = {"name": "name", "good until": "until", "next try": "again", "trouble": "error"}
_PEER = {"peer": "peer", "state": "state", "in flight": "in_flight", "requests": "requests", "failures": "failures"}


def show_status(facts: Facts) -> str:
    """What the admin listener says at /status; or the pid alone."""
    return "\n".join(_lines(facts))


def _lines(facts: Facts) -> Iterator[str]:
    if "generation" not in facts:
        yield f"running, pid {facts['pid']}"
        return
    yield f"running, pid {facts['pid']}, generation {facts['generation']}, since {local_time(facts['started'])}"
    yield f"reloads: {facts['reloads']} done, {facts['reloads_refused']} refused; workers restarted: {facts['restarts']}"
    yield from ("", "workers", *table(_OUR_WORKER, facts["workers"]))
    for app in facts["apps"]:
        causes = ", ".join(f"{count} {cause}" for cause, count in app["restarts"].items())
        yield from ("", f"application {app['app']}: {_load(app)}, {app['requests']} requests; restarts: {causes}")
        yield from table(_APP_WORKER, app["workers"])
    for upstream in facts["upstreams"]:
        in_flight = sum(peer["in_flight"] for peer in upstream["peers"])
        breakers = f"; breaker open in workers: {upstream['breaker_open']}" if upstream["breaker_open"] else ""
        load = _load({**upstream, "in_flight": in_flight})
        yield from ("", f"upstream {upstream['upstream']}: {load}, {upstream['retries']} retries{breakers}")
        yield from table(_PEER, upstream["peers"])
    if facts["certificates"]:
        yield from ("", "certificates", *table(_CERTIFICATE, facts["certificates"]))


def _load(facts: Facts) -> str:
    return f"{facts['in_flight']} in flight, {facts['queue']} queued"


def table(columns: Mapping[str, str], rows: Sequence[Facts]) -> Iterator[str]:
    """The titles and the rows, each column as wide as it must be."""
    cells = [list(columns), *([_cell(key, row[key]) for key in columns.values()] for row in rows)]
    if rows:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            yield "  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


def _cell(key: str, value: Any) -> str:
    if key == "started":
        return local_time(value)
    if key in ("until", "again"):
        return local_time(value) if value else "-"
    return f"{value >> 20} MB" if key == "memory" else str(value)
