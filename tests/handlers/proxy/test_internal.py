"""Files that applications name in X-Accel-Redirect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.handlers.proxy.kit import Scene

from enfilade.handlers.files import Files

Make = Callable[..., Scene]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b.txt").write_text("the file")
    (tmp_path / "in" / "ö.bin").write_bytes(b"x" * 300_000)
    (tmp_path / "secret").write_text("secret")
    return Files(str(tmp_path / "in"))


def named(name: bytes, fields: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\nx-accel-redirect: " + name + b"\r\n" + fields + b"content-length: 4\r\n\r\nbody"
    )


def ask(s: Scene, answer: bytes, fields: bytes = b"", method: bytes = b"GET") -> bytes:
    client = s.client()
    client.says(method + b" /any HTTP/1.1\r\nhost: a\r\n" + fields + b"\r\n")
    s.far[-1].says(answer)
    for _ in range(5):
        s.settle()
    return client.got()


@pytest.mark.parametrize("name", [b"/a%20b.txt", b"/a b.txt", b"/x/../a%20b.txt"])
def test_the_file_stands_for_the_answer(scene: Make, files: Files, name: bytes) -> None:
    s = scene(internal=files)
    answer = ask(s, named(name, b"content-disposition: attachment\r\nset-cookie: a=1\r\netag: theirs\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nthe file")
    assert b"content-disposition: attachment\r\n" in answer and b"set-cookie: a=1\r\n" in answer
    assert b"content-type: text/plain" in answer and b"theirs" not in answer and b"x-accel" not in answer
    assert answer.count(b"content-length:") == 1 and s.reasons == [""]


@pytest.mark.parametrize("name", ["/ö.bin".encode(), b"/%C3%B6.bin"])
def test_large_ones_too(scene: Make, files: Files, name: bytes) -> None:
    assert ask(scene(internal=files), named(name)).count(b"x" * 1000) >= 300


def test_the_type_that_the_application_says_counts(scene: Make, files: Files) -> None:
    answer = ask(scene(internal=files), named(b"/a b.txt", b"content-type: image/x-own\r\ncontent-encoding: gzip\r\n"))
    assert answer.count(b"content-type:") == 1 and b"content-type: image/x-own\r\n" in answer
    assert b"content-encoding" not in answer


def test_ranges_conditions_and_head(scene: Make, files: Files) -> None:
    s = scene(internal=files)
    part = ask(s, named(b"/a b.txt", b"content-type: image/x-own\r\n"), b"range: bytes=4-\r\n")
    assert part.startswith(b"HTTP/1.1 206 ") and part.endswith(b"\r\n\r\nfile") and b"image/x-own" in part
    etag = next(line for line in part.split(b"\r\n") if line.startswith(b"etag: "))[6:]
    same = ask(s, named(b"/a b.txt"), b"if-none-match: " + etag + b"\r\n")
    assert same.startswith(b"HTTP/1.1 304 ") and same.endswith(b"\r\n\r\n")
    head = ask(s, named(b"/a b.txt").removesuffix(b"body"), method=b"HEAD")
    assert b"content-length: 8\r\n" in head and head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        (b"/../secret", b"404"), (b"/%2e%2e/secret", b"404"), (b"/missing", b"404"), (b"/..%2fsecret", b"502"),
        (b"secret", b"502"), (b"http://other/", b"502"), (b"", b"502"), (b"/%00", b"502"),
    ],
)  # fmt: skip
def test_no_way_out_of_the_directory(scene: Make, files: Files, name: bytes, status: bytes) -> None:
    answer = ask(scene(internal=files), named(name, b"set-cookie: a=1\r\n"))
    assert answer.startswith(b"HTTP/1.1 " + status) and b"set-cookie" not in answer and b"body" not in answer[-5:]


def test_without_a_directory_the_field_is_not_looked_at(scene: Make) -> None:
    assert ask(scene(), named(b"/a b.txt")).endswith(b"body")


def test_an_answer_that_flows_is_let_go(scene: Make, files: Files) -> None:
    s = scene(internal=files)
    answer = ask(s, named(b"/a b.txt").replace(b"length: 4", b"length: 4000"))
    assert answer.endswith(b"the file") and s.far[0].closed and s.upstream.peers[0].in_flight == 0
