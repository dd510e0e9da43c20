"""Who is banned, until when, and how often they were: a table in memory that all workers share.

Looked up without a lock: who looks while a place is written anew may be wrong about one connection. Who writes holds the lock.
A ban lies in one of WAYS places; where all are taken, the one that ends first makes room. One that has ended stays known for a
while, so that the next is longer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

from enfilade.http.addresses import plain_address
from enfilade.http.memory import remember
from enfilade.http.reasons import REASONS

WAYS, SETS = 8, 4096
_HIGH, _LOW, _UNTIL, _STRIKES, _CAUSE, _PLACE = range(6)
"""The cells of a place: the two halves of an address, seconds since 1970, a number, a cause."""
_TABLE = 1
"""The first cell counts the changes; then come the places."""
SIZE = (_TABLE + SETS * WAYS * _PLACE) * 8
"""Bytes of memory, zeros at first, that a table needs."""
MEMORY = 4096
"""How many addresses are remembered with their places."""
BY_HAND = "by hand"
_V4 = 0xFFFF
_CAUSES: list[str] = [BY_HAND, *map(str, range(1, 1000)), *REASONS]
_NUMBERS = {cause: number for number, cause in enumerate(_CAUSES)}


Key = tuple[int, int]
"""The two halves of an address, as they lie in a table."""


class Terms(NamedTuple):
    """Seconds: the first ban, and the longest. Each is `grow` times as long as the one before; one is forgotten `longest` after
    its end."""

    duration: float
    grow: float
    longest: float


class Ban(NamedTuple):
    """`address`: of IPv6 its /64. `until`: seconds since 1970. `strikes`: how many bans it has had, this one among them. `cause`:
    the name of a reason, a status, or BY_HAND."""

    address: str
    until: int
    strikes: int
    cause: str


class Bans:
    """Over `cells`, SIZE bytes that all workers share; who writes has them `locked`. `address in bans`: whether it is banned now.
    `clock`: seconds since 1970."""

    def __init__(
        self,
        cells: memoryview[int],
        locked: AbstractContextManager[object],
        terms: Terms,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cells = cells
        self._locked = locked
        self._terms = terms
        self._clock = clock
        self._places: dict[str, tuple[int, int, int] | None] = {}

    @property
    def version(self) -> int:
        """Another number after each change; 0 before the first."""
        return self._cells[0]

    def __contains__(self, address: str) -> bool:
        cells = self._cells
        if not cells[0]:
            return False
        place = self._look(address)
        return place is not None and cells[place + _UNTIL] > self._clock()

    def find(self, address: str) -> Ban | None:
        """The ban of `address` that holds now."""
        place = self._look(address)
        return None if place is None or self._cells[place + _UNTIL] <= self._clock() else self._read(place)

    def listed(self) -> list[Ban]:
        """All that hold now, the one that ends first in front."""
        now = self._clock()
        ends = self._cells[_TABLE + _UNTIL :: _PLACE].tolist()
        found = [self._read(_TABLE + number * _PLACE) for number, until in enumerate(ends) if until > now]
        return sorted(found, key=lambda ban: (ban.until, ban.address))

    def ends(self) -> dict[Key, int]:
        """The same for whoever looks often, many times as fast: until when, by what `banned_name` makes an address of."""
        now = self._clock()
        high, low, ends = (self._cells[_TABLE + part :: _PLACE].tolist() for part in (_HIGH, _LOW, _UNTIL))
        return {key: until for key, until in zip(zip(high, low, strict=True), ends, strict=True) if until > now}

    @property
    def count(self) -> int:
        """How many hold now."""
        now = self._clock()
        return sum(until > now for until in self._cells[_TABLE + _UNTIL :: _PLACE].tolist())

    def ban(self, address: str, cause: str, seconds: float | None = None) -> Ban | None:
        """Ban `address` for as long as the terms say, or, in place of a ban that holds, for `seconds`. None: it is banned
        already, or is no address."""
        with self._locked:
            now = self._clock()
            place = self._look(address)
            strikes = 0
            if place is not None:
                until = self._cells[place + _UNTIL]
                if until > now and seconds is None:
                    return None
                if until + self._terms.longest > now:
                    strikes = self._cells[place + _STRIKES]
            lasts = self._length(strikes) if seconds is None else seconds
            return self._write(address, math.ceil(now + lasts), strikes + 1, cause)

    def put(self, ban: Ban) -> Ban | None:
        """Take over what is known from elsewhere, unless what is known here holds for longer."""
        with self._locked:
            place = self._look(ban.address)
            if place is not None and self._cells[place + _UNTIL] >= ban.until:
                return None
            return self._write(*ban)

    def lift(self, address: str) -> bool:
        """End the ban of `address`, and forget those before it. False: there is none."""
        with self._locked:
            place = self._look(address)
            if place is None or self._cells[place + _UNTIL] <= self._clock():
                return False
            self._cells[place + _UNTIL] = self._cells[place + _STRIKES] = 0
            self._cells[0] += 1
            return True

    def _length(self, strikes: int) -> float:
        terms = self._terms
        length = terms.duration
        while strikes and length < terms.longest and terms.grow > 1:
            length *= terms.grow
            strikes -= 1
        return min(length, terms.longest)

    def _write(self, address: str, until: int, strikes: int, cause: str) -> Ban | None:
        parts = self._parts(address)
        if parts is None:
            return None
        high, low, first = parts
        cells, place = self._cells, self._look(address)
        if place is None:
            place = min(range(first, first + WAYS * _PLACE, _PLACE), key=lambda place: cells[place + _UNTIL])
        cells[place + _UNTIL] = 0
        cells[place + _HIGH], cells[place + _LOW] = high, low
        cells[place + _STRIKES] = strikes
        cells[place + _CAUSE] = _NUMBERS.get(cause, 0)
        cells[place + _UNTIL] = until
        cells[0] += 1
        return self._read(place)

    def _read(self, place: int) -> Ban:
        high, low, until, strikes, cause = self._cells[place : place + _PLACE]
        return Ban(banned_name((high, low)), until, strikes, _CAUSES[cause])

    def _look(self, address: str) -> int | None:
        """Where what is known of `address` lies."""
        parts = self._parts(address)
        if parts is None:
            return None
        high, low, first = parts
        cells = self._cells
        for place in range(first, first + WAYS * _PLACE, _PLACE):
            if cells[place + _LOW] == low and cells[place + _HIGH] == high:
                return place
        return None

    def _parts(self, address: str) -> tuple[int, int, int] | None:
        """The two cells that stand for `address`, and the first of its places; None: it is none."""
        try:
            return self._places[address]
        except KeyError:
            parts = _parts(address)
            remember(self._places, address, parts, MEMORY)
            return parts


_LOW_BITS = (1 << 64) - 1


def _parts(address: str) -> tuple[int, int, int] | None:
    try:
        found = plain_address(address.partition("%")[0].removesuffix("/64"))
    except ValueError:
        return None
    number = _V4 << 32 | int(found) if isinstance(found, IPv4Address) else int(found) >> 64 << 64
    octets = number.to_bytes(16, "little")
    # As workers are forked from one process, they have one secret of `hash` in common, and strangers cannot fill a set.
    first = _TABLE + hash(octets) % SETS * WAYS * _PLACE
    return _signed(number >> 64), _signed(number & _LOW_BITS), first


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def banned_name(key: Key) -> str:
    """The address, of IPv6 its network of 64 bits. Of one that is just written it may be any, but it is one."""
    number = (key[0] << 64 | key[1] & _LOW_BITS) % (1 << 128)
    return str(IPv4Address(number & 0xFFFFFFFF)) if number >> 32 == _V4 else f"{IPv6Address(number >> 64 << 64)}/64"


def parse_banned(text: str) -> str:
    """The address `text`, or a network of IPv6 of 64 bits, as it is listed. Raises ValueError."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is not an address') from None
    if found.prefixlen not in (64, found.max_prefixlen) or (found.version == 4 and found.prefixlen == 64):
        raise ValueError(f'"{text}" is not one address, nor a network of IPv6 with 64 bits')
    parts = _parts(str(found.network_address))
    assert parts is not None, "it is an address"
    return banned_name(parts[:2])
