"""Content codings: what is worth coding, and the fields of what is coded."""

from __future__ import annotations

import pytest

from enfilade.http.codings import TYPES, MediaTypes, coded, coded_tag, may_be_coded, plain_tags, varied
from enfilade.http.fields import Fields, Pair


@pytest.mark.parametrize(
    "media",
    [
        b"text/html; charset=utf-8", b"TEXT/Plain", b"text/event-stream", b"application/json", b"application/problem+json",
        b"image/svg+xml", b"application/wasm", b"text/javascript;x=y", b"font/ttf", b"application/xhtml+xml ; q=1",
    ],
)  # fmt: skip
def test_text_and_what_is_like_it_is_worth_coding(media: bytes) -> None:
    assert media in MediaTypes(TYPES)


@pytest.mark.parametrize(
    "media",
    [b"image/png", b"font/woff2", b"video/mp4", b"application/zip", b"application/octet-stream", b"application/grpc", b"",
     b"application/grpc+proto", b"text", b"xtext/html", b"application/jsonx"],
)  # fmt: skip
def test_what_is_compressed_already_or_unknown_is_not(media: bytes) -> None:
    assert media not in MediaTypes(TYPES)


@pytest.mark.parametrize("text", ["html", "text/", "/html", "*/*", "te xt/html", "text/html;q=1", "*", "+json", ""])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no media type"):
        MediaTypes([text])


@pytest.mark.parametrize(
    "pair",
    [
        (b"content-encoding", b"br"),
        (b"cache-control", b"public, No-Transform"),
        (b"content-digest", b"sha-256=:AA==:"),
        (b"repr-digest", b"sha-256=:AA==:"),
        (b"digest", b"sha-256=AA=="),
        (b"content-md5", b"AA=="),
    ],
)
def test_what_is_coded_or_signed_or_must_not_be_changed_stays(pair: Pair) -> None:
    """RFC 9110 section 8.4, RFC 9111 section 5.2.2.6, RFC 9530."""
    assert not may_be_coded(Fields([(b"content-type", b"text/plain"), pair]))


def test_other_directives_do_not_forbid_it() -> None:
    assert may_be_coded(Fields([(b"cache-control", b'max-age=1, x="no-transform"')]))


@pytest.mark.parametrize(
    ("vary", "after"),
    [
        ([], [b"accept-encoding"]),
        ([b"Cookie"], [b"Cookie, accept-encoding"]),
        ([b"Cookie", b"Accept"], [b"Cookie, Accept, accept-encoding"]),
        ([b"cookie, Accept-Encoding"], [b"cookie, Accept-Encoding"]),
        ([b"*"], [b"*"]),
    ],
)
def test_vary_names_accept_encoding_once(vary: list[bytes], after: list[bytes]) -> None:
    """RFC 9110 section 12.5.5."""
    fields = varied(Fields([(b"vary", value) for value in vary]))
    assert fields.all(b"vary") == after
    assert varied(fields) is fields


def test_the_fields_of_a_coded_answer() -> None:
    """RFC 9110 section 8.4, 8.6, 8.8.3 and 14.3: its length, its tag and its ranges are not those of what it was."""
    fields = coded(
        Fields(
            [
                (b"content-type", b"text/plain"),
                (b"content-length", b"9"),
                (b"etag", b'"a"'),
                (b"accept-ranges", b"bytes"),
            ]
        ),
        b"br",
    )
    assert set(fields.pairs) == {
        (b"content-type", b"text/plain"), (b"content-encoding", b"br"), (b"vary", b"accept-encoding"), (b"etag", b'W/"a-br"'),
    }  # fmt: skip
    assert b"etag" not in coded(Fields(), b"br")


@pytest.mark.parametrize("coding", [b"zstd", b"br", b"gzip"])
@pytest.mark.parametrize("etag", [b'"a"', b'""', b'"a-gzip"', b'"x, W/"', b'"\xff"'])
def test_a_strong_tag_comes_back_as_it_was(etag: bytes, coding: bytes) -> None:
    """RFC 9110 section 8.8.3: one per coding, and weak, as it does not name the bytes."""
    own = coded_tag(etag, coding)
    assert own.startswith(b'W/"') and own != etag
    assert plain_tags(own) == etag
    assert plain_tags(own, coding) == etag
    assert plain_tags(own, b"other") == own


def test_a_weak_tag_of_the_handler_is_the_same_in_all_codings() -> None:
    assert coded_tag(b'W/"a"', b"gzip") == b'W/"a"'
    assert plain_tags(b'W/"a"') == b'W/"a"'


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (b'W/"a-gzip", "b", W/"c-br"', b'"a", "b", "c"'),
        (b'"a-gzip"', b'"a-gzip"'),
        (b"*", b"*"),
        (b'W/"a-deflate"', b'W/"a-deflate"'),
    ],
)
def test_only_our_own_tags_are_changed_in_a_list(value: bytes, plain: bytes) -> None:
    assert plain_tags(value) == plain
