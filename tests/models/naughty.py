"""Handlers that do what one should not do."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from enfilade.framing import Delimiter, framed
from enfilade.models.blocking import Talk


def _do(word: bytes) -> bytes:
    match word:
        case b"exit":
            sys.exit("enough")
        case b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"leave":
            os._exit(3)
        case b"print":
            print("a word")
        case b"open":
            Path("/nowhere/at/all").read_bytes()
        case b"who":
            return str(os.getpid()).encode()
        case b"descriptors":
            return _descriptors()
        case b"bear":  # one that stays behind, and holds all that is open here
            pid = os.fork()
            if pid == 0:
                time.sleep(600)
            return str(pid).encode()
    return word


def _descriptors() -> bytes:
    """What is open, beyond the standard ones."""
    names = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # that of the folder itself
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
    return json.dumps(names).encode()


@framed(Delimiter(b"\n"))
def request(word: bytes) -> bytes:
    return _do(word)


def session(connection: Talk) -> None:
    with connection.makefile() as file:
        for line in file:
            file.write(_do(line.rstrip(b"\n")) + b"\n")
            file.flush()
