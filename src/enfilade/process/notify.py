"""Telling the service manager how we are: sd_notify(3), one datagram a message, without any library."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """Where nobody listens (no NOTIFY_SOCKET), every call does nothing. Takes its variables out of `environ`,
    so that no application mistakes itself for the service."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = self._watchdog_interval(environ)

    @staticmethod
    def _watchdog_interval(environ: MutableMapping[str, str]) -> float | None:
        """Seconds between two signs of life: half of what systemd asks for, as sd_watchdog_enabled(3) recommends."""
        usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
            return None
        return int(usec) / 2e6

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._send(f"STATUS={status}")

    def reloading(self) -> None:
        """`ready` ends it, whether the reload went well or not. The time stamp is for Type=notify-reload."""
        self._send(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}\nSTATUS=reloading"
        )

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.setblocking(False)
                sock.sendto(message.encode(), self._address)
            except OSError:  # a manager that does not listen is no reason to stop serving
                pass
