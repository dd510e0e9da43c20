"""Whom a request is for."""

from __future__ import annotations

from enfilade.doctor.answers import Seen
from enfilade.doctor.judges import refused, status
from enfilade.doctor.probe import Grade, Probe, Usual, Verdict, bad, good, unclear
from enfilade.doctor.requests import LINE, Look, sent


def host(*lines: bytes) -> Look:
    return sent(LINE + b"".join(b"Host: %s\r\n" % line for line in lines) + b"\r\n")


def other_name(seen: Seen, usual: Usual) -> Verdict:
    """A name that is not the server's own: many answer it from a default site, on purpose."""
    verdict = status(421)(seen, usual)
    if 300 <= seen.status < 400 and "doctor.invalid" in seen.answers[0].get("location"):
        return bad(f"{seen}: it leads to the name that was asked for")
    if verdict.grade is Grade.BAD:
        return unclear(f"{seen}: every name is answered; do links of the pages follow it?")
    return verdict


def either(seen: Seen, usual: Usual) -> Verdict:
    """Something that a standard neither asks for nor forbids."""
    verdict = refused(seen, usual)
    return good(f"{seen}: taken, as RFC 9110 section 7.2 allows") if verdict.grade is Grade.BAD else verdict


NAMES = "Name the sites that the server has, and let the default one refuse."
PROBES = tuple(
    Probe(name, 8, tries, look, judge, advice)
    for name, tries, look, judge, advice in (
        ("no-host", "no Host in HTTP/1.1", host(), refused, ""),
        ("two-hosts", "two Hosts", host(b"{host}", b"doctor.invalid"), refused, ""),
        ("same-hosts", "the same Host twice", host(b"{host}", b"{host}"), refused, ""),
        ("host-userinfo", "Host with a user's name in front", host(b"user@{host}"), refused, ""),
        ("host-path", "Host with a path and a query", host(b"{host}/a?b"), refused, ""),
        ("host-port", "Host with a port that is no number", host(b"doctor.invalid:port"), refused, ""),
        ("host-space", "Host with a space in it", host(b"{host} doctor.invalid"), refused, ""),
        ("host-list", "two names in one Host", host(b"{host}, doctor.invalid"), refused, ""),
        ("host-empty", "an empty Host", host(b""), either, ""),
        ("host-unknown", "a Host that the server cannot know", host(b"doctor.invalid"), other_name, NAMES),
    )
)
