"""Whom the firewall lets in by their country."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.config.countries import write_countries
from tests.config.test_networks import SITE, firewall_of

from enfilade.config import ConfigError, loads
from enfilade.config.networks import admitted, list_files, verdict

NETWORKS = {"DE": ["192.0.2.0/24", "2001:db8:1::/48"], "FR": ["198.51.100.0/24"]}
GERMAN, FRENCH, UNKNOWN = "192.0.2.1", "198.51.100.1", "203.0.113.1"
EVERYBODY = (GERMAN, "2001:db8:1::1", "::ffff:192.0.2.1", FRENCH, UNKNOWN, "2001:db8:2::1", "")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_countries(tmp_path / "c.mmdb", NETWORKS)
    return tmp_path


def let_in(base: Path, countries: str, more: str = "") -> list[bool]:
    found = admitted(firewall_of(f'countries = {{ file = "c.mmdb", {countries} }}\n{more}', base))
    return [client in found for client in EVERYBODY]


@pytest.mark.parametrize(
    ("countries", "more", "expected"),
    [
        ('deny = ["DE"]', "", [False, False, False, True, True, True, True]),
        ('deny = ["DE"]', 'default = "deny"\nallow = ["::1"]', [False, False, False, False, False, False, False]),
        ('deny = ["DE"]', 'allow = ["192.0.2.1"]', [True, False, True, True, True, True, True]),
        ('deny = ["DE"]', f'deny = ["{FRENCH}"]', [False, False, False, False, True, True, True]),
        ('allow = ["DE"]', "", [True, True, True, False, False, False, False]),
        ('allow = ["DE", "FR"]', 'allow = ["unix"]', [True, True, True, True, False, False, True]),
        ('allow = ["DE"]', 'deny = ["192.0.2.0/24"]', [False, True, False, False, False, False, False]),
    ],
)
def test_lists_go_before_countries_and_countries_before_the_default(
    base: Path, countries: str, more: str, expected: list[bool]
) -> None:
    assert let_in(base, countries, more) == expected


def test_where_it_is_registered_counts_for_what_is_used_anywhere(base: Path) -> None:
    write_countries(base / "c.mmdb", NETWORKS, "registered_country")
    assert let_in(base, 'deny = ["DE"]')[:4] == [False, False, False, True]


def test_a_database_of_ipv4_knows_nothing_of_ipv6(base: Path) -> None:
    write_countries(base / "c.mmdb", {"DE": ["192.0.2.0/24"]}, version=4)
    assert let_in(base, 'deny = ["DE"]')[:3] == [False, True, False]
    assert let_in(base, 'allow = ["DE"]')[:3] == [True, False, True]


def test_the_database_is_one_of_the_files_that_are_watched(base: Path) -> None:
    firewall = firewall_of('countries = { file = "c.mmdb", deny = ["DE"] }\ndeny = ["::1"]', base)
    assert list_files(firewall) == [str(base / "c.mmdb")] and not firewall.is_open


@pytest.mark.parametrize(
    ("countries", "client", "said"),
    [
        ('deny = ["DE"]', GERMAN, (False, "countries.deny: it is in DE")),
        ('deny = ["DE"]', FRENCH, (True, f"{FRENCH} is in neither list; the default")),
        ('allow = ["DE"]', GERMAN, (True, "countries.allow: it is in DE")),
        ('allow = ["DE"]', UNKNOWN, (False, "countries.allow: it is in no country")),
        ('allow = ["DE"]', "unix", (False, "countries.allow: it is in no country")),
    ],
)
def test_what_decides_is_said(base: Path, countries: str, client: str, said: tuple[bool, str]) -> None:
    firewall = firewall_of(f'countries = {{ file = "c.mmdb", {countries} }}', base)
    assert verdict(firewall, client) == said
    assert (("" if client == "unix" else client) in admitted(firewall)) is said[0]


@pytest.mark.parametrize(
    ("countries", "words"),
    [
        ('file = "none.mmdb", deny = ["DE"]', '/none.mmdb" does not exist'),
        ('file = "text", deny = ["DE"]', '/text" is no database in the format of MaxMind (.mmdb)'),
        ('file = ".", deny = ["DE"]', "cannot be read (Is a directory)"),
        (
            'file = "c.mmdb", deny = ["Germany"]',
            'countries.deny[0]: "Germany" is no country; write two letters, as in "DE"',
        ),
        ('file = "c.mmdb", allow = ["de"]', 'countries.allow[0]: "de" is no country'),
        ('file = "c.mmdb"', "firewall.countries needs either allow or deny"),
        ('file = "c.mmdb", allow = ["DE"], deny = ["FR"]', "firewall.countries needs either allow or deny"),
        ('deny = ["DE"]', 'the key "file" is missing in firewall.countries'),
    ],
)
def test_a_mistake_is_found_with_its_line(base: Path, countries: str, words: str) -> None:
    (base / "text").write_text("x" * 5000)
    with pytest.raises(ConfigError) as caught:
        loads(f"{SITE}[firewall]\ncountries = {{ {countries} }}\n", "e.toml", base)
    (problem,) = caught.value.problems
    assert problem.line == 4 and words in problem.text


def test_without_the_library_it_is_said_what_to_install(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.config.firewall_checks.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "enfilade\[countries\]"'):
        loads(f'{SITE}[firewall]\ncountries = {{ file = "c.mmdb", deny = ["DE"] }}\n', "e.toml", base)
