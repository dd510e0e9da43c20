"""The Huffman code (RFC 7541 section 5.2), against the `hpack` package."""

from __future__ import annotations

import pytest
from hpack import HPACKDecodingError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.wire.hpack import huffman

oracle = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=100))
def test_what_the_oracle_encodes(data: bytes) -> None:
    assert huffman.decode(oracle.encode(data)) == data


def test_every_symbol() -> None:
    data = bytes(range(256))
    assert huffman.decode(oracle.encode(data)) == data


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=12))
def test_refuses_what_the_oracle_refuses(data: bytes) -> None:
    try:
        expected = decode_huffman(data)
    except HPACKDecodingError:
        with pytest.raises(huffman.HuffmanError):
            huffman.decode(data)
    else:
        assert huffman.decode(data) == expected
