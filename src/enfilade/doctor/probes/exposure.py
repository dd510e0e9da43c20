"""What a server tells about itself, and lets strangers do."""

from __future__ import annotations

import re

from enfilade.doctor.answers import Answer, Seen
from enfilade.doctor.probe import Probe, Usual, Verdict, bad, good, unclear
from enfilade.doctor.probes.files import get, without
from enfilade.doctor.requests import HEAD, LAST, sent

VERSION = re.compile(r"\d+\.\d+")
TRACEBACK = re.compile(rb"Traceback \(most recent call last\)|\bat [\w.$]+\([\w]+\.java:\d+\)|<b>Fatal error</b>")


def traced(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    if answer.status == 200 and b"doctor-secret" in answer.body:
        if answer.get("content-type").startswith("message/http"):
            return bad(f"{seen}: what the request had comes back, credentials too")
        return unclear(f"{seen}: it is handed on to an application that shows what it got")
    return good(seen)


def version(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    told = [f"{name}: {value}" for name in ("server", "x-powered-by", "x-aspnet-version") for value in answer.all(name)]
    return (
        unclear("; ".join(told)) if any(VERSION.search(line) for line in told) else good("; ".join(told) or "nothing")
    )


def crashed(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    return bad(f"{seen}: a traceback") if TRACEBACK.search(answer.text) else good(seen)


CLOSED = "Put it on an address of its own that strangers do not reach."
PROBES = (
    Probe(
        "trace",
        33,
        "TRACE with a secret",
        sent(HEAD.replace(b"GET", b"TRACE") + b"Authorization: doctor-secret\r\nConnection: close\r\n\r\n"),
        traced,
        "Switch TRACE off.",
    ),
    Probe("version", 38, "which server it is", sent(LAST), version, "Tell no version: it says which attack to try."),
    Probe(
        "version-error",
        38,
        "the same in a page that there is not",
        get(b"/doctor-none"),
        version,
        "Tell no version in error pages.",
    ),
    Probe(
        "traceback",
        38,
        "a path that applications may stumble over",
        get(b"/doctor%00%ff?a[]=%"),
        crashed,
        "Switch the application's debug mode off.",
    ),
    *(
        Probe(name, 33, path.decode(), get(path), without(re.compile(pattern), "it is open to everybody"), CLOSED)
        for name, path, pattern in (
            ("metrics", b"/metrics", rb"^# (HELP|TYPE) "),
            ("server-status", b"/server-status", rb"Apache Server Status"),
            ("nginx-status", b"/nginx_status", rb"^Active connections:"),
            ("haproxy-stats", b"/haproxy?stats", rb"Statistics Report for HAProxy"),
            ("pprof", b"/debug/pprof/", rb"Types of profiles available"),
            ("actuator", b"/actuator/env", rb'"propertySources"'),
            ("caddy-config", b"/config/", rb'^\{"(admin|apps)"'),
            ("enfilade-status", b"/status", rb'"generation":'),
            ("phpinfo", b"/phpinfo.php", rb"<title>phpinfo\(\)"),
        )
    ),
)
