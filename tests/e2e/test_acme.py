"""Certificates by themselves, from a real authority: pebble."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acme_server import AcmeServer, acme_server
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import admin_address, eventually, get, parse
from tests.knot import KEY, SECRET, knot
from tests.ports import HOST, free_port
from tests.redis_server import redis_server

HMAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
SITE = """
[sites."{name}"]
"/*" = {{ respond = "hello" }}
"""


def config(ca: AcmeServer, *names: str, lines: str = "", server: str = "") -> str:
    sites = "".join(SITE.format(name=name) for name in names)
    return f"""
[server]
http = "{HOST}:{ca.http_port}"
https = "{HOST}:{ca.tls_port}"
admin = "{HOST}:0"
{server}
[acme]
storage = "certificates"
terms_agreed = true
directory = "{ca.directory}"
authority = "{ca.authority}"
{lines}
{sites}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AcmeServer]:
    with acme_server(tmp_path_factory.mktemp("pebble"), environ={"PEBBLE_WFE_NONCEREJECT": "50"}) as server:
        yield server


def shake_hands(server: Server, trust: ssl.SSLContext, name: str) -> ssl.SSLSocket:
    sock = socket.create_connection(server.address("https"), timeout=10)
    try:
        return trust.wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


def serial(server: Server, trust: ssl.SSLContext, name: str) -> str:
    with shake_hands(server, trust, name) as tls:
        found = tls.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


def ask(tls: ssl.SSLSocket, host: str) -> tuple[int, bytes]:
    tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status, _, body = parse(tls.recv(65536))[0]
    return status, body


def metrics(server: Server) -> str:
    return httpx.get("http://{}:{}/metrics".format(*admin_address(server)), timeout=PATIENCE).text


def trusted(server: Server, trust: ssl.SSLContext, name: str) -> bool:
    """By whichever worker one meets: of so many handshakes, each of two has some."""
    try:
        for _ in range(24):
            serial(server, trust, name)
    except ssl.SSLCertVerificationError:
        return False
    return True


def issued(server: Server) -> int:
    found = re.search(r'enfilade_certificate_orders_total\{result="issued"\} ([0-9]+)', metrics(server))
    assert found is not None
    return int(found[1])


def test_a_public_name_has_a_certificate_by_itself(start: Start, ca: AcmeServer) -> None:
    server = start(config(ca, "a.example.com", "b.example.com", server="workers = 2"))
    trust = ca.trust()
    with pytest.raises(ssl.SSLCertVerificationError):  # nobody trusts the one that it has until then
        serial(server, trust, "a.example.com")
    for name in ("a.example.com", "b.example.com"):
        server.wait_for(rf"certificate for {name}: from {ca.directory}")
        eventually(lambda name=name: trusted(server, trust, name))  # type: ignore[misc]
        with shake_hands(server, trust, name) as tls:
            assert ask(tls, name) == (200, b"hello")
    storage = server.directory / "certificates"
    assert stat.S_IMODE(storage.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in storage.rglob("*") if path.is_file()} == {0o600}
    assert not list((storage / "http-01").iterdir())
    assert re.search(r'enfilade_certificate_expiry_time_seconds\{name="a.example.com"\} [12][0-9]{9}', metrics(server))
    assert issued(server) == 2
    shown, _ = edge_status(server)
    assert shown["name"] == "a.example.com" and shown["until"] > 1.7e9 and shown["error"] == ""


def test_plain_http_leads_to_https_but_for_what_an_authority_asks(start: Start, ca: AcmeServer) -> None:
    server = start(config(ca, "c.example.com"))
    assert get(server, "/x", host="c.example.com")[0] == 308
    assert get(server, "/.well-known/acme-challenge/nobody-asked", host="c.example.com")[0] == 308
    token = server.directory / "certificates/http-01/some-token"
    server.wait_for("certificate for c.example.com: from")
    (server.directory / "certificates/version").write_text("1")
    token.write_text("some-token.thumbprint")
    (server.directory / "certificates/version").write_text("2")
    answer = (200, b"some-token.thumbprint")
    eventually(lambda: get(server, "/.well-known/acme-challenge/some-token", host="c.example.com") == answer)


def test_a_stored_certificate_is_used_at_once(start: Start, ca: AcmeServer) -> None:
    text = config(ca, "d.example.com")
    server = start(text)
    server.wait_for("certificate for d.example.com: from")
    server.stop()
    again = start(text)
    serial(again, ca.trust(), "d.example.com")
    assert issued(again) == 0


def test_a_reload_keeps_everything(start: Start, ca: AcmeServer) -> None:
    server = start(config(ca, "e.example.com"))
    server.wait_for("certificate for e.example.com: from")
    trust = ca.trust()
    eventually(lambda: trusted(server, trust, "e.example.com"))
    before = serial(server, trust, "e.example.com")
    (server.directory / "enfilade.toml").write_text(config(ca, "e.example.com", "f.example.com"))
    server.signal(signal.SIGHUP)
    server.wait_for("certificate for f.example.com: from")
    eventually(lambda: trusted(server, trust, "f.example.com"))
    assert serial(server, trust, "e.example.com") == before
    assert issued(server) == 2


def test_a_renewal_harms_nobody(start: Start, tmp_path: Path) -> None:
    """Connections that are open stay, new ones never fail, and sessions are resumed."""
    with acme_server(tmp_path / "short", options={"certificateValidityPeriod": 16}) as ca:
        server = start(config(ca, "a.example.com", server="workers = 2"))
        trust = ca.trust()
        eventually(lambda: trusted(server, trust, "a.example.com"))
        with shake_hands(server, trust, "a.example.com") as kept:
            first = kept.getpeercert(True)
            newer = first
            until = time.monotonic() + 2 * PATIENCE
            while newer == first:
                assert time.monotonic() < until, "it was not renewed"
                assert ask(kept, "a.example.com") == (200, b"hello")
                session = kept.session
                with shake_hands(server, trust, "a.example.com") as tls:
                    newer = tls.getpeercert(True)
                    assert ask(tls, "a.example.com") == (200, b"hello")
            assert ask(kept, "a.example.com") == (200, b"hello")
            with trust.wrap_socket(
                socket.create_connection(server.address("https"), timeout=10),
                server_hostname="a.example.com",
                session=session,
            ) as resumed:
                assert resumed.session_reused


def test_what_fails_says_what_to_do(start: Start, tmp_path: Path) -> None:
    with acme_server(tmp_path / "ca") as ca:
        ca.http_port = free_port()  # the authority asks where nobody listens
        server = start(config(ca, "a.example.com"))
        line = server.wait_for(": no certificate for a.example.com: ")
    assert "(connection)" in line and "its port open to everybody" in line and "next try at" in line
    eventually(lambda: (shown := edge_status(server)[0])["again"] > 1.7e9 and "(connection)" in shown["error"])
    assert get(server, "/", host="a.example.com")[0] == 308  # it serves on


def test_an_account_made_elsewhere(start: Start, tmp_path: Path) -> None:
    with acme_server(tmp_path / "ca", external={"kid-1": HMAC}) as ca:
        lines = 'account_key_id = "kid-1"\naccount_hmac = "hmac"'
        server = start(config(ca, "a.example.com", lines=lines), files={"hmac": "A" * 64 + "\n"})
        assert "(unauthorized)" in server.wait_for(": no certificate for a.example.com: ")
        server.stop()
        (server.directory / "certificates/states/a.example.com").unlink()
        right = start(
            config(ca, "a.example.com", lines=lines),
            files={"hmac": HMAC},
        )
        right.wait_for("certificate for a.example.com: from")


def test_where_the_first_authority_is_away_the_next_one_signs(start: Start, ca: AcmeServer) -> None:
    away = f"https://{HOST}:{free_port()}/dir"
    text = config(ca, "g.example.com").replace(
        f'directory = "{ca.directory}"', f'directory = ["{away}", "{ca.directory}"]'
    )
    start(text).wait_for(rf"certificate for g.example.com: from {ca.directory}")


def test_two_edges_with_one_storage_order_once(start: Start, ca: AcmeServer, tmp_path: Path) -> None:
    text = config(ca, "h.example.com").replace('"certificates"', f'"{tmp_path}/shared"')
    other = re.sub(rf'(https?) = "{HOST}:[0-9]+"', rf'\1 = "{HOST}:0"', text)  # the authority cannot reach this one
    edges = [start(text), start(other)]
    trust = ca.trust()
    for edge in edges:
        eventually(lambda edge=edge: len(edge_status(edge)) == 1 and edge_status(edge)[0]["until"] > 0)  # type: ignore[misc]
        eventually(lambda edge=edge: trusted(edge, trust, "h.example.com"))  # type: ignore[misc]
    assert sum(map(issued, edges)) == 1


def test_two_edges_with_one_redis_order_once_and_wait_for_it_where_it_is_away(
    start: Start, ca: AcmeServer, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as redis:
        text = config(ca, "l.example.com").replace('storage = "certificates"', f'redis = "{redis.url}"')
        other = re.sub(rf'(https?) = "{HOST}:[0-9]+"', rf'\1 = "{HOST}:0"', text)
        redis.stop()
        edges = [start(other), start(text)]
        edges[0].wait_for("certificates stay as they are: Redis: ")
        redis.start()
        for edge in edges:
            eventually(lambda edge=edge: trusted(edge, ca.trust(), "l.example.com"))  # type: ignore[misc]
        assert sum(map(issued, edges)) == 1


def edge_status(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(
        "http://{}:{}/status".format(*admin_address(server)), timeout=PATIENCE
    ).json()["certificates"]
    return found


def test_an_address_has_a_certificate_too(start: Start, ca: AcmeServer) -> None:
    text = config(ca, HOST).replace('"/*"', 'tls = "acme"\n"/*"')
    server = start(text)
    server.wait_for(f"certificate for {HOST}: from")
    eventually(lambda: trusted(server, ca.trust(), HOST))


@pytest.mark.parametrize("name", ["i.example.com", HOST])
def test_without_plain_http_the_handshake_answers(start: Start, ca: AcmeServer, name: str) -> None:
    text = config(ca, name, server="workers = 2").replace('"/*"', 'tls = "acme"\n"/*"')
    server = start(re.sub('http = ".*"\n', "", text))
    server.wait_for(f"certificate for {name}: from")
    eventually(lambda: trusted(server, ca.trust(), name))


def test_what_fails_on_one_port_is_tried_on_the_other(start: Start, ca: AcmeServer, tmp_path: Path) -> None:
    with acme_server(tmp_path / "ca", tls_port=ca.tls_port) as firewalled:
        text = config(firewalled, "j.example.com").replace(str(firewalled.http_port), str(ca.http_port))
        server = start(text)
        assert "(connection)" in server.wait_for(": no certificate for j.example.com: ")
        server.stop()
        state = server.directory / "certificates/states/j.example.com"
        state.write_text(json.dumps({**json.loads(state.read_text()), "again": 0}))
        start(text).wait_for("certificate for j.example.com: from")


def test_many_names_have_theirs_though_one_is_never_answered_for(start: Start, ca: AcmeServer) -> None:
    names = [f"{i}.many.example.com" for i in range(12)]
    silent = names[0]
    with (
        socket.create_server(("127.0.0.2", ca.http_port)),
        socket.create_server(("127.0.0.2", ca.tls_port)),
    ):  # says nothing
        record = {"host": f"{silent}.", "addresses": ["127.0.0.2"]}
        assert httpx.post(f"{ca.names}/add-a", json=record).status_code == 200
        server = start(config(ca, *names))
        server.wait_for("; 1 of 12 names have none yet")
        for name in names[1:]:
            eventually(lambda name=name: trusted(server, ca.trust(), name))  # type: ignore[misc]
        assert issued(server) == len(names) - 1
        assert not any(f"certificate for {silent}: from" in line for line in server.lines)


HOOK = """
import json, sys, urllib.request
url, what, name, value = sys.argv[1:]
path, body = {"add": ("set-txt", {"host": name + ".", "value": value}), "remove": ("clear-txt", {"host": name + "."})}[what]
urllib.request.urlopen(f"{url}/{path}", json.dumps(body).encode())
"""


def test_a_wildcard_has_a_certificate_by_a_command_that_makes_records(start: Start, ca: AcmeServer) -> None:
    lines = f'dns_wait = 0\ndns = ["{sys.executable}", "hook.py", "{ca.names}"]'
    text = config(ca, "k.example.com", lines=lines).replace("k.example.com", "*.k.example.com")
    server = start(text, files={"hook.py": HOOK})
    server.wait_for(r"certificate for \*.k.example.com: from")
    eventually(lambda: trusted(server, ca.trust(), "anything.k.example.com"))


def test_a_wildcard_has_a_certificate_by_an_update_of_the_zone(start: Start, ca: AcmeServer, tmp_path: Path) -> None:
    with knot(tmp_path / "knot") as names, acme_server(tmp_path / "ca", dns=names.address) as signing:
        dns = f'{{ server = "{names.address}", key = "{KEY}", secret = "secret" }}'
        text = config(signing, "*.example.com", lines=f'challenge = "dns-01"\ndns_wait = 0\ndns = {dns}')
        server = start(text, files={"secret": SECRET})
        server.wait_for(r"certificate for \*.example.com: from")
        eventually(lambda: trusted(server, signing.trust(), "a.example.com"))
        assert names.texts("_acme-challenge.example.com") == []


def test_a_storage_that_cannot_be_had_refuses_the_start(start: Start, ca: AcmeServer) -> None:
    server = start(
        config(ca, "a.example.com").replace('"certificates"', '"file/certificates"'), files={"file": ""}, wait=False
    )
    server.wait_for("file")
    assert server.process.wait(PATIENCE) == 1
