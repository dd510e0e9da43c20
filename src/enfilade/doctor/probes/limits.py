"""What is too long, and whether anybody says so."""

from __future__ import annotations

from enfilade.doctor.answers import Seen
from enfilade.doctor.judges import allowed, closed, costs, ended, status
from enfilade.doctor.probe import Grade, Probe, Usual, Verdict, unclear
from enfilade.doctor.requests import AGENT, HEAD, fields, sent


def body(seen: Seen, usual: Usual) -> Verdict:
    """A body that is announced and does not come: whoever has no limit, waits for it, or does not care."""
    verdict = status(413)(seen, usual)
    if verdict.grade is Grade.BAD:
        return unclear(f"{seen}: not read, so nothing is known")
    return verdict


uri = allowed(status(414), "is there a limit?")
large = allowed(status(431), "is there a limit?")
URI = "Limit the request line (8 KB is usual)."
FIELDS = "Limit the head, and the number of its fields (64 KB and 100 are usual)."
BODY = "Limit request bodies, to what the application needs."
PROBES = (
    Probe("uri-64k", 12, "a target of 64 KB",
          sent(b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: {host}\r\n" + AGENT + b"\r\n"), uri, URI),
    Probe("uri-endless", 12, "a target of 4 MB that does not end", sent(b"GET /" + b"a" * 4_000_000), ended, URI),
    Probe("field-256k", 12, "one field of 256 KB", fields(b"X-Doctor: " + b"a" * 262_144), large, FIELDS),
    Probe("head-endless", 12, "a head of 4 MB that does not end", sent(HEAD + b"X-Doctor: a\r\n" * 300_000), ended, FIELDS),
    Probe("fields-2000", 10, "2,000 fields", fields(b"\r\n".join(b"X-%d: a" % n for n in range(2000))), large, FIELDS),
    Probe("cookie-long", 10, "a Cookie of 128 KB", fields(b"Cookie: " + b"a=b; " * 26_000), large, FIELDS),
    Probe("body-huge", 12, "a body of 1 TB is announced",
          sent(HEAD.replace(b"GET", b"POST") + b"Content-Length: 1099511627776\r\n\r\n"), body, BODY),
    Probe("body-chunk", 12, "a chunk of 1 TB is announced",
          sent(HEAD.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n10000000000\r\nhello"), body, BODY),
    Probe("garbage", 12, "bytes that are no HTTP at all", sent(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\r\n\r\n"), closed),
    Probe("empty-lines", 12, "1 MB of empty lines instead of a request", sent(b"\r\n" * 500_000), costs),
)  # fmt: skip
