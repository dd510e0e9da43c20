"""What strangers say of themselves, and ways past a proxy: what reaches an application is seen where it shows what it got."""

from __future__ import annotations

import base64

from enfilade.doctor.answers import Seen
from enfilade.doctor.judges import Judge, refused
from enfilade.doctor.probe import Grade, Needs, Probe, Usual, Verdict, bad, good, skipped, unclear
from enfilade.doctor.requests import HEAD, LAST, LINE, Look, fields, sent
from enfilade.doctor.target import Target

CLIENT = b"203.0.113.77"
MARK = b"doctor-mark"
KEY = base64.b64encode(b"enfilade doctor!").decode()
UPGRADE = (
    f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n".encode()
)
FOREIGN = b"Origin: https://doctor.invalid\r\n"


def shows(value: bytes) -> Judge:
    """Whether `value` reached the application, which has to know what it is worth."""

    def judge(seen: Seen, usual: Usual) -> Verdict:
        if seen.answers and value in seen.answers[0].text:
            return unclear(f"{seen}: the application is told {value.decode()}: does it believe it?")
        return good(f"{seen}: the application is not told")

    return judge


def introduced(seen: Seen, usual: Usual) -> Verdict:
    """A PROXY protocol header from somebody who is no load balancer."""
    verdict = refused(seen, usual)
    if verdict.grade is Grade.BAD:
        return bad(f"{seen}: whoever connects may say that it is somebody else")
    return verdict


def h2c(seen: Seen, usual: Usual) -> Verdict:
    if 101 in seen.interim:
        return bad(f"{seen}: behind a proxy this is a tunnel past its rules")
    return good(seen) if seen.answers else unclear(seen)


def upgraded_with_body(seen: Seen, usual: Usual) -> Verdict:
    if 101 in seen.interim:
        return bad(f"{seen}: which bytes belong to the tunnel?")
    return good(seen) if seen.answers or seen.ended else unclear(seen)


def any_origin(target: Target) -> tuple[Seen, Seen]:
    """Without an Origin, as programs do, and with another site's."""
    return target.ask(HEAD + UPGRADE + b"\r\n"), target.ask(HEAD + UPGRADE + FOREIGN + b"\r\n")


def origin_checked(seen: tuple[Seen, Seen], usual: Usual) -> Verdict:
    without, foreign = seen
    if 101 not in without.interim:
        return skipped("no WebSocket here")
    if 101 in foreign.interim:
        return unclear(
            f"{foreign}: any site's page may talk through its visitors, unless the application looks at Origin later"
        )
    return good(foreign)


def frame(data: bytes) -> Look:
    """A WebSocket frame behind the switch, masked as a client's has to be."""
    return sent(HEAD + UPGRADE + b"\r\n", data)


def frame_refused(seen: Seen, usual: Usual) -> Verdict:
    if 101 not in seen.interim:
        return skipped("no WebSocket here")
    if seen.ended or b"\x88" in seen.rest:
        return good("closed" if seen.ended else "a close frame")
    return bad("it waits for the rest")


TRUST = "Overwrite what strangers say of themselves; believe only proxies that are named."
SPOOF = shows(CLIENT)
PROBES = (
    *(
        Probe(name, 17, line.decode(), fields(line), SPOOF, TRUST, Needs.ECHO)
        for name, line in (
            ("x-forwarded-for", b"X-Forwarded-For: " + CLIENT),
            ("forwarded", b"Forwarded: for=" + CLIENT),
            ("x-real-ip", b"X-Real-IP: " + CLIENT),
            ("x-forwarded-host", b"X-Forwarded-Host: " + CLIENT),
        )
    ),
    Probe(
        "hop-by-hop",
        17,
        "a field that Connection names",
        fields(b"Connection: x-doctor\r\nX-Doctor: " + MARK),
        shows(MARK),
        "A proxy drops what Connection names (RFC 9110 section 7.6.1).",
        Needs.ECHO,
    ),
    Probe(
        "underscore",
        14,
        "a field with underscores for hyphens",
        fields(b"X_Doctor: " + MARK),
        shows(MARK),
        "For WSGI and CGI both are the same name: drop those with underscores.",
        Needs.ECHO,
    ),
    Probe(
        "httpoxy",
        14,
        "the field Proxy",
        fields(b"Proxy: " + MARK),
        shows(MARK),
        "CGI programs take it for HTTP_PROXY: drop it.",
        Needs.ECHO,
    ),
    Probe(
        "proxy-v1",
        17,
        "a header of the PROXY protocol",
        sent(b"PROXY TCP4 203.0.113.77 192.0.2.1 40000 80\r\n" + LAST),
        introduced,
        "Accept it from load balancers alone.",
    ),
    Probe(
        "h2c",
        5,
        "Upgrade: h2c",
        fields(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
        h2c,
        "Drop Upgrade: h2c; RFC 9113 has no such upgrade any more.",
    ),
    Probe(
        "upgrade-body",
        5,
        "an upgrade to WebSocket with a body",
        fields(UPGRADE + b"Content-Length: 5", b"hello"),
        upgraded_with_body,
    ),
    Probe(
        "upgrade-version",
        5,
        "an upgrade to a version of WebSocket that there is not, and a request behind it",
        sent(LINE + b"Host: {host}\r\n" + UPGRADE.replace(b"Version: 13", b"Version: 77") + b"\r\n" + LAST),
        upgraded_with_body,
    ),
    Probe(
        "ws-origin",
        15,
        "a WebSocket for another site's page",
        any_origin,
        origin_checked,
        "Compare Origin with the names of the site.",
    ),
    Probe(
        "ws-huge",
        15,
        "a WebSocket message of 2^62 bytes is announced",
        frame(b"\x81\xff" + (2**62).to_bytes(8, "big") + b"mask" + b"a" * 100),
        frame_refused,
    ),
    Probe("ws-unmasked", 15, "a WebSocket frame without a mask", frame(b"\x81\x05hello"), frame_refused),
    Probe("ws-reserved", 15, "a WebSocket frame with reserved bits", frame(b"\xf1\x85mask" + b"hello"), frame_refused),
)
