"""How caches are measured. What reached the origin is asked of the origin (`bench.cache_origin`)."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial

from bench import loads, processes
from bench.cache_origin import ETAG
from bench.ground import Ground, Running
from bench.loads import Load
from bench.measures import Sample, Work, by_rate, problem, under
from bench.servers import OURS, Server

FEW = 0.01
"""The part of the requests that may reach the origin where everything is a hit: some ask before the first answer is there."""
FULL = 50_000
"""Requests for objects after which a cache has long been full, and has those that are asked for most."""
MEASURED = 1_000_000
"""The seed of the requests that count, the same for all."""
PURGE_PATIENCE = 300.0
PURGES = {
    OURS: (
        "127.0.0.2",
        "POST /purge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
        '{"purge":["every"]}',
    ),
    "varnish": ("127.0.0.1", "BAN / HTTP/1.1\r\nHost: localhost\r\nTag: every\r\n\r\n"),
}
"""Server -> the address at which, and the request with which, the tag `every` is purged."""


def fetches(running: Running) -> int:
    """Requests that the origin has had."""
    with closing(http.client.HTTPConnection("127.0.0.1", running.origin, timeout=5)) as connection:
        connection.request("GET", "/count")
        return int(connection.getresponse().read())


def all_hits(load: Load, running: Running) -> str | None:
    fetched = fetches(running)
    few = fetched <= load.requests * FEW
    return problem(load, running) if few else f"{fetched} requests reached the origin beside {load.requests} answers"


def all_not_modified(load: Load, running: Running) -> str | None:
    if load.bytes >= load.requests * running.body:
        return f"{load.bytes} bytes for {load.requests} answers without a body"
    return all_hits(load, replace(running, body=0))


hits = partial(under, check=all_hits)
not_modified = under(partial(loads.wrk, fields=(f"If-None-Match: {ETAG}",)), check=all_not_modified)


def zipf(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
    """What part of the requests were hits, once the cache has had enough of them to be full."""
    with ground.started(server, work.kind, work.path, work.body) as running:
        seed = asked = 0
        while asked < FULL:
            seed += 1
            asked += loads.wrk(running, seconds, zipf=seed).requests
        before, cpu = fetches(running), processes.cpu_seconds(running.process.pid)
        load = loads.wrk(running, seconds, zipf=MEASURED)
        fetched, cpu = fetches(running) - before, processes.cpu_seconds(running.process.pid) - cpu
        return Sample(
            100 * (1 - fetched / max(1, load.requests)),
            cpu_us=cpu / max(1, load.requests) * 1e6,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            beside={"requests/s": by_rate(load)},
            problem=problem(load, running),
        )


def herd(value: str) -> Callable[[Work, Ground, Server, float], Sample]:
    """`value`: which figure is the work's."""

    def measure(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
        with ground.started(server, work.kind, work.path, work.body) as running:
            before = fetches(running)
            found = loads.figures(running, seconds, "herd")
            figures = {"max ms": found["max ms"], "p99 ms": found["p99 ms"]}
            figures["fetches"] = (fetches(running) - before) / found["herds"]
        return Sample(figures.pop(value), p50_ms=found["p50 ms"], p99_ms=found["p99 ms"], beside=figures)

    return measure


def purge(value: str) -> Callable[[Work, Ground, Server, float], Sample]:
    """`value`: which figure is the work's."""

    def measure(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
        address, request = PURGES[server.name]
        with ground.started(server, work.kind, work.path, work.body) as running:
            options = ("--address", address, "--request", request)
            figures = loads.figures(running, PURGE_PATIENCE, "purge", options)
        return Sample(figures.pop(value), beside=figures)

    return measure
