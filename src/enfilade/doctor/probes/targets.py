"""What a request asks for: forms of the request target (RFC 9112 section 3.2), and bytes that none may have."""

from __future__ import annotations

from enfilade.doctor.answers import Seen
from enfilade.doctor.judges import allowed, refused
from enfilade.doctor.probe import Grade, Probe, Usual, Verdict, bad, good, unclear
from enfilade.doctor.requests import AGENT, LAST, Look, sent
from enfilade.doctor.target import Target


def target(line: bytes, method: bytes = b"GET") -> Look:
    return sent(method + b" " + line + b" HTTP/1.1\r\nHost: {host}\r\n" + AGENT + b"\r\n", methods=(method.decode(),))


def other_host(seen: Seen, usual: Usual) -> Verdict:
    verdict = refused(seen, usual)
    if verdict.grade is Grade.BAD:
        return unclear(f"{seen}: another site's name decides nothing here, or every name is answered")
    return verdict


def connect(target: Target) -> Seen:
    """A tunnel to where somebody listens for certain, and a request through it."""
    to = f"{target.host}:{target.port}".encode()
    return target.ask(b"CONNECT " + to + b" HTTP/1.1\r\nHost: " + to + b"\r\n\r\n" + (b"" if target.tls else LAST))


def tunnel(seen: Seen, usual: Usual) -> Verdict:
    first = seen.answers[0] if seen.answers else None
    if first and first.status == 200 and not first.get("content-length") and not first.get("transfer-encoding"):
        return bad(f"{seen}: a tunnel")
    return (
        unclear(f"{seen}: no tunnel, but no refusal either") if first and first.status < 300 else refused(seen, usual)
    )


def asterisk(seen: Seen, usual: Usual) -> Verdict:
    return good(seen) if seen.answers and seen.status not in (500, 502) else refused(seen, usual)


userinfo = allowed(refused, "RFC 9110 section 4.2.4 only asks not to trust it")
fragment = allowed(refused, "many servers cut it off")
PROBES = tuple(
    Probe(name, 7, tries, look, judge, advice)
    for name, tries, look, judge, advice in (
        ("absolute-other", "an absolute target with a name that is not in Host", target(b"http://doctor.invalid{path}"),
         other_host, ""),
        ("absolute-userinfo", "an absolute target with a user's name", target(b"http://a@{host}{path}"), userinfo, ""),
        ("authority", "a host and port alone, in a GET", target(b"doctor.invalid:80"), refused, ""),
        ("asterisk", "* in a GET", target(b"*"), refused, ""),
        ("options", "* in OPTIONS, as it is meant", target(b"*", b"OPTIONS"), asterisk, ""),
        ("connect", "CONNECT to itself", connect, tunnel, "This is an open proxy: switch CONNECT off."),
        ("no-slash", "a path without a slash in front", target(b"doctor"), refused, ""),
        ("target-space", "a space in the target", target(b"{path} x"), refused, ""),
        ("target-control", "a control byte in the target", target(b"{path}\x01"), refused, ""),
        ("target-nul", "NUL in the target", target(b"{path}\0"), refused, ""),
        ("target-byte", "a byte beyond ASCII in the target", target(b"{path}\xff"),
         allowed(refused, "nginx and others take it for a part of the name"), ""),
        ("target-fragment", "a fragment in the target", target(b"{path}#a"), fragment, ""),
        ("percent-nul", "%00 in the path", target(b"/doctor%00.html"), refused, ""),
        ("method-bytes", "a method with bytes that none may have", target(b"{path}", b"GE\x01T"), refused, ""),
    )
)  # fmt: skip
