"""Media types by suffix."""

from __future__ import annotations

import pytest

from enfilade.http.media import _TYPES, media_type


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("index.html", b"text/html; charset=utf-8"),
        ("APP.JS", b"text/javascript; charset=utf-8"),
        ("a.min.css", b"text/css; charset=utf-8"),
        ("app.wasm", b"application/wasm"),
        ("a.tar.gz", b"application/gzip"),
        ("README", b"application/octet-stream"),
        ("html", b"application/octet-stream"),
        (".html", b"application/octet-stream"),
        ("a.unknown", b"application/octet-stream"),
    ],
)
def test_by_suffix(name: str, media: bytes) -> None:
    assert media_type(name) == media


def test_each_suffix_stands_once() -> None:
    suffixes = " ".join(_TYPES.values()).split()
    assert sorted(suffixes) == sorted(set(suffixes))
