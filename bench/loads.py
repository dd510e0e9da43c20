"""The load generators, each run on the cores that the server does not have, each answering with a `Load`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bench import browser, processes
from bench.ground import ROOT, Running

THREADS = max(1, min(4, len(processes.LOAD_CORES)))


class LoadError(Exception):
    """The load generator failed, or said something that we do not understand."""


class Load(NamedTuple):
    requests: int
    bytes: int
    """Received, heads and all."""
    seconds: float
    errors: int
    """Connections lost, time-outs, wrong statuses, wrong echoes."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    beside: Mapping[str, float] = MappingProxyType({})
    """Other figures, with their units for names."""


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _run(command: list[str], seconds: float, **extra: str) -> str:
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 30, cwd=ROOT, env=environment() | extra
    )
    if result.returncode:
        raise LoadError(f"{' '.join(command[:3])}: {result.stderr or result.stdout}")
    return result.stdout


def _json(text: str) -> Load:
    last = text.strip().rpartition("\n")[2]
    try:
        return Load(**json.loads(last))
    except (ValueError, TypeError) as error:
        raise LoadError(f"not understood: {last!r}") from error


def _fields(*more: str) -> list[str]:
    lines = [f"{name}: {value}" for name, value in browser.FIELDS.items()]
    return [part for line in [*lines, f"Cookie: {browser.COOKIE}", *more] for part in ("-H", line)]


def wrk(
    server: Running,
    seconds: float,
    connections: int = 64,
    varied: bool = False,
    post: int = 0,
    zipf: int = 0,
    fields: tuple[str, ...] = (),
) -> Load:
    """`varied`: all requests differ; `post`: they are POSTs with so many bytes; `zipf`: a seed, by which they are for one of
    10,000 objects each; `fields`: further lines of each."""
    command = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds:.0f}s", "-s", "bench/wrk.lua"]
    command += ["-H", f"Host: {browser.HOST}", *_fields(*fields), server.url]
    script = {"POST": str(post), "ZIPF": str(zipf)} | ({"VARIED": "1"} if varied else {})
    return _json(_run(command, seconds, **script))


def h2load(server: Running, seconds: float, connections: int = 16, streams: int = 1) -> Load:
    command = ["h2load", f"-t{THREADS}", f"-c{connections}", f"-m{streams}", f"-D{seconds:.0f}"]
    return read_h2load(_run([*command, *_fields(f":authority: {browser.HOST}"), server.url], seconds))


GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", "bench/grpc_message.bin"]
"""A unary call: POST with one message of five bytes."""


def grpc(server: Running, seconds: float, connections: int = 16, streams: int = 8) -> Load:
    command = ["h2load", f"-t{THREADS}", f"-c{connections}", f"-m{streams}", f"-D{seconds:.0f}", *GRPC]
    return read_h2load(_run([*command, server.url], seconds))


def read_h2load(text: str) -> Load:
    """The report of h2load as a Load. Statuses are counted when a head has come, `done` when its body has: no sum to check."""
    numbers = [
        re.search(pattern, text)
        for pattern in (
            r"finished in ([\d.]+)(m?s)",
            r"(\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
            r"\d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx",
            r"traffic: \S+ \((\d+)\) total",
            r"Application protocol: h2",
        )
    ]
    if None in numbers:
        raise LoadError(f"h2load: {text}")
    time, counts, bad, traffic, _ = (match for match in numbers if match)
    done, *failed = map(int, counts.groups())
    seconds = float(time[1]) * (0.001 if time[2] == "ms" else 1)
    return Load(done, int(traffic[1]), seconds, sum(failed) + sum(map(int, bad.groups())))


def stream(server: Running, seconds: float, transport: str, connections: int, answer: str) -> Load:
    """Messages to a raw service, each of which it must answer with `answer`. `transport`: tcp or udp."""
    command = [str(Path(server.programs) / "echo_load"), transport, str(server.port), str(connections), str(seconds)]
    found = json.loads(_run([*command, "--send", server.path, "--expect", answer], seconds))
    return Load(
        found["requests"],
        found["requests"] * len(answer),
        found["seconds"],
        found["errors"],
        found["p50_us"] / 1000,
        found["p99_us"] / 1000,
        {"lost": found["lost"]} if transport == "udp" else {},
    )


def client(server: Running, seconds: float, name: str, options: tuple[str, ...] = ()) -> Load:
    """A load generator of ours, a module of `bench.clients`."""
    return _json(_client(server, seconds, name, options))


def figures(server: Running, seconds: float, name: str, options: tuple[str, ...] = ()) -> dict[str, float]:
    """The same, where what it finds is not a Load."""
    found: dict[str, float] = json.loads(_client(server, seconds, name, options))
    return found


def _client(server: Running, seconds: float, name: str, options: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", f"bench.clients.{name}", "--port", str(server.port), "--seconds", str(seconds)]
    return _run([*command, *options], seconds)


def idle(port: int, connections: int, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """`connections` connections that have had one answer each and now wait, until stdin of the process is closed."""
    command = [sys.executable, "-m", "bench.clients.idle", "--port", str(port), "--connections", str(connections)]
    command += options
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()
    )
    assert process.stdout
    if process.stdout.readline().strip() != "ready":
        process.kill()
        process.communicate()
        raise LoadError(f"could not hold {connections} connections")
    return process
