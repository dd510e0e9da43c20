"""Signals as something to read: a wake-up descriptor for the supervisor's loop, so that no code runs inside a handler."""

from __future__ import annotations

import signal
import socket
from types import FrameType

TAKEN = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGCHLD,
)


class SignalInbox:
    """`fileno` is readable when a signal came; `take` says which, in order."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before = {number: signal.signal(number, _do_nothing) for number in TAKEN}
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[int]:
        try:
            return list(self._reader.recv(256))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Put everything back as it was."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def leave_in_child(self) -> None:
        """In a forked worker, signals still blocked: SIGTERM ends it until it has a loop, the rest is not its affair
        (not SIG_IGN, which the programs that an application starts would inherit)."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, _do_nothing)
        self._reader.close()
        self._writer.close()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler must exist for the wake-up descriptor to be written to."""
