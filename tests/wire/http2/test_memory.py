"""What a connection remembers of its requests changes nothing but the time that they take."""

from __future__ import annotations

import hpack
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.http2.kit import HELLO, frame, server

from enfilade.wire.events import Event, RequestReceived
from enfilade.wire.hpack import Decoder

PATHS = [
    b"/", b"/a", b"/static/app.0123.js?v=1", b"/%41/../b", b"/%2e%2e/x", b"/\xff", b"/a b", b"*", b"", b"x", b"/%zz",
    b"/" + b"p" * 300, b"/" + b"q" * 9000, b"/?" + b"z" * 40, b"/index.html",
]  # fmt: skip
BROWSER = [
    (b":method", b"GET"), (b":authority", b"a.example"), (b":scheme", b"https"), (b":path", b""), (b"user-agent", b"U"),
    (b"accept", b"*/*"), (b"cookie", b"session=1"),
]  # fmt: skip

changes = st.tuples(
    st.sampled_from(PATHS),
    st.booleans(),  # the path goes into the dynamic table
    st.sampled_from([b"GET", b"HEAD", b"OPTIONS"]),
    st.sampled_from([(), ((b"x-new", b"1"),), ((b"te", b"gzip"),)]),
    st.booleans(),  # by Huffman
)


def told(events: list[Event]) -> list[object]:
    out: list[object] = []
    for event in events:
        if isinstance(event, RequestReceived):
            r = event.request
            names = ("method", "scheme", "authority", "host", "path", "raw_path", "query", "version", "protocol")
            out.append([getattr(r, name) for name in names] + [r.fields.pairs, event.ended, event.stream])
        else:
            out.append(repr(event))
    return out


@given(st.lists(changes, min_size=2, max_size=8))
def test_similar_requests_mean_what_they_mean_to_a_server_that_remembers_nothing(requests: list[tuple]) -> None:  # type: ignore[type-arg]
    encoder = hpack.Encoder()
    remembering, forgetful = server(), server()
    for engine in (remembering, forgetful):
        engine.feed(HELLO, 0.0)
    for n, (path, indexed, method, more, huffman) in enumerate(requests):
        lines = []
        for name, value in [*BROWSER, *more]:
            value = {b":path": path, b":method": method}.get(name, value)
            keep = indexed or name != b":path"
            lines.append((name, value) if keep else hpack.NeverIndexedHeaderTuple(name, value))
        data = frame(1, 5, 2 * n + 1, encoder.encode(lines, huffman=huffman))
        forgetful.forget()
        assert told(remembering.feed(data, 0.0)) == told(forgetful.feed(data, 0.0))


def test_a_path_must_fill_its_gap_exactly() -> None:
    decoder = Decoder()
    for block, value in [(b"\x04\x02/a", b"/a"), (b"\x14\x02/a", b"/a"), (b"\x04\x82\x60\x7f", b"/a"), (b"\x04\x03/a", None),
                         (b"\x04\x01/a", None), (b"\x05\x02/a", None), (b"\x04\xff\xff\xff\xff\xff\xff\xff", None),
                         (b"\x04", None)]:  # fmt: skip
        assert decoder.path(block, 0, len(block)) == value
