"""The HPACK encoder, against the `hpack` package."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.wire.hpack import Decoder, Encoder, static_block
from enfilade.wire.hpack.encoder import integer

names = st.sampled_from([b"a", b"accept", b"cookie", b":path", b"x-long-name", b"date", b"authorization", b"server"])
values = st.one_of(st.sampled_from([b"", b"1", b"gzip, deflate", b"/"]), st.binary(max_size=60), st.just(b"v" * 3000))
lists = st.lists(st.lists(st.tuples(names, values), max_size=8), min_size=1, max_size=10)


def plain(pairs: list[hpack.HeaderTuple]) -> list[tuple[bytes, bytes]]:
    return [(bytes(n), bytes(v)) for n, v in pairs]


@settings(max_examples=120, deadline=None)
@given(lists, st.lists(st.lists(st.integers(0, 8192), max_size=3), max_size=10))
def test_the_oracle_decodes_it_whatever_sizes_the_peer_says(
    blocks: list[list[tuple[bytes, bytes]]], sizes: list[list[int]]
) -> None:
    encoder, theirs, ours = Encoder(), hpack.Decoder(max_header_list_size=1 << 30), Decoder()
    for i, pairs in enumerate(blocks):
        for size in sizes[i] if i < len(sizes) else ():
            encoder.resize(size)
            theirs.max_allowed_table_size = size
        block = encoder.encode(pairs)
        assert plain(theirs.decode(block, raw=True)) == pairs
        assert ours.decode(block, 1 << 30, 100) == pairs
        assert len(encoder._pairs) <= len(encoder._dynamic) and len(encoder._names) <= len(encoder._dynamic)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(names, values), max_size=8))
def test_static_blocks_hold_on_every_connection(pairs: list[tuple[bytes, bytes]]) -> None:
    decoder = Decoder(0)
    assert decoder.decode(static_block(pairs), 1 << 30, 100) == pairs
    assert decoder.generation == 0


def test_a_field_that_comes_again_is_one_byte() -> None:
    encoder = Encoder()
    first = encoder.encode([(b"user-agent", b"enfilade")])
    assert len(first) > 1 and len(encoder.encode([(b"user-agent", b"enfilade")])) == 1


@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"])
def test_secrets_are_never_indexed(name: bytes) -> None:
    encoder = Encoder()
    block = encoder.encode([(name, b"secret")])
    assert block[0] & 0xF0 == 0x10
    assert encoder.encode([(name, b"secret")]) == block
    assert static_block([(name, b"secret")])[0] & 0xF0 == 0x10


def test_integers_of_appendix_c_1() -> None:
    assert integer(10, 0x1F, 0) == b"\x0a"
    assert integer(1337, 0x1F, 0) == b"\x1f\x9a\x0a"
    assert integer(42, 0xFF, 0) == b"\x2a"
