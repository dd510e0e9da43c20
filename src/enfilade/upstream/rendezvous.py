"""Rendezvous hashing (Thaler & Ravishankar, 1998): who comes first for a key, agreed on without a word by all who ask."""

from __future__ import annotations

from hashlib import blake2b
from math import inf, log
from zlib import crc32

_BITS = 48  # a float holds them and the half behind them exactly, so that no logarithm is 0


def spot(key: bytes) -> int:
    """32 bits that stand for `key`, of whatever length: the same in every process, on every machine."""
    return crc32(key)


def arrival(spot: int, name: bytes, weight: float) -> float:
    """When `name` arrives at `spot`: the first wins. The time is exponentially distributed with the rate `weight`, so each of
    several comes first at so many spots as its weight says, and a change of one moves no spot between two others (weighted
    rendezvous by the logarithmic method, Schindelhauer & Schomaker, 2005). Who weighs nothing never arrives."""
    if not weight:
        return inf
    digest = blake2b(spot.to_bytes(4, "big") + name, digest_size=_BITS // 8).digest()
    return -log((int.from_bytes(digest, "big") + 0.5) / (1 << _BITS)) / weight
