"""The commands as people call them, with what they print."""

from __future__ import annotations

import json
import signal

from tests.e2e.conftest import Start
from tests.e2e.processes import APP, command, get, until

CONFIG = """
[server]
http = "127.0.0.1:0"
workers = 1
[sites."*"]
log = false
"/*" = { app = "main" }
[apps.main]
target = "hello:app"
workers = 1
"""


def app(text: str) -> str:
    return APP.replace('b"%d" % os.getpid()', f'b"{text}"')


def test_a_changed_application_is_served_at_once(start: Start) -> None:
    """`--reload`: also on a connection that was open before, where a reload otherwise lets the old worker answer once more."""
    server = start(
        "", "run", "hello:app", "--reload", "--http", "127.0.0.1:0", "--no-log", files={"hello.py": app("one")}
    )
    assert get(server)[2] == b"one"
    (server.directory / "hello.py").write_text(app("two, longer"))
    server.wait_for(r"changed: \./hello\.py|changed: .*hello\.py")
    server.wait_for("generation 2 serves")
    until(lambda: get(server)[2] == b"two, longer")
    (server.directory / "hello.py").write_text("this is no Python")
    server.wait_for("SyntaxError")
    server.wait_for("reload refused, nothing has changed")
    assert get(server)[2] == b"two, longer"
    (server.directory / "hello.py").write_text(app("three"))
    until(lambda: get(server)[2] == b"three")


def test_an_application_that_is_broken_at_first_is_waited_for(start: Start) -> None:
    files = {"hello.py": "import nothing_like_this"}
    server = start("", "run", "hello:app", "--reload", "--http", "127.0.0.1:0", files=files, wait=False)
    server.wait_for("cannot start: .*the module 'nothing_like_this', which is not installed")
    server.wait_for("waiting for a change")
    (server.directory / "hello.py").write_text("1 +")
    server.wait_for("cannot start: .*SyntaxError")
    (server.directory / "hello.py").write_text(app("mended"))
    assert get(server)[2] == b"mended"
    assert server.stop() == 0


def test_without_reload_a_broken_application_ends_the_start(start: Start) -> None:
    server = start("", "run", "hello:app", "--http", "127.0.0.1:0", files={"hello.py": "1 +"}, wait=False)
    assert server.process.wait(20) == 1
    server.stop()
    assert "cannot start" in server.lines[-1]


def test_a_changed_configuration_is_a_reload_too(start: Start) -> None:
    server = start("", "up", "--reload", files={"hello.py": app("one"), "enfilade.toml": CONFIG})
    (server.directory / "enfilade.toml").write_text(CONFIG.replace('"/*"', 'timing = true\n"/*"'))
    server.wait_for("changed: enfilade.toml")
    server.wait_for("generation 2 serves")
    until(lambda: "server-timing" in get(server)[1])
    (server.directory / "hello.py").write_text(app("two"))
    until(lambda: get(server)[2] == b"two")


def test_ctrl_c_ends_it_with_0(start: Start) -> None:
    server = start("", "serve", ".", "--http", "127.0.0.1:0", files={"index.html": "page"})
    assert get(server)[2] == b"page"
    server.signal(signal.SIGINT)
    assert server.process.wait(10) == 0


def test_check_refuses_what_the_start_refuses_in_the_same_words(start: Start) -> None:
    bad = CONFIG.replace("log = false", 'log = { format = "{metod}" }')
    server = start("", "up", files={"enfilade.toml": bad, "hello.py": APP}, wait=False)
    assert server.process.wait(20) == 1
    server.stop()
    checked = command(server, "check")
    assert checked.returncode == 1
    assert checked.stderr.strip() == server.output.strip()
    assert checked.stderr.startswith("enfilade.toml:6:18: sites.\"*\".log.format: the access log has no field 'metod'")
    problems = json.loads(command(server, "check", "--json").stdout)
    assert (problems[0]["line"], problems[0]["column"]) == (6, 18)


def test_check_and_explain_of_what_is_served(start: Start) -> None:
    server = start(CONFIG.replace("log = false", "request_id = true"), files={"hello.py": APP})
    assert command(server, "check").stdout.startswith("enfilade.toml: ok\n")
    steps = json.loads(command(server, "explain", "GET", "http://localhost/x", "--json").stdout)
    assert [(step["room"], step["name"]) for step in steps] == [
        ("site", "*"), ("route", "/*"), ("filter", "RequestId"), ("filter", "AccessLog"), ("handler", "app"),
    ]  # fmt: skip
