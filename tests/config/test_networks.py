"""The lists of the firewall: what stands in them, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from enfilade.config import ConfigError, Firewall, loads
from enfilade.config.networks import admitted, list_files, verdict
from enfilade.http.addresses import Network, network

SITE = '[sites."*"]\n"/" = { respond = 204 }\n'


def firewall_of(lines: str, base: Path) -> Firewall:
    return loads(f"{SITE}[firewall]\n{lines}\n", "e.toml", base).firewall


def test_a_list_has_networks_and_files(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("# scanners\n\n198.51.100.0/24   # since May\n 2001:db8::/32\n203.0.113.9\n")
    firewall = firewall_of('deny = ["192.0.2.1", "file:blocked.txt"]\nallow = ["203.0.113.9"]', tmp_path)
    assert list_files(firewall) == [f"{tmp_path}/blocked.txt"]
    found = admitted(firewall)
    assert [a in found for a in ("192.0.2.1", "198.51.100.7", "2001:db8::1", "203.0.113.9", "192.0.2.2")] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_a_file_is_read_once_to_check_it_and_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "blocked.txt"
    file.write_text("198.51.100.0/24\n")
    parsed: list[str] = []

    def parse(text: str) -> Network:
        parsed.append(text)
        return network(text)

    monkeypatch.setattr("enfilade.config.networks.network", parse)
    firewall = firewall_of('deny = ["file:blocked.txt"]', tmp_path)
    assert "198.51.100.1" not in admitted(firewall) and parsed == ["198.51.100.0/24"]
    assert "198.51.100.1" not in admitted(firewall) and len(parsed) == 2, "what was kept is kept for one"
    firewall = firewall_of('deny = ["file:blocked.txt"]', tmp_path)
    file.write_text("203.0.113.7\n203.0.113.9\n")
    assert "198.51.100.1" in admitted(firewall) and "203.0.113.9" not in admitted(firewall), "it has changed since"


def test_by_default_everybody_is_let_in(tmp_path: Path) -> None:
    assert firewall_of("", tmp_path).is_open
    assert firewall_of('allow = ["10.0.0.0/8"]', tmp_path).is_open
    assert not firewall_of('deny = ["10.0.0.0/8"]', tmp_path).is_open
    assert not firewall_of('allow = ["10.0.0.0/8"]\ndefault = "deny"', tmp_path).is_open


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ('deny = ["10.0.0.1/8"]', "e.toml:4:9", 'firewall.deny[0]: "10.0.0.1/8" is an address with a mask'),
        ('allow = ["::1", "x"]', "e.toml:4:17", 'firewall.allow[1]: "x" is not a network'),
        ('deny = ["file:none.txt"]', "e.toml:4:9", 'firewall.deny[0]: "HERE/none.txt" does not exist'),
        ('deny = ["file:bad.txt"]', "e.toml:4:9", 'firewall.deny[0]: HERE/bad.txt:2: "10.0.0.300" is not a network'),
        ('deny = ["file:."]', "e.toml:4:9", 'firewall.deny[0]: "HERE" cannot be read (Is a directory)'),
        ('default = "deny"', "e.toml:4:11", "firewall.default: nobody is let in"),
        ('default = "no"', "e.toml:4:11", "firewall.default: expected"),
        ('deny = "10.0.0.0/8"', "e.toml:4:8", "firewall.deny: expected a list of texts"),
        ('block = ["10.0.0.0/8"]', "e.toml:4:1", 'unknown key "block" in firewall'),
    ],
)
def test_what_cannot_be_read_refuses_the_start(lines: str, place: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"10.0.0.0/8 # caf\xe9\n10.0.0.300\n")
    with pytest.raises(ConfigError) as caught:
        firewall_of(lines, tmp_path)
    (problem,) = caught.value.problems
    assert str(problem).replace(str(tmp_path), "HERE").startswith(f"{place}: {words}")


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ("10.1.2.3", (False, "deny has 10.0.0.0/8")),
        ("10.1.1.3", (True, "allow has 10.1.1.0/24")),
        ("::ffff:10.1.1.3", (True, "allow has 10.1.1.0/24")),
        ("192.0.2.1", (True, "192.0.2.1 is in neither list; the default")),
        ("192.0.2.7", (True, "allow has 192.0.2.7/32")),
        ("unix", (False, "deny has unix")),
    ],
)
def test_why_an_address_is_let_in_or_not(client: str, said: tuple[bool, str], tmp_path: Path) -> None:
    lines = 'deny = ["10.0.0.0/8", "unix", "192.0.2.7"]\nallow = ["10.1.1.0/24", "192.0.2.7"]'
    firewall = firewall_of(lines, tmp_path)
    assert verdict(firewall, client) == said
    assert ((client if client != "unix" else "") in admitted(firewall)) is said[0]


@pytest.mark.parametrize("client", ["10.0.0.0/8", "localhost", ""])
def test_only_an_address_has_a_verdict(client: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r".+"):
        verdict(firewall_of("", tmp_path), client)
