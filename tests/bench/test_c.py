"""The yardstick in C says what went to and fro: it is compiled, talks to itself, and to servers that answer wrongly."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from bench import compiled
from tests.ports import HOST, free_port

LONG = "30"
"""Seconds that no test takes: the load generator ends when all its connections have failed."""
ANSWER = "Ugly."


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("c") / "programs"
    compiled.build(folder)
    return folder


def load(programs: Path, transport: str, port: int, connections: int, seconds: str, *options: str) -> dict[str, float]:
    command = [programs / "echo_load", transport, str(port), str(connections), seconds, *options]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=50).stdout)
    return found


@contextmanager
def echo_server(programs: Path, transport: str) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([programs / "echo_server", transport, str(port)])
    try:
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        answered = False
        while not answered and process.poll() is None:
            with suppress(ConnectionRefusedError), socket.socket(type=kind) as client:
                client.connect((HOST, port))
                client.send(b"?")
                answered = client.recv(1) == b"?"
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("length", [1, 64, 60_000])
def test_the_echo_is_what_was_sent(programs: Path, transport: str, length: int) -> None:
    message = ("0123456789" * 6000)[:length]
    with echo_server(programs, transport) as port:
        found = {"requests": 0.0}
        while not found["requests"]:  # a machine that stalls may have time for none
            found = load(programs, transport, port, 5, "0.1", "--send", message)
            assert found["errors"] == 0
    assert 0 < found["p50_us"] <= found["p99_us"]
    assert found["seconds"] >= 0.1


def test_a_client_that_does_not_read_loses_nothing(programs: Path) -> None:
    block = bytes(range(256)) * 256
    with echo_server(programs, "tcp") as port, socket.create_connection((HOST, port)) as client:
        sent = bytearray()
        client.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sent += block[: client.send(block)]
        client.setblocking(True)
        client.shutdown(socket.SHUT_WR)
        got = bytearray()
        while data := client.recv(1 << 20):
            got += data
    assert got == sent


Respond = Callable[[bytes], list[bytes]]
"""What a server sends for a message, piece by piece."""


@contextmanager
def tcp_server(respond: Respond) -> Iterator[int]:
    """For each connection the pieces for one message; then it ends."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for piece in respond(connection.recv(100)):
                        connection.sendall(piece)

    with socket.create_server((HOST, 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def udp_server(respond: Respond) -> Iterator[int]:
    """The pieces for each datagram, each piece a datagram. An empty datagram ends it."""

    def serve() -> None:
        while (got := server.recvfrom(100))[0]:
            for piece in respond(got[0]):
                server.sendto(piece, got[1])

    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        thread = Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.sendto(b"", server.getsockname())
            thread.join()


SERVERS = {"tcp": tcp_server, "udp": udp_server}
WRONG = {"another": b"Fine.", "last byte": b"Ugly!", "longer": b"Ugly..", "shorter": b"Ugly"}
WRONG_CELLS = [(transport, name) for transport in SERVERS for name in WRONG]


@pytest.mark.parametrize(("transport", "wrong"), WRONG_CELLS)
def test_a_wrong_answer_is_an_error_and_no_request(programs: Path, transport: str, wrong: str) -> None:
    with SERVERS[transport](lambda message: [WRONG[wrong]]) as port:
        found = load(programs, transport, port, 3, LONG, "--send", "Beautiful?", "--expect", ANSWER)
    assert (found["requests"], found["errors"]) == (0, 3)


def test_a_connection_that_ends_is_an_error(programs: Path) -> None:
    with tcp_server(lambda message: []) as port:
        found = load(programs, "tcp", port, 3, LONG, "--send", "Beautiful?", "--expect", ANSWER)
    assert (found["requests"], found["errors"]) == (0, 3)


def test_an_answer_may_come_in_pieces(programs: Path) -> None:
    with tcp_server(lambda message: [b"U", b"gly", b"."]) as port:
        found = load(programs, "tcp", port, 3, LONG, "--send", "Beautiful?", "--expect", ANSWER)
    assert (found["requests"], found["errors"]) == (3, 3), "each connection ends after its answer"


def test_a_lost_datagram_is_sent_again_and_counted(programs: Path) -> None:
    turns = iter([[], [b"Ugly."], [b"Fine."]])
    with udp_server(lambda message: next(turns)) as port:
        found = load(programs, "udp", port, 1, LONG, "--send", "Beautiful?", "--expect", ANSWER)
    assert (found["requests"], found["errors"], found["lost"]) == (1, 1, 1)
    assert found["p99_us"] >= 200_000, "it was asked when it was first sent"


def test_what_comes_late_answers_nothing(programs: Path) -> None:
    """The server answers the first of two equal datagrams to the socket it came from, which is no more."""
    senders: list[tuple[str, int]] = []
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        command = [programs / "echo_load", "udp", str(server.getsockname()[1]), "1", LONG, "--send", "Beautiful?"]
        with subprocess.Popen([*command, "--expect", ANSWER], stdout=subprocess.PIPE) as process:
            while len(senders) < 2:
                senders.append(server.recvfrom(100)[1])
            server.sendto(b"Ugly.", senders[0])
            server.sendto(b"Fine.", senders[1])
            found = json.loads(process.communicate(timeout=50)[0])
    assert senders[0] != senders[1]
    assert (found["requests"], found["errors"]) == (0, 1)


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(compiled.BuildError, match=r"cc is missing.*gcc libc6-dev"):
        compiled.build(tmp_path / "programs")


def test_what_the_compiler_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.c").write_text("int main(void) { int unused; return 0; }")
    monkeypatch.setattr(compiled, "SOURCES", tmp_path)
    with pytest.raises(compiled.BuildError, match="unused"):
        compiled.build(tmp_path / "programs")
