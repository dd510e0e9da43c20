"""The codings: round trips however the bytes come, flushes that hold nothing back, broken data, and bombs."""

from __future__ import annotations

import gzip
import sys
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from enfilade.filters.coders import available, load
from enfilade.filters.coders.coder import BadCoding, Coder
from enfilade.http.codings import CODINGS

MOST = 64 * 1024
Chunks = st.lists(st.binary(max_size=300).map(lambda b: b * 7), max_size=12)
each_coding = pytest.mark.parametrize("coding", CODINGS)


def decode(coder: Coder, sent: list[bytes], most: int = MOST) -> bytes:
    decoder = coder.decoder()
    got = []
    for piece in sent:
        while data := decoder.decode(piece, most):
            got.append(data)
            piece = b""
    if not decoder.complete:
        raise BadCoding
    return b"".join(got)


@each_coding
@given(chunks=Chunks, cut=st.integers(1, 40), most=st.sampled_from([1, 100, MOST]))
def test_any_chunks_come_back_however_they_were_flushed_and_cut(
    coding: str, chunks: list[bytes], cut: int, most: int
) -> None:
    coder = load(coding)
    encoder = coder.encoder()
    sent = b"".join([encoder.encode(c) + (encoder.flush() if i % 2 else b"") for i, c in enumerate(chunks)])
    sent += encoder.finish()
    assert decode(coder, [sent[i : i + cut] for i in range(0, len(sent), cut)], most) == b"".join(chunks)


@each_coding
@given(data=st.binary(max_size=5000))
def test_a_whole_body_comes_back_byte_by_byte(coding: str, data: bytes) -> None:
    coder = load(coding)
    sent = coder.encode(data)
    assert decode(coder, [sent[i : i + 1] for i in range(len(sent))]) == data


@each_coding
def test_a_flush_holds_nothing_back(coding: str) -> None:
    coder = load(coding)
    encoder, decoder = coder.encoder(), coder.decoder()
    for i in range(100):
        event = b"data: %d\n\n" % i
        assert decoder.decode(encoder.encode(event) + encoder.flush(), MOST) == event


@each_coding
def test_what_is_cut_is_not_complete(coding: str) -> None:
    coder = load(coding)
    sent = coder.encode(bytes(range(256)) * 20)
    for end in (0, 1, len(sent) // 2, len(sent) - 1):
        with pytest.raises(BadCoding):
            decode(coder, [sent[:end]])


@each_coding
def test_what_is_not_in_the_coding_is_refused(coding: str) -> None:
    coder = load(coding)
    sent = coder.encode(b"hello" * 100)
    with pytest.raises(BadCoding):
        decode(coder, [b"\xff\xfehello, this is no coding at all"])
    with pytest.raises(BadCoding):
        decode(coder, [sent + b"rubbish that nobody can read"])
    with pytest.raises(BadCoding):
        decode(coder, [sent, b"rubbish that nobody can read"])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_and_frames_stand_one_after_another(coding: str) -> None:
    """RFC 1952 section 2.2, RFC 8878 section 3: also many small ones, in one piece."""
    coder = load(coding)
    sent = b"".join([coder.encode(b"%d," % i) for i in range(500)])
    assert decode(coder, [sent]) == b"".join([b"%d," % i for i in range(500)])


@each_coding
@pytest.mark.parametrize("most", [1024, MOST])
def test_a_bomb_is_decoded_a_piece_at_a_time(coding: str, most: int) -> None:
    """zstd knows no bound but that of a block, 128 KB, of which a bite has at most 16."""
    coder = load(coding)
    decoder = coder.decoder()
    piece = decoder.decode(coder.encode(bytes(20_000_000)), most)
    assert 0 < len(piece) <= most + 16 * 128 * 1024
    assert 0 < len(decoder.decode(b"", most)) <= most + 16 * 128 * 1024


def test_a_frame_of_zstd_whose_window_is_too_wide_is_refused() -> None:
    """RFC 9659 section 3."""
    wide = zstandard.ZstdCompressionParameters.from_level(3, window_log=24, write_content_size=False)
    sent = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    with pytest.raises(BadCoding):
        decode(load("zstd"), [sent.compress(bytes(100)) + sent.flush()])


def test_gzip_works_without_any_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("isal", "zstandard", "brotli", "enfilade.filters.coders.gzip"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "enfilade.filters.coders.gzip")
    assert available() == ("gzip",)
    coder = load("gzip")
    assert gzip.decompress(coder.encode(b"hello" * 100)) == b"hello" * 100
    assert zlib.decompress(coder.encode(b""), 31) == b""


def test_all_are_there_best_first() -> None:
    assert available() == ("zstd", "br", "gzip")
