"""Hashed passwords: scrypt (RFC 7914) in the notation of PHC strings, `$scrypt$ln=15,r=8,p=3$SALT$HASH`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

_PHC = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,128})")
LEAST, MOST = 14, 17
"""The cost: the binary logarithm of scrypt's N. Less is guessed too fast, more takes 128 MB and half a second."""


class Password:
    """One that is known by its hash only. `cost`, `blocks` and `lanes` are scrypt's ln, r and p."""

    __slots__ = ("blocks", "cost", "digest", "lanes", "salt")

    def __init__(self, cost: int, blocks: int, lanes: int, salt: bytes, digest: bytes) -> None:
        self.cost = cost
        self.blocks = blocks
        self.lanes = lanes
        self.salt = salt
        self.digest = digest

    @property
    def work(self) -> int:
        """How much it costs to check one, in comparison."""
        return (self.blocks * self.lanes) << self.cost

    def is_it(self, password: bytes) -> bool:
        """Whether it is `password`. Takes a tenth of a second or more, without the interpreter's lock."""
        return hmac.compare_digest(self.digest, _scrypt(password, self.salt, self, len(self.digest)))

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(value).rstrip(b"=").decode() for value in (self.salt, self.digest))
        return f"$scrypt$ln={self.cost},r={self.blocks},p={self.lanes}${salt}${digest}"


def _scrypt(password: bytes, salt: bytes, like: Password, length: int) -> bytes:
    n = 1 << like.cost
    return hashlib.scrypt(
        password,
        salt=salt,
        n=n,
        r=like.blocks,
        p=like.lanes,
        maxmem=128 * like.blocks * (n + like.lanes + 2),
        dklen=length,
    )


def hash_password(password: bytes, salt: bytes) -> Password:
    """The hash of `password` with a random `salt` of 16 bytes: 32 MB, three times over, as OWASP has it."""
    like = Password(15, 8, 3, salt, b"")
    like.digest = _scrypt(password, salt, like, 32)
    return like


def parse_password(text: str) -> Password:
    """The PHC string `text`. ValueError if it is none of scrypt, or one that costs too little or too much; its text does not
    repeat it."""
    found = _PHC.fullmatch(text)
    if found is None:
        raise ValueError('it is no scrypt hash such as "enfilade password" makes')
    cost, blocks, lanes = (int(number) for number in found.groups()[:3])
    if not (LEAST <= cost <= MOST and blocks == 8 and 1 <= lanes <= 8):
        raise ValueError(f"its hash is not one with ln from {LEAST} to {MOST}, r = 8 and p from 1 to 8")
    try:
        salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in found.groups()[3:])
    except binascii.Error:
        raise ValueError("its hash is cut off") from None
    return Password(cost, blocks, lanes, salt, digest)
