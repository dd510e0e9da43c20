"""Verdicts that many probes share. They know what came back and what is usual, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.doctor.answers import Ending, Seen
from enfilade.doctor.probe import Usual, Verdict, bad, good, unclear

REFUSALS = frozenset(range(400, 500)) | {501, 505}
GATEWAY = frozenset((500, 502, 503, 504))
Judge = Callable[[Seen, Usual], Verdict]


def refused(seen: Seen, usual: Usual) -> Verdict:
    """Good: refused, in whatever way. Bad: answered as if nothing were wrong."""
    if not seen.answers:
        return good(seen) if seen.ended else unclear(f"{seen}: it waits for more")
    if seen.status in GATEWAY:
        return unclear(f"{seen}: was it handed on, and refused behind it?")
    if seen.status in REFUSALS and seen.status != usual.status:
        return good(seen)
    return bad(f"{seen}: taken")


def closed(seen: Seen, usual: Usual) -> Verdict:
    """The same where nobody can know where the next request begins: the connection has to end, too."""
    verdict = refused(seen, usual)
    if verdict == good(seen) and not seen.ended:
        return unclear(f"{seen}: refused, but the connection goes on")
    return verdict


def unread(seen: Seen, usual: Usual) -> Verdict:
    """The same where the head was right: who answers it without the body, and closes, has taken nothing for something else."""
    if len(seen.answers) == 1 and seen.status == usual.status and seen.ended:
        return good(f"{seen}: the connection is not used again")
    return closed(seen, usual)


def allowed(judge: Judge, why: str) -> Judge:
    """`judge`, where what it calls bad is let through by a standard: `why`."""

    def lenient(seen: Seen, usual: Usual) -> Verdict:
        verdict = judge(seen, usual)
        return unclear(f"{verdict.happened}; {why}") if verdict.grade is bad("").grade else verdict

    return lenient


def ended(seen: Seen, usual: Usual) -> Verdict:
    """Good: refused, or the connection was ended. Bad: all of it was taken."""
    if seen.over:
        return good(seen)
    if seen.status in REFUSALS and seen.status != usual.status:
        return good(seen)
    if seen.sent < 0.99:
        return unclear(f"{seen}: {seen.sent:.0%} of it was taken")
    return bad(f"{seen}: all of it was taken")


def costs(seen: Seen, usual: Usual) -> Verdict:
    """The same where a server may well be able to afford what was sent."""
    verdict = ended(seen, usual)
    return unclear(f"{verdict.happened}: is there a limit?") if verdict.grade is bad("").grade else verdict


def one_answer(seen: Seen, usual: Usual) -> Verdict:
    """Good: what stood in the body was not taken for a request."""
    if len(seen.answers) > 1:
        return bad(f"{seen}: the body was answered as a request of its own")
    return good(seen) if seen.answers or seen.ended else unclear(seen)


def two_answers(seen: Seen, usual: Usual) -> Verdict:
    """Good: two requests on one connection got two answers, the second where the first one ends, or the connection ended."""
    if seen.rest and not seen.rest.startswith(b"HTTP/1."):
        return bad(f"{seen}: bytes between two answers: {seen.rest[:20]!r}")
    if len(seen.answers) == 2 and not seen.rest:
        return good(seen)
    if len(seen.answers) == 1 and seen.ending is not Ending.OPEN:
        return good(seen)
    return unclear(seen)


def status(*right: int) -> Judge:
    """Good: one of these statuses. Unclear: another refusal. Bad: taken."""

    def judge(seen: Seen, usual: Usual) -> Verdict:
        verdict = refused(seen, usual)
        if seen.status in right or verdict.grade is not good("").grade or not seen.answers:
            return verdict
        return good(f"{seen} ({' or '.join(map(str, right))} says it better)")

    return judge
