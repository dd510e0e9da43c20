"""Made-up measurements."""

from __future__ import annotations

from typing import Any, Literal

from enfilade.measure.samples import Machine, Measurement, Sample, Work


def sample(model: str, clients: int = 100, rate: float = 1000.0, **figures: Any) -> Sample:
    """One that served everybody, in one thread."""
    usual = {"served": clients, "p50": 0.001, "p99": 0.002, "memory": 10_000_000, "threads": 1, "processes": 1}
    return Sample(model=model, clients=clients, rate=rate, **{**usual, **figures})


def measurement(
    *samples: Sample, kind: Literal["none", "io", "cpu"] = "none", seconds: float = 0.0, cores: int = 2, way: str = "asyncio"
) -> Measurement:  # fmt: skip
    return Measurement(
        work=Work(kind, seconds),
        transport="tcp",
        seconds=2.0,
        way=way,
        machine=Machine(cores, "a processor", "Linux 6", "CPython 3.11.2", "2026-11-22"),
        samples=list(samples),
    )
