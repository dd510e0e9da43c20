"""Who stands at the door, as the configuration has it."""

from __future__ import annotations

import os
import pwd
import ssl
import tempfile
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.assemble.kit import config_of, write_pem

from enfilade.assemble.guarding import fetch_lists, make_guard, prepare_guard
from enfilade.assemble.trial import try_out
from enfilade.config import ConfigError, loads
from enfilade.limits.arrivals import ADDRESS_CONNECTIONS
from enfilade.limits.sketch import SIZE
from enfilade.net.firewall import BANNED, Guard
from enfilade.process.board import Board
from enfilade.process.privileges import Identity

SITE = '[sites."*"]\n"/" = {{ respond = 200 }}\n'


@contextmanager
def publisher(folder: Path) -> Iterator[str]:
    """The URL of a list, over TLS with a certificate of its own."""
    write_pem(folder, "lists", "localhost")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"192.0.2.1\n")

        def log_message(self, format: str, *args: object) -> None: ...

    server = HTTPServer(("localhost", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "lists.pem", folder / "lists.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://localhost:{server.server_port}/list"
    server.shutdown()
    server.server_close()


def test_who_vouches_for_the_server_of_a_list(tmp_path: Path) -> None:
    with publisher(tmp_path) as url:
        lines = SITE + '[firewall]\ndeny = ["{}"]\nlists = {{ keep = "/nowhere", allow = ["127.0.0.1", "::1"]{} }}\n'
        authority = f', authority = "{tmp_path}/lists.pem"'
        found = fetch_lists(config_of(lines.format(url, authority)).firewall)
        assert found is not None and found.texts() == {url: "192.0.2.1\n"}
        with pytest.raises(ValueError, match=r"self.signed.*; and there is no copy of it in /nowhere"):
            fetch_lists(config_of(lines.format(url, "")).firewall)


def test_private_networks_are_out_of_reach_unless_they_are_named(tmp_path: Path) -> None:
    with publisher(tmp_path) as url:
        lines = SITE + '[firewall]\ndeny = ["{}"]\nlists = {{ keep = "/nowhere" }}\n'
        with pytest.raises(ValueError, match="is not a public address"):
            fetch_lists(config_of(lines.format(url)).firewall)


def test_an_authority_that_cannot_be_read_is_found_with_its_line(tmp_path: Path) -> None:
    lists = (
        f'[firewall]\ndeny = ["https://a.example/"]\nlists = {{ authority = "{tmp_path}/none.pem", keep = "kept" }}\n'
    )
    with pytest.raises(ConfigError, match=r"e\.toml:5:23: firewall\.lists\.authority: .*No such file"):
        loads((SITE + lists).replace("{{", "{").replace("}}", "}"), "e.toml", tmp_path, try_out)


def guard(lines: str, banned: Container[str] | None = None) -> Guard | None:
    config, board = config_of(SITE.format() + lines), Board(rows=2 * SIZE, columns=2)
    return make_guard(config, prepare_guard(config, board, 1), board, board.supervisor, 1, 0, banned)


def test_whoever_brings_the_connections_of_many_others_is_not_counted() -> None:
    found = guard(
        "[firewall]\nconnections_per_address = 1\n"
        '[server]\nproxy_protocol = ["192.0.2.1"]\ntrusted_proxies = ["192.0.2.2"]\n'
    )
    assert found is not None
    come = {end: [found.enter(f"192.0.2.{end}") for _ in range(2)] for end in (1, 2, 3)}
    assert come[1] == come[2] == [None, None]
    assert callable(come[3][0]) and come[3][1] is ADDRESS_CONNECTIONS


def test_there_is_a_guard_where_there_is_something_to_guard() -> None:
    assert guard("") is None
    found = guard("[bans]\n", {"192.0.2.1"})
    assert found is not None
    assert [found.enter("192.0.2.1"), found.enter("192.0.2.2")] == [BANNED, None]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_is_kept_of_a_list_belongs_to_the_workers(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    with publisher(tmp_path) as url, tempfile.TemporaryDirectory() as kept:
        os.chown(kept, nobody.pw_uid, nobody.pw_gid)
        lists = f'allow = ["127.0.0.1", "::1"], authority = "{tmp_path}/lists.pem", keep = "{kept}"'
        config = config_of(SITE.format() + f'[firewall]\ndeny = ["{url}"]\nlists = {{ {lists} }}\n')
        prepare_guard(config, Board(rows=8192, columns=2), 1, Identity(nobody.pw_uid, nobody.pw_gid, ()))
        assert [entry.stat().st_uid for entry in os.scandir(kept)] == [nobody.pw_uid]
