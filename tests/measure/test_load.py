"""The load client, in each of its three ways, against servers that do right and wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from time import perf_counter_ns

import pytest
from tests.e2e.kit import eventually
from tests.measure.servers import datagram_server, echo, stream_server
from tests.ports import free_port

from enfilade.client.target import target
from enfilade.measure.crowd import Order, Span
from enfilade.measure.load import WAYS, Way, greet, load
from enfilade.measure.processes import share
from enfilade.measure.procfs import descendants
from enfilade.measure.tally import Tally

SECONDS = 0.2
"""Where nobody is served; where somebody is, it ends when all have had their answers."""
PATIENCE = 20.0
ways = pytest.mark.parametrize("way", WAYS)


def order(url: str, clients: int = 3, patience: float = PATIENCE) -> Order:
    return Order(target(url), clients, patience)


def span(seconds: float, each: int = 0) -> Span:
    now = perf_counter_ns()
    return Span(now, now + int(seconds * 1e9), each)


def ask(way: Way, order: Order, seconds: float = PATIENCE, each: int = 0) -> Tally:
    """At once, for so many seconds, or until each has had its answers."""
    with closing(WAYS[way](order)) as crowd:
        crowd.connect()
        return crowd.run(span(seconds, each))


@ways
def test_all_clients_are_served_and_checked(way: Way) -> None:
    with stream_server(echo) as url:
        tally = ask(way, order(url, 5), each=20)
    assert tally.served == 5 and not tally.errors
    assert tally.latencies.count == 100
    assert 0 < tally.latencies.percentile(50) <= tally.latencies.percentile(99)


@ways
def test_unix_sockets(way: Way, tmp_path: Path) -> None:
    with stream_server(echo, socket.AF_UNIX, str(tmp_path / "s")) as url:
        tally = ask(way, order(url), each=20)
    assert tally.latencies.count == 60 and tally.served == 3 and not tally.errors


@ways
def test_datagrams(way: Way) -> None:
    with datagram_server(lambda data: [data]) as url:
        tally = ask(way, order(url), each=20)
    assert tally.latencies.count == 60 and tally.served == 3 and not tally.errors and not tally.late


@ways
def test_a_wrong_byte_is_an_error_and_the_client_goes_on(way: Way) -> None:
    wrong = threading.Event()

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            connection.sendall(data if wrong.is_set() else b"x" + data[1:])
            wrong.set()

    with stream_server(serve) as url:
        tally = ask(way, order(url, 1), each=2)
    assert tally.errors == {"wrong": 1} and tally.served == 1


@ways
def test_more_than_the_answer_is_an_error(way: Way) -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(connection.recv(65536) + b"!")
        connection.recv(1)

    with stream_server(serve) as url:
        tally = ask(way, order(url, 1), SECONDS)
    assert set(tally.errors) == {"wrong"} and not tally.served


@ways
def test_a_connection_that_ends_early_is_an_error(way: Way) -> None:
    with stream_server(lambda connection: [connection.recv(65536), None][1]) as url:
        tally = ask(way, order(url, 1), SECONDS)
    assert set(tally.errors) == {"closed"} and not tally.served


@ways
def test_nobody_listens(way: Way) -> None:
    tally = ask(way, order(f"tcp://127.0.0.1:{free_port()}"), SECONDS)
    assert set(tally.errors) == {"refused"} and tally.errors["refused"] >= 3


@ways
def test_no_answer_within_patience(way: Way) -> None:
    with stream_server(lambda connection: [connection.recv(65536), connection.recv(65536), None][2]) as url:
        tally = ask(way, order(url, 1, patience=0.1), 0.4)
    assert set(tally.errors) == {"timeout"}


@ways
def test_who_waits_at_the_end_is_not_served_and_no_error(way: Way) -> None:
    with stream_server(lambda connection: [connection.recv(65536), connection.recv(65536), None][2]) as url:
        tally = ask(way, order(url, 2), SECONDS)
    assert not tally.errors and not tally.served


@ways
def test_a_lost_datagram_is_sent_again(way: Way) -> None:
    seen: set[bytes] = set()

    def lose_the_first(data: bytes) -> list[bytes]:
        lost = not seen
        seen.add(data)
        return [] if lost else [data]

    with datagram_server(lose_the_first) as url:
        tally = ask(way, order(url, 1), each=2)
    assert tally.sent_again == 1 and tally.served == 1 and not tally.errors


@ways
def test_late_and_doubled_datagrams_are_not_taken_for_the_present_answer(way: Way) -> None:
    before = [b""]

    def with_the_one_before(data: bytes) -> list[bytes]:
        late, before[0] = before[0], data
        return [late, data, data] if late else [data]

    with datagram_server(with_the_one_before) as url:
        tally = ask(way, order(url, 1), each=10)
    assert tally.latencies.count == 10 and not tally.errors
    assert tally.late >= 15  # two for each datagram but the first and the last


@ways
def test_a_datagram_that_nobody_asked_for_is_an_error(way: Way) -> None:
    with datagram_server(lambda data: [b"?"]) as url:
        tally = ask(way, order(url, 1), SECONDS)
    assert set(tally.errors) == {"wrong"} and not tally.served


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.measure.load.WARM_UP", 0.05)


@ways
@pytest.mark.usefixtures("briefly")
def test_it_is_watched_before_and_after_while_all_are_connected(way: Way) -> None:
    now = [0]
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        with lock:
            now[0] += 1
        echo(connection)
        with lock:
            now[0] -= 1

    with stream_server(serve) as url:
        before, _, after = load(order(url, 4), 0.05, way, lambda: now[0])
    assert (before, after) == (4, 4)


@ways
@pytest.mark.usefixtures("briefly")
def test_clients_greet_once_before_all_of_them_are_busy_and_neither_is_timed(way: Way) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            seen.append(data)
            connection.sendall(data)

    with stream_server(serve) as url:
        before, tally, after = load(order(url, 5), 0.2, way, lambda: len(seen))
    assert {line.partition(b".")[2].strip(b".\n") for line in seen[:5]} == {b"0"}  # the number of the message
    assert before > 5 and 0 < tally.latencies.count <= after - before + 5  # who waited before may be answered after
    assert tally.cpu > 0


@ways
def test_who_waits_for_an_answer_waits_on_in_the_next_run(way: Way) -> None:
    answer = threading.Event()

    def serve(connection: socket.socket) -> None:
        data = connection.recv(65536)
        answer.wait(PATIENCE)
        connection.sendall(data)
        connection.recv(1)

    with stream_server(serve) as url, closing(WAYS[way](order(url, 2))) as crowd:
        crowd.connect()
        assert crowd.run(span(0.1, each=1)).served == 0
        answer.set()
        tally = crowd.run(span(PATIENCE, each=1))
    assert tally.served == 2 and not tally.errors


class SlowToServe:
    """A crowd whose clients are served by and by, and a clock that only goes on while they talk."""

    def __init__(self, served_at: list[float]) -> None:
        self.now = 0
        self._served_at = served_at

    def clock(self) -> int:
        return self.now

    def connect(self) -> None: ...

    def close(self) -> None: ...

    def run(self, span: Span) -> Tally:
        self.now = span.end
        tally = Tally()
        tally.served = sum(at * 1e9 <= self.now for at in self._served_at)
        return tally


@pytest.mark.parametrize(
    ("served_at", "seconds"),
    [
        ([0.0, 0.1], 0.1),  # all are there
        ([0.0, 0.9, 1.7], 1.7),  # they come slowly, and all of them
        ([0.0, 0.9, 99.0], 1.9),  # nobody new for a second
        ([0.9 * i for i in range(100)], 10.8),  # it takes too long
    ],
)
def test_clients_greet_until_all_are_served_or_some_never_will_be(
    served_at: list[float], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = SlowToServe(served_at)
    monkeypatch.setattr("enfilade.measure.load.perf_counter_ns", crowd.clock)
    greet(crowd, len(served_at))
    assert crowd.now / 1e9 == pytest.approx(seconds)


def test_connections_and_descriptors_are_gone_afterwards() -> None:
    with stream_server(echo) as url:
        ask("asyncio", order(url), each=1)  # libuv keeps a pipe for signals from its first loop on
    before = set(os.listdir("/proc/self/fd"))
    with stream_server(echo) as url:
        for way in WAYS:
            ask(way, order(url), each=1)
    assert set(os.listdir("/proc/self/fd")) == before


def test_processes_share_the_clients() -> None:
    parts = share(order("tcp://127.0.0.1:1", 5), 3)
    assert [(part.first, part.clients) for part in parts] == [(0, 1), (1, 2), (3, 2)]
    assert len(share(order("tcp://127.0.0.1:1", 1), 8)) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "tcp://127.0.0.1", "ftp://127.0.0.1:1", "127.0.0.1:1"])
def test_what_is_no_raw_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        target(url)


def test_clients_in_processes_end_with_who_started_them() -> None:
    """However it ends, and though they are in the middle of a run."""
    source = (
        "from time import perf_counter_ns; from enfilade.client.target import target;"
        "from enfilade.measure.crowd import Order, Span; from enfilade.measure.processes import Processes;"
        "crowd = Processes(Order(target(input()), 1, 60.0)); crowd.connect(); now = perf_counter_ns();"
        "crowd.run(Span(now, now + 10**15))"
    )
    asked = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        asked.set()
        connection.recv(100)

    with stream_server(serve) as url:
        with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            print(url, file=process.stdin, flush=True)
            assert asked.wait(PATIENCE)
            (child,) = descendants(process.pid)
            process.kill()
        eventually(lambda: not os.path.exists(f"/proc/{child}"), "the client's process has ended")
