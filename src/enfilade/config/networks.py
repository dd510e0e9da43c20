"""The lists of the firewall: networks in the configuration, and in files beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from enfilade.config.countries import Countries
from enfilade.config.schema import Firewall, Outbound
from enfilade.config.units import FILE
from enfilade.http.addresses import UNIX, Addresses, Network, Networks, network, plain_address
from enfilade.http.outbound import Reachable

Texts = Mapping[str, str]
"""Of lists at URLs, by URL."""
NO_TEXTS: Texts = {}


def admitted(firewall: Firewall, texts: Texts = NO_TEXTS) -> Addresses:
    """Everybody whom `firewall` lets in, as its files are now; `texts`: of all its lists at URLs. Raises ValueError."""
    allow, deny, rest = (
        list(read_networks(firewall.allow, texts)),
        list(read_networks(firewall.deny, texts)),
        firewall.default == "allow",
    )
    if firewall.countries is None:
        return Networks(allow, deny, rest=rest)
    return Admission(Networks(allow, deny), Networks(allow, deny, rest=True), Countries(firewall.countries), rest)


class Admission:
    """Whom lists and countries let in: `address in admission`. `named`: whom the lists let in; `bearable`: whom they do not
    refuse; all others are in `rest` where their country does not decide."""

    def __init__(self, named: Networks, bearable: Networks, countries: Countries, rest: bool) -> None:
        self._named = named
        self._bearable = bearable
        self._countries = countries
        self._rest = rest

    def __contains__(self, address: str) -> bool:
        if address in self._named:
            return True
        if address not in self._bearable:
            return False
        said = self._countries.lets_in(address)
        return self._rest if said is None else said


def reachable(outbound: Outbound) -> Reachable:
    """Where upstreams may lie. Raises ValueError."""
    return Reachable(Networks(outbound.allow, outbound.deny, rest=outbound.default == "allow"))


def read_networks(entries: Iterable[str], texts: Texts = NO_TEXTS) -> Iterator[Network]:
    """What `entries` of a list name. Raises ValueError; within a file or text it begins with path or URL, and line."""
    for entry in entries:
        if entry.startswith(FILE):
            yield from _read(entry.removeprefix(FILE))
        elif is_url(entry):
            yield from _parse(texts[entry].splitlines(), entry)
        else:
            yield network(entry)


def list_files(firewall: Firewall) -> list[str]:
    """The paths of the files that `firewall` reads."""
    countries = [] if firewall.countries is None else [firewall.countries.file]
    return countries + [
        entry.removeprefix(FILE) for entry in (*firewall.allow, *firewall.deny) if entry.startswith(FILE)
    ]


def is_url(entry: str) -> bool:
    """Whether a list at a URL is meant."""
    return entry.startswith(("https://", "http://"))


def list_urls(firewall: Firewall) -> list[str]:
    """The URLs of the lists that `firewall` has fetched, each once."""
    return list(dict.fromkeys(entry for entry in (*firewall.allow, *firewall.deny) if is_url(entry)))


def check_entry(entry: str) -> None:
    """Raises ValueError where the `entry` of a list, which is no URL, cannot be read. What a file says is read once: who reads it
    next is given what was read here, if it is still as it was."""
    if entry.startswith(FILE):
        path = entry.removeprefix(FILE)
        _checked[path] = _stamp(path), list(_read(path))
    else:
        network(entry)


_checked: dict[str, tuple[object, list[Network]]] = {}
"""Of files that were read to check them: when, and what they say."""


def check_list(url: str, text: str) -> None:
    """Raises ValueError where the `text` at `url` is no list."""
    for _ in _parse(text.splitlines(), url.partition("?")[0]):
        pass


def _parse(lines: Iterable[str], name: str) -> Iterator[Network]:
    """A network a line; what follows a `#` is a comment."""
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                yield network(text)
            except ValueError as error:
                raise ValueError(f"{name}:{number}: {error}") from None


def _stamp(path: str) -> object:
    """What tells one state of a file from another; None: there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _read(path: str) -> Iterator[Network]:
    stamp, networks = _checked.pop(path, (None, []))
    if stamp is not None and stamp == _stamp(path):
        yield from networks
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from _parse(file, path)
    except OSError as error:
        cause = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise ValueError(f'"{path}" {cause}') from None


def verdict(firewall: Firewall, client: str, texts: Texts = NO_TEXTS) -> tuple[bool, str]:
    """Whether `client`, an address or `unix`, is let in, and what decides it; `texts` as in `admitted`. Raises ValueError where
    it is neither."""
    one = network(client)
    if one != UNIX:
        plain_address(client)
    sides = [(found, key) for key in ("deny", "allow") for found in read_networks(getattr(firewall, key), texts)]
    deciding = [(_size(found), key, found) for found, key in sides if _holds(found, one)]
    if not deciding:
        return _verdict_of_rest(firewall, client)
    _, key, found = max(deciding, key=lambda side: (side[0], side[1] == "allow"))
    return key == "allow", f"{key} has {found}"


def _verdict_of_rest(firewall: Firewall, client: str) -> tuple[bool, str]:
    if firewall.countries is not None:
        countries = Countries(firewall.countries)
        country, said = countries.country(client), countries.lets_in(client)
        if said is not None:
            return (
                said,
                f"countries.{'allow' if firewall.countries.allow else 'deny'}: it is in {country or 'no country'}",
            )
    return firewall.default == "allow", f"{client} is in neither list; the default"


def _size(one: Network) -> int:
    return 0 if isinstance(one, str) else one.prefixlen


def _holds(outer: Network, inner: Network) -> bool:
    if isinstance(outer, str) or isinstance(inner, str):
        return outer == inner
    return outer.version == inner.version and inner.network_address in outer
