"""The pid file: written whole or not at all, removed at the end, never believed blindly."""

from __future__ import annotations

import os

Name = str | os.PathLike[str]


class PidFileError(Exception):
    """The pid file names a process that lives, or cannot be written."""


def read_pid(path: Name) -> int | None:
    """The process that `path` names, if it lives; None if there is no file, or nobody behind it."""
    try:
        with open(path) as file:
            pid = int(file.read())
        if pid <= 0:  # to kill(2) these mean whole groups of processes
            return None
        os.kill(pid, 0)
    except PermissionError:  # it lives, and belongs to somebody else
        return pid
    except (FileNotFoundError, ProcessLookupError, ValueError, OverflowError):
        return None
    return pid


def write_pid(path: Name) -> None:
    """Put our own pid there. Raises PidFileError."""
    other = read_pid(path)
    if other is not None and other != os.getpid():
        raise PidFileError(f"already running: {path} names the live process {other}")
    new = f"{path}.{os.getpid()}"
    try:
        with open(new, "w") as file:
            file.write(f"{os.getpid()}\n")
        os.replace(new, path)
    except OSError as error:
        raise PidFileError(f"cannot write the pid file {path}: {error.strerror}") from error


def remove_pid(path: Name) -> None:
    """Take our own pid away; a successor's file stays."""
    if read_pid(path) == os.getpid():
        os.unlink(path)
