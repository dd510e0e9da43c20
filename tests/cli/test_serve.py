"""The commands that serve, as processes of their own, up to the first answer."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.cli.kit import enfilade

SRC = str(Path(__file__).parent.parent.parent / "src")
APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello from " + scope["root_path"].encode()})
"""


@contextmanager
def served(directory: Path, *args: str) -> Iterator[int]:
    """The port on which `enfilade ARGS` serves; its log is thrown away."""
    command = [sys.executable, "-m", "enfilade", *args]
    env = {**os.environ, "PYTHONPATH": SRC}
    with subprocess.Popen(
        command, cwd=directory, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            lines = []
            while not (found := re.search(r"http on http://127.0.0.1:(\d+)", line := process.stderr.readline())):
                lines.append(line)
                assert line, "".join(lines)
            yield int(found[1])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, process.stderr.read()


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Connection": "close"})
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def test_run(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP)
    with served(tmp_path, "run", "hello:app", "--http", "127.0.0.1:0", "--root-path", "/x") as port:
        assert get(port) == (200, b"hello from /x")


def test_serve(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("page")
    with served(tmp_path, "serve", ".", "--http", "127.0.0.1:0", "--spa") as port:
        assert get(port, "/some/page") == (200, b"page")


def test_up(tmp_path: Path) -> None:
    (tmp_path / "enfilade.toml").write_text(
        '[server]\nhttp = "127.0.0.1:0"\nworkers = 1\n[sites."*"]\n"/" = { respond = "up" }\n'
    )
    with served(tmp_path, "up") as port:
        assert get(port) == (200, b"up")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (
            ["run", "module:"],
            'command line: apps.app.target: "module:" is not a target; write module:attribute, as in "shop.main:app"',
        ),
        (["serve", "none"], 'command line: sites."*"."/*".files: "{here}/none" does not exist'),
        (
            ["serve", ".", "--http", "80"],
            'command line: server.http[0]: "80" is not an address; write ":80", "host:80"',
        ),
        (["up"], "there is no enfilade.toml or enfilade_conf.py here; name a file with -c"),
        (["up", "-c", "none.toml"], "none.toml: No such file or directory"),
    ],
)
def test_what_cannot_be_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], text: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = enfilade(*args)
    assert result.exit_code == 1
    assert result.stderr.startswith(text.format(here=tmp_path))


def test_a_certificate_goes_with_its_key() -> None:
    result = enfilade("serve", ".", "--cert", "cert.pem")
    assert (result.exit_code, "--cert and --key go together" in result.stderr) == (2, True)


def test_explain(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[sites."*"]\nrequest_id = true\n"/x/*" = { respond = "x" }\n')
    file = str(tmp_path / "a.toml")
    result = enfilade("explain", "GET", "http://localhost/x/y", "-c", file)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()][:2] == ["site", "route"]
    assert '"room": "handler"' in enfilade("explain", "GET", "http://localhost/x/y", "-c", file, "--json").stdout
    assert enfilade("explain", "GET", "nonsense", "-c", file).exit_code == 1
