"""Clients that are threads on blocking sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter_ns, process_time

from enfilade.client.target import DATAGRAM
from enfilade.measure.crowd import AGAIN, LOOK, MEMORY, NEVER, RETRY, Order, Span
from enfilade.measure.failures import Unanswered, kind_of
from enfilade.measure.talk import Verdict, judge, message
from enfilade.measure.tally import Tally


class Threads:
    """A `Crowd` of threads."""

    def __init__(self, order: Order) -> None:
        kind = DatagramClient if order.target.datagrams else StreamClient
        self._clients = [kind(order, order.first + i) for i in range(order.clients)]
        self._threads = [threading.Thread(target=client.live, daemon=True) for client in self._clients]

    def connect(self) -> None:
        for client in self._clients:
            client.connect()
        for thread in self._threads:
            thread.start()

    def run(self, span: Span) -> Tally:
        began = process_time()
        for client in self._clients:
            client.span = span
            client.turns.put(True)
        while (left := span.end - perf_counter_ns()) > 0 and not all(client.content for client in self._clients):
            time.sleep(min(left / 1e9, LOOK))
        total = Tally()
        for client in self._clients:
            total.merge(client.tally)
        total.cpu = process_time() - began
        return total

    def close(self) -> None:
        for client in self._clients:
            client.leave()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()


class StreamClient:
    """A client with a connection."""

    def __init__(self, order: Order, number: int) -> None:
        self.tally = Tally()
        self.span = NEVER
        """Of the run that is on, or was the last."""
        self.turns: SimpleQueue[bool] = SimpleQueue()
        """One for each run; False: it is over."""
        self._order = order
        self._number = number
        self._sequence = 0
        self._sock: socket.socket | None = None
        self._left = threading.Event()

    def connect(self) -> socket.socket | None:
        try:
            self._sock = self._order.target.connect(self._order.patience)
        except OSError as error:
            self.tally.errors[kind_of(error)] += 1
        if self._left.is_set():  # while we connected
            self.leave()
        return self._sock

    def live(self) -> None:
        """All of its life, in a thread of its own."""
        while self.turns.get():
            self._talk()

    @property
    def content(self) -> bool:
        return 0 < self.span.each <= self._sequence

    def _talk(self) -> None:
        tally = self.tally
        while perf_counter_ns() < self.span.end and not self._left.is_set() and not self.content:
            sock = self._sock or self.connect()
            if sock is None:
                self._left.wait(RETRY)
                continue
            asked = perf_counter_ns()
            try:
                self.ask(sock, message(self._number, self._sequence))
            except (OSError, Unanswered) as error:
                self._sock = None
                sock.close()
                if not self._left.is_set():
                    tally.errors[kind_of(error)] += 1
                    self._left.wait(RETRY)
                continue
            answered = perf_counter_ns()
            self._sequence += 1
            tally.served = 1
            span = self.span  # which may be another one by now
            if span.begin <= answered < span.end:
                tally.latencies.add(answered - asked)

    def ask(self, sock: socket.socket, line: bytes) -> None:
        """Until it is answered. Raises Unanswered and OSError."""
        sock.sendall(line)
        received = b""
        while data := sock.recv(DATAGRAM):
            received += data
            verdict = judge(line, received)
            if verdict is Verdict.WHOLE:
                return
            if verdict is Verdict.WRONG:
                raise Unanswered("wrong")
        raise Unanswered("closed")

    def leave(self) -> None:
        """End whatever the client waits for, and its connection."""
        self._left.set()
        self.turns.put(False)
        if sock := self._sock:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class DatagramClient(StreamClient):
    """A client with a socket that sends datagrams, and sends them again until they are answered."""

    def __init__(self, order: Order, number: int) -> None:
        super().__init__(order, number)
        self._earlier: deque[bytes] = deque(maxlen=MEMORY)

    def ask(self, sock: socket.socket, line: bytes) -> None:
        until = time.monotonic() + self._order.patience
        wait = AGAIN
        sock.send(line)
        while not self._hear(sock, line, min(until, time.monotonic() + wait)):
            if time.monotonic() >= until:
                raise Unanswered("timeout")
            wait *= 2
            self.tally.sent_again += 1
            sock.send(line)
        self._earlier.append(line)

    def _hear(self, sock: socket.socket, line: bytes, until: float) -> bool:
        """Whether the answer came in time."""
        while (left := until - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(DATAGRAM)
            except TimeoutError:
                return False
            if data == line:
                return True
            if data not in self._earlier:
                raise Unanswered("wrong")
            self.tally.late += 1
        return False
