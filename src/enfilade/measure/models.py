"""Measures the concurrency models: each serves the same handler to so many clients, in a server of its own."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from enfilade.client.target import target
from enfilade.measure.crowd import Order
from enfilade.measure.load import Way, load
from enfilade.measure.procfs import Usage, descendants, usage
from enfilade.measure.samples import Sample, Transport, Work
from enfilade.measure.server import NoServer, server
from enfilade.measure.work import ROUNDS, SECONDS, rounds_for
from enfilade.models.handler import Kind
from enfilade.models.table import MODELS

WARM_UP = 0.3
PATIENCE = 30.0
"""Seconds that a client waits for an answer, beside those that are measured; beyond them, it counts as an error."""
SPARE = 100
"""Descriptors beside those of connections."""
_HANDLERS = {("none", False): "nothing", ("io", False): "wait", ("io", True): "wait_awaited", ("cpu", False): "compute"}


class Row(NamedTuple):
    """One cell of the plan."""

    model: str
    awaited: bool
    clients: int

    def __str__(self) -> str:
        clients = "1 client" if self.clients == 1 else f"{self.clients:,} clients"
        return f"{self.model}{' (await)' if self.awaited else ''}, {clients}"


class TooMany(Exception):
    """More clients than this process may have connections."""


def plan(models: Sequence[str], crowds: Sequence[int], work: Work, transport: Transport) -> list[Row]:
    """What is to be measured: where handlers wait, also with one that awaits, on the models that can run it."""
    able = [name for name in models if MODELS[name].udp or transport != "udp"]
    return [
        Row(name, awaited, clients)
        for clients in crowds
        for name in able
        for awaited in (False, True)
        if not awaited or (work.kind == "io" and Kind.ASYNC_REQUEST in MODELS[name].kinds)
    ]


def environment(work: Work) -> dict[str, str]:
    """What tells the handlers how much to do. Measures how fast this machine computes."""
    rounds = rounds_for(work.seconds) if work.kind == "cpu" else 0
    return {SECONDS: str(work.seconds), ROUNDS: str(rounds)}


def make_room(clients: int) -> None:
    """Let this process, and the servers that it starts, have so many connections. Raises TooMany."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + SPARE
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise TooMany(f"{clients} clients need {wanted} descriptors, and there may be {hard} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def measure(
    rows: Sequence[Row],
    work: Work,
    transport: Transport,
    seconds: float,
    way: Way,
    told: Callable[[str], None],
) -> Iterator[Sample]:
    """Each row's sample; `told` is told what is being measured. One whose server does not start has a `problem`."""
    facts = environment(work)
    for i, row in enumerate(rows, 1):
        told(f"[{i}/{len(rows)}] {row}")
        try:
            yield _measure(row, work, transport, seconds, way, facts)
        except NoServer as problem:
            yield Sample(model=row.model, awaited=row.awaited, clients=row.clients, problem=str(problem))


def _measure(
    row: Row, work: Work, transport: Transport, seconds: float, way: Way, facts: dict[str, str]
) -> Sample:  # fmt: skip
    handler = f"enfilade.measure.work:{_HANDLERS[work.kind, row.awaited]}"
    with tempfile.TemporaryDirectory() as directory:
        listen = f"unix:{directory}/s" if transport == "unix" else f"{transport}://127.0.0.1:0"
        options = ["--listen", listen, "--model", row.model, "--connections", "0", "--no-log"]
        with server(["stream", handler, *options], facts) as running:
            watch = Watch(running.pid)
            order = Order(target(running.url), row.clients, patience=PATIENCE + seconds)
            tally = load(order, seconds, warm_up=WARM_UP, way=way, watch=watch)
    before, after = watch.seen
    requests = max(1, tally.latencies.count)
    switches = after.usage.voluntary + after.usage.involuntary - before.usage.voluntary - before.usage.involuntary
    cpu, span = after.usage.cpu - before.usage.cpu, after.began - before.ended
    return Sample(
        model=row.model,
        awaited=row.awaited,
        clients=row.clients,
        served=tally.served,
        rate=tally.latencies.count / seconds,
        p50=tally.latencies.percentile(50),
        p99=tally.latencies.percentile(99),
        errors=dict(tally.errors),
        sent_again=tally.sent_again,
        late=tally.late,
        memory=after.usage.proportional,
        resident=after.usage.resident,
        threads=after.usage.threads,
        processes=after.usage.processes,
        switches=max(0, switches) / requests,
        cpu=cpu / span,
        cpu_request=cpu / requests,
        load_cpu=(after.load - before.load) / span,
    )


class Seen(NamedTuple):
    """`load`: seconds of processor time that this process used so far."""

    began: float
    usage: Usage
    load: float
    ended: float


class Watch:
    """Looks, whenever it is called, at what the workers of a server cost."""

    def __init__(self, supervisor: int) -> None:
        self._supervisor = supervisor
        self.seen: list[Seen] = []

    def __call__(self) -> None:
        began, load = time.monotonic(), time.process_time()
        now = usage(descendants(self._supervisor))
        if self.seen:
            self.seen.append(Seen(began, now, load, time.monotonic()))
        else:  # what looking takes is not the clients'
            self.seen.append(Seen(began, now, time.process_time(), time.monotonic()))
