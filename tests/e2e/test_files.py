"""Files over real sockets: what curl, httpx and a client that speaks byte by byte get of a directory."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start

TEXT = b"0123456789" * 10
BIG = 200 * 1024 * 1024
STALLED = 2 * 1024 * 1024
"""What one client that stopped reading may cost: a chunk, its copy in the transport, and for TLS the encrypted ones."""
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
CONFIG = """
[server]
http = "localhost:0"
https = "localhost:0"
workers = 1

[sites."*"]
tls = "internal"
log = {{ format = ["target", "status", "bytes", "reason"], to = "access.log" }}
"/*" = {{ files = "{root}" }}
"/all/*" = {{ files = "{root}", listing = true }}
"/app/*" = {{ files = "{root}/app", spa = true, cache_control = "max-age=60" }}
"/old/*" = {{ files = "{root}", cache_control = "public, max-age=31536000", precompressed = false }}
"""


class Files:
    """The server, its directory, and a client for it."""

    def __init__(self, server: Server, root: Path) -> None:
        self.server = server
        self.root = root
        self.http = httpx.Client(base_url=server.url("http"), headers={"accept-encoding": "identity"}, timeout=20)
        self.http2 = httpx.Client(base_url=server.url("https"), verify=False, http2=True, timeout=20)

    def log_of(self, target: str) -> dict[str, object]:
        """The log's line for `target`, as soon as it is there."""

        def look(line: str) -> dict[str, object] | None:
            row: dict[str, object] = json.loads(line)
            return row if row["target"] == target else None

        found = self.server.logged("access.log", look)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def files(start_once: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Files]:
    root = tmp_path_factory.mktemp("root")
    _fill(root)
    server = start_once(CONFIG.format(root=root))
    server.url("https")
    made = Files(server, root)
    yield made
    made.http.close()
    made.http2.close()
    assert server.process.poll() is None
    assert "Traceback" not in server.output


def _fill(root: Path) -> None:
    (root / "a.txt").write_bytes(TEXT)
    (root / "medium.bin").write_bytes(os.urandom(3_000_000))
    (root / "index.html").write_text("<h1>home</h1>")
    (root / "sub").mkdir()
    (root / "sub" / "b.css").write_text("p {}")
    (root / "sub" / "c <&>.txt").write_text("c")
    (root / "page.html").write_text("<p>page" * 100)
    (root / "page.html.gz").write_bytes(gzip.compress(b"<p>page" * 100))
    (root / "page.html.br").write_bytes(b"brotli")
    (root / "app").mkdir()
    (root / "app" / "index.html").write_text("<h1>app</h1>")
    (root / "app" / "main.js").write_text("1")
    (root / ".secret").write_text("secret")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / ".well-known").mkdir()
    (root / ".well-known" / "security.txt").write_text("contact")
    outside = root.parent / f"{root.name}-outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (root / "out").symlink_to(outside)
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "in.txt").symlink_to("a.txt")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "fifo")
    (root / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as sock:
        where = os.getcwd()
        os.chdir(root)  # the path of a socket is short
        sock.bind("sock")
        os.chdir(where)
    for name in ("with space", "ünïcödé ☃", "100%", "a+b", "semi;colon", "quest?ion", "ha#sh", "col:on"):
        (root / f"{name}.txt").write_text(name)
    hour_ago = time.time() - 3600
    for path in root.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (hour_ago, hour_ago))


def curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "-sS", "-m", "30", *arguments], check=True, capture_output=True).stdout


# -- what a file is answered with


def test_a_file_and_its_fields(files: Files) -> None:
    r = files.http.get("/a.txt")
    assert (r.status_code, r.content) == (200, TEXT)
    fields = r.headers
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert (fields["content-length"], fields["accept-ranges"]) == ("100", "bytes")
    assert re.fullmatch(r'"[0-9a-f-]+"', fields["etag"]) and fields["last-modified"].endswith("GMT")
    assert "date" in fields and "cache-control" not in fields
    assert curl(files.server.url("http") + "/a.txt") == TEXT


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
def test_curl_gets_it_in_every_version(files: Files, version: str) -> None:
    assert curl("-k", version, files.server.url("https") + "/a.txt") == TEXT


@pytest.mark.parametrize("path", ["/a.txt", "/medium.bin"])
def test_head_says_what_get_would(files: Files, path: str) -> None:
    for client in (files.http, files.http2):
        got, head = client.get(path), client.head(path)
        assert head.status_code == 200 and head.content == b""
        assert {**head.headers, "date": ""} == {**got.headers, "date": ""}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/index.html", "text/html; charset=utf-8"),
        ("/sub/b.css", "text/css; charset=utf-8"),
        ("/app/main.js", "text/javascript; charset=utf-8"),
        ("/medium.bin", "application/octet-stream"),
    ],
)
def test_media_types(files: Files, path: str, kind: str) -> None:
    assert files.http.head(path).headers["content-type"] == kind


def test_cache_control(files: Files) -> None:
    assert files.http.get("/old/a.txt").headers["cache-control"] == "public, max-age=31536000"
    assert files.http.get("/app/main.js").headers["cache-control"] == "max-age=60"
    r = files.http.get("/old/a.txt", headers={"if-none-match": "*"})
    assert (r.status_code, r.headers["cache-control"]) == (304, "public, max-age=31536000")


# -- conditions (RFC 9110 section 13)

EARLIER, LATER = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"if-none-match": "{etag}"}, 304),
        ({"if-none-match": "W/{etag}"}, 304),
        ({"if-none-match": '"x", {etag}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, 200),
        ({"if-none-match": '"x"', "if-modified-since": "{modified}"}, 200),
        ({"if-modified-since": "{modified}"}, 304),
        ({"if-modified-since": EARLIER}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-match": "{etag}"}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-match": "W/{etag}"}, 412),
        ({"if-unmodified-since": "{modified}"}, 200),
        ({"if-unmodified-since": EARLIER}, 412),
        ({"if-match": "{etag}", "if-unmodified-since": EARLIER}, 200),
        ({"range": "bytes=0-9", "if-range": "{etag}"}, 206),
        ({"range": "bytes=0-9", "if-range": "W/{etag}"}, 200),
        ({"range": "bytes=0-9", "if-range": "{modified}"}, 206),
        ({"range": "bytes=0-9", "if-range": LATER}, 200),
        ({"range": "bytes=0-9", "if-match": '"x"'}, 412),
        ({"range": "bytes=0-9", "if-none-match": "{etag}"}, 304),
    ],
)
def test_conditions(files: Files, fields: dict[str, str], status: int) -> None:
    for path in ("/a.txt", "/medium.bin"):
        known = files.http.head(path).headers
        sent = {n: v.format(etag=known["etag"], modified=known["last-modified"]) for n, v in fields.items()}
        for client in (files.http, files.http2):
            r = client.get(path, headers={**sent, "accept-encoding": "identity"})
            assert r.status_code == status, path
            assert (r.headers.get("etag") == known["etag"]) is (status != 412)
            if status == 304:
                assert r.content == b"" and "content-type" not in r.headers


# -- ranges (section 14)


@pytest.mark.parametrize("path", ["/a.txt", "/medium.bin"])
@pytest.mark.parametrize(
    ("wanted", "start", "stop"), [("0-9", 0, 10), ("90-", 90, None), ("-5", -5, None), ("50-10000000", 50, None)]
)
def test_one_range(files: Files, path: str, wanted: str, start: int, stop: int | None) -> None:
    whole = (files.root / path[1:]).read_bytes()
    for client in (files.http, files.http2):
        r = client.get(path, headers={"range": f"bytes={wanted}", "accept-encoding": "identity"})
        assert (r.status_code, r.content) == (206, whole[start:stop])
        first = start % len(whole)
        assert r.headers["content-range"] == f"bytes {first}-{first + len(r.content) - 1}/{len(whole)}"


@pytest.mark.parametrize(("path", "size"), [("/a.txt", 10), ("/medium.bin", 10), ("/medium.bin", 900_000)])
def test_several_ranges(files: Files, path: str, size: int) -> None:
    whole = (files.root / path[1:]).read_bytes()
    r = files.http.get(path, headers={"range": f"bytes=1-3,20-{20 + size - 1},-2"})
    assert r.status_code == 206
    boundary = r.headers["content-type"].partition("boundary=")[2].encode()
    parts = r.content.split(b"--" + boundary)
    assert parts[0].strip() == b"" and parts[-1] == b"--\r\n"
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert bodies == [whole[1:4], whole[20 : 20 + size], whole[-2:]]
    assert r.headers["content-length"] == str(len(r.content))


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("bytes=100-", 416),
        ("bytes=-0", 416),
        ("bytes=9-1", 200),
        ("bytes=a-b", 200),
        ("bytes=", 200),
        ("items=0-1", 200),
        ("bytes=50-60,0-1", 200),
        ("bytes=" + ",".join(f"{i}-{i}" for i in range(0, 100, 2)), 200),
        ("bytes=" + "9" * 400 + "-", 416),
    ],
)
def test_ranges_that_cannot_be_had(files: Files, wanted: str, status: int) -> None:
    r = files.http.get("/a.txt", headers={"range": wanted})
    assert r.status_code == status
    assert r.content == TEXT if status == 200 else r.headers["content-range"] == "bytes */100"


def test_a_head_has_no_range(files: Files) -> None:
    r = files.http.head("/a.txt", headers={"range": "bytes=0-1"})
    assert (r.status_code, r.headers["content-length"]) == (200, "100")


# -- variants, directories, single-page applications


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, br", "br"),
        ("br;q=0, *", "gzip"),
        ("identity", None),
        ("zstd", None),
        ("gzip;q=0", None),
    ],
)
def test_precompressed_siblings(files: Files, accept: str, coding: str | None) -> None:
    suffix = {"gzip": ".gz", "br": ".br", None: ""}[coding]
    url = files.server.url("http") + "/page.html"
    head, _, body = curl("-i", "-H", f"Accept-Encoding: {accept}", url).partition(b"\r\n\r\n")
    assert body == (files.root / f"page.html{suffix}").read_bytes()
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert fields.get("content-encoding") == coding
    assert (fields["vary"], fields["content-type"]) == ("accept-encoding", "text/html; charset=utf-8")
    r = files.http.get("/page.html", headers={"accept-encoding": accept, "if-none-match": fields["etag"]})
    assert (r.status_code, r.headers["vary"]) == (304, "accept-encoding")


def test_siblings_have_etags_of_their_own_and_ranges(files: Files) -> None:
    tags = {files.http.head("/page.html", headers={"accept-encoding": c}).headers["etag"] for c in ("gzip", "br", "x")}
    assert len(tags) == 3
    url = files.server.url("http") + "/page.html"
    assert curl("-r", "1-3", "-H", "Accept-Encoding: br", url) == b"rot"
    assert files.http.get("/old/page.html", headers={"accept-encoding": "gzip"}).headers.get("content-encoding") is None


def test_index_files_and_the_slash(files: Files) -> None:
    assert files.http.get("/").text == "<h1>home</h1>"
    r = files.http.get("/app?a=b")
    assert (r.status_code, r.text) == (301, "") and r.headers["location"] == "/app/?a=b"
    assert files.http.get("/sub/").status_code == 404
    assert files.http.get("/a.txt/").status_code == 404
    assert b"404 Not Found" in curl("--path-as-is", files.server.url("http") + "//sub/b.css")
    r = files.http.get("/all/sub")
    assert r.headers["location"] == "/all/sub/"


def test_listings(files: Files) -> None:
    page = files.http.get("/all/sub/", headers={"accept": BROWSER})
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert 'href="./c%20%3C%26%3E.txt">c &lt;&amp;&gt;.txt<' in page.text
    r = files.http.get("/all/sub/", headers={"accept": "application/json"})
    assert [(e["name"], e["type"], e["size"]) for e in r.json()] == [("b.css", "file", 4), ("c <&>.txt", "file", 1)]
    assert files.http.get("/all/sub/c%20%3C%26%3E.txt").text == "c"
    assert files.http.head("/all/sub/").status_code == 200


def test_a_listing_shows_only_what_can_be_had(files: Files) -> None:
    (files.root / "mixed").mkdir(exist_ok=True)
    (files.root / "mixed" / ".hidden").write_text("")
    (files.root / "mixed" / "out").symlink_to("/etc/passwd")
    (files.root / "mixed" / "seen").write_text("")
    r = files.http.get("/all/mixed/", headers={"accept": "application/json"})
    assert [e["name"] for e in r.json()] == ["seen"]


def test_a_single_page_application(files: Files) -> None:
    for path in ("/app/", "/app/users/7", "/app/settings/"):
        r = files.http.get(path)
        assert (r.status_code, r.text, r.headers["cache-control"]) == (200, "<h1>app</h1>", "no-cache")
    for path in ("/app/missing.js", "/app/.env", "/app/x/.git/config"):
        assert files.http.get(path).status_code == 404, path
    assert files.http.post("/app/users").status_code == 405


# -- what is never served: always the same 404

HIDDEN = [
    "/.secret", "/.git/config", "/out/secret.txt", "/out.txt", "/passwd", "/loop", "/fifo", "/null", "/sock",
    "/missing", "/a.txt/x", "/sub//b.css", "/" + "n" * 300, "/ünïcödé",
]  # fmt: skip


def test_everything_hidden_is_the_same_404(files: Files) -> None:
    expected = files.http.get("/nothing-here").text
    for path in HIDDEN:
        for client in (files.http, files.http2):
            r = client.get(path)
            assert (r.status_code, r.text) == (404, expected), path


TRAVERSAL = [
    "/../secret", "/sub/../../secret", "/..%2fsecret", "/%2e%2e/secret", "/%2E%2E%2Fsecret", "/sub/%2e%2e/%2e%2e/etc/passwd",
    "/..\\secret", "/%5c..%5csecret", "/..%5cetc/passwd", "/%252e%252e/etc/passwd", "/....//etc/passwd", "/./../etc/passwd",
    "//etc/passwd", "/sub/..;/..;/etc/passwd", "/%c0%ae%c0%ae/etc/passwd", "/a.txt%00", "/sub/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/{out}/secret.txt", "/../{out}/secret.txt", "/%2e%2e/{out}/secret.txt", "/..%2f{out}/secret.txt", "/.", "/.%2e/x",
]  # fmt: skip


@pytest.mark.parametrize("spelling", TRAVERSAL)
def test_no_spelling_leads_out(files: Files, spelling: str) -> None:
    path = spelling.replace("{out}", f"{files.root.name}-outside")
    for options in (["--http1.1"], ["--http2"]):
        for prefix in ("", "/all", "/app"):
            url = files.server.url("https") + prefix + path
            answer = curl("-k", "-i", "--path-as-is", *options, url)
            status = answer.split(b" ")[1]
            home = b"<h1>" in answer and status == b"200"  # dots that lead to the root, or a page of the application
            assert status in (b"400", b"404") or home or (status, prefix) == (b"200", "/all"), answer
            assert b"secret\n" not in answer and b"root:" not in answer and not answer.endswith(b"secret")


@pytest.mark.parametrize(
    "name", ["with space", "ünïcödé ☃", "100%", "a+b", "semi;colon", "quest?ion", "ha#sh", "col:on"]
)
def test_names(files: Files, name: str) -> None:
    for client in (files.http, files.http2):
        assert client.get(f"/{quote(name)}.txt").text == name
    assert files.http.get("/in.txt").content == TEXT
    assert files.http.get("/.well-known/security.txt").text == "contact"


def test_what_may_not_be_read_is_not_there(files: Files, start: Start, tmp_path: Path) -> None:
    """Root may read everything, so this server's workers are somebody else."""
    closed = files.root / "closed.txt"
    closed.write_text("secret")
    closed.chmod(0)
    if os.geteuid() != 0:
        assert files.http.get("/closed.txt").status_code == 404
        return
    for parent in (files.root, *files.root.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    config = f'[server]\nhttp = "localhost:0"\nuser = "nobody"\nworkers = 1\n[sites."*"]\n"/*" = {{ files = "{files.root}" }}'
    server = start(config)
    assert httpx.get(server.url() + "/a.txt", timeout=PATIENCE).content == TEXT
    assert httpx.get(server.url() + "/closed.txt", timeout=PATIENCE).status_code == 404


# -- the memory of small files


def _eventually(seconds: float, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _rewrite(path: Path) -> None:
    path.write_text("second")


def _rename_over(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_text("second")
    other.rename(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 2)


CHANGES: dict[str, tuple[Callable[[Path], None], str | None]] = {
    "rewrite": (_rewrite, "second"),
    "rename": (_rename_over, "second"),
    "truncate": (_truncate, "fi"),
    "delete": (Path.unlink, None),
}


def test_every_change_is_seen_within_the_second(files: Files) -> None:
    directory = files.root / "changing"
    directory.mkdir()
    for name in CHANGES:
        (directory / name).write_text("first")
        assert files.http.get(f"/changing/{name}").text == "first"
    for name, (change, _) in CHANGES.items():
        change(directory / name)
    for name, (_, then) in CHANGES.items():

        def changed(name: str = name, then: str | None = then) -> bool:
            r = files.http.get(f"/changing/{name}")
            return r.status_code == 404 if then is None else r.text == then

        _eventually(1.5, changed)


def test_a_sibling_and_an_index_that_appear_are_seen(files: Files) -> None:
    directory = files.root / "appearing"
    directory.mkdir()
    (directory / "x.js").write_text("1")
    assert files.http.get("/appearing/").status_code == 404
    assert files.http2.get("/appearing/x.js").text == "1"
    (directory / "x.js.gz").write_bytes(gzip.compress(b"1"))
    (directory / "index.html").write_text("there")
    _eventually(1.5, lambda: files.http2.get("/appearing/x.js").headers.get("content-encoding") == "gzip")
    _eventually(1.5, lambda: files.http.get("/appearing/").text == "there")


# -- large files


@pytest.fixture(scope="module")
def big(files: Files) -> tuple[str, str]:
    """The path and the hash of 200 MB."""
    digest = hashlib.sha256()
    with (files.root / "big.bin").open("wb") as file:
        for i in range(BIG // (1 << 20)):
            block = hashlib.sha256(b"%d" % i).digest() * (1 << 15)
            digest.update(block)
            file.write(block)
    return "/big.bin", digest.hexdigest()


def _hash(*options: str) -> str:
    with subprocess.Popen(["curl", "-sSk", "-m", "40", *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return hashlib.file_digest(process.stdout, "sha256").hexdigest()


@pytest.mark.parametrize("how", ["http --http1.1", "https --http1.1", "https --http2"])
def test_200_mb_are_exact(files: Files, big: tuple[str, str], how: str) -> None:
    scheme, option = how.split()
    assert _hash(option, files.server.url(scheme) + big[0]) == big[1]


def test_others_are_answered_while_large_files_flow(files: Files, big: tuple[str, str]) -> None:
    urls = [files.server.url(scheme) + big[0] for scheme in ("http", "https", "https")]
    options = ["--http1.1", "--http1.1", "--http2"]
    with ThreadPoolExecutor(3) as pool:
        hashes = [pool.submit(_hash, option, url) for option, url in zip(options, urls, strict=True)]
        waits = []
        while not all(h.done() for h in hashes):
            began = time.perf_counter()
            assert files.http.get("/a.txt").content == TEXT
            waits.append(time.perf_counter() - began)
        assert [h.result() for h in hashes] == [big[1]] * 3
    assert len(waits) > 20 and sorted(waits)[len(waits) // 2] < 0.25


def test_a_download_is_resumed(files: Files, big: tuple[str, str], tmp_path: Path) -> None:
    target = tmp_path / "part"
    url = files.server.url("https") + big[0]
    curl("-k", "-r", f"0-{BIG // 2}", "-o", str(target), url)
    curl("-k", "-C", "-", "-o", str(target), url)
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == big[1]


def _worker(server: Server) -> int:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return int(children[0])


def _memory(pid: int) -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _ask(files: Files, scheme: str, target: str) -> socket.socket:
    """A connection that has asked for `target` and read the first bytes of the answer."""
    sock = files.server.connect(scheme)
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    return sock


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_clients_that_stop_reading_cost_little(files: Files, big: tuple[str, str], scheme: str) -> None:
    worker = _worker(files.server)
    before, open_before = _memory(worker), _descriptors(worker)
    with ExitStack() as stack:
        for i in range(20):
            stack.enter_context(_ask(files, scheme, f"{big[0]}?stalled-{scheme}-{i}"))
        assert files.http.get("/a.txt").content == TEXT
        assert _memory(worker) - before < 20 * STALLED
    _eventually(5, lambda: _descriptors(worker) <= open_before)
    row = files.log_of(f"{big[0]}?stalled-{scheme}-0")
    assert row["status"] == 200 and row["reason"] == "client_gone" and 0 < int(str(row["bytes"])) < BIG


def _read_to_end(sock: socket.socket) -> int:
    size = 0
    try:
        while piece := sock.recv(1 << 16):
            size += len(piece)
    except OSError:
        pass
    return size


@pytest.mark.parametrize("what", ["truncated", "deleted", "replaced"])
def test_a_file_that_changes_while_it_is_sent(files: Files, what: str) -> None:
    size = 40 * 1024 * 1024
    path = files.root / f"{what}.bin"
    path.write_bytes(b"x" * size)
    with _ask(files, "http", f"/{path.name}?sent") as sock:
        if what == "truncated":
            os.truncate(path, size // 2)
        elif what == "deleted":
            path.unlink()
        else:
            _rename_over(path)
        got = _read_to_end(sock)
    row = files.log_of(f"/{path.name}?sent")
    if what == "truncated":  # the client sees that something is missing
        assert got < size and row["reason"] == "file_changed"
    else:  # an open file stays what it was
        assert got > size - 1000 and row["reason"] is None
    assert files.http.get("/a.txt").content == TEXT


def test_a_file_truncated_while_it_is_sent_over_http2(files: Files) -> None:
    path = files.root / "shrinking.bin"
    path.write_bytes(b"x" * (40 * 1024 * 1024))
    with httpx.Client(base_url=files.server.url("https"), verify=False, http2=True, timeout=20) as client:
        with client.stream("GET", "/shrinking.bin?sent") as r:
            os.truncate(path, 1000)
            with pytest.raises(httpx.RemoteProtocolError):
                r.read()
        assert client.get("/a.txt").content == TEXT
    assert files.log_of("/shrinking.bin?sent")["reason"] == "file_changed"


def test_many_at_once_get_what_they_asked_for(files: Files) -> None:
    """In one thread: two threads that share one of these clients give two HTTP/2 streams the same number now and then."""
    whole = (files.root / "medium.bin").read_bytes()

    async def fetch(client: httpx.AsyncClient, i: int) -> bool:
        start = i * 10_000
        wanted = {"range": f"bytes={start}-{start + 99_999}", "accept-encoding": "identity"}
        return (await client.get("/medium.bin", headers=wanted)).content == whole[start : start + 100_000]

    async def main() -> list[bool]:
        async with (
            httpx.AsyncClient(base_url=files.server.url("http"), timeout=30) as one,
            httpx.AsyncClient(base_url=files.server.url("https"), timeout=30, http2=True, verify=False) as two,
        ):
            return await asyncio.gather(*(fetch((one, two)[i % 2], i) for i in range(200)))

    assert all(asyncio.run(main()))
