"""One TLS context a certificate, chosen by the name that the client asks for."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from tests.assemble.kit import config_of, presented, write_pem

from enfilade.assemble.certificates import Certificates
from enfilade.assemble.streams import prepare_streams
from enfilade.config import ConfigError
from enfilade.process.board import Board

TEXT = """
[server]
http = ":80"
https = ":443"
[sites."a.example"]
tls = { certificate = "a.pem", key = "a.key" }
"/" = { respond = 200 }
[sites."*.a.example"]
tls = { certificate = "a.pem", key = "a.key" }
"/" = { respond = 200 }
[sites."b.example"]
tls = "internal"
"/" = { respond = 200 }
[sites."plain.example"]
tls = "off"
"/" = { respond = 200 }
"""


def test_the_name_chooses_the_certificate(tmp_path: Path) -> None:
    write_pem(tmp_path, "a", "a.example", "*.a.example")
    made = Certificates(config_of(TEXT, tmp_path))
    assert made.of("a.example") is made.of("*.a.example") is not None, "one certificate, one context"
    assert made.of("plain.example") is None
    assert made.listener is not None
    assert presented(made.listener.now(), "x.a.example") == ["a.example", "*.a.example"]
    assert "b.example" in presented(made.listener.now(), "b.example")
    assert presented(made.listener.now(), None) == ["a.example", "*.a.example"], (
        "the first one's, as there is no default site"
    )


def test_without_tls_there_is_no_listener_context() -> None:
    assert Certificates(config_of('[sites."*"]\n"/" = { respond = 200 }\n')).listener is None


def test_one_certificate_with_other_clients_is_another_context(tmp_path: Path) -> None:
    write_pem(tmp_path, "a", "a.example")
    text = TEXT.replace('"a.key" }', '"a.key", clients = { authority = "a.pem" } }', 1)
    made = Certificates(config_of(text, tmp_path))
    closed, opened = made.of("a.example"), made.of("*.a.example")
    assert closed is not None and opened is not None
    assert closed.verify_mode is ssl.CERT_REQUIRED and opened.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(("lines", "spoken"), [("", "TLSv1.2"), ('tls_minimum = "1.3"', "nothing")])
def test_the_oldest_version_holds_for_sites_and_streams(lines: str, spoken: str) -> None:
    text = TEXT.replace('tls = { certificate = "a.pem", key = "a.key" }', 'tls = "internal"')
    stream = '[streams.s]\nlisten = "tls://:1"\nto = "tcp://a:2"\ntls = "internal"\n'
    config = config_of(text.replace("[server]", f"[server]\n{lines}") + stream)
    prepared = prepare_streams(config, Board(rows=8192, columns=2), Certificates(config))[0]
    for contexts in (Certificates(config).listener, prepared.tls):
        assert contexts is not None
        assert version(contexts.now(), ssl.TLSVersion.TLSv1_2) == spoken
        assert version(contexts.now(), ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


@pytest.mark.parametrize(("lines", "chosen"), [
    ("", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ('tls_ciphers = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]', "ECDHE-ECDSA-AES128-GCM-SHA256"),
])  # fmt: skip
def test_the_suites_hold_for_sites_and_streams(lines: str, chosen: str, tmp_path: Path) -> None:
    write_pem(tmp_path, "a", "a.example")
    stream = '[streams.s]\nlisten = "tls://:1"\nto = "tcp://a:2"\ntls = "internal"\n'
    config = config_of(TEXT.replace("[server]", f"[server]\n{lines}") + stream, tmp_path)
    made = Certificates(config)
    prepared = prepare_streams(config, Board(rows=8192, columns=2), made)[0]
    assert made.listener is not None and prepared.tls is not None
    for context, name in (
        (made.listener.now(), "a.example"),
        (made.listener.now(), "b.example"),
        (prepared.tls.now(), ""),
    ):
        assert suite(context, name) == chosen
        assert (suite(context, name, "ECDHE+CHACHA20") == "nothing") is bool(lines)
    assert made.of("a.example") is not made.of("b.example")


def test_suites_that_cannot_be_spoken_are_found_with_their_line() -> None:
    text = '[server]\nhttps = ":443"\ntls_ciphers = [\n  "ECDHE-RSA-AES128-GCM-SHA256",\n  "{}"]\n[sites."*"]\ntls = "internal"\n'
    for name in ("AES128-SHA", "ECDHE-RSA-AES128-SHA", "TLS_AES_128_GCM_SHA256", "ALL:@SECLEVEL=0", "NULL-SHA256"):
        with pytest.raises(
            ConfigError, match=rf'e\.toml:5:3: server\.tls_ciphers\[1\]: "{name}" is none of the suites that'
        ):
            config_of(text.format(name))


def test_suites_that_no_client_could_use_are_a_mistake() -> None:
    text = '[server]\nhttps = ":443"\ntls_minimum = "1.3"\ntls_ciphers = ["ECDHE-RSA-AES128-GCM-SHA256"]\n'
    text += '[sites."*"]\ntls = "internal"\n'
    with pytest.raises(ConfigError, match=r"e\.toml:4:1: server\.tls_ciphers is for TLS 1\.2"):
        config_of(text)


def suite(context: ssl.SSLContext, name: str, ciphers: str = "ECDHE+AESGCM:ECDHE+CHACHA20") -> str:
    """The one that is spoken with a client of TLS 1.2."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode, client.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers)
    them = shaken(context, client, name)
    found = None if them is None else them.cipher()
    return "nothing" if found is None else found[0]


def version(context: ssl.SSLContext, newest: ssl.TLSVersion) -> str:
    """What is spoken with a client that knows nothing newer."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode, client.maximum_version = False, ssl.CERT_NONE, newest
    them = shaken(context, client)
    return "nothing" if them is None else them.version() or ""


def shaken(context: ssl.SSLContext, client: ssl.SSLContext, name: str = "") -> ssl.SSLObject | None:
    """The client's end after a handshake; None: it failed."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    us, them = (
        context.wrap_bio(to_us, to_them, server_side=True),
        client.wrap_bio(to_them, to_us, server_hostname=name or None),
    )
    for end in (them, us, them, us, them):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return None
    return them
