"""Files that are nobody's business, and ranges of those that are."""

from __future__ import annotations

import re

from enfilade.doctor.answers import Answer, Seen
from enfilade.doctor.judges import Judge
from enfilade.doctor.probe import Probe, Usual, Verdict, bad, good, unclear
from enfilade.doctor.requests import AGENT, HEAD, Look, fields, sent
from enfilade.doctor.target import Target

PASSWD = re.compile(rb"^root:[^:]*:0:0:", re.MULTILINE)
LISTING = re.compile(rb"<title>\s*(Index of|Directory listing)|<a href=\"\.\./?\">", re.IGNORECASE)
GIT = re.compile(rb"^(ref: refs/|[0-9a-f]{40}\s*$)")
ENV = re.compile(rb"^(export )?[A-Z][A-Z0-9_]*=", re.MULTILINE)
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
DUMP = re.compile(rb"^(-- (MySQL|PostgreSQL)|SQLite format 3|CREATE TABLE)", re.MULTILINE)


def get(path: bytes) -> Look:
    return sent(b"GET " + path + b" HTTP/1.1\r\nHost: {host}\r\n" + AGENT + b"Connection: close\r\n\r\n")


def without(pattern: re.Pattern[bytes], what: str) -> Judge:
    """Bad where the answer is what must not be had."""

    def judge(seen: Seen, usual: Usual) -> Verdict:
        answer = seen.answers[0] if seen.answers else Answer(0)
        if answer.status in (200, 206) and pattern.search(answer.text):
            return bad(f"{seen}: {what}")
        return good(seen)

    return judge


def ranges(number: int) -> Look:
    """So many ranges of one byte each, and their order backwards."""
    return fields(
        b"Range: bytes=" + b",".join([b"%d-%d" % (n, n) for n in range(number * 2, 0, -2)]) + b"\r\nConnection: close"
    )


def few_parts(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    parts = answer.body.count(b"\r\nContent-Range:") + answer.body.count(b"\r\ncontent-range:")
    if answer.status == 206 and parts > 100:
        return unclear(f"{seen}: {parts} parts for one request")
    return good(f"{seen} with {parts} parts" if answer.status == 206 else seen)


def overlapping(seen: Seen, usual: Usual) -> Verdict:
    answer, size = seen.answers[0] if seen.answers else Answer(0), len(usual.answer.body)
    if answer.status == 206 and len(answer.body) > 2 * size + 2000:
        return bad(f"{seen}: {len(answer.body)} bytes of a file of {size}")
    return good(seen)


def backwards(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    return bad(f"{seen}: a part of what there is not") if answer.status == 206 else good(seen)


def directory(target: Target) -> Seen:
    above = target.path.partition("?")[0].rpartition("/")[0] + "/"
    return target.ask((HEAD + b"Connection: close\r\n\r\n").replace(b"{path}", above.encode()))


OUT = "Update the server; serve a directory that has nothing else in it."
HIDDEN = "Refuse names that begin with a dot, and keep such files out of the directory that is served."
up = b"/.." * 12
passwd = without(PASSWD, "/etc/passwd")
PROBES = (
    *(
        Probe(name, 25, f"/etc/passwd by {how}", get(path), passwd, OUT)
        for name, how, path in (
            ("traversal", "..", up + b"/etc/passwd"),
            ("traversal-escaped", "%2e%2e", up.replace(b"..", b"%2e%2e") + b"/etc/passwd"),
            ("traversal-slash", "..%2f", b"/" + b"..%2f" * 12 + b"etc/passwd"),
            ("traversal-twice", "%252e%252e", up.replace(b"..", b"%252e%252e") + b"/etc/passwd"),
            (
                "traversal-long",
                "dots in two bytes of UTF-8 (%c0%ae)",
                up.replace(b"..", b"%c0%ae%c0%ae") + b"/etc/passwd",
            ),
            ("traversal-dots", "four dots", b"/" + b"....//" * 8 + b"etc/passwd"),
            ("traversal-double", "two slashes", b"//etc/passwd"),
            ("traversal-backslash", "..%5c", b"/" + b"..%5c" * 8 + b"etc%5cpasswd"),
        )
    ),
    *(
        Probe(name, 25, path.decode(), get(path), without(pattern, what), HIDDEN)
        for name, path, pattern, what in (
            ("git", b"/.git/HEAD", GIT, "the sources can be had"),
            ("env", b"/.env", ENV, "settings, and likely passwords"),
            ("private-key", b"/server.key", KEY, "a private key"),
            ("dump", b"/dump.sql", DUMP, "a database"),
            ("ssh", b"/.ssh/id_rsa", KEY, "a private key"),
        )
    ),
    Probe(
        "listing",
        25,
        "the directory of the URL",
        directory,
        without(LISTING, "everybody sees which files there are"),
        "Switch listings off where they are not meant.",
    ),
    Probe("ranges-many", 26, "500 ranges, backwards", ranges(500), few_parts, "Limit the ranges of one request."),
    Probe(
        "ranges-overlap",
        26,
        "200 times the whole file",
        fields(b"Range: bytes=" + b",".join([b"0-"] * 200) + b"\r\nConnection: close"),
        overlapping,
        "Merge ranges that overlap.",
    ),
    Probe(
        "range-backwards",
        26,
        "a range that ends before it begins",
        fields(b"Range: bytes=9-1\r\nConnection: close"),
        backwards,
    ),
)
