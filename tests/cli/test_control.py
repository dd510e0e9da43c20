"""Against real processes and a real socket: what is sent is what a server gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.cli.kit import enfilade

LISTENS = """
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, lambda n, _: (os.write(1, b"%d\\n" % n), n == signal.SIGHUP or sys.exit()))
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""
FACTS = {
    "pid": 0, "generation": 2, "started": 0.0, "restarts": 1, "reloads": 3, "reloads_refused": 4,
    "reload": {"asked": 7, "answered": 7, "refused": False},
    "workers": [
        {
            "pid": 9, "crew": "edge", "slot": 0, "generation": 2, "state": "serving", "started": 0.0, "restarts": 0,
        },
        {
            "pid": 12, "crew": "streams.zen", "slot": 0, "generation": 2, "state": "serving", "started": 0.0, "restarts": 1,
        },
    ],
    "apps": [
        {
            "app": "shop", "queue": 3, "in_flight": 2, "requests": 5007,
            "restarts": {"died": 1, "recycled": 0, "reload": 2},
            "workers": [
                {
                    "slot": 1, "pid": 10, "generation": 1, "state": "draining", "started": 0.0, "requests": 7,
                    "in_flight": 2, "memory": 30 << 20,
                },
                {
                    "slot": 11, "pid": 1234, "generation": 2, "state": "starting", "started": 0.0, "requests": 0,
                    "in_flight": 0, "memory": 0,
                },
            ],
        },
        {
            "app": "idle", "queue": 0, "in_flight": 0, "requests": 0,
            "restarts": {"died": 0, "recycled": 0, "reload": 0}, "workers": [],
        },
    ],
    "upstreams": [
        {
            "upstream": "api", "queue": 4, "retries": 5, "breaker_open": 1,
            "peers": [
                {"peer": "http://10.0.0.1:80", "state": "up", "in_flight": 6, "requests": 70, "failures": 0},
                {"peer": "unix:/run/b.sock", "state": "ejected", "in_flight": 1, "requests": 8, "failures": 8},
            ],
        },
        {"upstream": "nobody", "queue": 0, "retries": 0, "breaker_open": 0, "peers": []},
    ],
    "certificates": [
        {"name": "a.example.com", "until": 0.0, "again": 0.0, "error": ""},
        {"name": "b.example.com", "until": 0.001, "again": 0.001, "error": "no; wait"},
    ],
}  # fmt: skip


TEXT = """\
running, pid 0, generation 2, since yyyy-mm-dd hh:mm:ss
reloads: 3 done, 4 refused; workers restarted: 1

workers
  crew         slot  pid  state    since                generation  restarts
  edge         0     9    serving  yyyy-mm-dd hh:mm:ss  2           0
  streams.zen  0     12   serving  yyyy-mm-dd hh:mm:ss  2           1

application shop: 2 in flight, 3 queued, 5007 requests; restarts: 1 died, 0 recycled, 2 reload
  slot  pid   state     since                generation  in flight  requests  memory
  1     10    draining  yyyy-mm-dd hh:mm:ss  1           2          7         30 MB
  11    1234  starting  yyyy-mm-dd hh:mm:ss  2           0          0         0 MB

application idle: 0 in flight, 0 queued, 0 requests; restarts: 0 died, 0 recycled, 0 reload

upstream api: 7 in flight, 4 queued, 5 retries; breaker open in workers: 1
  peer                state    in flight  requests  failures
  http://10.0.0.1:80  up       6          70        0
  unix:/run/b.sock    ejected  1          8         8

upstream nobody: 0 in flight, 0 queued, 0 retries

certificates
  name           good until           next try             trouble
  a.example.com  -                    -
  b.example.com  yyyy-mm-dd hh:mm:ss  yyyy-mm-dd hh:mm:ss  no; wait
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A process that says which signals it gets; it is collected as soon as it ends, as init would do it."""
    child = subprocess.Popen([sys.executable, "-c", LISTENS], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    collector = threading.Thread(target=child.wait)
    collector.start()
    yield child
    child.kill()
    collector.join()
    child.stdout.close()


def said(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.fixture
def admin() -> Iterator[HTTPServer]:
    """An admin listener: each answer is the next of `server.answers`, the last again and again."""
    answers = [FACTS]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers["Authorization"] == "Bearer s3cret" and self.path == "/status"
            self.send_response(200 if allowed else 403)
            self.end_headers()
            self.wfile.write(json.dumps(answers.pop(0) if len(answers) > 1 else answers[0]).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.answers = answers  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def configuration(path: Path, **server: str) -> str:
    lines = "".join(f'{key} = "{value}"\n' for key, value in server.items())
    path.write_text(f'[server]\n{lines}[sites."*"]\n"/" = {{ respond = 204 }}\n')
    return str(path)


@pytest.mark.parametrize(("options", "number"), [([], signal.SIGTERM), (["--now"], signal.SIGQUIT)])
def test_stop_waits_until_it_is_gone(process: subprocess.Popen[str], options: list[str], number: int) -> None:
    result = enfilade("stop", "--pid", str(process.pid), *options)
    assert (result.exit_code, result.stdout) == (0, f"process {process.pid} stopped\n")
    assert said(process) == number


def test_reload_by_pid_file(process: subprocess.Popen[str], tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(f"{process.pid}\n")
    file = configuration(tmp_path / "a.toml", pid_file="pid")
    for options in (["-c", file], ["--pid-file", str(tmp_path / "pid")]):
        result = enfilade("reload", *options)
        assert (result.exit_code, "was told to reload" in result.stdout) == (0, True)
        assert said(process) == signal.SIGHUP


@pytest.mark.parametrize(("refused", "code", "text"), [(False, 0, "reloaded: generation 3"), (True, 1, "was refused")])
def test_reload_says_how_it_went(
    process: subprocess.Popen[str], admin: HTTPServer, tmp_path: Path, refused: bool, code: int, text: str
) -> None:
    facts = {**FACTS, "pid": process.pid}
    after = {**facts, "generation": 3, "reload": {"asked": 8, "answered": 8, "refused": refused}}
    admin.answers[:] = [facts, facts, facts, after]  # type: ignore[attr-defined]
    address = f"127.0.0.1:{admin.server_port}"
    result = enfilade("reload", "-c", configuration(tmp_path / "a.toml", admin=address, admin_token="s3cret"))
    assert (result.exit_code, text in result.output) == (code, True)
    assert said(process) == signal.SIGHUP


def test_status_for_people_and_for_scripts(admin: HTTPServer, tmp_path: Path) -> None:
    address = f"127.0.0.1:{admin.server_port}"
    file = configuration(tmp_path / "a.toml", admin=address, admin_token="s3cret")
    assert json.loads(enfilade("status", "-c", file, "--json").stdout) == FACTS
    epoch = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(0))
    assert enfilade("status", "-c", file).stdout == TEXT.replace("yyyy-mm-dd hh:mm:ss", epoch)


def test_status_without_the_token(admin: HTTPServer, tmp_path: Path) -> None:
    address = f"127.0.0.1:{admin.server_port}"
    result = enfilade("status", "-c", configuration(tmp_path / "a.toml", admin=address))
    assert (result.exit_code, result.stderr) == (1, f"the server at {address} answers 403 Forbidden\n")


def test_status_by_pid() -> None:
    assert json.loads(enfilade("status", "--pid", str(os.getpid()), "--json").stdout) == {"pid": os.getpid()}


def test_nobody_is_there(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "pid").write_text(str(gone.pid))
    bare = configuration(tmp_path / "bare.toml")
    dead = configuration(tmp_path / "dead.toml", admin=f"unix:{tmp_path}/none.sock")
    for options, text in (
        (["--pid", str(gone.pid)], f"there is no process {gone.pid}"),
        (["--pid-file", str(tmp_path / "pid")], f"no server runs: {tmp_path}/pid names no live process"),
        (["--pid-file", str(tmp_path / "none")], f"no server runs: {tmp_path}/none does not exist"),
        (["-c", dead], f"no server answers at unix:{tmp_path}/none.sock: No such file or directory"),
        (
            ["-c", bare],
            f"{bare} names neither pid_file nor admin, so its server cannot be found; use --pid or --pid-file",
        ),
    ):
        for command in ("reload", "stop", "status"):
            result = enfilade(command, *options)
            assert (result.exit_code, result.stderr) == (1, text + "\n")


def test_the_server_is_named_in_one_way(tmp_path: Path) -> None:
    assert enfilade("stop", "--pid", "1", "--pid-file", str(tmp_path)).exit_code == 2
