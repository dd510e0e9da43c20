"""One process of an application: how it is made, and its handle in the supervisor."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from enfilade.process.app_log import LogPipe
from enfilade.process.app_rows import cpu_of, memory_of
from enfilade.process.channel import Channel
from enfilade.process.plan import AppSpec
from enfilade.process.privileges import drop_privileges
from enfilade.process.signals import TAKEN

CHANNEL = 3
"""The descriptor of its channel to the supervisor: the last argument of the program."""
_ABOVE = 10  # where descriptors are out of the way of 0 to 3
_UNHEARD = OSError, ValueError


class AppProcess:
    """`channel`: messages to and from it. `pipes`: its standard output and error."""

    __slots__ = ("channel", "pid", "pipes")

    def __init__(self, pid: int, channel: Channel, pipes: Sequence[LogPipe]) -> None:
        self.pid = pid
        self.channel = channel
        self.pipes = pipes

    def send(self, message: dict[str, Any], fd: int | None = None) -> bool:
        """False where it cannot hear: it is gone, or has not listened for long."""
        try:
            self.channel.send(message, fd)
        except _UNHEARD:
            return False
        return True

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """With all that it has started and that has stayed in its process group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)

    @property
    def memory(self) -> int:
        return memory_of(self.pid)

    @property
    def cpu(self) -> float:
        return cpu_of(self.pid)

    @property
    def last_line(self) -> str:
        """The last that it wrote, rather to its standard error."""
        return next((pipe.last for pipe in reversed(self.pipes) if pipe.last), "")

    def close(self) -> None:
        self.channel.close()
        for pipe in self.pipes:
            pipe.close()

    def close_in_child(self) -> None:
        """In a process that is forked from the supervisor: nothing of this is its own."""
        self.channel.close()
        for pipe in self.pipes:
            os.close(pipe.fileno())


def spawn(spec: AppSpec) -> AppProcess:
    """Run `spec.command`. Raises OSError where there can be no further process; what goes wrong later it says itself."""
    ours, theirs = socket.socketpair()
    read_out, out = os.pipe()
    read_err, err = os.pipe()
    # No signal may meet the child while it still has the supervisor's handlers and wake-up descriptor.
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    try:
        pid = os.fork()
        if pid == 0:
            _become(spec, theirs.fileno(), out, err)
    except OSError:
        ours.close()
        os.close(read_out)
        os.close(read_err)
        raise
    finally:
        theirs.close()
        os.close(out)
        os.close(err)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TAKEN)
    pipes = LogPipe(read_out, spec.name, pid, logging.INFO), LogPipe(read_err, spec.name, pid, logging.WARNING)
    return AppProcess(pid, Channel(ours), pipes)


def _become(spec: AppSpec, channel: int, out: int, err: int) -> NoReturn:
    """The child, from the fork to the program. It fails as a worker does whose application fails."""
    try:
        _arrange_descriptors(channel, out, err)
        os.setpgid(0, 0)  # Ctrl-C at the terminal is for the supervisor, which says what follows from it
        _limit(resource.RLIMIT_AS, spec.memory)
        _limit(resource.RLIMIT_NOFILE, spec.files)
        if spec.identity is not None:
            for pipe in (1, 2):  # so that it can open /dev/stdout and /dev/stderr, as many a log is told to
                os.fchown(pipe, spec.identity.uid, spec.identity.gid)
            drop_privileges(spec.identity)
        if spec.cwd is not None:
            os.chdir(spec.cwd)
        program = spec.command[0]
        _reset_signals()
        os.execve(program, [*spec.command, str(CHANNEL)], {**os.environ, **spec.env})
    except BaseException as error:
        with suppress(OSError):
            Channel(socket.socket(fileno=CHANNEL)).send({"failed": f"{spec.command[0]} cannot be run: {error}"})
    finally:
        os._exit(1)


def _arrange_descriptors(channel: int, out: int, err: int) -> None:
    """0 to 3, and no other: whatever the supervisor has open, or inherited, is not theirs."""
    null = os.open(os.devnull, os.O_RDONLY)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for fd in (null, out, err, channel)]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
    for fd in map(int, os.listdir("/dev/fd")):
        if fd > CHANNEL:
            with suppress(OSError):  # that of the listing is closed by now
                os.close(fd)


def _limit(what: int, limit: int) -> None:
    if limit:
        resource.setrlimit(what, (limit, limit))


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in TAKEN:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TAKEN)
