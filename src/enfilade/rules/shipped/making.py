"""What the shipped rules have in common: where they look, and at what."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.rules.rule import Condition, Rule, Severity

SHIPPED = "shipped"
"""A tag that all of them have."""

PLAIN = ("decode", "no_nul", "entities", "no_comments", "squeeze", "lowercase")
"""As it would be without what is put in to hide it."""
SHELL = ("decode", "no_nul", "no_quotes", "lowercase")
"""As a shell reads it."""
LINES = ("decode", "lowercase")
"""With its lines and NULs as they are."""

ARGUMENTS = ("argument *", "argument names", "cookie *")
EVERYWHERE = ("path", *ARGUMENTS, "field user-agent", "field referer")
FIELDS = ("path", *ARGUMENTS, "field *")


def make(
    id: str,
    why: str,
    at: tuple[str, ...],
    expressions: Iterable[str],
    transform: tuple[str, ...] = PLAIN,
    *,
    paranoia: int = 1,
    severity: Severity = "critical",
) -> Rule:
    """A rule that scores, for what one of `expressions` finds. Its group is what its id begins with."""
    when = (Condition(at, "|".join(expressions), transform=transform),)
    return Rule(id, why, when, (id.partition("-")[0], SHIPPED), severity=severity, paranoia=paranoia)
