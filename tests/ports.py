"""Ports for servers that are told theirs, and for those that come back where they were."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

HOST = "127.0.0.1"
RANGE = range(10_000, 32_000)
"""Beneath those that systems choose from by themselves (Linux from 32768 on): a connection of another test would have one of
these before its server has."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody has just now."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            port = random.SystemRandom().choice(RANGE)
            with suppress(OSError):
                held.enter_context(socket.create_server((HOST, port)))
                ports.append(port)
    return ports


def free_port() -> int:
    return free_ports(1)[0]
