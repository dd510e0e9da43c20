"""What browsers are told, and what pages of other sites can make of it."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.doctor.answers import Answer, Seen
from enfilade.doctor.judges import Judge
from enfilade.doctor.probe import Needs, Probe, Usual, Verdict, bad, good, skipped, unclear
from enfilade.doctor.requests import HEAD, LAST, fields, sent
from enfilade.doctor.target import Target

FOREIGN = "https://doctor.invalid"


def of_answer(judge: Callable[[Answer], Verdict]) -> Judge:
    return lambda seen, usual: judge(seen.answers[0]) if seen.answers else skipped(seen)


def has(name: str, *instead: str) -> Judge:
    """Whether the answer has the field, or in Content-Security-Policy one of `instead`."""

    def judge(answer: Answer) -> Verdict:
        if value := answer.get(name):
            return good(f"{name}: {value[:80]}")
        policy = answer.get("content-security-policy")
        if any(word in policy for word in instead):
            return good(f"content-security-policy: {policy[:80]}")
        return unclear(f"no {name}")

    return of_answer(judge)


def reflects(answer: Answer) -> Verdict:
    origin, credentials = answer.get("access-control-allow-origin"), answer.get("access-control-allow-credentials")
    if origin in (FOREIGN, "null") and credentials == "true":
        return bad(f"{origin} is allowed, with credentials: any site reads what a visitor may read")
    if origin in (FOREIGN, "null"):
        return unclear(f"{origin} is allowed, without credentials")
    return good(f"access-control-allow-origin: {origin}" if origin else "not allowed")


def cookies(answer: Answer, secure: bool) -> Verdict:
    wanting = []
    for line in answer.all("set-cookie"):
        name = line.partition("=")[0]
        words = {word.strip().partition("=")[0].lower() for word in line.split(";")[1:]}
        missing = [
            word
            for word in ("Secure", "HttpOnly", "SameSite")
            if word.lower() not in words and (secure or word != "Secure")
        ]
        wanting += [f"{name} without {' and '.join(missing)}"] if missing else []
    if not answer.all("set-cookie"):
        return skipped("no cookie is set")
    if any("Secure" in line for line in wanting):
        return bad("; ".join(wanting))
    return unclear("; ".join(wanting)) if wanting else good("Secure, HttpOnly and SameSite")


def told(seen: tuple[Seen, bool], usual: Usual) -> Verdict:
    answers, tls = seen
    return cookies(answers.answers[0], tls) if answers.answers else skipped(answers)


def with_scheme(target: Target) -> tuple[Seen, bool]:
    return target.ask(LAST), target.tls


def compressed(target: Target) -> Seen:
    mark = b"doctormark77"
    return target.ask((HEAD + b"Accept-Encoding: gzip\r\nConnection: close\r\n\r\n").replace(
        b"{path}", b"{path}&q=" + mark if "?" in target.path else b"{path}?q=" + mark
    ))  # fmt: skip


def breach(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    if b"doctormark77" not in answer.text:
        return good("the query is not in the page")
    if answer.get("content-encoding"):
        return unclear("the query is in a page that is compressed: has it a secret in it, too? (BREACH)")
    return good("the page that has the query in it is not compressed")


def poisoned(seen: Seen, usual: Usual) -> Verdict:
    answer = seen.answers[0] if seen.answers else Answer(0)
    if "doctor.invalid" in answer.get("location") or (b"//doctor.invalid" in answer.text):
        return bad(f"{seen}: links follow what a stranger says the host is; a cache gives that to all")
    return good(seen)


def stored(seen: Seen, usual: Usual) -> Verdict:
    """Hits that a shared cache tells."""
    answer = seen.answers[0] if seen.answers else Answer(0)
    if answer.get("set-cookie") and "hit" in (answer.get("cache-status") + answer.get("x-cache")).lower():
        return bad("a stored answer sets a cookie")
    return good(seen)


HEADERS = "security_headers = true in enfilade.toml; in other servers, the field itself"
PROBES = (
    Probe("hsts", 37, "Strict-Transport-Security", sent(LAST), has("strict-transport-security"), HEADERS, Needs.TLS),
    Probe("nosniff", 37, "X-Content-Type-Options", sent(LAST), has("x-content-type-options"), HEADERS),
    Probe(
        "frames", 37, "who may show the page in a frame", sent(LAST), has("x-frame-options", "frame-ancestors"), HEADERS
    ),
    Probe("referrer", 37, "Referrer-Policy", sent(LAST), has("referrer-policy"), HEADERS),
    Probe("csp", 37, "Content-Security-Policy", sent(LAST), has("content-security-policy"), HEADERS),
    Probe(
        "cors",
        37,
        "a request of another site's script",
        fields(f"Origin: {FOREIGN}\r\nConnection: close".encode()),
        of_answer(reflects),
        "Name the origins that may read answers.",
    ),
    Probe(
        "cors-null",
        37,
        "a request of a page without an origin",
        fields(b"Origin: null\r\nConnection: close"),
        of_answer(reflects),
        "Never allow the origin null: every sandboxed frame has it.",
    ),
    Probe(
        "cookies",
        37,
        "what is said of cookies",
        with_scheme,
        told,
        "Secure, HttpOnly and SameSite=Lax, unless a script has to read it.",
    ),
    Probe(
        "breach",
        29,
        "a query that comes back, compressed",
        compressed,
        breach,
        "No compression for pages with a secret and a stranger's text.",
    ),
    Probe(
        "links",
        27,
        "X-Forwarded-Host with another name",
        fields(b"X-Forwarded-Host: doctor.invalid\r\nConnection: close"),
        poisoned,
        "Let the application believe proxies alone, and put the field into the cache's key.",
    ),
    Probe(
        "cached-cookie",
        27,
        "the same answer twice",
        lambda target: target.ask(LAST) and target.ask(LAST),
        stored,
        "Answers with Set-Cookie belong to one client.",
    ),
)
