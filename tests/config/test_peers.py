"""Lists of peers in files and registrations: their forms, and what is wrong with them in which line."""

from __future__ import annotations

import pytest

from enfilade.config.peers import read_peer, read_peers
from enfilade.upstream.addresses import Wanted, parse_address

TWO = [Wanted(parse_address("http://10.0.0.1:80")), Wanted(parse_address("unix:/run/a.sock"), 2, 1, 5)]

TOML = """
# who answers
peers = [
    "http://10.0.0.1",
    { url = "unix:/run/a.sock", weight = 2, tier = 1, limit = 5 },
]
"""
TABLES = """
[[peers]]
url = "http://10.0.0.1"
[[peers]]
url = "unix:/run/a.sock"
weight = 2
tier = 1
limit = 5
"""
JSON = '["http://10.0.0.1", {"url": "unix:/run/a.sock", "weight": 2, "tier": 1, "limit": 5}]'


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.toml", TOML), ("p.toml", TABLES), ("p.json", JSON), ("p.json", f'{{"peers": {JSON}}}')],
    ids=["toml", "tables", "json", "object"],
)
def test_a_list_with_settings(name: str, text: str) -> None:
    assert read_peers(text, name) == TWO


@pytest.mark.parametrize("name", ["peers", "peers.txt", "/run/peers.list"])
def test_a_url_a_line(name: str) -> None:
    text = "# who answers\nhttp://10.0.0.1\r\n\n   unix:/run/#a.sock \n"
    assert [one.address.name for one in read_peers(text, name)] == ["http://10.0.0.1:80", "unix:/run/#a.sock"]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("p.toml", "peers = [", "not TOML: Invalid value (at end of document)"),
        ("p.toml", "\npeers = = []", "not TOML: Invalid value (at line 2, column 9)"),
        ("p.toml", 'peers = [\n  "http://a",\n  "http:/b",\n]', 'line 3, column 3: peers[1]: "http:/b" is not a peer'),
        (
            "p.toml",
            'peers = [\n  {url = "http://a", wait = 2},\n]',
            'line 2, column 22: unknown key "wait" in peers[0]; did you mean',
        ),
        ("p.toml", "[[peers]]\nurl='http://a'\n[[peers]]\nweight = 2", 'line 3, column 1: the key "url" is missing'),
        ("p.toml", '[[peers]]\nurl = "nobody"', 'line 2, column 7: peers[0].url: "nobody" is not a peer'),
        ("p.toml", 'server = ["http://a"]', 'line 1, column 1: unknown key "server"'),
        ("p.toml", 'peers = "http://a"', "line 1, column 9: peers: expected a list"),
        ("p.toml", "peers = []", "it lists no peers"),
        ("p.toml", "", "it lists no peers"),
        ("p.json", "", "line 1, column 1: not JSON: Expecting value"),
        ("p.json", '[\n"http://a"\n"b"]', "line 3, column 1: not JSON:"),
        ("p.json", '["http://a", "b"]', 'peers[1]: "b" is not a peer'),
        ("p.json", '[{"url": "http://a", "weight": 0}, "b"]', "peers[0].weight: expected a whole number of at least 1"),
        ("p.json", "[5, 6]", "peers: expected"),
        ("p.json", '["x", "y", {}]', "is missing"),
        ("p.json", '["x", "y", "z"]', "(and 2 more)"),
        ("p.json", '"http://a"', "write a list"),
        ("p.json", "[]", "it lists no peers"),
        ("p.txt", "http://a\n\nnobody\n", 'line 3: "nobody" is not a peer'),
        ("p.txt", "http://a weight=2", "line 1: "),
        ("p.txt", "\n# later\n", "it lists no peers"),
    ],
)
def test_a_broken_list_says_where_and_why(name: str, text: str, why: str) -> None:
    with pytest.raises(ValueError) as error:
        read_peers(text, name)
    assert why in str(error.value)


def test_a_registration_is_one_object() -> None:
    assert read_peer('{"url": "http://10.0.0.1"}') == Wanted(parse_address("http://10.0.0.1"))
    assert read_peer('{"url": "http://10.0.0.1", "weight": 3}') == Wanted(parse_address("http://10.0.0.1"), 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://10.0.0.1", "not JSON"),
        ('"http://10.0.0.1"', "write it as an object"),
        ("{}", 'the key "url" is missing'),
        ('{"url": "nobody"}', '"nobody" is not a peer'),
        ('{"url": "http://a", "weight": -1}', "expected a whole number of at least 1"),
    ],
)
def test_a_broken_registration_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError) as error:
        read_peer(text)
    assert why in str(error.value)
