from __future__ import annotations

import pytest

from enfilade.config.units import Address, address, duration, size


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("2m", 120), ("1.5h", 5400), ("1d", 86400), ("10 s", 10)]
)
def test_duration(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10", "1.s", "-1s", "10S", "10 sec", "1e3s", "١s"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)


@pytest.mark.parametrize(("text", "count"), [("0B", 0), ("64KB", 65536), ("16 MB", 16 << 20), ("1GB", 1 << 30)])
def test_size(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "KB", "10", "1.5MB", "-1B", "10kb", "10 TB"])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":80", Address("tcp", "", 80)),
        ("host:0", Address("tcp", "host", 0)),
        ("[::1]:8080", Address("tcp", "::1", 8080)),
        ("unix:/run/x.sock", Address("unix", "/run/x.sock")),
        ("fd:3", Address("fd", "", 3)),
        ("systemd", Address("systemd")),
        ("systemd:web", Address("systemd", "web")),
    ],
)
def test_address(text: str, expected: Address) -> None:
    assert address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "80", "host", ":", ":65536", ":-1", ":８０", "::1:80", "unix:", "fd:x", "host:80x"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        address(text)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        (":80", False),
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/x", True),
        ("10.0.0.1:1", False),
        ("127.example.com:1", False),
    ],
)
def test_who_gets_to_an_address(text: str, local: bool) -> None:
    assert address(text).is_local is local
