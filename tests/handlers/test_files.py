"""Static files: representations, conditions, ranges, variants, and the memory that notices changes."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enfilade.exchange.bodies import Stream
from enfilade.exchange.byteranges import SMALL
from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.files import TRUST, Files
from enfilade.http.fields import Pair
from enfilade.http.reasons import reason
from enfilade.testing.exchange import FakeCarrier, make_exchange

LONG_AGO = 1_000_000_000
CLIENT_GONE = reason("client_gone")
BIG = bytes(i * 7 % 251 for i in range(300_000))


def put(path: Path, content: bytes, at: int = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    put(root / "index.html", b"<h1>home</h1>")
    put(root / "a.txt", b"0123456789")
    put(root / "big.bin", BIG)
    put(root / "sub" / "index.html", b"sub")
    put(root / "empty" / "b.txt", b"b")
    put(root / ".well-known" / "x", b"known")
    put(root / ".secret", b"secret")
    put(root / "zero.txt", b"")
    return root


def ask(
    handler: Files, target: str, fields: Iterable[Pair] = (), *, method: str = "GET", mount: str = "", now: float = 0.0
) -> Response:
    answer = handler(make_exchange(method, target, fields, mount=mount, carrier=FakeCarrier(now)))
    assert isinstance(answer, Response)
    return answer


def content(r: Response) -> bytes:
    """The bytes of the body; a file is closed as a connection would."""
    if isinstance(r.body, bytes):
        return r.body
    assert isinstance(r.body, FileSlice)
    data = os.pread(r.body.fd, r.body.length, r.body.offset)
    r.body.close()
    assert r.fields.get(b"content-length") == b"%d" % len(data)
    return data


# -- representations


def test_a_small_file(site: Path) -> None:
    r = ask(Files(str(site), cache_control="max-age=60"), "/a.txt")
    assert (r.status, r.body) == (200, b"0123456789")
    assert r.fields.get(b"content-type") == b"text/plain; charset=utf-8"
    assert r.fields.get(b"last-modified") == b"Sun, 09 Sep 2001 01:46:40 GMT"
    assert r.fields.get(b"accept-ranges") == b"bytes"
    assert r.fields.get(b"cache-control") == b"max-age=60"
    assert re.fullmatch(rb'"[0-9a-f-]+"', r.fields.get(b"etag") or b"")
    assert r.fields.get(b"vary") is None


def test_a_large_file_is_a_slice_of_an_open_file(site: Path) -> None:
    r = ask(Files(str(site)), "/big.bin")
    assert isinstance(r.body, FileSlice)
    assert content(r) == BIG


def test_an_empty_file(site: Path) -> None:
    r = ask(Files(str(site)), "/zero.txt")
    assert (r.status, r.body) == (200, b"")
    assert ask(Files(str(site)), "/zero.txt", [(b"range", b"bytes=0-")]).status == 416


@pytest.mark.parametrize("path", ["/a.txt", "/big.bin"])
def test_head_has_the_fields_of_get_and_no_body(site: Path, path: str) -> None:
    handler = Files(str(site))
    head, get = ask(handler, path, method="HEAD"), ask(handler, path)
    size = len(content(get))
    assert (head.status, head.body, head.fields.get(b"content-length")) == (200, b"", b"%d" % size)
    assert head.fields.without(b"content-length") == get.fields.without(b"content-length")


def test_rfc9110_8_8_2_1_a_time_that_has_not_come_is_not_told(site: Path) -> None:
    put(site / "a.txt", b"0123456789", 32_000_000_000)
    r = ask(Files(str(site)), "/a.txt", [(b"if-modified-since", b"Sun, 09 Sep 2001 01:46:40 GMT")])
    assert (r.status, r.fields.get(b"last-modified")) == (200, None)


def test_the_mount_is_not_part_of_the_file(site: Path) -> None:
    handler = Files(str(site))
    assert ask(handler, "/static/a.txt", mount="/static").body == b"0123456789"
    assert ask(handler, "/static/a.txt").status == 404
    assert ask(handler, "/static/a.txt", mount="/stat").status == 404
    assert ask(handler, "/static/a.txt", mount="/another").status == 404
    assert ask(handler, "/static", mount="/static").fields.get(b"location") == b"/static/"
    assert ask(handler, "/static/", mount="/static").body == b"<h1>home</h1>"


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 204), ("POST", 405), ("DELETE", 405), ("BREW", 501)])
def test_other_methods(site: Path, method: str, status: int) -> None:
    handler = Files(str(site))
    ask(handler, "/a.txt")
    r = ask(handler, "/a.txt", method=method)
    assert r.status == status
    assert r.fields.get(b"allow") == (None if status == 501 else b"GET, HEAD, OPTIONS")


def test_a_root_that_is_no_directory_is_refused_at_load(site: Path) -> None:
    with pytest.raises(NotADirectoryError):
        Files(str(site / "a.txt"))
    with pytest.raises(FileNotFoundError):
        Files(str(site / "nothing"))
    with pytest.raises(ValueError):
        Files(str(site), cache_control="a\r\nb: c")


# -- directories


def test_index_and_slash(site: Path) -> None:
    handler = Files(str(site))
    assert ask(handler, "/").body == b"<h1>home</h1>"
    assert ask(handler, "/sub/").body == b"sub"
    r = ask(handler, "/sub?a=%20")
    assert (r.status, r.fields.get(b"location")) == (301, b"/sub/?a=%20")
    assert ask(handler, "/empty/").status == 404
    assert ask(handler, "/a.txt/").status == 404


def test_the_first_index_file_wins_also_when_it_comes_later(site: Path) -> None:
    handler = Files(str(site), index=("first.html", "index.html"))
    assert ask(handler, "/sub/").body == b"sub"
    put(site / "sub" / "first.html", b"first")
    assert ask(handler, "/sub/", now=TRUST + 1).body == b"first"


def test_no_open_redirect_by_a_directory(site: Path) -> None:
    (site / "evil.example").mkdir()
    r = Files(str(site))(make_exchange("GET", "//evil.example", path="/evil.example"))
    assert isinstance(r, Response) and r.fields.get(b"location") == b"/evil.example/"


def test_spa_gives_its_page_to_unknown_paths_without_a_suffix(site: Path) -> None:
    handler = Files(str(site), spa=True, cache_control="max-age=9")
    for path in ("/", "/users/7", "/empty/", "/index.html", "/no/such/dir/"):
        r = ask(handler, path)
        assert (r.status, r.body, r.fields.get(b"cache-control")) == (200, b"<h1>home</h1>", b"no-cache"), path
    assert ask(handler, "/a.txt").fields.get(b"cache-control") == b"max-age=9"
    for path in ("/app.js", "/.secret", "/users/.git", "/..%5cx"):
        assert ask(handler, path).status == 404
    (site / "index.html").unlink()
    assert ask(handler, "/users/7", now=5.0).status == 404


def test_spa_remembers_its_page_once_and_sees_files_that_come(site: Path) -> None:
    handler = Files(str(site), spa=True)
    for i in range(10):
        ask(handler, f"/users/{i}")
    assert list(handler._entries) == ["/index.html"]
    put(site / "users" / "3", b"a file now")
    assert ask(handler, "/users/3").body == b"a file now"


# -- conditions (RFC 9110 section 13)


def test_not_modified(site: Path) -> None:
    handler = Files(str(site), cache_control="max-age=9")
    etag = ask(handler, "/a.txt").fields.get(b"etag") or b""
    r = ask(handler, "/a.txt", [(b"if-none-match", etag)])
    assert (r.status, r.body) == (304, b"")
    assert (r.fields.get(b"etag"), r.fields.get(b"cache-control")) == (etag, b"max-age=9")
    assert r is ask(handler, "/a.txt", [(b"if-modified-since", b"Sun, 09 Sep 2001 01:46:40 GMT")])
    assert ask(handler, "/a.txt", [(b"if-none-match", b'"other"')]).status == 200
    assert ask(handler, "/a.txt", [(b"if-match", b'"other"')]).status == 412
    assert ask(handler, "/a.txt", [(b"if-none-match", etag)], method="HEAD").status == 304


# -- ranges (RFC 9110 section 14)


@pytest.mark.parametrize("path", ["/a.txt", "/big.bin"])
def test_one_range(site: Path, path: str) -> None:
    size = len((site / path[1:]).read_bytes())
    r = ask(Files(str(site)), path, [(b"range", b"bytes=2-4")])
    assert (r.status, r.fields.get(b"content-range")) == (206, b"bytes 2-4/%d" % size)
    assert content(r) == (site / path[1:]).read_bytes()[2:5]


def test_a_range_that_is_not_there(site: Path) -> None:
    r = ask(Files(str(site)), "/a.txt", [(b"range", b"bytes=10-")])
    assert (r.status, r.fields.get(b"content-range")) == (416, b"bytes */10")


def test_if_range_and_head_give_the_whole(site: Path) -> None:
    handler = Files(str(site))
    assert ask(handler, "/a.txt", [(b"range", b"bytes=2-4"), (b"if-range", b'"old"')]).status == 200
    assert ask(handler, "/a.txt", [(b"range", b"bytes=2-4")], method="HEAD").status == 200


def parts_of(r: Response, body: bytes) -> list[tuple[bytes, bytes]]:
    """(Content-Range, content) of each part."""
    kind = r.fields.get(b"content-type") or b""
    assert kind.startswith(b"multipart/byteranges; boundary=")
    start, *pieces = body.split(b"\r\n--" + kind.partition(b"boundary=")[2])
    assert (start, pieces.pop()) == (b"", b"--\r\n")
    found = []
    for piece in pieces:
        head, _, data = piece.partition(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        assert b"content-type" in lines
        found.append((lines[b"content-range"], data))
    return found


def test_several_ranges(site: Path) -> None:
    r = ask(Files(str(site)), "/a.txt", [(b"range", b"bytes=0-1,4-4,-2")])
    assert isinstance(r.body, bytes) and r.status == 206
    assert parts_of(r, r.body) == [(b"bytes 0-1/10", b"01"), (b"bytes 4-4/10", b"4"), (b"bytes 8-9/10", b"89")]
    r = ask(Files(str(site)), "/big.bin", [(b"range", b"bytes=0-1,299999-")])
    assert isinstance(r.body, bytes)
    assert parts_of(r, r.body) == [(b"bytes 0-1/300000", BIG[:2]), (b"bytes 299999-299999/300000", BIG[-1:])]


def test_several_large_ranges_flow(site: Path) -> None:
    async def scenario() -> None:
        r = ask(Files(str(site)), "/big.bin", [(b"range", b"bytes=0-149999,150001-")])
        assert isinstance(r.body, Stream) and len(BIG) > SMALL
        body = await r.body.read_all()
        assert r.fields.get(b"content-length") == b"%d" % len(body)
        assert [p[1] for p in parts_of(r, body)] == [BIG[:150000], BIG[150001:]]

    asyncio.run(scenario())


def open_fds() -> set[str]:
    return set(os.listdir("/dev/fd"))


def test_a_reader_that_leaves_closes_the_file(site: Path) -> None:
    async def scenario() -> None:
        r = ask(Files(str(site)), "/big.bin", [(b"range", b"bytes=0-149999,150001-")])
        assert isinstance(r.body, Stream)
        await r.body.read()
        r.body.cancel(CLIENT_GONE)
        pump = asyncio.all_tasks() - {asyncio.current_task()}
        assert len(pump) == 1
        await asyncio.wait(pump)

    before = open_fds()
    asyncio.run(scenario())
    assert len(open_fds()) == len(before)


RANGES = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 14)).map(lambda t: f"{t[0]}-{t[1]}")
    | st.integers(0, 14).map(lambda n: f"-{n}")
    | st.integers(0, 14).map(lambda n: f"{n}-"),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RANGES)
def test_failures_26_never_more_bytes_than_the_file(site: Path, specs: list[str]) -> None:
    r = ask(Files(str(site), cache_file=0), "/a.txt", [(b"range", b"bytes=" + ",".join(specs).encode())])
    assert r.status in (200, 206, 416)
    if r.status != 206:
        return
    body = content(r)
    kind = r.fields.get(b"content-type") or b""
    found = parts_of(r, body) if kind.startswith(b"multipart") else [(r.fields.get(b"content-range") or b"", body)]
    assert sum(len(data) for _, data in found) <= 10
    for where, data in found:
        first, last = where.removeprefix(b"bytes ").removesuffix(b"/10").split(b"-")
        assert data == b"0123456789"[int(first) : int(last) + 1]


# -- variants


def test_precompressed_siblings(site: Path) -> None:
    put(site / "a.txt.gz", gzip.compress(b"0123456789"))
    put(site / "a.txt.br", b"brotli")
    handler = Files(str(site))
    etags = set()
    for accept, coding in (
        (b"gzip", b"gzip"),
        (b"gzip, br", b"br"),
        (b"zstd", None),
        (b"br;q=0, gzip", b"gzip"),
        (None, None),
    ):
        fields = [(b"accept-encoding", accept)] if accept else []
        r = ask(handler, "/a.txt", fields)
        assert r is ask(handler, "/a.txt", fields)
        assert r.fields.get(b"content-encoding") == coding
        assert r.fields.get(b"vary") == b"accept-encoding"
        assert r.fields.get(b"content-type") == b"text/plain; charset=utf-8"
        assert r.body == {b"gzip": (site / "a.txt.gz").read_bytes(), b"br": b"brotli", None: b"0123456789"}[coding]
        etags.add(r.fields.get(b"etag"))
    assert len(etags) == 3
    r = ask(handler, "/a.txt", [(b"accept-encoding", b"br"), (b"range", b"bytes=0-1")])
    assert (r.status, r.body, r.fields.get(b"content-encoding")) == (206, b"br", b"br")
    assert ask(Files(str(site), precompressed=False), "/a.txt", [(b"accept-encoding", b"br")]).body == b"0123456789"


def test_a_sibling_that_comes_and_goes_is_noticed(site: Path) -> None:
    handler = Files(str(site))
    br = [(b"accept-encoding", b"br")]
    assert ask(handler, "/a.txt", br).body == b"0123456789"
    sibling = put(site / "a.txt.br", b"brotli")
    assert ask(handler, "/a.txt", br, now=2.0).body == b"brotli"
    sibling.unlink()
    assert ask(handler, "/a.txt", br, now=4.0).body == b"0123456789"


# -- the memory


def test_a_hit_is_the_same_object(site: Path) -> None:
    handler = Files(str(site))
    assert ask(handler, "/a.txt") is ask(handler, "/a.txt", now=0.5) is ask(handler, "/a.txt", now=100.0)


def test_a_change_is_noticed_after_the_time_of_trust(site: Path) -> None:
    handler = Files(str(site))
    first = ask(handler, "/a.txt")
    put(site / "a.txt", b"other", LONG_AGO + 1)
    assert ask(handler, "/a.txt", now=TRUST - 0.01) is first
    second = ask(handler, "/a.txt", now=TRUST)
    assert second.body == b"other" and second.fields.get(b"etag") != first.fields.get(b"etag")
    (site / "a.txt").unlink()
    assert ask(handler, "/a.txt", now=10.0).status == 404


def test_a_file_written_this_moment_is_read_again_whatever_its_time_says(site: Path) -> None:
    handler = Files(str(site))
    (site / "a.txt").write_bytes(b"one")
    state = os.stat(site / "a.txt")
    ahead = state.st_mtime_ns + 10**12  # no test may depend on how fast it runs
    os.utime(site / "a.txt", ns=(ahead, ahead))
    assert ask(handler, "/a.txt").body == b"one"
    (site / "a.txt").write_bytes(b"two")
    os.utime(site / "a.txt", ns=(ahead, ahead))
    assert ask(handler, "/a.txt", now=2.0).body == b"two"


def test_a_large_file_replaced_within_the_time_of_trust(site: Path) -> None:
    handler = Files(str(site), spa=True)
    assert content(ask(handler, "/big.bin")) == BIG
    put(site / "new", BIG[::-1], LONG_AGO + 1)
    os.replace(site / "new", site / "big.bin")
    assert content(ask(handler, "/big.bin")) == BIG[::-1]
    (site / "big.bin").unlink()
    assert ask(handler, "/big.bin").status == 404


def test_the_memory_is_bounded(site: Path) -> None:
    handler = Files(str(site), cache_bytes=25)
    answers = [ask(handler, p) for p in ("/a.txt", "/", "/a.txt")]
    assert answers[0] is answers[2]
    ask(handler, "/sub/")  # 10 + 13 + 3 bytes: one has to go
    assert handler._memory <= 25 and len(handler._entries) == 2
    for i in range(50):
        put(site / f"{i}.txt", b"x" * 9)
        ask(handler, f"/{i}.txt")
    assert handler._memory == sum(e.memory for e in handler._entries.values()) <= 25


def test_no_descriptor_is_left_open(site: Path) -> None:
    put(site / "a.txt.gz", b"gz")
    (site / "link").symlink_to("sub/../a.txt")
    before = open_fds()
    handler = Files(str(site), cache_file=5)
    actions: list[Callable[[], object]] = [
        lambda: content(ask(handler, "/big.bin")),
        lambda: content(ask(handler, "/link")),
        lambda: content(ask(handler, "/big.bin", [(b"range", b"bytes=0-1,5-6")])),
        lambda: content(ask(handler, "/big.bin", [(b"range", b"bytes=0-1")])),
        lambda: ask(handler, "/sub"),
        lambda: ask(handler, "/sub/"),
        lambda: ask(handler, "/nothing/at/all"),
        lambda: ask(handler, "/a.txt/x"),
        lambda: ask(handler, "/big.bin", [(b"range", b"bytes=999999-")]),
    ]
    for action in actions:
        action()
    assert len(open_fds()) == len(before)
