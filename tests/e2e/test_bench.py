"""`enfilade bench` against the real product, with short times: that it measures, not what."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.e2e.kit import eventually

from enfilade.measure.load import WAYS
from enfilade.measure.procfs import descendants
from enfilade.measure.samples import Measurement, read

QUICK = ["--seconds", "0.3", "--models"]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "enfilade", "bench", *arguments], capture_output=True, text=True, timeout=60
    )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """However wide the terminal is."""
    return " ".join(done.stdout.split())


def figures(*arguments: str) -> Measurement:
    done = bench("models", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return read(done.stdout)


def test_a_table_what_it_says_and_progress() -> None:
    done = bench("models", *QUICK, "single,uvloop_protocol", "--clients", "3")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[2/2] uvloop_protocol, 3 clients"
    assert "\n3 clients\n" in done.stdout and "1/3" in done.stdout
    assert "With 3 clients," in said(done) and "Not every client was served: single 1 of 3" in said(done)


# All nine of them talk in tests/measure/test_load.py.
@pytest.mark.parametrize(("transport", "load"), [("tcp", "threads"), ("unix", "processes"), ("udp", "asyncio")])
def test_every_transport_and_every_kind_of_clients(transport: str, load: str) -> None:
    found = figures(*QUICK, "epoll", "--clients", "2", "--transport", transport, "--load", load)
    (sample,) = found.samples
    assert (found.transport, found.way) == (transport, load)
    assert not sample.problem and not sample.errors
    assert sample.served == 2 and sample.rate > 0 and 0 < sample.p50 <= sample.p99
    assert sample.processes == 1 and sample.threads == 1 and sample.memory > 1_000_000


def test_where_handlers_wait_one_that_awaits_is_measured_beside() -> None:
    found = figures(*QUICK, "asyncio_protocol", "--clients", "4", "--work", "io:5ms")
    blocks, awaits = found.samples
    assert [blocks.name, awaits.name] == ["asyncio_protocol", "asyncio_protocol (await)"]
    assert blocks.p50 > awaits.p50 >= 0.005 * 0.95


def test_computing_takes_processor_time() -> None:
    (sample,) = figures(*QUICK, "thread", "--clients", "2", "--work", "cpu:20ms").samples
    assert sample.threads == 3
    assert sample.cpu_request > 0.01


def test_charts(tmp_path: Path) -> None:
    svg, png = tmp_path / "models.svg", tmp_path / "models.png"
    done = bench("models", *QUICK, "epoll", "--clients", "1", "--svg", str(svg), "--png", str(png))
    assert done.returncode == 0, done.stderr
    assert ">epoll<" in svg.read_text() and png.read_bytes().startswith(b"\x89PNG")


def test_an_application_its_table_chart_and_progress(tmp_path: Path) -> None:
    svg = tmp_path / "app.svg"
    quick = ["--seconds", "0.1", "--clients", "2", "--workers", "1"]
    done = bench("app", *quick, "--routes", "wait/blocking", "--svg", str(svg))
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[2/2] wait/blocking, isolated, 1 worker"
    assert "waiting 20 ms for somebody else, inline, 2 clients" in done.stdout
    assert "Where nothing else is said: inline, 1 worker." in said(done)
    assert ">async def, blocking call<" in svg.read_text()


@pytest.mark.parametrize("load", WAYS)
def test_told_to_stop_it_stops_what_it_has_started_at_once(load: str) -> None:
    """By SIGTERM; SIGINT may be ignored, as it is by what a script runs in the background."""
    options = ["--models", "thread", "--clients", "1", "--seconds", "3600", "--load", load]
    clients = load == "processes"
    with subprocess.Popen(
        [sys.executable, "-m", "enfilade", "bench", "models", *options], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            eventually(lambda: len(descendants(process.pid)) == 2 + clients, "a supervisor, a worker, and clients")
            started = descendants(process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=30)[1].splitlines()[-1] == "Aborted!"
        finally:
            for pid in (*descendants(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    assert process.returncode == 1
    assert not [pid for pid in started if os.path.exists(f"/proc/{pid}")]
