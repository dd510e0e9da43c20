"""Where log lines go: `LogSink` for the access logs, `set_up_logging` for what the server says about itself.

Both write one line a record with every control character escaped, so that no request can forge a line or talk to a terminal.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, TextIO

import msgspec

BATCH = 1000
"""Records that wait for the next flush at most; one more writes them at once."""
BACKLOG = 1024 * 1024
"""Bytes kept for a pipe or terminal whose reader is slow; what comes on top is dropped and counted."""

Entry = tuple[Any, ...]
"""A log record: `entry[0](entry, offset)` makes its line, `offset` being wall time minus monotonic time in seconds."""

logger = logging.getLogger("enfilade.log")


def printable(text: str) -> str:
    """`text` with a backslash escape for each character that is not printable: controls, line breaks, bidi overrides."""
    return text if text.isprintable() else "".join([c if c.isprintable() else _escape(c) for c in text])


def quotable(text: str) -> str:
    """`text` so that it can stand between double quotes in one line of a log."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return printable(text.replace("\\", "\\\\").replace('"', '\\"'))


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


class LogSink:
    """Records in memory, formatted and written together: by `flush`, which a timer and the drain call, or at `BATCH` records.
    `soon` is called when the first record waits, for whoever sets that timer.

    `to`: `"stdout"`, `"stderr"` or the path of a file, which is appended to, so workers may share it (an OSError if it cannot
    be opened). `wall`: the clock of the time stamps. Only a regular file is written to whatever it takes; a pipe or a terminal
    gets what it can take now. Nothing after the constructor raises: what cannot be written is counted in `dropped`, and
    warned of once until writing works again.
    """

    def __init__(self, to: str, wall: Callable[[], float] = time.time) -> None:
        self.to = to
        self.dropped = 0
        self.soon: Callable[[], object] = _later
        self._wall = wall
        self._offset = wall() - time.monotonic()
        self._entries: list[Entry] = []
        self._backlog = b""
        self._failing = False
        self._fd = _open(to)
        self._look_at_fd()

    def append(self, entry: Entry) -> None:
        """Take a record; its line is made when the sink is flushed."""
        entries = self._entries
        entries.append(entry)
        if len(entries) == 1:
            self.soon()
        elif len(entries) >= BATCH:
            self._write_out()

    def flush(self, now: float) -> None:
        """Write what has come in. `now` is the monotonic clock that the records were stamped with."""
        self._offset = self._wall() - now
        if self._entries or self._backlog:
            self._write_out()

    def reopen(self) -> None:
        """Open the path anew, after the file was moved away; if that fails, go on with the old one."""
        if self.to in _STANDARD:
            return
        try:
            fd = _open(self.to)
        except OSError as error:
            logger.error("cannot reopen the log %s: %s", self.to, error)
            return
        self._write_out()
        os.close(self._fd)
        self._fd = fd
        self._look_at_fd()

    def close(self) -> None:
        """Write what is left and close the file. The sink takes no records after that."""
        self._write_out()
        if self.to not in _STANDARD:
            os.close(self._fd)

    def _look_at_fd(self) -> None:
        self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def _write_out(self) -> None:
        data = self._backlog + b"".join(self._lines())
        self._backlog = b""
        try:
            rest = data[self._write(memoryview(data)) :]
        except OSError as error:
            self._drop(data, str(error))
            return
        if len(rest) > BACKLOG:
            kept = rest.rfind(b"\n", 0, BACKLOG) + 1
            self._drop(rest[kept:], "its reader is too slow")
            rest = rest[:kept]
        elif not rest:
            self._failing = False
        self._backlog = rest

    def _lines(self) -> list[bytes]:
        entries, self._entries = self._entries, []
        lines = []
        for entry in entries:
            try:
                lines.append(entry[0](entry, self._offset))
            except Exception:
                self.dropped += 1
                logger.exception("a log record could not be formatted")
        return lines

    def _write(self, data: memoryview) -> int:
        """How many bytes were written. In pipes, lines of up to PIPE_BUF bytes stay whole, and such a write does not block."""
        done = 0
        if self._regular:
            while done < len(data):
                done += os.write(self._fd, data[done:])
            return done
        while done < len(data) and self._poll.poll(0):
            piece = bytes(data[done : done + select.PIPE_BUF])
            piece = piece[: piece.rfind(b"\n") + 1 or len(piece)]
            try:
                done += os.write(self._fd, piece)
            except BlockingIOError:
                break
        return done

    def _drop(self, data: bytes, why: str) -> None:
        self.dropped += data.count(b"\n")
        if not self._failing:
            self._failing = True
            logger.warning("records of the log %s are lost: %s", self.to, why)


def _later() -> None:
    """Nobody asked to be told that a record waits."""


_STANDARD = {"stdout": 1, "stderr": 2}


def _open(to: str) -> int:
    if to in _STANDARD:
        return _STANDARD[to]
    # O_APPEND: each write goes to the end, whichever worker it comes from. O_NONBLOCK: a fifo without a reader is an error.
    return os.open(to, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)


class TextFormatter(logging.Formatter):
    """`time level logger[pid]: message`; the lines of a traceback follow, each indented."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{timestamp(record.created)} {record.levelname.lower():<7} {record.name}[{record.process}]: "
        lines = [head + printable(record.getMessage()), *self._traceback(record)]
        return "\n    ".join(lines)

    def _traceback(self, record: logging.LogRecord) -> list[str]:
        text = self.formatException(record.exc_info) if record.exc_info else ""
        return [printable(line) for line in text.split("\n")] if text else []


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `pid`, `message`, and `exception` with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": printable(record.getMessage()),
        }
        if record.exc_info:
            row["exception"] = "\n".join(map(printable, self.formatException(record.exc_info).split("\n")))
        return msgspec.json.encode(row).decode()


def set_up_logging(
    level: str = "info", form: Literal["text", "json"] = "text", stream: TextIO | None = None
) -> logging.Handler:
    """Send what the loggers `enfilade.*` say at `level` and above to `stream` (stderr). Calling it again replaces the first."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger("enfilade")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
    return handler


logging.addLevelName(25, "NOTICE")
"""`http/reasons.py` has the level notice, as syslog does: more than info, less than a warning."""


def timestamp(wall: float) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-20T11:27:57.123Z`."""
    second = int(wall)
    return f"{_second(second)}.{int((wall - second) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
