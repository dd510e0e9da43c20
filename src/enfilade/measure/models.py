"""Measures the concurrency models: each serves the same handler to so many clients, in a server of its own."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from enfilade.client.target import target
from enfilade.measure.crowd import Order
from enfilade.measure.load import Way, load
from enfilade.measure.procfs import Usage, descendants, usage
from enfilade.measure.samples import Measurement, Sample, Transport, Work, name_of, this_machine
from enfilade.measure.server import NoServer, Running, server
from enfilade.measure.table import count
from enfilade.measure.work import ROUNDS, SECONDS, rounds_for
from enfilade.models.handler import Kind
from enfilade.models.table import MODELS

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
        return f"{name_of(self.model, self.awaited)}, {count(self.clients, 'client')}"


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
    rows: Sequence[Row], work: Work, transport: Transport, seconds: float, way: Way, told: Callable[[str], None]
) -> Measurement:  # fmt: skip
    """All rows, one after the other; `told` hears which. The sample of one whose server does not start has a `problem`."""
    facts = environment(work)
    samples = []
    for i, row in enumerate(rows, 1):
        told(f"[{i}/{len(rows)}] {row}")
        handler = f"enfilade.measure.work:{_HANDLERS[work.kind, row.awaited]}"
        try:
            with _serving(handler, row.model, transport, facts) as running:
                samples.append(_measure(row, running, seconds, way))
        except NoServer as problem:
            samples.append(Sample(**row._asdict(), problem=str(problem)))
    return Measurement(
        work=work, transport=transport, seconds=seconds, way=way, machine=this_machine(), samples=samples
    )


@contextmanager
def _serving(handler: str, model: str, transport: Transport, facts: Mapping[str, str]) -> Iterator[Running]:
    """Raises NoServer."""
    with tempfile.TemporaryDirectory() as directory:
        listen = f"unix:{directory}/s" if transport == "unix" else f"{transport}://127.0.0.1:0"
        options = ["--listen", listen, "--model", model, "--connections", "0", "--no-log"]
        with server(["stream", handler, *options], facts) as running:
            yield running


def _measure(row: Row, running: Running, seconds: float, way: Way) -> Sample:
    order = Order(target(running.url), row.clients, PATIENCE + seconds)
    before, tally, after = load(order, seconds, way, partial(_look, running.pid))
    requests, span = tally.latencies.count, after.began - before.ended
    # Who has ended since takes what it had so far along.
    cpu = max(0.0, after.usage.cpu - before.usage.cpu)
    switches = max(0, after.usage.switches - before.usage.switches)
    return Sample(
        **row._asdict(),
        served=tally.served,
        rate=requests / seconds,
        p50=tally.latencies.percentile(50),
        p99=tally.latencies.percentile(99),
        errors=dict(tally.errors),
        sent_again=tally.sent_again,
        late=tally.late,
        memory=after.usage.proportional,
        resident=after.usage.resident,
        threads=after.usage.threads,
        processes=after.usage.processes,
        switches=switches / max(1, requests),
        cpu=cpu / span,
        cpu_request=cpu / max(1, requests),
        load_cpu=tally.cpu / seconds,
    )


class _Seen(NamedTuple):
    """What the workers of a server cost, and when we began and ended to look, which takes a while with many processes."""

    began: float
    usage: Usage
    ended: float


def _look(supervisor: int) -> _Seen:
    return _Seen(time.monotonic(), usage(descendants(supervisor)), time.monotonic())
