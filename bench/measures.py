"""What a work is, and how a server is measured at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
    beside: dict[str, float] = field(default_factory=dict)
    """Other figures of the same turn, with their units for names."""
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


def problem(load: Load, running: Running) -> str | None:
    if load.errors:
        return f"{load.errors} errors beside {load.requests} good answers"
    if not load.requests:
        return "no answer at all"
    if load.bytes and load.bytes < load.requests * running.body:
        return f"{load.bytes} bytes for {load.requests} answers of {running.body}"
    return None


def under(
    generator: Callable[[Running, float], Load],
    value: Callable[[Load], float] = by_rate,
    check: Callable[[Load, Running], str | None] = problem,
) -> Callable[[Work, Ground, Server, float], Sample]:
    """Measures a server under a load, after a warm-up with the same load. `check`: why the load does not count."""

    def measure(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
        with ground.started(server, work.kind, work.path, work.body) as running:
            generator(running, WARM_UP)
            before = processes.cpu_seconds(running.process.pid)
            load = generator(running, seconds)
            cpu = processes.cpu_seconds(running.process.pid) - before
            wrong = check(load, running)
        return Sample(
            value(load),
            cpu_us=cpu / max(1, load.requests) * 1e6,
            cores=cpu / load.seconds,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            beside=dict(load.beside),
            problem=wrong,
        )

    return measure


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
