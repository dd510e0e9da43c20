"""How long a body is, and where a field line ends: what two readers take for two different things."""

from __future__ import annotations

from enfilade.doctor.answers import Seen
from enfilade.doctor.judges import allowed, closed, refused, unread
from enfilade.doctor.probe import Probe, Usual, Verdict, unclear
from enfilade.doctor.requests import AGENT, HEAD, LINE, chunks, fields, sent

END = b"0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
HELLO = b"5\r\nhello\r\n" + END
ADVICE = "Update the server, or put one in front that refuses such requests: they are how requests are smuggled."
same = allowed(closed, "RFC 9110 section 8.6 allows to take equal lengths for one")
lf = allowed(refused, "RFC 9112 section 2.2 allows a line feed alone")
padded = allowed(unread, "some old clients send it")
line = allowed(refused, "is the line dropped, or handed on?")
control = allowed(refused, "RFC 9110 section 5.5 allows to keep it")
dropped = allowed(unread, "RFC 9112 section 7.1.2 allows to drop it")


def te(seen: Seen, usual: Usual) -> Verdict:
    """Both lengths: Transfer-Encoding may win, but then the connection has to end (RFC 9112 section 6.1)."""
    if len(seen.answers) == 1 and seen.status == usual.status and seen.ended:
        return unclear(f"{seen}: taken, and closed, as RFC 9112 section 6.1 allows")
    return closed(seen, usual)


PROBES = tuple(
    Probe(name, row, tries, look, judge, ADVICE)
    for name, row, tries, look, judge in (
        ("cl-te", 1, "Content-Length and Transfer-Encoding", fields(b"Content-Length: 5\r\n" + CHUNKED, END), te),
        ("te-cl", 1, "Transfer-Encoding and Content-Length", fields(CHUNKED + b"\r\nContent-Length: 5", END), te),
        ("te-twice", 1, "chunked twice", fields(CHUNKED + b"\r\n" + CHUNKED, END), closed),
        ("te-not-last", 1, "chunked, and behind it identity", fields(CHUNKED + b", identity", END), closed),
        ("te-unknown", 1, "a transfer coding that nobody knows", fields(b"Transfer-Encoding: xchunked", END), closed),
        ("te-space", 1, "a space in front of Transfer-Encoding's colon",
         fields(b"Transfer-Encoding : chunked", END), closed),
        ("te-tab", 1, "a vertical tab in front of chunked", fields(b"Transfer-Encoding: \x0bchunked", END), closed),
        ("te-quoted", 1, 'Transfer-Encoding: "chunked"', fields(b'Transfer-Encoding: "chunked"', END), closed),
        ("te-http10", 1, "Transfer-Encoding in HTTP/1.0",
         sent(HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"\r\n\r\n" + END), te),
        ("cl-differs", 1, "two Content-Lengths, 0 and 5", fields(b"Content-Length: 0\r\nContent-Length: 5", b"hello"), closed),
        ("cl-twice", 1, "Content-Length: 5 twice", fields(b"Content-Length: 5\r\nContent-Length: 5", b"hello"), same),
        ("cl-list", 1, "Content-Length: 5, 5", fields(b"Content-Length: 5, 5", b"hello"), same),
        ("cl-plus", 1, "Content-Length: +5", fields(b"Content-Length: +5", b"hello"), closed),
        ("cl-minus", 1, "Content-Length: -5", fields(b"Content-Length: -5", b"hello"), closed),
        ("cl-hex", 1, "Content-Length: 0x5", fields(b"Content-Length: 0x5", b"hello"), closed),
        ("cl-words", 1, "Content-Length: 5 5", fields(b"Content-Length: 5 5", b"hello"), closed),
        ("cl-empty", 1, "Content-Length without a number", fields(b"Content-Length:"), closed),
        ("cl-huge", 1, "Content-Length of 30 digits", fields(b"Content-Length: " + b"9" * 30), closed),
        ("chunk-lf", 2, "line feeds alone in chunks", chunks(b"5\nhello\n0\n\n"), unread),
        ("chunk-ext-lf", 2, "a line feed alone in a chunk's extension", chunks(b"5;a\nb\r\nhello\r\n" + END), unread),
        ("chunk-junk", 2, "a chunk's size with a word behind it", chunks(b"5 x\r\nhello\r\n" + END), unread),
        ("chunk-space", 2, "a space behind a chunk's size", chunks(b"5 \r\nhello\r\n" + END), padded),
        ("chunk-end", 2, "two bytes instead of a chunk's CRLF", chunks(b"5\r\nhelloXX" + END), unread),
        ("chunk-minus", 2, "a chunk of -5 bytes", chunks(b"-5\r\nhello\r\n" + END), unread),
        ("chunk-hex", 2, "a chunk of 0x5 bytes", chunks(b"0x5\r\nhello\r\n" + END), unread),
        ("chunk-huge", 2, "a chunk's size of 2^64 + 5", chunks(b"10000000000000005\r\nhello\r\n" + END), unread),
        ("chunk-ext-long", 2, "a chunk's extension of 1 MB", chunks(b"5;" + b"a" * 1_000_000 + b"\r\nhello\r\n" + END), unread),
        ("trailer-framing", 2, "Content-Length in a trailer", chunks(b"0\r\nContent-Length: 5\r\n\r\n"), dropped),
        ("trailers-long", 2, "1 MB of trailers", chunks(b"0\r\n" + b"a: b\r\n" * 170_000 + b"\r\n"), unread),
        ("fold", 14, "a folded field line", fields(b"X-Doctor: a\r\n b"), refused),
        ("bare-cr", 14, "a bare CR in a field's value", fields(b"X-Doctor: a\rb"), refused),
        ("nul", 14, "NUL in a field's value", fields(b"X-Doctor: a\0b"), refused),
        ("control", 14, "a control byte in a field's value", fields(b"X-Doctor: a\x01b"), control),
        ("name-space", 14, "a space in front of a colon", fields(b"X-Doctor : a"), refused),
        ("name-empty", 14, "a field without a name", fields(b": a"), line),
        ("name-byte", 14, "a byte beyond ASCII in a field's name", fields(b"X-Doct\xf6r: a"), line),
        ("no-colon", 14, "a field line without a colon", fields(b"X-Doctor"), line),
        ("first-space", 14, "a space in front of the first field",
         sent(LINE + b" X-Doctor: a\r\nHost: {host}\r\n" + AGENT + b"\r\n"), refused),
        ("lf", 14, "lines that end with a line feed alone", sent((HEAD + b"\r\n").replace(b"\r\n", b"\n")), lf),
        ("http-version", 14, "HTTP/1.1 misspelled as HTTP/1.1.1", sent(LINE[:-2] + b".1\r\nHost: {host}\r\n\r\n"), refused),
        ("http-version-9", 14, "HTTP/9.9", sent(HEAD.replace(b"HTTP/1.1", b"HTTP/9.9") + b"\r\n"), refused),
    )
)  # fmt: skip
