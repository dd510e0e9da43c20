"""What an application writes to its standard output and error, as records of the log.

A line that begins with a level ("ERROR shop.orders: no stock") has that level; an indented one that of the line before it, as
it continues it; any other that of its pipe. Lines are bounded: a longer one becomes several.
"""

from __future__ import annotations

import logging
import os
import re

MAX_LINE = 8192
"""Bytes of a record at most."""
_READ = 65536
_LEVELS = {name.encode(): logging.getLevelName(name) for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")}
_LEVELS[b"NOTICE"] = 25
_PREFIX = re.compile(rb"(%s) " % b"|".join(_LEVELS))


class Lines:
    """Bytes in, levels and texts out. `level`: of lines that do not say theirs."""

    def __init__(self, level: int) -> None:
        self._plain = level
        self._level = level
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, str]]:
        """The lines that are whole now; b"" is the end, and completes the last one."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop() if data else b""
        if len(self._rest) > MAX_LINE:
            lines.append(self._rest)
            self._rest = b""
        return [self._record(line[i : i + MAX_LINE]) for line in lines for i in range(0, len(line), MAX_LINE)]

    def _record(self, line: bytes) -> tuple[int, str]:
        line = line.rstrip(b"\r")
        found = _PREFIX.match(line)
        if found:
            self._level = _LEVELS[found[1]]
            line = line[found.end() :]
        elif not line.startswith((b" ", b"\t")):
            self._level = self._plain
        return self._level, line.decode(errors="surrogateescape")


class LogPipe:
    """The reading end of a pipe that the process `pid` of the application `name` writes to. `last`: its last line."""

    def __init__(self, fd: int, name: str, pid: int, level: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._pid = pid
        self._lines = Lines(level)
        self._logger = logging.getLogger(f"enfilade.app.{name}")
        self.last = ""

    def fileno(self) -> int:
        return self._fd

    def read(self) -> bool:
        """Log what has come; False at the end."""
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return True
        self._log(data)
        return bool(data)

    def close(self) -> None:
        """Log what is left, but wait for nothing: children of the application may still have the other end."""
        try:
            self._log(os.read(self._fd, _READ))
        except BlockingIOError:
            pass
        self._log(b"")
        os.close(self._fd)

    def _log(self, data: bytes) -> None:
        for level, text in self._lines.feed(data):
            self.last = text
            if self._logger.isEnabledFor(level):
                record = self._logger.makeRecord(self._logger.name, level, "", 0, text, (), None)
                record.process = self._pid
                self._logger.handle(record)
