"""What was measured of the models, as it is kept (JSON), shown and read."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import Literal

import msgspec

Transport = Literal["tcp", "unix", "udp"]


class Work(msgspec.Struct, frozen=True):
    """What a handler does for each request, and for how many seconds."""

    kind: Literal["none", "io", "cpu"]
    seconds: float = 0.0

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind}:{self.seconds * 1000:g}ms"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One model under so many clients. What the server costs is said of its workers, not of the supervisor."""

    model: str
    awaited: bool = False
    """The handler is `async def`, and awaits where it waits."""
    clients: int
    served: int = 0
    """Clients that had at least one answer."""
    rate: float = 0.0
    """Right answers a second."""
    p50: float = 0.0
    p99: float = 0.0
    """Seconds from a request to its answer."""
    errors: dict[str, int] = {}
    """By kind."""
    sent_again: int = 0
    """Datagrams, as their answers did not come in time."""
    late: int = 0
    """Answers to datagrams that had been answered already."""
    memory: int = 0
    """Bytes in the end, all connections open; what n processes share counts as 1/n in each (PSS)."""
    resident: int = 0
    """Bytes in the end; what processes share counts in each."""
    threads: int = 0
    processes: int = 0
    switches: float = 0.0
    """Context switches for each request, of the threads and processes that are there in the end."""
    cpu: float = 0.0
    """Cores that the server kept busy."""
    cpu_request: float = 0.0
    """Seconds of processor time for each request."""
    load_cpu: float = 0.0
    """Cores that the clients kept busy. 1.0: they could not ask more, if they are threads or on an event loop."""
    problem: str = ""
    """Why nothing was measured."""

    @property
    def name(self) -> str:
        return name_of(self.model, self.awaited)


def name_of(model: str, awaited: bool) -> str:
    return f"{model} (await)" if awaited else model


class Machine(msgspec.Struct, frozen=True):
    cores: int
    processor: str
    system: str
    python: str
    date: str


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    work: Work
    transport: Transport
    seconds: float
    way: str
    """What the clients were: threads, processes, or on an event loop."""
    machine: Machine
    samples: list[Sample]

    @property
    def crowds(self) -> list[int]:
        """The numbers of clients."""
        return sorted({sample.clients for sample in self.samples})

    def of(self, clients: int) -> list[Sample]:
        """Those that were measured with so many."""
        return [sample for sample in self.samples if sample.clients == clients and not sample.problem]


def this_machine() -> Machine:
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        date=datetime.now(UTC).date().isoformat(),
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def write(found: msgspec.Struct) -> str:
    """As JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1).decode()


def read(text: str | bytes) -> Measurement:
    """Raises msgspec.ValidationError."""
    return msgspec.json.decode(text, type=Measurement)
