"""Files that are there whole, as they were or as they are to be."""

from __future__ import annotations

import os
from contextlib import suppress


def replace_file(path: str, content: bytes, mode: int = 0o600) -> None:
    """`content` in place of what is at `path`, if anything: on the disk before it takes the name. `mode`: whatever the umask.
    Raises OSError, which names `path`, and leaves everything as it was."""
    # Nobody can foresee the name, so nobody has put a link there; who lists the directory passes over those with a dot.
    beside = os.path.join(os.path.dirname(path), f".{os.urandom(8).hex()}.new")
    try:
        _write(beside, content, mode)
        os.replace(beside, path)
    except OSError as error:
        _forget(beside)
        raise OSError(error.errno, error.strerror, path) from None
    except BaseException:
        _forget(beside)
        raise


def _forget(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _write(path: str, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(content)
        file.flush()
        os.fsync(fd)
