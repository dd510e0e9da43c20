"""The pid file: written whole or not at all, removed at the end, never believed blindly."""

from __future__ import annotations

import os
from pathlib import Path


class PidFileError(Exception):
    """The pid file names a process that lives, or cannot be written."""


def read_pid(path: str | Path) -> int | None:
    """The process that `path` names, if it lives; None if there is no file, or nobody behind it."""
    try:
        pid = int(Path(path).read_text())
        if pid <= 0:  # to kill(2) these mean whole groups of processes
            return None
        os.kill(pid, 0)
    except PermissionError:  # it lives, and belongs to somebody else
        return pid
    except (FileNotFoundError, ProcessLookupError, ValueError, OverflowError):
        return None
    return pid


def write_pid(path: str | Path) -> None:
    """Put our own pid there. Raises PidFileError."""
    other = read_pid(path)
    if other is not None and other != os.getpid():
        raise PidFileError(f"already running: {path} names the live process {other}")
    new = Path(f"{path}.{os.getpid()}")
    try:
        new.write_text(f"{os.getpid()}\n")
        new.replace(path)
    except OSError as error:
        raise PidFileError(f"cannot write the pid file {path}: {error.strerror}") from error


def remove_pid(path: str | Path) -> None:
    """Take our own pid away; a successor's file stays."""
    if read_pid(path) == os.getpid():
        Path(path).unlink()
