"""The HPACK encoder, against the `hpack` package."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.wire.hpack import Decoder, static_block
from enfilade.wire.hpack.encoder import integer

names = st.sampled_from([b"a", b"accept", b"cookie", b":path", b"x-long-name", b"date", b"authorization", b"server"])
values = st.one_of(st.sampled_from([b"", b"1", b"gzip, deflate", b"/"]), st.binary(max_size=60), st.just(b"v" * 3000))


def plain(pairs: list[hpack.HeaderTuple]) -> list[tuple[bytes, bytes]]:
    return [(bytes(n), bytes(v)) for n, v in pairs]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(names, values), max_size=8))
def test_static_blocks_hold_on_every_connection(pairs: list[tuple[bytes, bytes]]) -> None:
    block = static_block(pairs)
    assert plain(hpack.Decoder(max_header_list_size=1 << 30).decode(block, raw=True)) == pairs
    decoder = Decoder(0)
    assert decoder.decode(block, 1 << 30, 100) == pairs
    assert decoder.generation == 0


@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"])
def test_secrets_are_never_indexed(name: bytes) -> None:
    assert static_block([(name, b"secret")])[0] & 0xF0 == 0x10


def test_integers_of_appendix_c_1() -> None:
    assert integer(10, 0x1F, 0) == b"\x0a"
    assert integer(1337, 0x1F, 0) == b"\x1f\x9a\x0a"
    assert integer(42, 0xFF, 0) == b"\x2a"
