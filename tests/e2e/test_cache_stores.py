"""Where the cache keeps answers: memory over reloads and crashes, a disk over restarts and kill -9, Redis and Memcached that come
and go."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import eventually
from tests.e2e.origins import Origin, a_name, ask, pattern
from tests.e2e.processes import metrics, status, until, write
from tests.memcached_server import memcached_server
from tests.redis_server import redis_server

pytest_plugins = ["tests.e2e.origin_fixtures"]

CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[cache]
{cache}
[sites."*"]
"/*" = {{ proxy = "{origin}", cache = true }}
"/graceful/*" = {{ proxy = "{origin}", cache = {{ grace = "1h" }} }}
"""
LARGE = 30_000_000


def config(origin: Origin, cache: str = "") -> str:
    return CONFIG.format(origin=origin.url, cache=cache)


def said(server: Server, target: str, **fields: str) -> str:
    """Cache-Status. A server that is started anew has another port; the host is always the same, as it is part of the key."""
    return ask(server, target, host="shop.example.com", **fields)[1]["cache-status"]


def stored(server: Server, target: str) -> bytes:
    """Its body as soon as it is answered from the cache."""
    said(server, target)
    eventually(lambda: "hit" in said(server, target, cache_control="only-if-cached"), f"{target} is stored")
    return ask(server, target, host="shop.example.com")[2]


def serving(server: Server) -> list[int]:
    return [w["pid"] for w in status(server)["workers"] if w["state"] == "serving"]


def kill(server: Server) -> None:
    """All of its processes, with no time for anything."""
    pids = [server.process.pid, *serving(server)]
    os.kill(server.process.pid, signal.SIGSTOP)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)
    server.process.wait(PATIENCE)


# -- memory


def test_a_reload_keeps_what_is_stored(start: Start, origin: Origin, name: str) -> None:
    server = start(config(origin))
    stored(server, f"/{name}?cc=max-age=600")
    write(server, config(origin) + '"/new" = { respond = "new" }\n')
    server.signal(signal.SIGHUP)
    server.wait_for("generation 2 serves")
    until(lambda: len(serving(server)) == 2)
    for _ in range(10):
        assert "hit" in said(server, f"/{name}?cc=max-age=600")
    assert origin.count(name) == 1


def test_workers_that_are_killed_take_nothing_with_them(start: Start, origin: Origin, name: str) -> None:
    server = start(config(origin))
    stored(server, f"/{name}?cc=max-age=600")
    first = until(lambda: len(now := serving(server)) == 2 and now)
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not set(first) & set(now := serving(server)) and len(now) == 2)
    for _ in range(10):
        assert "hit" in said(server, f"/{name}?cc=max-age=600")
    assert origin.count(name) == 1


# -- a disk


@pytest.mark.parametrize("memory", ["", "memory = 0"])
def test_what_is_on_the_disk_is_there_after_a_restart(start: Start, origin: Origin, name: str, memory: str) -> None:
    text = config(origin, f'disk = "stored"\n{memory}')
    target = f"/{name}?cc=max-age=600&etag=v1"
    first = start(text)
    body = stored(first, target)
    assert first.stop() == 0
    second = start(text)
    assert "hit" in said(second, target) and ask(second, target, host="shop.example.com")[2] == body
    assert ask(second, target, host="shop.example.com", if_none_match='"v1"')[0] == 304
    assert origin.count(name) == 1
    until(lambda: metrics(second)['enfilade_cache_objects{store="disk"}'] == 1)
    assert metrics(second)['enfilade_cache_failures_total{store="disk"}'] == 0


def test_what_was_invalidated_stays_so_after_a_restart(start: Start, origin: Origin, name: str) -> None:
    text = config(origin, 'disk = "stored"')
    target = f"/{name}?cc=max-age=600"
    first = start(text)
    stored(first, target)
    ask(first, target, "POST", host="shop.example.com")
    assert first.stop() == 0
    assert "hit" not in said(start(text), target)


def test_after_kill_9_of_all_what_is_there_is_whole(start: Start, origin: Origin, name: str) -> None:
    text = config(origin, 'disk = "stored"')
    targets = {f"/{name}-{i}?cc=max-age=600&size={size}": size for i, size in enumerate((1000, 100_000, 3_000_000))}
    first = start(text)
    for target, size in targets.items():
        assert stored(first, target) == pattern(0, size)
    half = f"/{name}?cc=max-age=600&size=3000000&gate=middle"
    with first.connect() as sock:
        sock.sendall(f"GET {half} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n".encode())
        assert sock.recv(65536)
        kill(first)
    origin.open(name)
    second = start(text)
    for target, size in targets.items():
        assert ask(second, target, host="shop.example.com")[2] == pattern(0, size)
        assert "hit" in said(second, target)
    assert "hit" not in said(second, half), "half of it is nothing"
    assert stored(second, half) == pattern(0, 3_000_000)


def test_a_large_file_from_the_disk(start: Start, origin: Origin, name: str, tmp_path: Path) -> None:
    """Byte by byte, and in parts, as curl asks for them."""
    server = start(config(origin, 'disk = "stored"'))
    url = f"{server.url()}/{name}?cc=max-age=600&size={LARGE}&etag=v1"

    def fetch(*arguments: str) -> tuple[bytes, bytes]:
        command = ["curl", "-sSg", "-D", "head", "-o", "body", *arguments, url]
        subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
        return (tmp_path / "head").read_bytes(), (tmp_path / "body").read_bytes()

    expected = pattern(0, LARGE)
    assert fetch()[1] == expected
    eventually(lambda: b"enfilade; hit" in fetch("-r", "0-0")[0], "it is stored")
    head, body = fetch()
    assert b"enfilade; hit" in head and body == expected
    for start_at, stop in ((0, 1), (LARGE - 5, LARGE), (12_345_678, 23_456_789)):
        head, body = fetch("-r", f"{start_at}-{stop - 1}")
        assert b" 206 " in head and body == expected[start_at:stop]
    head, body = fetch("-r", "5-6,1000000-1000009")
    assert b" 206 " in head and b"multipart/byteranges" in head and expected[1_000_000:1_000_010] in body
    assert b" 304 " in fetch("-H", 'If-None-Match: "v1"')[0]
    assert origin.count(name) == 1


def test_who_leaves_in_the_middle_of_a_large_file(start: Start, origin: Origin, name: str) -> None:
    """It is stored all the same, and no descriptor is left open."""
    server = start(config(origin, 'disk = "stored"').replace("workers = 2", "workers = 1"))
    target = f"/{name}?cc=max-age=600&size={LARGE}"
    stored(server, "/first?cc=max-age=600")
    [pid] = serving(server)
    before = len(os.listdir(f"/proc/{pid}/fd"))
    for _ in range(3):
        with server.connect() as sock:
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n".encode())
            assert sock.recv(65536)
    assert stored(server, target) == pattern(0, LARGE)
    assert origin.count(name) == 1
    eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before + 1, "descriptors are closed")


def test_a_directory_that_is_gone_costs_misses_and_one_line(start: Start, origin: Origin, name: str) -> None:
    server = start(config(origin, 'disk = "stored"\nmemory = 0').replace("workers = 2", "workers = 1"))
    directory = server.directory / "stored"
    stored(server, "/first?cc=max-age=600")
    directory.rename(server.directory / "elsewhere")
    directory.write_text("in the way")
    for i in range(20):
        status_, _, body = ask(server, f"/{name}-{i}?cc=max-age=600&size=100000")
        assert (status_, body) == (200, pattern(0, 100_000))
    assert ask(server, "/first?cc=max-age=600", host="shop.example.com")[0] == 200
    eventually(lambda: complaints(server), "it is told")
    assert len(complaints(server)) == 1, server.output


def complaints(server: Server) -> list[str]:
    """What is said of stores."""
    return [line for line in server.lines if "cache: " in line and "cache: purges in" not in line]


# -- Redis and Memcached


def lost_and_found(start: Start, origin: Origin, line: str, lose: Callable[[], None], find: Callable[[], None]) -> None:
    """Two servers share what is stored; the store dies, and comes back."""
    servers = [start(config(origin, line).replace("workers = 2", "workers = 1")) for _ in range(2)]

    def shared() -> str | None:
        """What the first has fetched and the second has, too."""
        target = f"/{a_name()}?cc=max-age=600&etag=v1"
        said(servers[0], target)
        return target if "hit" in said(servers[1], target, cache_control="only-if-cached") else None

    for one, other in (servers, servers[::-1]):
        servers = [one, other]
        target = until(shared)
        assert ask(one, target, host="shop.example.com")[2] == ask(other, target, host="shop.example.com")[2]
    lose()
    for server in servers:
        for _ in range(20):
            assert ask(server, f"/{a_name()}?cc=max-age=600")[0] == 200
        assert "hit" in said(server, target), "memory has it"
        eventually(lambda server=server: complaints(server), "it is told")
        assert len(complaints(server)) == 1, server.output
    find()
    until(shared)


def test_redis(start: Start, origin: Origin, tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        lost_and_found(start, origin, f'redis = "{redis.url}"', redis.stop, redis.start)


def test_memcached(start: Start, origin: Origin, tmp_path: Path) -> None:
    with memcached_server(tmp_path) as memcached:
        line = f'memcached = "unix:{memcached.address}"'
        lost_and_found(start, origin, line, memcached.stop, memcached.start)


def test_a_store_that_is_not_there_at_the_start(start: Start, origin: Origin, name: str) -> None:
    server = start(config(origin, 'redis = "redis://127.0.0.1:1"'))
    for _ in range(5):
        assert ask(server, f"/{name}?cc=max-age=600")[0] == 200
    assert origin.count(name) == 1


# -- an origin that dies


def test_grace_when_the_origin_is_dead(start: Start, tmp_path: Path, name: str) -> None:
    origin = Origin(tmp_path)
    server = start(config(origin))
    target = f"/graceful/{name}?cc=max-age=0&etag=v1"
    try:
        assert ask(server, target)[0] == 200
        assert ask(server, target)[0] == 200
    finally:
        origin.kill()
    for _ in range(3):
        code, fields, body = ask(server, target)
        assert (code, body) == (200, f"{name} 1".encode()) and "stale_error" in fields["cache-status"]
    assert ask(server, f"/graceful/{a_name()}?cc=max-age=0")[0] in (502, 503)
    assert ask(server, f"/{name}?cc=max-age=0")[0] in (502, 503)
    back = Origin(tmp_path, origin.port)
    try:
        eventually(lambda: ask(server, f"/{name}?cc=max-age=600")[0] == 200, "it is asked again")
    finally:
        back.stop()
