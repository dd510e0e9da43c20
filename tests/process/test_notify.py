"""sd_notify without a service manager, with one, and with one that went away."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from enfilade.process.notify import Notifier


def test_a_message_is_one_datagram_and_the_variable_is_taken(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    environ = {"NOTIFY_SOCKET": path}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        notifier = Notifier(environ)
        notifier.status("busy")
        assert manager.recv(4096) == b"STATUS=busy"
    notifier.ready("nobody listens any more")
    assert environ == {}


def test_without_a_manager_nothing_happens() -> None:
    Notifier({}).stopping()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_told_twice_in_its_interval(environ: dict[str, str], interval: float | None) -> None:
    assert Notifier(environ).watchdog == interval
