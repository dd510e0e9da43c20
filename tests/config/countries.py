"""Databases of countries, made for a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def write_countries(path: Path, countries: Mapping[str, list[str]], key: str = "country", version: int = 6) -> None:
    """Put a database to `path`, whole at every moment, in which the networks of each country have its code under `key`."""
    writer = MMDBWriter(version, "Test-Country", ipv4_compatible=version == 6)
    for code, networks in countries.items():
        writer.insert_network(IPSet(networks), {key: {"iso_code": code}})
    new = path.with_suffix(".new")
    writer.to_db_file(str(new))
    new.rename(path)
