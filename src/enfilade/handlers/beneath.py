"""Opening what lies beneath a directory, and nothing else (FAILURES: traversal, symlinks).

Each component is opened relative to the directory before it and never through a symbolic link; a link is read, and its own
components are walked in the same way, so no race between looking and opening can lead out: what was opened is what was checked.
"""

from __future__ import annotations

import errno
import os
import stat

MAX_LINKS = 40
"""Symbolic links on one way (Linux's own limit)."""

# O_NONBLOCK: a fifo must not hold us up before it can be told from a file.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_IS_LINK = (errno.ELOOP, errno.EMLINK)
_NOT_THERE = (
    errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENXIO,
    errno.ENODEV, errno.EINVAL,
)  # fmt: skip


def safe_parts(path: str) -> list[str] | None:
    """The components of a request's `path` below a mount; the last is empty if it ends in a slash. None if it names what is
    never served: hidden files but `.well-known` (RFC 8615), `.` and `..`, empty components, backslashes, NUL."""
    if "\\" in path or "\0" in path or (path and path[0] != "/"):
        return None
    parts = path.split("/")[1:]
    for part in parts[:-1]:
        if not part:
            return None
    for part in parts:
        if part[:1] == "." and part != ".well-known":
            return None
    return parts


def open_beneath(root: str, parts: list[str]) -> tuple[int, os.stat_result] | None:
    """The descriptor and state of the regular file or directory at `parts` beneath `root`; the caller closes it.
    None if there is none that may be seen. Raises OSError for what is not the path's fault (EMFILE, EIO)."""
    opened: list[int] = []
    try:
        opened.append(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if not _walk(root, parts, opened):
            return None
        state = os.fstat(opened[-1])
        if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
            return None
        return opened.pop(), state
    except ValueError:  # a name that the file system cannot have
        return None
    except OSError as e:
        if e.errno in _NOT_THERE:
            return None
        raise
    finally:
        for fd in opened:
            os.close(fd)


def _walk(root: str, parts: list[str], opened: list[int]) -> bool:
    """Go down from the one directory in `opened`, which grows by each step; False if the way leads out of it."""
    todo = parts[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":  # only a link says so
            if len(opened) == 1:
                return False
            os.close(opened.pop())
        elif part not in ("", "."):
            try:
                opened.append(os.open(part, _FLAGS, dir_fd=opened[-1]))
            except OSError as e:
                links += 1
                if e.errno not in _IS_LINK or links > MAX_LINKS:
                    raise
                way = _read_link(root, part, opened)
                if way is None:
                    return False
                todo += way
    return True


def _read_link(root: str, part: str, opened: list[int]) -> list[str] | None:
    """The components of the link `part`, last first; an absolute one starts again from the root, if it leads there."""
    target = os.readlink(part, dir_fd=opened[-1])
    if target.startswith("/"):
        base = os.path.realpath(root).rstrip("/") + "/"
        if not (target + "/").startswith(base):
            return None
        target = target[len(base) :]
        while len(opened) > 1:
            os.close(opened.pop())
    return target.split("/")[::-1]
