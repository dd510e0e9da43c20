"""nft, run by the supervisor: nobody else has the right to change the kernel's rules once workers have dropped it.

One at a time, never waited for. Its text comes from a file in memory, which no reader can block; nothing goes through a shell.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Protocol

from enfilade.process.lifecycle import ending
from enfilade.process.sockets import Bound

log = logging.getLogger("enfilade.bans")

LOOK = 1.0
"""Seconds between two looks at whether there is something to tell."""
PAUSE = 5.0
"""Seconds for which nft is left alone when it has failed."""
TIMEOUT = 20.0
"""Seconds after which it is killed: 32,768 bans take half of one."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_SAID = 1000  # bytes of what it says that are read


class Handover(Protocol):
    """What nft, the `program`, is to be told."""

    @property
    def program(self) -> str: ...

    def begin(self, bound: Bound) -> None:
        """The server listens there."""

    def script(self) -> str:
        """What is new; asked once a second."""

    def told(self, worked: bool) -> None:
        """Of the last `script` that was not empty."""

    def end(self) -> str:
        """What removes all of it. Nothing else is asked from now on."""


class _Run:
    """One that runs. `removed`: the part of the text that removes others' tables. `said`: a descriptor with its errors."""

    __slots__ = ("handover", "kill_at", "pid", "removed", "said")

    def __init__(self, program: str, script: str, removed: str, handover: Handover | None, now: float) -> None:
        self.removed = removed
        self.handover = handover
        self.kill_at = now + TIMEOUT
        self.said = os.memfd_create("nft errors")
        told = os.memfd_create("nft")
        try:
            with open(told, "wb", closefd=False) as file:
                file.write(script.encode())
            os.lseek(told, 0, os.SEEK_SET)
            self.pid = os.posix_spawn(
                program,
                [program, "-f", "-"],
                ENVIRONMENT,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, told, 0),
                    (os.POSIX_SPAWN_DUP2, self.said, 1),
                    (os.POSIX_SPAWN_DUP2, self.said, 2),
                ],
                setpgroup=0,  # Ctrl-C at the terminal is for the supervisor
                setsigdef=[signal.SIGPIPE],
            )
        except OSError:
            os.close(self.said)
            raise
        finally:
            os.close(told)


class Nft:
    """Tells nft what a `Handover` has, and removes what it had when another, or none, follows."""

    def __init__(self) -> None:
        self._handover: Handover | None = None
        self._program = ""
        self._removal = ""
        self._run: _Run | None = None
        self._next: float | None = None
        self._failed = False

    def follow(self, handover: Handover | None, bound: Bound, now: float) -> None:
        """From now on, where the server listens by now; None: remove what there is, and be done."""
        if self._handover is not None:
            self._removal += self._handover.end()
        if handover is not None:
            self._program = handover.program
            handover.begin(bound)
        self._handover = handover
        self._next = now if handover is not None or self._removal else None

    @property
    def busy(self) -> bool:
        """Something is still to be removed."""
        return self._run is not None or (self._handover is None and self._next is not None)

    @property
    def due(self) -> float | None:
        """When `tick` has something to do."""
        return self._next if self._run is None else self._run.kill_at

    def tick(self, now: float) -> None:
        if self._run is not None:
            if now >= self._run.kill_at:
                self._run.kill_at = now + TIMEOUT
                os.kill(self._run.pid, signal.SIGKILL)
        elif self._next is not None and now >= self._next:
            self._next = now + LOOK
            script = self._removal + ("" if self._handover is None else self._handover.script())
            if script:
                self._start(script, now)

    def _start(self, script: str, now: float) -> None:
        try:
            self._run = _Run(self._program, script, self._removal, self._handover, now)
        except OSError as error:
            self._fail(str(error), self._handover, now)

    def bury(self, pid: int, status: int, now: float) -> bool:
        """Whether the child that ended was nft."""
        run = self._run
        if run is None or run.pid != pid:
            return False
        said = os.pread(run.said, _SAID, 0).decode(errors="replace").partition("\n")[0]
        self.close_in_child()
        self._run = None
        if status:
            self._fail(f"nft {ending(status)}: {said}" if said else f"nft {ending(status)}", run.handover, now)
            return True
        self._failed = False
        self._removal = self._removal.removeprefix(run.removed)
        if self._handover is None and not self._removal:
            self._next = None
        if self._handover is not None and self._handover is run.handover:
            self._handover.told(True)
        return True

    def _fail(self, why: str, handover: Handover | None, now: float) -> None:
        """Told of once; the workers go on refusing. `handover`: whose text it was; another one's is told next."""
        if not self._failed:
            log.error("bans are not handed to nftables: %s", why)
        self._failed = True
        if handover is self._handover:
            if handover is None:  # who stops does not wait until it works
                self._next, self._removal = None, ""
            else:
                self._next = now + PAUSE
                handover.told(False)

    def close_in_child(self) -> None:
        """What is open for the one that runs."""
        if self._run is not None:
            os.close(self._run.said)
