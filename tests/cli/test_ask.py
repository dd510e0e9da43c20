"""`enfilade ask`, of servers in threads of the test."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.certificates import self_signed
from tests.cli.kit import enfilade
from tests.measure.servers import datagram_server, stream_server
from tests.ports import free_port

from enfilade.cli.main import main


def shout(connection: socket.socket) -> None:
    """Answers each line in capitals, with a full stop at its end."""
    with connection.makefile("rwb") as file:
        for line in file:
            file.write(line.rstrip(b"\r\n").upper() + b".")
            file.flush()


def once(connection: socket.socket) -> None:
    """Answers one line, and ends."""
    connection.sendall(connection.recv(100))


@pytest.fixture
def shouting() -> Iterator[str]:
    with stream_server(shout) as url:
        yield url


def test_texts_are_asked_one_after_the_other(shouting: str) -> None:
    asked = enfilade("ask", shouting, "one", "two", "--end", ".")
    assert (asked.exit_code, asked.output) == (0, "ONE.\nTWO.\n")


def test_without_an_end_an_answer_is_what_comes(shouting: str) -> None:
    asked = enfilade("ask", shouting, "one", "two", "--wait", "50ms")
    assert (asked.exit_code, asked.output) == (0, "ONE.\nTWO.\n")


def test_without_texts_lines_are_read(shouting: str) -> None:
    asked = CliRunner().invoke(main, ["ask", shouting, "--end", "."], input="one\r\ntwo\nthree")
    assert (asked.exit_code, asked.output) == (0, "ONE.\nTWO.\nTHREE.\n")
    asked = CliRunner().invoke(main, ["ask", shouting, "--end", "."], input="one\n\\xzz\n")
    assert asked.exit_code == 1 and asked.output.startswith("ONE.\nbehind")


def test_what_texts_are_sent_with() -> None:
    with stream_server(once) as url:
        for option, sent in ((), "one\n"), (("--newline", "crlf"), "one\r\n"), (("--newline", "none"), "one"):
            asked = enfilade("ask", url, "one", *option, "--json")
            assert json.loads(asked.output)["answer"] == sent


def test_bytes_are_written_with_escapes_or_in_hexadecimal() -> None:
    with stream_server(once) as url:
        assert enfilade("ask", url, r"\x00\tÄ\r\n", "--newline", "none", "--hex").exit_code == 2
        asked = json.loads(enfilade("ask", url, r"\x00\tä", "--newline", "none", "--json").output)
        assert asked["asked"] == asked["answer"] == "\0\tä" and 0 <= asked["seconds"] < 60
        assert enfilade("ask", url, "00 09 c3a4", "--hex").output == "00 09 c3 a4\n"
        assert json.loads(enfilade("ask", url, "ff", "--hex", "--json").output)["answer"] == "ff"
        assert enfilade("ask", url, r"a\x00b", "--end", r"\x00").output == "a\0\n"


def test_datagrams() -> None:
    with datagram_server(lambda data: [data.upper()]) as url:
        assert enfilade("ask", url, "one", "two").output == "ONE\nTWO\n"
    with datagram_server(lambda data: []) as url:
        asked = enfilade("ask", url, "one", "--timeout", "10ms")
        assert asked.exit_code == 1 and asked.output == (
            f"{url}: no answer in 0.01 seconds; a datagram may have been lost, or nobody be there\n"
        )


def test_unix_sockets(tmp_path: Path) -> None:
    with stream_server(shout, socket.AF_UNIX, str(tmp_path / "s")) as url:
        assert enfilade("ask", url, "one", "--end", ".", "--timeout", "60").output == "ONE.\n"


def test_tls_is_verified(tmp_path: Path) -> None:
    certificate = self_signed(["localhost"])
    file = tmp_path / "certificate.pem"
    file.write_bytes(certificate.chain + certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def secure(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as sock:
            shout(sock)

    with stream_server(secure) as url:
        url = url.replace("tcp://127.0.0.1", "tls://localhost")
        refused = enfilade("ask", url, "one", "--end", ".")
        assert refused.exit_code == 1
        assert refused.output == f"{url}: its certificate is not trusted: self-signed certificate\n"
        for option in ("--authority", str(file)), ("--insecure",):
            asked = enfilade("ask", url, "one", "--end", ".", *option)
            assert (asked.exit_code, asked.output) == (0, "ONE.\n")


def test_who_is_not_there() -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    asked = enfilade("ask", url, "one")
    assert (asked.exit_code, asked.output) == (1, f"{url}: nobody is there: the connection was refused\n")
    asked = enfilade("ask", "unix:/nowhere/at/all", "one")
    assert (asked.exit_code, asked.output) == (1, "unix:/nowhere/at/all: No such file or directory\n")


def test_an_answer_that_is_cut_is_shown_and_told() -> None:
    with stream_server(once) as url:
        asked = enfilade("ask", url, "one", "--end", ".")
        assert (asked.exit_code, asked.output) == (
            1,
            f"one\n{url}: the server ended the connection, and not the answer\n",
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://localhost:80", "one"), "is no raw service"),
        (("tcp://localhost", "one"), "port"),
        (("tcp://localhost:9", "one", "--hex"), '"one" is not hexadecimal'),
        (("tcp://localhost:9", r"\xzz"), "two hexadecimal digits"),
        (("tcp://localhost:9", "one", "--wait", "soon"), '"soon" is not a duration'),
        (("tcp://localhost:9", "one", "--timeout", "0"), "no answer in no time"),
        (("tls://localhost:9", "one", "--authority", "/nowhere.pem"), "'/nowhere.pem' does not exist"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(arguments: tuple[str, ...], said: str) -> None:
    asked = enfilade("ask", *arguments)
    assert asked.exit_code == 2 and said in asked.output
