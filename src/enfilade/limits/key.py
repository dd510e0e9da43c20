"""By what requests are counted: the words of `by`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.identity import Identity
from enfilade.exchange.key import Key
from enfilade.exchange.key import parse_key as parse_part
from enfilade.http.addresses import subscriber
from enfilade.http.memory import remember

MEMORY = 4096
"""How many addresses each limit remembers with their spots."""
S = TypeVar("S")
_PARTS = ("header", "cookie", "query")


def _user(x: Exchange) -> bytes:
    """A name; where nobody is named, as by a token without a subject, the address: they would use up each other's limit."""
    who: Identity | None = x.kept(Identity)
    if who is None or not who.name:
        return b"address " + _address(x)
    return b"name " + who.name.encode("utf-8", "replace")


def _address(x: Exchange) -> bytes:
    return subscriber(x.ends.client_ip).encode()


def _claim(name: str) -> Key:
    def read(x: Exchange) -> bytes:
        who: Identity | None = x.kept(Identity)
        value = None if who is None else who.claims.get(name)
        return b"" if value is None else str(value).encode("utf-8", "replace")

    return read


_WORDS: Mapping[str, Key] = {
    "address": _address,
    "route": lambda x: x.match.route.pattern.encode(),
    "user": _user,
}


def compile_key(
    owner: int, by: str | list[str], spot: Callable[[int], S], number: Callable[[object], int] = hash
) -> Callable[[Exchange], S]:
    """What finds the `spot` of a number, the same in all workers, of what the words of `by` name: for two requests another one,
    if any of it differs, and for another `owner`. As workers are forked from one process, they have one secret of `hash` in
    common, and strangers cannot look for keys that are taken for each other. ValueError for a word that there is not."""
    parts = [parse_key(word) for word in ([by] if isinstance(by, str) else by)]

    def find(x: Exchange) -> S:
        return spot(number((owner, *[part(x) for part in parts])))

    return _remembered(find) if parts == [_WORDS["address"]] else find


def _remembered(find: Callable[[Exchange], S]) -> Callable[[Exchange], S]:
    """`find`, where an address alone decides."""
    memory: dict[str, S] = {}

    def known(x: Exchange) -> S:
        ip = x.ends.client_ip
        found = memory.get(ip)
        if found is None:
            found = find(x)
            remember(memory, ip, found, MEMORY)
        return found

    return known


def parse_key(text: str) -> Key:
    """What reads the part of a request that `text` names: `address` (of IPv6, its /64), `route`, `user`, `claim NAME`,
    `header NAME`, `cookie NAME` or `query NAME`. ValueError for any other text."""
    if text in _WORDS:
        return _WORDS[text]
    part, _, name = text.partition(" ")
    if part in _PARTS:
        return parse_part(text)
    if part == "claim" and name:
        return _claim(name)
    raise ValueError(
        f'"{text}" is nothing to count by: write "address", "route", "user", "claim NAME", "header NAME", "cookie NAME" or '
        '"query NAME"'
    )
