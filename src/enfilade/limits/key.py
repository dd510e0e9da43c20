"""By what requests are counted: the words of `by`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.key import Key
from enfilade.exchange.key import parse_key as parse_part
from enfilade.http.addresses import subscriber
from enfilade.http.memory import remember

MEMORY = 4096
"""How many addresses are remembered with what they are counted as."""
_PARTS = ("header", "cookie")


def _address() -> Key:
    memory: dict[str, bytes] = {}

    def read(x: Exchange) -> bytes:
        ip = x.ends.client_ip
        if ":" not in ip:
            return ip.encode()
        known = memory.get(ip)
        if known is None:
            known = subscriber(ip).encode()
            remember(memory, ip, known, MEMORY)
        return known

    return read


_WORDS: Mapping[str, Key] = {"address": _address(), "route": lambda x: x.match.route.pattern.encode()}


def compile_key(owner: int, by: str | list[str]) -> Callable[[Exchange], int]:
    """What makes a number, the same in all workers, of what the words of `by` name: for two requests another one, if any of it
    differs, and for another `owner`. As workers are forked from one process, they have one secret of `hash` in common, and
    strangers cannot look for keys that are taken for each other. ValueError for a word that there is not."""
    parts = [parse_key(word) for word in ([by] if isinstance(by, str) else by)]
    if len(parts) == 1:
        (part,) = parts
        return lambda x: hash((owner, part(x)))
    return lambda x: hash((owner, *[part(x) for part in parts]))


def parse_key(text: str) -> Key:
    """What reads the part of a request that `text` names: `address` (of IPv6, its /64), `route`, `header NAME` or `cookie NAME`.
    ValueError for any other text."""
    if text in _WORDS:
        return _WORDS[text]
    if text.partition(" ")[0] in _PARTS:
        return parse_part(text)
    raise ValueError(f'"{text}" is nothing to count by: write "address", "route", "header NAME" or "cookie NAME"')
