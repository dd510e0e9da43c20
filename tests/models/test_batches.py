"""Datagrams by the batch: the same one by one as together in a system call."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from enfilade.framing import Delimiter, framed
from enfilade.http.reasons import Reason, reason
from enfilade.models.batches import BATCH, HOLD, Batches, OneByOne, Together, answer_batch, read_address
from enfilade.models.handler import handler_of
from enfilade.models.server import READ, Door, Ended, Limits, Server

PATIENCE = 20.0
LONGEST = 65_507
"""Bytes of a datagram over IPv4 at most."""
IP_RECVERR = 11
"""ip(7): errors of what was sent come back."""


class Scene:
    """A door, and clients on the same machine: what is sent to the door waits there at once."""

    def __init__(self, make: Callable[[socket.socket], Batches], family: int) -> None:
        self._stack = ExitStack()
        self._family = family
        self.door = self._socket()
        self.door.setblocking(False)
        self.door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.batches = make(self.door)

    def _socket(self, host: str = "") -> socket.socket:
        sock = self._stack.enter_context(socket.socket(self._family, socket.SOCK_DGRAM))
        sock.bind((host or ("127.0.0.1" if self._family == socket.AF_INET else "::1"), 0))
        return sock

    def client(self, host: str = "") -> socket.socket:
        client = self._socket(host)
        client.connect(self.door.getsockname())
        client.settimeout(PATIENCE)
        return client

    def clients(self, count: int) -> list[socket.socket]:
        """So many, each of whom has sent its number."""
        clients = [self.client() for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
        return clients

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(params=[OneByOne, Together])
def make(request: pytest.FixtureRequest) -> Callable[[socket.socket], Batches]:
    made: Callable[[socket.socket], Batches] = request.param
    return made


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["udp4", "udp6"])
def scene(make: Callable[[socket.socket], Batches], request: pytest.FixtureRequest) -> Iterator[Scene]:
    scene = Scene(make, request.param)
    yield scene
    scene.close()


def is_silent(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    return False


def test_where_none_waits_nobody_waits(scene: Scene) -> None:
    assert scene.batches.receive() == []
    assert scene.batches.send([]) == 0


def test_those_that_wait_come_in_their_order_and_a_batch_at_a_time(scene: Scene) -> None:
    client = scene.client()
    for number in range(BATCH + 2):
        client.send(b"%d" % number)
    assert scene.batches.receive() == [b"%d" % number for number in range(BATCH)]
    assert scene.batches.receive() == [b"%d" % BATCH, b"%d" % (BATCH + 1)]
    assert scene.batches.receive() == []


def test_each_answer_goes_to_who_asked(scene: Scene) -> None:
    clients = scene.clients(BATCH)
    assert scene.batches.send([asked * 2 for asked in scene.batches.receive()]) == 0
    assert [client.recv(100) for client in clients] == [b"%d" % number * 2 for number in range(BATCH)]


@pytest.mark.parametrize("answered", ["", "0", "4", "04", "13", "0134", "01234"])
def test_who_is_not_answered_gets_nothing(scene: Scene, answered: str) -> None:
    clients = scene.clients(5)
    answers = [asked if asked.decode() in answered else None for asked in scene.batches.receive()]
    assert scene.batches.send(answers) == 0
    for number, client in enumerate(clients):
        if str(number) in answered:
            assert client.recv(100) == b"%d" % number
        assert is_silent(client)


def test_batches_are_answered_one_after_the_other(scene: Scene) -> None:
    """Nothing of a batch is left for the next, be that shorter, longer, or of others."""
    for count in (3, 1, 5, 2):
        clients = scene.clients(count)
        assert scene.batches.send([b"." * (count - number) for number in range(len(scene.batches.receive()))]) == 0
        assert [len(client.recv(100)) for client in clients] == list(range(count, 0, -1))


def test_addresses_are_those_that_sockets_give(scene: Scene) -> None:
    clients = scene.clients(3)
    scene.batches.receive()
    assert [scene.batches.address(number) for number in range(3)] == [client.getsockname() for client in clients]


def test_datagrams_of_any_length_are_whole_and_stay_as_they_are(scene: Scene) -> None:
    client = scene.client()
    lengths = (0, 1, 1_473, LONGEST, 5)
    for length in lengths:
        client.send(b"." * length)
    received = scene.batches.receive()
    assert scene.batches.send(received) == 0
    assert [len(client.recv(READ)) for _ in lengths] == list(lengths)
    client.send(b"#" * LONGEST)
    scene.batches.receive()
    assert received == [b"." * length for length in lengths]


@pytest.mark.parametrize("too_long", [65_530, READ, READ + 1, 1_000_000])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_an_answer_that_is_no_datagram_is_counted_and_the_others_are_sent(scene: Scene, too_long: int, at: int) -> None:
    clients = scene.clients(5)
    answers = scene.batches.receive()
    answers[at] = b"x" * too_long
    assert scene.batches.send(answers) == 1
    for number, client in enumerate(clients):
        if number != at:
            assert client.recv(100) == b"%d" % number
        assert is_silent(client)


def test_all_of_them_may_fail(scene: Scene) -> None:
    scene.clients(3)
    scene.batches.receive()
    assert scene.batches.send([b"x" * READ] * 3) == 3


def test_word_of_one_that_did_not_arrive_takes_none_of_the_others_away(
    make: Callable[[socket.socket], Batches],
) -> None:
    scene = Scene(make, socket.AF_INET)
    scene.door.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    with scene.client() as gone:
        gone.send(b"a")
    assert scene.batches.send(scene.batches.receive()) == 0  # to nobody
    clients = scene.clients(2)
    assert scene.batches.receive() == []
    assert scene.batches.send(scene.batches.receive()) == 0
    assert [client.recv(100) for client in clients] == [b"0", b"1"]
    scene.close()


def test_the_scope_of_an_address_is_kept() -> None:
    """RFC 4007: of which link it is. `socket` has it as a number of its own."""
    host = socket.inet_pton(socket.AF_INET6, "fe80::1")
    sent = socket.AF_INET6.to_bytes(2, "little") + b"\x1f\x90" + b"\0\0\0\7" + host + socket.htonl(3).to_bytes(4, "big")
    assert read_address(socket.AF_INET6, sent) == ("fe80::1", 8080, 7, 3)


# -- answered by a server


@framed(Delimiter(b"\n"))
def shout(line: bytes) -> bytes:
    return b"x" * READ if line == b"too much" else line.upper()


class Recording:
    """A ledger, and a doorkeeper who lets everybody in but the address `banned`."""

    def __init__(self, banned: str = "") -> None:
        self.banned = banned
        self.refusals: list[str] = []
        self.sums = [0, 0, 0]

    def opened(self) -> None:
        raise AssertionError("datagrams are no connections")

    def moved(self, received: int, sent: int, requests: int) -> None:
        self.sums = [self.sums[0] + received, self.sums[1] + sent, self.sums[2] + requests]

    def ended(self, ended: Ended) -> None:
        raise AssertionError("datagrams are no connections")

    def refused(self, why: Reason) -> None:
        self.refusals.append(why.name)

    def look(self, now: float) -> None:
        pass

    def refuses(self, client: str) -> Reason | None:
        return reason("banned") if client == self.banned else None

    def enter(self, client: str) -> Reason | None:
        return self.refuses(client)


def serve(scene: Scene, recording: Recording, guarded: bool) -> None:
    """Answer what waits."""
    handler = handler_of("shout", shout)
    server = Server(handler, [Door(scene.door)], Limits(), recording, doorkeeper=recording if guarded else None)
    answer_batch(server, scene.batches, server.conversation())


def test_a_batch_is_answered_each_for_itself(scene: Scene) -> None:
    """One conversation serves for all, and nothing is left in it of the one before."""
    clients = [scene.client() for _ in range(4)]
    for client, said in zip(clients, (b"one\n", b"half", b"too much\n", b"two\nthree\n"), strict=True):
        client.send(said)
    recording = Recording()
    serve(scene, recording, guarded=False)
    assert clients[0].recv(100) == b"ONE\n"
    assert clients[3].recv(100) == b"TWO\nTHREE\n"
    assert recording.refusals == ["no_message", "write_failed"]
    assert recording.sums == [27, 4 + READ + 1 + 10, 4]


def test_an_answer_does_not_wait_for_those_that_take_their_time(scene: Scene) -> None:
    clients = [scene.client() for _ in range(3)]
    now, had = 0.0, []

    @framed(Delimiter(b"\n"))
    def slow(line: bytes) -> bytes:
        nonlocal now
        now += HOLD
        if line != b"0":
            had.append(clients[int(line) - 1].recv(100))
        return line

    for number, client in enumerate(clients):
        client.send(b"%d\n" % number)
    server = Server(handler_of("slow", slow), [Door(scene.door)], Limits(), Recording(), clock=lambda: now)
    answer_batch(server, scene.batches, server.conversation())
    assert [*had, clients[2].recv(100)] == [b"0\n", b"1\n", b"2\n"]


def test_who_may_not_come_in_is_not_answered(make: Callable[[socket.socket], Batches]) -> None:
    scene = Scene(make, socket.AF_INET)
    banned, welcome = scene.client("127.0.0.2"), scene.client()
    for client in (banned, welcome, banned):
        client.send(b"one\n")
    recording = Recording(banned="127.0.0.2")
    serve(scene, recording, guarded=True)
    assert welcome.recv(100) == b"ONE\n"
    assert is_silent(banned)
    assert recording.refusals == ["banned", "banned"] and recording.sums == [4, 4, 1]
    scene.close()
