from __future__ import annotations

import pytest

from enfilade.config.units import Address, address, dns_server, duration, rate, redis_url, size


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("2m", 120), ("1.5h", 5400), ("1d", 86400), ("10 s", 10)]
)
def test_duration(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10", "1.s", "-1s", "10S", "10 sec", "1e3s", "١s"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [("10/s", (10, 1)), ("100/m", (100, 60)), ("1/h", (1, 3600)), ("999999999/d", (999999999, 86400))],
)
def test_rate(text: str, found: tuple[int, int]) -> None:
    assert rate(text) == found


@pytest.mark.parametrize(
    "text", ["", "10", "0/s", "-1/s", "1.5/s", "10/ms", "10/S", "10 /s", "10/s ", "1000000000/s", "١/s"]
)
def test_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        rate(text)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.2", ("10.0.0.2", 53)),
        ("127.0.0.1:8600", ("127.0.0.1", 8600)),
        ("::1", ("::1", 53)),
        ("[2001:DB8::1]", ("2001:db8::1", 53)),
        ("[::1]:8600", ("::1", 8600)),
    ],
)
def test_dns_server(text: str, expected: tuple[str, int]) -> None:
    assert dns_server(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example.com", "10.0.0.300", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0.2:", "::1:"]
)
def test_no_dns_server(text: str) -> None:
    with pytest.raises(ValueError, match="is not a DNS server"):
        dns_server(text)


@pytest.mark.parametrize(
    "text",
    [
        "redis://localhost", "redis://user:pw@10.0.0.9:6380/1", "rediss://cache.example.com", "unix:///run/redis.sock?db=1",
        "redis://[::1]:6379/0",
    ],
)  # fmt: skip
def test_redis_url(text: str) -> None:
    assert redis_url(text) == text


@pytest.mark.parametrize(
    "text", ["", "localhost", "redis:", "redis://", "http://pw@localhost", "redis://pw@x:y", "redis://pw@x:0", "unix:"]
)
def test_no_redis_url(text: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a Redis") as error:
        redis_url(text)
    assert "pw" not in str(error.value)
