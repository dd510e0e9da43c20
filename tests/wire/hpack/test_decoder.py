"""The HPACK decoder: the examples of RFC 7541 appendix C, the `hpack` package as an oracle, and what hostile blocks meet."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.wire.hpack import Decoder, HpackError

NO_LIMIT = 1 << 30

# RFC 7541 C.3 and C.4 (requests, without and with Huffman), C.5 and C.6 (responses, table of 256 bytes).
REQUESTS = (
    ([(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]),
    ([(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com"),
      (b"cache-control", b"no-cache")]),
    ([(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/index.html"), (b":authority", b"www.example.com"),
      (b"custom-key", b"custom-value")]),
)  # fmt: skip
RESPONSES = (
    ([(b":status", b"302"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
      (b"location", b"https://www.example.com")]),
    ([(b":status", b"307"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
      (b"location", b"https://www.example.com")]),
    ([(b":status", b"200"), (b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
      (b"location", b"https://www.example.com"), (b"content-encoding", b"gzip"),
      (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")]),
)  # fmt: skip
C3 = ("828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865",
      "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565")  # fmt: skip
C4 = ("828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf",
      "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")  # fmt: skip
C5 = (
    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
    "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
    "4803333037c1c0bf",
    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d"
    "4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20"
    "76657273696f6e3d31",
)
C6 = (
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f"
    "3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
)


@pytest.mark.parametrize(
    ("blocks", "expected", "size"),
    [(C3, REQUESTS, 4096), (C4, REQUESTS, 4096), (C5, RESPONSES, 256), (C6, RESPONSES, 256)],
    ids=["C.3", "C.4", "C.5", "C.6"],
)
def test_examples_of_appendix_c(
    blocks: tuple[str, ...], expected: tuple[list[tuple[bytes, bytes]], ...], size: int
) -> None:
    decoder = Decoder(size)
    for block, pairs in zip(blocks, expected, strict=True):
        assert decoder.decode(bytes.fromhex(block), NO_LIMIT, 100) == pairs


def test_single_fields_of_appendix_c_2() -> None:
    decoder = Decoder()
    for block, pair in (
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", (b"custom-key", b"custom-header")),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path")),
        ("100870617373776f726406736563726574", (b"password", b"secret")),
        ("82", (b":method", b"GET")),
    ):
        assert decoder.decode(bytes.fromhex(block), NO_LIMIT, 100) == [pair]
    assert repr(decoder) == "<Decoder 1 entries, 55 of 4096 bytes>"


def test_a_block_that_changes_no_table_leaves_the_generation() -> None:
    decoder = Decoder()
    decoder.decode(bytes.fromhex(C4[0]), NO_LIMIT, 100)
    before = decoder.generation
    decoder.decode(b"\x82\x86\x84\xbe", NO_LIMIT, 100)
    assert decoder.generation == before
    decoder.decode(b"\x20", NO_LIMIT, 100)
    assert decoder.generation > before


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index 0
        b"\xbe",  # index behind an empty table
        b"\xff\xff\xff\xff\xff\xff\xff",  # endless integer
        b"\x40",  # no name
        b"\x40\x05ab",  # name cut
        b"\x82\x20",  # size update behind a field
        b"\x3f\xe2\x1f",  # size update above the limit
        b"\x00\x84\xff\xff\xff\xff\x00",  # EOS in a string
        b"\x00\x81\x00\x00",  # padding not ones
        b"\x00\x82\x07\xff\x00",  # padding longer than seven bits
        b"\x7f",  # integer cut
    ],
)
def test_what_is_no_block_is_an_hpack_error(block: bytes) -> None:
    with pytest.raises(HpackError):
        Decoder().decode(block, NO_LIMIT, 100)


def test_f10_bomb_is_counted_not_kept() -> None:
    """One entry of 4 KB, named 60,000 times: what is kept ends with the limit, the table is as it was."""
    value = b"v" * 4000
    bomb = b"\x40\x01n" + b"\x7f" + (4000 - 127 & 0x7F | 0x80).to_bytes(1, "big") + bytes(((4000 - 127) >> 7,)) + value
    decoder = Decoder()
    pairs = decoder.decode(bomb + b"\xbe" * 60_000, 65_536, 100)
    assert len(pairs) == 65_536 // 4033
    assert decoder.count == 60_001 and decoder.size == 60_001 * 4033
    assert decoder.decode(b"\xbe", 65_536, 100) == [(b"n", value)]


def test_f10_huffman_memory_is_bounded() -> None:
    decoder = Decoder()
    encoder = hpack.Encoder()
    for i in range(500):
        decoder.decode(encoder.encode([hpack.NeverIndexedHeaderTuple("a", f"wwwwww{i}")]), NO_LIMIT, 100)
    assert len(decoder._strings) <= 64


names = st.sampled_from([b"a", b"accept", b"cookie", b":path", b"x-long-name", b"content-length", b"authorization"])
values = st.one_of(st.sampled_from([b"", b"1", b"gzip, deflate", b"/"]), st.binary(max_size=60))
blocks = st.lists(st.lists(st.tuples(names, values), max_size=8), min_size=1, max_size=8)


@settings(max_examples=80, deadline=None)
@given(blocks, st.lists(st.integers(0, 4096), max_size=3), st.booleans())
def test_decodes_what_the_oracle_encodes(
    lists: list[list[tuple[bytes, bytes]]], sizes: list[int], huffman: bool
) -> None:
    encoder, decoder = hpack.Encoder(), Decoder()
    for i, pairs in enumerate(lists):
        if i < len(sizes):
            encoder.header_table_size = sizes[i]
        assert decoder.decode(encoder.encode(pairs, huffman=huffman), NO_LIMIT, 100) == pairs


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.lists(st.binary(max_size=40), max_size=3))
def test_agrees_with_the_oracle_on_any_bytes(block: bytes, before: list[bytes]) -> None:
    ours, theirs = Decoder(), hpack.Decoder()
    refused = ""
    for data in (*before, block):
        try:
            expected = [(bytes(n), bytes(v)) for n, v in theirs.decode(data, raw=True)]
        except (hpack.HPACKError, IndexError):
            break  # some things the oracle refuses and we do not, and it leaves its table half changed
        try:
            decoded = ours.decode(data, NO_LIMIT, 1000)
        except HpackError as e:
            refused = str(e)
            break
        assert decoded == expected
    # Where we are stricter: integers beyond 35 bits, and size updates behind a field.
    assert refused == "" or "integer" in refused or "update" in refused
