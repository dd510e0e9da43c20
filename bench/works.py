"""The works: what is asked of the servers, how it is measured, and what we want to reach. A new work is a new row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from bench import loads, processes
from bench.ground import Ground, Running
from bench.loads import Load
from bench.servers import Server

WARM_UP = 1.0
STORM_PATIENCE = 300.0


@dataclass(frozen=True)
class Sample:
    """What one turn of one server gave."""

    value: float
    """In the unit of the work."""
    cpu_us: float | None = None
    """CPU microseconds of the server's process tree for each request."""
    cores: float | None = None
    """CPU seconds a second. Well below 1.0 the load generator was the slower side: then only cpu_us compares the servers."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    problem: str | None = None
    """Why this sample does not count."""


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    kind: str
    """Which command of a server serves it."""
    measure: Callable[[Work, Ground, Server, float], Sample]
    unit: str
    peers: tuple[str, ...]
    targets: dict[str, float] = field(default_factory=dict)
    """Peer -> the least ratio of our median to the peer's; the largest, where less is better (`report.LESS`)."""
    limit: float | None = None
    """The most our own median may be."""
    path: str = "/"
    body: int = 13
    rounds: int = 1
    """The least number of them."""


def by_rate(load: Load) -> float:
    return load.requests / load.seconds


def by_megabytes(load: Load) -> float:
    return load.bytes / load.seconds / 1e6


def by_p99(load: Load) -> float:
    assert load.p99_ms is not None
    return load.p99_ms


def under(
    generator: Callable[[Running, float], Load], value: Callable[[Load], float] = by_rate
) -> Callable[[Work, Ground, Server, float], Sample]:
    """Measures a server under a load, after a warm-up with the same load."""

    def measure(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
        with ground.started(server, work.kind, work.path, work.body) as running:
            generator(running, WARM_UP)
            before = processes.cpu_seconds(running.process.pid)
            load = generator(running, seconds)
            cpu = processes.cpu_seconds(running.process.pid) - before
        return Sample(
            value(load),
            cpu_us=cpu / max(1, load.requests) * 1e6,
            cores=cpu / load.seconds,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            problem=problem(load, running),
        )

    return measure


def problem(load: Load, running: Running) -> str | None:
    if load.errors:
        return f"{load.errors} errors beside {load.requests} good answers"
    if not load.requests:
        return "no answer at all"
    if load.bytes and load.bytes < load.requests * running.body:
        return f"{load.bytes} bytes for {load.requests} answers of {running.body}"
    return None


def idle_memory(connections: int, *options: str) -> Callable[[Work, Ground, Server, float], Sample]:
    """Kilobytes that each of many connections costs while it waits after one answer. `options`: of `bench.clients.idle`."""

    def measure(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
        with ground.started(server, work.kind, work.path, work.body) as running:
            loads.idle(running.port, 100, options).communicate()
            before = processes.memory(running.process.pid)
            client = loads.idle(running.port, connections, options)
            after = processes.memory(running.process.pid)
            client.communicate()
        return Sample((after - before) / connections / 1024)

    return measure


def storm(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
    """Requests that failed (`bench.clients.storm`), however long it takes."""
    with ground.started(server, work.kind, work.path, work.body) as running:
        before = processes.cpu_seconds(running.process.pid)
        load = loads.client(running, STORM_PATIENCE, "storm", ("--pid", str(running.process.pid)))
        cpu = processes.cpu_seconds(running.process.pid) - before
    late = f"only {by_rate(load):.0f} requests a second" if by_rate(load) < 1900 else None
    return Sample(load.errors, cores=cpu / load.seconds, p50_ms=load.p50_ms, p99_ms=load.p99_ms, problem=late)


def start_time(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
    """Seconds from the start of the process to the first answer."""
    with ground.started(server, work.kind, work.path, work.body) as running:
        return Sample(running.seconds)


H2 = {str(n): under(partial(loads.h2load, connections=16, streams=n)) for n in (1, 32)}

TEN_M = 10 * 1024 * 1024
DISCARD = partial(loads.client, name="download", options=("--path", "/10m.bin"))

WORKS = {
    work.name: work
    for work in (
        Work("file-1k", "1 KB file, HTTP/1.1", "files", under(loads.wrk), "requests/s",
             ("nginx", "caddy", "floor"), {"nginx": 1.0, "caddy": 3.0}, path="/1k.html", body=1024),
        Work("file-1k-tls", "1 KB file, HTTP/1.1 over TLS", "tls", under(loads.wrk), "requests/s",
             ("nginx", "caddy", "floor"), {"nginx": 0.95}, path="/1k.html", body=1024),
        Work("h2-32", "1 KB file, HTTP/2 over TLS, 32 streams on each of 16 connections", "tls", H2["32"], "requests/s",
             ("nginx", "caddy"), {"nginx": 3.0}, path="/1k.html", body=1024),
        Work("h2-1", "1 KB file, HTTP/2 over TLS, 1 stream on each of 16 connections", "tls", H2["1"], "requests/s",
             ("nginx", "caddy"), {"nginx": 0.9}, path="/1k.html", body=1024),
        Work("file-10m", "10 MB file", "files", under(partial(loads.wrk, connections=16), by_megabytes), "MB/s",
             ("nginx", "caddy"), {"nginx": 1.0}, path="/10m.bin", body=TEN_M),
        Work("file-10m-discard", "10 MB file, thrown away unread", "files", under(DISCARD, by_megabytes), "MB/s",
             ("nginx", "caddy"), path="/10m.bin", body=TEN_M),
        Work("file-varied", "1 KB files, 20,000 different requests", "files", under(partial(loads.wrk, varied=True)),
             "requests/s", ("nginx", "caddy"), path="/varied/000.html", body=1024),
        Work("asgi", "ASGI hello", "asgi", under(loads.wrk), "requests/s",
             ("granian", "uvicorn", "hypercorn", "floor"), {"granian": 1.5, "uvicorn": 1.7}),
        Work("asgi-varied", "ASGI hello, 20,000 different requests", "asgi", under(partial(loads.wrk, varied=True)),
             "requests/s", ("granian", "uvicorn")),
        Work("wsgi", "WSGI hello", "wsgi", under(loads.wrk), "requests/s",
             ("granian", "gunicorn"), {"granian": 1.0, "gunicorn": 5.0}),
        Work("fastapi", "FastAPI, JSON, one path parameter", "api", under(loads.wrk), "requests/s",
             ("granian", "uvicorn"), {"granian": 1.0, "uvicorn": 1.0}, path="/items/42", body=38),
        Work("websocket", "WebSocket echo, 100 connections", "asgi", under(partial(loads.client, name="websocket")), "echoes/s",
             ("uvicorn", "granian"), {"uvicorn": 1.0}),
        Work("mix", "99th percentile of quick requests among slow clients, slow answers and errors", "mixed",
             under(partial(loads.client, name="mix"), by_p99), "ms", ("granian", "uvicorn")),
        Work("proxy", "reverse proxy to nginx, 1 KB, HTTP/1.1", "proxy", under(loads.wrk), "requests/s",
             ("nginx", "haproxy", "caddy"), {"nginx": 0.9, "haproxy": 0.9, "caddy": 3.0}, path="/1k.html", body=1024),
        Work("proxy-varied", "the same, 20,000 different requests", "proxy", under(partial(loads.wrk, varied=True)),
             "requests/s", ("nginx", "haproxy", "caddy"), path="/varied/000.html", body=1024),
        Work("proxy-1m", "reverse proxy, 1 MB answers", "proxy", under(partial(loads.wrk, connections=16), by_megabytes),
             "MB/s", ("nginx", "haproxy", "caddy"), {"nginx": 0.9}, path="/1m.bin", body=1024 * 1024),
        Work("proxy-post", "reverse proxy, POST of 64 KB", "proxy", under(partial(loads.wrk, post=65536)), "requests/s",
             ("nginx", "haproxy", "caddy"), {"nginx": 0.9}, path="/post"),
        Work("grpc", "gRPC unary through the proxy, 8 calls at once on each of 16 connections", "grpc", under(loads.grpc),
             "requests/s", ("nginx",), {"nginx": 0.5}, path="/bench.Hello/Say", body=18),
        Work("isolated", "ASGI hello in a process of its own, edge and application on one core", "isolated", under(loads.wrk),
             "requests/s", ("nginx+uvicorn", "granian", "uvicorn"), {"nginx+uvicorn": 2.0, "granian": 1.0}),
        Work("burn", "99th percentile of quick requests, one in ten beside them burns 50 ms of CPU; 4 workers", "burn",
             under(partial(loads.client, name="burn"), by_p99), "ms", ("granian", "uvicorn"),
             {"granian": 0.5, "uvicorn": 0.5}),
        Work("storm", "2,000 requests a second, 20 reloads, 5 workers killed, a peer that flaps: idempotent requests that failed",
             "storm", storm, "failed", (), limit=0, path="/app"),
        Work("idle", "memory for each of 5,000 idle keep-alive connections", "asgi", idle_memory(5000), "KB",
             ("uvicorn", "granian", "floor"), limit=5.0),
        Work("websocket-memory", "memory for each of 1,000 WebSockets, proxied to uvicorn", "websocket",
             idle_memory(1000, "--websocket"), "KB", (), limit=40.0),
        Work("start", "start to first answer", "start", start_time, "s", ("uvicorn",), limit=0.4, rounds=5),
    )
}  # fmt: skip
