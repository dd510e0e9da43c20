"""How peers are written: every form, its one canonical text, and what is refused with which hint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.upstream.addresses import UNIX_PATH, Address, parse_address

GOOD = {
    "http://10.0.0.1:8080": Address("http", host="10.0.0.1", port=8080),
    "http://api": Address("http", host="api", port=80),
    "http://api/": Address("http", host="api", port=80),
    "HTTP://Api.Example.COM.:81": Address("http", host="api.example.com", port=81),
    "http://[2001:DB8:0:0::1]:8080": Address("http", host="2001:db8::1", port=8080),
    "http://[::1]": Address("http", host="::1", port=80),
    "http://bücher.example": Address("http", host="xn--bcher-kva.example", port=80),
    "http://my_service:9000": Address("http", host="my_service", port=9000),
    "https://api.example.com": Address("http", True, "api.example.com", 443),
    "h2c://10.0.0.1:50051": Address("h2c", host="10.0.0.1", port=50051),
    "h2c://grpc": Address("h2c", host="grpc", port=80),
    "tcp://db:5432": Address("tcp", host="db", port=5432),
    "tls://db:5432": Address("tcp", True, "db", 5432),
    "udp://dns:53": Address("udp", host="dns", port=53),
    "unix:/run/app.sock": Address("http", path="/run/app.sock"),
    "unix:/run/my app:1%20?#.sock": Address("http", path="/run/my app:1%20?#.sock"),
    "unix+h2c:/run/app.sock": Address("h2c", path="/run/app.sock"),
    "srv+http://_api._tcp.example.com": Address("http", host="_api._tcp.example.com", srv=True),
    "srv+https://api.service.consul": Address("http", True, "api.service.consul", srv=True),
    "srv+tcp://_pg._tcp.example.com": Address("tcp", host="_pg._tcp.example.com", srv=True),
}


@pytest.mark.parametrize(("text", "address"), GOOD.items(), ids=str)
def test_what_a_peer_is_written_as(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("address", GOOD.values(), ids=str)
def test_the_name_of_an_address_parses_to_itself(address: Address) -> None:
    assert parse_address(address.name) == address


def test_ways_to_write_one_peer_have_one_name() -> None:
    same = ("http://API", "http://api:80", "http://api./", "HTTP://api:080")
    assert {parse_address(text).name for text in same} == {"http://api:80"}


def test_addresses_found_for_one_name_have_names_of_their_own() -> None:
    address = parse_address("https://api.example.com")
    found = [address._replace(at=at).name for at in ("10.0.0.1", "2001:db8::1")]
    assert found == ["https://api.example.com:443@10.0.0.1", "https://api.example.com:443@2001:db8::1"]


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("http://api", "api"), ("http://api:443", "api:443"), ("https://api:443", "api"), ("https://api:80", "api:80"),
        ("h2c://api:80", "api"), ("http://[::1]:8080", "[::1]:8080"), ("unix:/run/app.sock", "localhost"),
    ],
)  # fmt: skip
def test_the_authority_is_without_the_port_that_is_meant_anyway(text: str, authority: str) -> None:
    assert parse_address(text).authority == authority


def test_where_is_what_the_name_was_found_to_have() -> None:
    assert parse_address("http://api:81").where == ("api", 81)
    assert parse_address("http://api:81")._replace(at="10.0.0.1").where == ("10.0.0.1", 81)
    assert parse_address("unix:/run/app.sock").where == "/run/app.sock"


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("http://10.0.0.1", True), ("http://[::1]", True), ("unix:/run/app.sock", True),
        ("http://api", False), ("srv+http://api", False),
    ],
)  # fmt: skip
def test_only_names_need_to_be_looked_up(text: str, literal: bool) -> None:
    address = parse_address(text)
    assert address.is_literal is literal
    assert address._replace(at="10.0.0.1").is_literal


BAD = {
    "": 'write it as "http://host:port"',
    "10.0.0.1:8080": 'write it as "http://host:port"',
    "localhost": 'write it as "http://host:port"',
    "/run/app.sock": '"unix:/path"',
    "http:/api": 'after "http:" comes "//"',
    "ftp://api": 'a peer does not speak "ftp"; it is one of http, https, h2c, tcp, tls, udp, unix, unix+h2c',
    "srv+unix:/run/app.sock": "is not a peer",
    "http://": "has no host",
    "http:///path": "a peer has no path",
    "http://:8080": '"" is not the name of a host',
    "http://api/v1": "a peer has no path; the route says which",
    "http://api//": "a peer has no path",
    "http://api?x=1": "a peer has no query",
    "http://api/?x=1": "a peer has no path",
    "http://api#x": "a peer has no fragment",
    "http://api:0": "a port is a number from 1 to 65535",
    "http://api:65536": "a port is a number from 1 to 65535",
    "http://api:": "is not host and port",
    "http://api:http": "is not host and port",
    "http://api:+80": "is not host and port",
    "http://::1": "stands in brackets",
    "http://[::1": "is not host and port",
    "http://[::1]x": "is not host and port",
    "http://[::g]": "is not an IPv6 address",
    "http://[10.0.0.1]": "is not an IPv6 address",
    "http://[fe80::1%eth0]": "is not an IPv6 address",
    "http://10.0.0.256": "is not an IPv4 address",
    "http://10.1": "is not an IPv4 address",
    "http://0x7f.1": "is not an IPv4 address",
    "http://a b": "is not the name of a host",
    "http://a..b": "is not the name of a host",
    "http://-a": "is not the name of a host",
    "http://api\n": "is not the name of a host",
    "http://" + "a" * 64: "is not the name of a host",
    "http://" + ".".join(["a" * 63] * 4): "is not the name of a host",
    "http://..ü": "is not the name of a host",
    "tcp://db": 'has no port; write "tcp://db:PORT"',
    "udp://[::1]": 'has no port; write "udp://[::1]:PORT"',
    "srv+http://api:80": 'say the port; write "srv+http://name"',
    "srv+http://10.0.0.1": "SRV records belong to a name",
    "srv+http://[::1]": "SRV records belong to a name",
    "unix:": "is not the path of a socket",
    "unix:app.sock": "write it from the root",
    "unix:/run/": "is not the path of a socket",
    "unix:/run/\0": "is not the path of a socket",
    "unix:///run/app.sock": 'write "unix:/run/app.sock"',
    "unix+h2c:///run/app.sock": 'write "unix+h2c:/run/app.sock"',
    "unix:/" + "a" * UNIX_PATH: "at most 107 bytes",
}


@pytest.mark.parametrize(("text", "hint"), BAD.items(), ids=[repr(text)[:40] for text in BAD])
def test_what_is_not_a_peer_is_refused_with_the_right_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_address(text)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:secret@api",
        "user:secret@api",
        "http:user:secret@api",
        "x://user:secret@api",
        "http://user:my/secret@api",
    ],
)
def test_credentials_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_address(text)
    assert "secret" not in str(error.value)


_SCHEME = st.sampled_from(["http://", "https://", "h2c://", "tcp://", "srv+http://", "unix:", "unix+h2c:", ""])


@given(_SCHEME, st.text(st.sampled_from("ab0.:/[]@?#%_-é \n"), max_size=12))
def test_whatever_is_written_is_one_address_or_refused(scheme: str, rest: str) -> None:
    try:
        address = parse_address(scheme + rest)
    except ValueError:
        return
    assert parse_address(address.name) == address
