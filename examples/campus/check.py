"""Walks through the running demo as its clients do, and says what was tried: exit code 0 if all of it went well, else 1.

python -m examples.campus.check --start                      starts the server on a free port, with a fresh database
python -m examples.campus.check https://localhost:8443       walks through one that runs already
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from examples.campus.__main__ import CONFIG, command
from websockets.sync.client import ClientConnection, connect

START_SECONDS = 15.0
PATIENCE = 5.0


class Walk:
    """A client of the demo at `base`, and what became of each step."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.failed = 0
        self.client = httpx.Client(base_url=base, http2=True, verify=_trusting(), timeout=PATIENCE)

    def expect(self, what: str, wanted: object, got: object) -> None:
        """One line of the report: `what` was tried, and gave what was `wanted` or not."""
        well = wanted == got
        self.failed += not well
        print(
            f"  {'ok  ' if well else 'FAIL'}  {what}" + ("" if well else f": wanted {wanted!r}, got {got!r}"),
            flush=True,
        )

    def ask(self, status: int, method: str, path: str, why: str = "", **more: object) -> httpx.Response:
        """Send a request and expect `status`. A keyword is a header field, but `json` is the content."""
        content = more.pop("json", None)
        fields = {name.replace("_", "-"): str(value) for name, value in more.items()}
        try:
            response = self.client.request(method, path, json=content, headers=fields)
        except httpx.HTTPError as error:
            response = httpx.Response(0, text=repr(error))
        got = response.status_code or response.text
        self.expect(f"{method:<7} {path:<34} {status} {why}".rstrip(), status, got)
        return response


def _trusting() -> ssl.SSLContext:
    """The demo's certificate is made anew at each start, so there is nobody who could vouch for it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def page_and_files(walk: Walk) -> None:
    page = walk.ask(200, "GET", "/", "the page")
    walk.expect("HTTP/2 was agreed on by ALPN", "HTTP/2", page.http_version if page.status_code else None)
    walk.expect("it is HTML", True, page.headers.get("content-type", "").startswith("text/html"))
    for name, kind in (("campus.js", "text/javascript"), ("style.css", "text/css")):
        got = walk.ask(200, "GET", f"/{name}")
        walk.expect(f"{name} is {kind}", kind, got.headers.get("content-type", "").partition(";")[0])
    path = "/files/syllabus.txt"
    file = walk.ask(200, "GET", path, "a file")
    walk.ask(304, "GET", path, "by its entity tag", if_none_match=file.headers.get("etag"))
    part = walk.ask(206, "GET", path, "a range", range="bytes=0-7")
    walk.expect("the range holds these bytes", file.content[:8], part.content)
    walk.ask(416, "GET", path, "a range outside", range="bytes=999999-")
    walk.ask(404, "GET", "/files/nothing")
    walk.ask(404, "GET", "/%2e%2e/enfilade.toml", "no way out of the folder")
    walk.ask(400, "GET", "/..%2fenfilade.toml", "nor with a slash in disguise")


def filters(walk: Walk) -> None:
    pages = [walk.ask(200, "GET", "/"), walk.ask(200, "GET", "/api/teachers")]
    ids = {page.headers.get("x-request-id") for page in pages}
    walk.expect("each answer has an id of its own", (2, False), (len(ids), None in ids))
    walk.expect(
        "Server-Timing says how long it took",
        [True] * 2,
        ["handler;dur=" in p.headers.get("server-timing", "") for p in pages],
    )
    walk.expect(
        "the configured field is there", ["nosniff"] * 2, [p.headers.get("x-content-type-options") for p in pages]
    )
    walk.ask(
        413,
        "POST",
        "/api/students",
        "more than this route takes",
        json={"name": "x" * 20_000, "email": "x@example.com"},
    )


def one_student(walk: Walk) -> int:
    ada = {"name": "Ada Check", "email": "ada.check@example.com"}
    made = walk.ask(201, "POST", "/api/students", "made", json=ada)
    where = made.headers.get("location", "")
    walk.expect("Location names it", True, where.startswith("/api/students/"))
    walk.ask(409, "POST", "/api/students", "the same address again", json=ada)
    walk.ask(422, "POST", "/api/students", "no name", json={"email": "x@example.com"})
    tag = walk.ask(200, "GET", where).headers.get("etag")
    walk.ask(304, "GET", where, "by its entity tag", if_none_match=tag)
    walk.expect("HEAD has no content", b"", walk.ask(200, "HEAD", where).content)
    allow = walk.ask(204, "OPTIONS", where).headers.get("allow")
    walk.expect("Allow names the methods", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT", allow)
    walk.ask(405, "POST", where, "not of this resource")
    walk.ask(428, "PUT", where, "without If-Match", json=ada)
    walk.ask(200, "PUT", where, "replaced", json={**ada, "name": "Ada Put"}, if_match=tag)
    walk.ask(412, "PUT", where, "an older version", json=ada, if_match=tag)
    patched = walk.ask(200, "PATCH", where, "changed in part", json={"name": "Ada Patch"})
    walk.expect("the rest stayed", ada["email"], patched.json().get("email") if patched.status_code == 200 else None)
    walk.ask(404, "GET", "/api/students/999999")
    return int(made.json()["id"])


def relations(walk: Walk, student: int) -> None:
    path = f"/api/students/{student}"
    card = {"number": f"C-{9000 + student}", "valid_until": "2031-01-31"}
    walk.ask(201, "PUT", f"{path}/card", "one to one: made", json=card)
    walk.ask(200, "PUT", f"{path}/card", "one to one: replaced", json=card)
    courses = walk.ask(200, "GET", "/api/teachers/2/courses", "one to many").json()
    course = courses[0]["id"]
    walk.ask(201, "POST", f"{path}/enrolments", "many to many: enrolled", json={"course_id": course})
    walk.ask(409, "POST", f"{path}/enrolments", "enrolled already", json={"course_id": course})
    walk.ask(200, "PATCH", f"{path}/enrolments/{course}", "graded", json={"grade": 97})
    walk.ask(422, "PATCH", f"{path}/enrolments/{course}", "a grade above 100", json={"grade": 101})
    there = walk.ask(200, "GET", f"/api/courses/{course}/students", "many to many: from the other side").json()
    walk.expect("the grade is there", [97], [row["grade"] for row in there if row["student_id"] == student])
    walk.ask(409, "DELETE", f"/api/courses/{course}", "somebody is enrolled")
    walk.ask(204, "DELETE", f"{path}/enrolments/{course}", "left")
    page = walk.ask(200, "GET", "/api/students?page=2&size=5", "a page of a list")
    walk.expect(
        "five of them, and links to the others", (5, True), (len(page.json()), 'rel="next"' in page.headers["link"])
    )


def _sockets(walk: Walk, stack: contextlib.ExitStack) -> list[ClientConnection]:
    """Several, so that with more than one worker some of them are another worker's than that of the change."""
    url = walk.base.replace("https:", "wss:", 1) + "/api/changes"
    return [stack.enter_context(connect(url, ssl=_trusting(), open_timeout=PATIENCE)) for _ in range(6)]


def pushed(walk: Walk, student: int) -> None:
    with contextlib.ExitStack() as stack:
        sockets = _sockets(walk, stack)
        hellos = {json.loads(s.recv(PATIENCE))["what"] for s in sockets}
        walk.expect("six WebSockets are greeted", {"hello"}, hellos)
        walk.ask(204, "DELETE", f"/api/students/{student}", "removed")
        walk.expect("each of them hears of it", [True] * 6, [_hears_of_removal(s, student) for s in sockets])
    walk.ask(404, "GET", f"/api/students/{student}", "gone")


def _hears_of_removal(socket: ClientConnection, student: int) -> bool:
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < end:
            change = json.loads(socket.recv(PATIENCE))
            if (change["what"], change.get("kind"), change.get("key")) == ("students", "delete", student):
                return True
    return False


def pipelined(walk: Walk) -> None:
    """HTTP/1.1 by hand: two requests in one piece, two answers in their order, then the end that was asked for."""
    host, port = urlsplit(walk.base).hostname or "", urlsplit(walk.base).port or 443
    head = f"host: {host}:{port}\r\n"
    both = f"HEAD / HTTP/1.1\r\n{head}\r\nGET /api/students/999999 HTTP/1.1\r\n{head}connection: close\r\n\r\n"
    got = b""
    with socket.create_connection((host, port), PATIENCE) as plain, _trusting().wrap_socket(plain) as tls:
        tls.sendall(both.encode())
        while piece := tls.recv(65536):
            got += piece
    lines = [line.split(b" ", 2)[:2] for line in got.split(b"\r\n") if line.startswith(b"HTTP/")]
    walk.expect("HTTP/1.1, two pipelined requests", [[b"HTTP/1.1", b"200"], [b"HTTP/1.1", b"404"]], lines)


def walk_through(base: str) -> int:
    """Every step against the demo at `base`; how many failed."""
    walk = Walk(base)
    print(f"Walking through {base}", flush=True)
    student = 0

    def student_first(walk: Walk) -> None:
        nonlocal student
        student = one_student(walk)

    steps: list[tuple[str, Callable[[Walk], None]]] = [
        ("The page and the files", page_and_files),
        ("The filters", filters),
        ("One student, every method", student_first),
        ("One to one, one to many, many to many", lambda walk: relations(walk, student)),
        ("Changes, pushed", lambda walk: pushed(walk, student)),
        ("HTTP/1.1", pipelined),
    ]
    for title, step in steps:
        print(f"\n{title}", flush=True)
        try:
            step(walk)
        except Exception as error:  # the other steps have their own things to tell
            walk.expect("the step comes to its end", None, error)
    walk.client.close()
    print(f"\n{walk.failed} failed" if walk.failed else "\nAll went well.", flush=True)
    return walk.failed


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def started() -> Iterator[str]:
    """The demo on a free port with a database of its own; its URL. RuntimeError if it does not come up."""
    port = _free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        # Beside the real one, as its paths are relative to it.
        tempfile.NamedTemporaryFile("w", dir=CONFIG.parent, prefix=".check-", suffix=".toml") as config,
    ):
        config.write(CONFIG.read_text().replace("127.0.0.1:8443", f"127.0.0.1:{port}"))
        config.flush()
        env = {**os.environ, "CAMPUS_DB": str(Path(folder) / "campus.sqlite")}
        # Its access log would stand between the lines of the report; what it complains of comes through.
        server = subprocess.Popen(command(Path(config.name)), env=env, stdout=subprocess.DEVNULL)
        try:
            _wait_for(server, port)
            yield f"https://127.0.0.1:{port}"
        finally:
            _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        print("  the server did not stop when it was told to", file=sys.stderr)
        server.kill()
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Until an answer comes: the supervisor's sockets take connections before a worker is there."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode} before it was up")
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"https://127.0.0.1:{port}/api/teachers", verify=_trusting(), timeout=1)
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server was not up after {START_SECONDS:.0f} seconds")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.campus.check", description="Walks through the demo.")
    parser.add_argument("url", nargs="?", default="https://127.0.0.1:8443", help="where it runs")
    parser.add_argument("--start", action="store_true", help="start it on a free port first")
    arguments = parser.parse_args()
    if not arguments.start:
        return min(walk_through(arguments.url), 1)
    try:
        with started() as url:
            return min(walk_through(url), 1)
    except (RuntimeError, OSError) as error:
        print(f"FAIL  {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
