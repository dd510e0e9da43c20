"""What the contract of the models is tested with: servers that are forked by the nursery, and their clients."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from types import ModuleType
from typing import IO, Any, NamedTuple, TypeVar

import pytest
from tests.certificates import self_signed

from enfilade.models.handler import SHIPPED, Kind
from enfilade.models.table import MODELS

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 20.0
"""Seconds that a machine may stall."""
SOON = 10.0
"""Seconds for what takes none but those of the machine, and FAREWELL where somebody has to be cut off."""
LOOK = 0.005
WIDTH = 16
"""So many tests run at once where they may."""

STREAMS = ("tcp4", "tcp6", "unix", "tls")
TCP = ("tcp4", "tcp6", "tls")
DATAGRAMS = ("udp4", "udp6")

T = TypeVar("T")


LINES = {
    Kind.REQUEST: "lines",
    Kind.ASYNC_REQUEST: "async_lines",
    Kind.SESSION: "session_lines",
    Kind.ASYNC_SESSION: "async_session_lines",
}
"""The handler of each kind that does what its lines say."""
CELLS = [(model, LINES[kind]) for model, row in MODELS.items() for kind in Kind if kind in row.kinds]
REQUESTS = [cell for cell in CELLS if "session" not in cell[1]]
UDP = [(model, handler) for model, handler in REQUESTS if MODELS[model].udp]

AT_ONCE = {"single": 1, "thread_pool": 2, "process_pool": 2}
"""How many clients these models serve at once, by their nature; all others wait. The pools have the `threads` of these tests."""


def until(condition: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `condition` says when it holds at last."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(LOOK)
    return found


class Counts(NamedTuple):
    """What a server has told its ledger. `ended` and `refused`: how often for which reason; None: in peace. `size`: bytes of
    the records up to here."""

    opened: int
    ended: Counter[str | None]
    refused: Counter[str]
    moved: tuple[int, int, int]
    size: int

    @property
    def open(self) -> int:
        return self.opened - self.ended.total()


class Abreast:
    """Tests that wait rather than compute, and that need nothing but the nursery: a module's run side by side, in threads."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self._threads = ThreadPoolExecutor(WIDTH)
        self._begun: set[ModuleType] = set()
        self._runs: dict[str, Future[None]] = {}

    def run(self, item: pytest.Function) -> None:
        """Raises what the test does. With the first of a module all others begin; who runs once more runs alone."""
        if item.module not in self._begun:
            self._begun.add(item.module)
            for other in item.session.items:
                if isinstance(other, pytest.Function) and other.module is item.module and is_abreast(other):
                    self._runs[other.nodeid] = self._threads.submit(other.obj, self._nursery, **other.callspec.params)
        run = self._runs.pop(item.nodeid, None)
        if run is None:
            item.obj(self._nursery, **item.callspec.params)
        else:
            run.result()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


def is_abreast(item: pytest.Item) -> bool:
    return item.get_closest_marker("abreast") is not None


class Nursery:
    """The process that servers are forked of, and the certificate that they show."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()
        self.abreast = Abreast(self)
        self._turn = Lock()
        certificate = self_signed(["localhost"])
        file = folder / "certificate.pem"
        file.write_bytes(certificate.chain + certificate.key)
        self.trusting = ssl.create_default_context(cadata=certificate.chain.decode())
        self._line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.models.nursery", str(other.fileno()), str(file)],
                pass_fds=(other.fileno(),), cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            )  # fmt: skip
        self._line.settimeout(PATIENCE)

    def fork(self, order: dict[str, Any], fds: list[int]) -> int:
        """A new server's process id."""
        with self._turn:
            socket.send_fds(self._line, [json.dumps(order).encode()], fds)
            return int(self._line.recv(100))

    def reap(self, pid: int) -> int:
        """The wait status of a server that has ended."""
        with self._turn:
            self._line.send(json.dumps({"reap": pid}).encode())
            return int(self._line.recv(100))

    def close(self) -> None:
        self.abreast.close()
        self._line.close()
        assert self._process.wait(PATIENCE) == 0


class Serving:
    """A server: a process that serves one handler by one model, at a door for each transport. The test holds the listening
    sockets, too, so nobody is turned away by the system whatever the server does."""

    def __init__(
        self, nursery: Nursery, model: str, handler: str, transports: tuple[str, ...] = STREAMS,
        *, drain: float = 30.0, descriptors: int = 0, **limits: float,
    ) -> None:  # fmt: skip
        self.model, self.handler = model, handler
        self.doors = {name: self._door(name, nursery) for name in transports}
        self._nursery = nursery
        self._records, self._errors = TemporaryFile(), TemporaryFile()  # noqa: SIM115
        self._counts = Counts(0, Counter(), Counter(), (0, 0, 0), 0)
        order = {
            "model": model,
            "handler": f"tests.models.handlers:{handler}" if "_" in handler or handler not in SHIPPED else handler,
            "tls": [name == "tls" for name in transports],
            "limits": limits,
            "drain": drain,
            "descriptors": descriptors,
        }
        handed = [self._records.fileno(), self._errors.fileno(), *(door.fileno() for door in self.doors.values())]
        self.pid = nursery.fork(order, handed)
        self._handle = os.pidfd_open(self.pid)
        self.reaped = False

    def _door(self, transport: str, nursery: Nursery) -> socket.socket:
        family = {"6": socket.AF_INET6, "x": socket.AF_UNIX}.get(transport[-1], socket.AF_INET)
        kind = socket.SOCK_DGRAM if transport in DATAGRAMS else socket.SOCK_STREAM
        door = socket.socket(family, kind)
        door.bind(
            str(nursery.folder / f"{next(nursery.numbers)}") if family == socket.AF_UNIX
            else ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0)
        )  # fmt: skip
        if kind == socket.SOCK_STREAM:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # what clients do not take is soon noticed
            door.listen(4096)
        return door

    # -- its clients

    def connect(self, transport: str = "tcp4", receive: int = 0) -> socket.socket:
        """A client. `receive`: bytes that the system keeps for it, where not as many as usual."""
        door = self.doors[transport]
        sock = socket.socket(door.family, door.type)
        try:
            if receive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
            if door.family != socket.AF_UNIX:  # where a queue that is full is not waited for otherwise
                sock.settimeout(PATIENCE)
            if transport in TCP:  # or the second of two messages may not be there yet when `sendall` returns
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(door.getsockname())
            sock.settimeout(PATIENCE)
            if transport == "tls":
                return _with_tls(self._nursery.trusting, sock)
        except BaseException:
            sock.close()
            raise
        return sock

    # -- what is seen of it

    def counts(self) -> Counts:
        opened, ended, refused, moved, size = self._counts
        ended, refused = ended.copy(), refused.copy()
        records = _read(self._records, size)
        for line in records.splitlines():
            match json.loads(line):
                case ["opened"]:
                    opened += 1
                case ["ended", why]:
                    ended[why] += 1
                case ["refused", why]:
                    refused[why] += 1
                case ["moved", received, sent, requests]:
                    moved = moved[0] + received, moved[1] + sent, moved[2] + requests
        self._counts = Counts(opened, ended, refused, moved, size + len(records))
        return self._counts

    def errors(self) -> str:
        return _read(self._errors).decode()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def holders(self, transport: str) -> int:
        """How many processes have the door open."""
        name = f"socket:[{os.fstat(self.doors[transport].fileno()).st_ino}]"
        return sum(name in _opened(pid) for pid in (self.pid, *self.children()))

    def waiting(self, transport: str) -> int:
        """Bytes of the datagram that nobody has taken yet."""
        return int.from_bytes(fcntl.ioctl(self.doors[transport], termios.FIONREAD, bytes(4)), sys.byteorder)

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def children(self) -> dict[int, str]:
        """Each with its state, Z for zombies."""
        found: dict[int, str] = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with suppress(FileNotFoundError):
                for child in Path(f"/proc/{self.pid}/task/{thread}/children").read_text().split():
                    with suppress(FileNotFoundError, ProcessLookupError):
                        found[int(child)] = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        return found

    def cpu(self) -> float:
        """Seconds of processor time so far, with that of children."""
        return sum(_cpu(pid) for pid in (self.pid, *self.children()))

    def memory(self) -> int:
        """Bytes that nobody else has, with those of children."""
        return sum(_private(pid) for pid in (self.pid, *self.children()))

    def balance(self) -> tuple[int, int, int]:
        """What must not become more: descriptors, threads, and children."""
        return self.descriptors(), self.threads(), len(self.children())

    # -- its end

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The status that it exits with. Raises AssertionError where it does not."""
        poll = select.poll()  # select(2) would not know descriptors beyond 1023
        poll.register(self._handle, select.POLLIN)
        ready = poll.poll(seconds * 1000)
        assert ready, "it goes on"
        self.reaped = True
        return os.waitstatus_to_exitcode(self._nursery.reap(self.pid))

    def close(self) -> None:
        """Have it end in peace, if it has not."""
        try:
            if not self.reaped:
                offspring = self.children()
                until(lambda: "Z" not in self.children().values())
                self.signal(signal.SIGTERM)
                assert self.wait() == 0, self.errors()
                assert not [pid for pid in offspring if os.path.exists(f"/proc/{pid}")], "its children are left over"
        finally:
            if not self.reaped:
                print(self.errors())
                with suppress(ProcessLookupError):
                    for pid in self.children():
                        os.kill(pid, signal.SIGKILL)
                    self.signal(signal.SIGKILL)
                self.wait()
            os.close(self._handle)
            for held in (*self.doors.values(), self._records, self._errors):
                held.close()


@contextmanager
def serving(nursery: Nursery, model: str, handler: str, *transports: str, **options: Any) -> Iterator[Serving]:
    """A server until the end of the block."""
    server = Serving(nursery, model, handler, transports or STREAMS, **options)
    try:
        yield server
    finally:
        server.close()


def cells(chosen: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("model", "handler"), chosen, ids=["-".join(cell) for cell in chosen])


def many(chosen: list[tuple[str, str]], count: int = 2) -> list[tuple[str, str]]:
    """Those that serve so many at once."""
    return [cell for cell in chosen if AT_ONCE.get(cell[0], count) >= count]


def others_are_served(server: Serving) -> None:
    with server.connect() as other:
        assert ask(other, b"still there?") == b"STILL THERE?"


def over(server: Serving, count: int) -> Counts:
    """What is counted when so many have come, and all have gone."""
    return until(lambda: (counts := server.counts()).ended.total() == count and counts.open == 0 and counts)


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """So many bytes; fewer where the server ends before."""
    received = b""
    while len(received) < count and (data := sock.recv(count - len(received))):
        received += data
    return received


def read_line(sock: socket.socket) -> bytes:
    """An answer of the handlers called `lines`; what has come where the server ends before."""
    received = b""
    while not received.endswith(b"\n") and (data := sock.recv(65536)):
        received += data
    return received


def read_to_end(sock: socket.socket) -> bytes:
    received = b""
    while data := sock.recv(65536):
        received += data
    return received


def say_and_leave(sock: socket.socket, data: bytes, count: int) -> bytes:
    """Send `data`, say that this is all, and what comes until the server says so, too: `count` bytes are expected. Over TLS,
    which cannot be closed by half in Python, the client says so when it has them."""
    sock.sendall(data)
    if not isinstance(sock, ssl.SSLSocket):
        sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)
    received = read_exactly(sock, count)
    with sock.unwrap() as plain:
        return received + plain.recv(1)


def ask(sock: socket.socket, line: bytes) -> bytes:
    """What a handler called `lines` answers to a line."""
    sock.sendall(line + b"\n")
    return read_line(sock).removesuffix(b"\n")


def reset(sock: socket.socket) -> None:
    """End the connection with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def has_ended(sock: socket.socket) -> bool:
    """Whether the server has ended the connection, by a reset or in peace, with nothing more to say."""
    try:
        return not sock.recv(1)
    except ConnectionError:
        return True


@contextmanager
def crowd(server: Serving, count: int, transport: str = "tcp4") -> Iterator[list[socket.socket]]:
    """So many clients."""
    with ExitStack() as held:
        yield [held.enter_context(server.connect(transport)) for _ in range(count)]


def _with_tls(context: ssl.SSLContext, sock: socket.socket) -> ssl.SSLSocket:
    """`wrap_socket`, which loses its socket where there is no handshake."""
    secure = context.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False)
    try:
        secure.do_handshake()
    except BaseException:
        secure.close()
        raise
    return secure


def _read(file: IO[bytes], begin: int = 0) -> bytes:
    """All of it from `begin` on; the place where others write is not moved."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size - begin, begin)


def _opened(pid: int) -> list[str]:
    found: list[str] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def _cpu(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _private(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(row.split()[1]) for row in rows if row.startswith("Private_")) * 1024
    return 0
