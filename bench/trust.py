"""How what keeps strangers out is measured. What costs a load generator as much as the server is told by the server's own
processor time: a core that did nothing else would do so many a second."""

from __future__ import annotations

import contextlib
import re
import resource
import subprocess
from collections.abc import Callable, Iterator

from bench import loads, processes
from bench.ground import Ground, Running
from bench.loads import Load, LoadError
from bench.measures import WARM_UP, Sample, Work, by_rate
from bench.servers import Server

AT_ONCE = 4
"""Handshakes: each `openssl s_time` makes one after another."""
ATTACKERS = 700
"""Connections of each of the three kinds of slow clients."""
A_SECOND = 350
"""How many of each begin in a second."""
SLOW = {
    "/1k.html": ("-H", "-i", "5"),
    "/post": ("-B", "-i", "5", "-s", "1000000"),
    "/10m.bin": ("-X", "-n", "5", "-z", "32", "-w", "256", "-y", "512"),
}
"""What is asked for slowly, and the options of slowhttptest: heads, bodies, readers; every five seconds another few bytes."""


def for_each(
    generator: Callable[[Running, float], Load], both: bool = False
) -> Callable[[Work, Ground, Server, float], Sample]:
    """How many for each second of the server's processor time, however fast the generator was. `both`: and of the generator's,
    which pays for what the kernel does in its stead."""

    def measure(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
        with ground.started(server, work.kind, work.path, work.body) as running:
            generator(running, WARM_UP)
            before, theirs = processes.cpu_seconds(running.process.pid), _generators()
            load = generator(running, seconds)
            cpu, theirs = processes.cpu_seconds(running.process.pid) - before, _generators() - theirs
        wrong = f"{load.errors} errors beside {load.requests}" if load.errors or not load.requests else None
        return Sample(
            load.requests / max(cpu + (theirs if both else 0.0), processes.TICK),
            cpu_us=cpu / max(1, load.requests) * 1e6,
            beside={"were made a second": by_rate(load)},
            problem=wrong,
        )

    return measure


def _generators() -> float:
    """Processor time of those that have ended. Servers do so outside of what is measured."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def refused(running: Running, seconds: float) -> Load:
    return loads.client(running, seconds, "refused")


def handshakes(*options: str) -> Callable[[Running, float], Load]:
    """TLS 1.3; `options`: of openssl s_time."""

    def load(running: Running, seconds: float) -> Load:
        command = [
            "openssl",
            "s_time",
            "-connect",
            f"127.0.0.1:{running.port}",
            "-tls1_3",
            "-time",
            f"{seconds:.0f}",
            *options,
        ]
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(AT_ONCE)
        ]
        texts = [process.communicate(timeout=seconds + 30)[0] for process in started]
        found = [re.search(r"^(\d+) connections in (\d+) real seconds", text, re.MULTILINE) for text in texts]
        if None in found:
            raise LoadError(f"openssl s_time: {texts[0][-200:]}")
        counts = [(int(match[1]), int(match[2])) for match in found if match]
        unwanted = "r" if "-new" in options else "*"
        unlike = sum(unwanted in _signs(text) for text in texts)
        return Load(sum(count for count, _ in counts), 0, max(real for _, real in counts), unlike)

    return load


def _signs(text: str) -> str:
    """What s_time prints while it works: `*` for a handshake, `r` for one that resumed a session."""
    return "".join(line for line in text.splitlines() if re.fullmatch(r"[*rt]+", line))


def attacked(work: Work, ground: Ground, server: Server, seconds: float) -> Sample:
    """How many times as long the slowest hundredth of a visitor's requests takes while slow clients hold 2,100 connections."""
    with ground.started(server, work.kind, work.path, work.body) as running:
        visitor(running, WARM_UP)
        alone, memory = visitor(running, seconds), processes.memory(running.process.pid)
        with slow_clients(running, seconds):
            beside = visitor(running, seconds)
            grown = processes.memory(running.process.pid) - memory
    assert alone.p99_ms and beside.p99_ms
    errors = alone.errors + beside.errors
    return Sample(
        beside.p99_ms / alone.p99_ms,
        p50_ms=beside.p50_ms,
        p99_ms=beside.p99_ms,
        beside={"p99 ms without": alone.p99_ms, "MB more": grown / 2**20},
        problem=f"{errors} errors" if errors else None,
    )


def visitor(running: Running, seconds: float) -> Load:
    return loads.client(running, seconds, "visitor")


@contextlib.contextmanager
def slow_clients(running: Running, seconds: float) -> Iterator[None]:
    """All kinds, from when all their connections are made."""
    arrived = ATTACKERS / A_SECOND + 1
    common = ["-c", str(ATTACKERS), "-r", str(A_SECOND), "-l", f"{arrived + seconds + 10:.0f}", "-v", "0"]
    null = subprocess.DEVNULL
    started = []
    for path, options in SLOW.items():
        # It spins while it waits: a visitor on the same core goes first.
        command = [
            "nice",
            "-n",
            "19",
            "slowhttptest",
            "-u",
            f"http://127.0.0.1:{running.port}{path}",
            *common,
            *options,
        ]
        started.append(subprocess.Popen(command, stdin=null, stdout=null, stderr=null))
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = started[0].wait(arrived)
            raise LoadError(f"slowhttptest ended with {code}")
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
