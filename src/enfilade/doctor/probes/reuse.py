"""What becomes of a connection behind answers and bodies of unusual kinds."""

from __future__ import annotations

from enfilade.doctor.answers import Ending, Seen
from enfilade.doctor.judges import one_answer, refused, two_answers
from enfilade.doctor.probe import Grade, Probe, Usual, Verdict, bad, good, skipped, unclear
from enfilade.doctor.requests import AGENT, HEAD, LAST, ORDINARY, Look, sent
from enfilade.doctor.target import Target

TWO = ("GET", "GET")
INNER = b"GET /doctor-inner HTTP/1.1\r\nHost: {host}\r\n\r\n"


def hidden(head: bytes, template: bytes = HEAD) -> Look:
    """A request whose body looks like another one and is sent once the head was answered."""

    def look(target: Target) -> Seen:
        body = target.fill(INNER)
        return target.ask(template + head + b"Content-Length: %d\r\n\r\n" % len(body), body)

    return look


def interim(seen: Seen, usual: Usual) -> Verdict:
    """100 is asked for: it comes, or a final answer at once."""
    if 100 in seen.interim or seen.answers:
        return good(seen)
    return bad(f"{seen}: the client waits, and nobody tells it to go on")


def unknown(seen: Seen, usual: Usual) -> Verdict:
    verdict = refused(seen, usual)
    if verdict.grade is Grade.BAD:
        return unclear(f"{seen}: passed over, as RFC 9110 section 10.1.1 allows")
    return verdict


def not_modified(target: Target) -> Seen | None:
    """The same again, by the validator that the first answer had; None where there is none."""
    first = target.ask(LAST)
    tag = first.answers[0].get("etag") if first.answers else ""
    date = first.answers[0].get("last-modified") if first.answers else ""
    if not tag and not date:
        return None
    line = f"If-None-Match: {tag}" if tag else f"If-Modified-Since: {date}"
    return target.ask(HEAD + line.encode() + b"\r\n\r\n" + LAST, methods=TWO)


def validated(seen: Seen | None, usual: Usual) -> Verdict:
    if seen is None:
        return skipped("the answer has no validator")
    return two_answers(seen, usual)


def old_closes(seen: Seen, usual: Usual) -> Verdict:
    if seen.ending is Ending.OPEN:
        return bad(f"{seen}: an HTTP/1.0 client that was promised nothing waits for the end")
    return good(seen)


EARLY = "Read the body, or close the connection: what is left of it must never be read as a request."
PROBES = (
    Probe("early-answer", 4, "a GET whose body, sent after the answer, looks like a request", hidden(b""), one_answer, EARLY),
    Probe("early-post", 4, "the same as a POST to a path that there is not",
          hidden(b"", HEAD.replace(b"GET {path}", b"POST /doctor-none")), one_answer, EARLY),
    Probe("expect-early", 3, "a GET with Expect: 100-continue, whose body looks like a request",
          hidden(b"Expect: 100-continue\r\n"), one_answer, EARLY),
    Probe("expect", 3, "Expect: 100-continue with a body to come",
          sent(HEAD.replace(b"GET", b"POST") + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), interim),
    Probe("expect-unknown", 3, "an expectation that nobody knows", sent(HEAD + b"Expect: 200-ok\r\n\r\n"), unknown),
    Probe("expect-http10", 3, "Expect: 100-continue in HTTP/1.0, where no 100 may come",
          sent(b"POST {path} HTTP/1.0\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
          lambda seen, usual: bad(f"{seen}") if 100 in seen.interim else good(seen)),
    Probe("head", 13, "HEAD, and a GET behind it",
          sent(HEAD.replace(b"GET", b"HEAD") + b"\r\n" + LAST, methods=("HEAD", "GET")), two_answers),
    Probe("head-error", 13, "HEAD for what there is not, and a GET behind it",
          sent(HEAD.replace(b"GET {path}", b"HEAD /doctor-none") + b"\r\n" + LAST, methods=("HEAD", "GET")), two_answers),
    Probe("not-modified", 13, "a conditional GET, and a GET behind it", not_modified, validated),
    Probe("pipelined", 13, "two GETs in one piece", sent(ORDINARY + LAST, methods=TWO), two_answers),
    Probe("http10", 13, "HTTP/1.0 without keep-alive", sent(b"GET {path} HTTP/1.0\r\nHost: {host}\r\n" + AGENT + b"\r\n"),
          old_closes),
)  # fmt: skip
