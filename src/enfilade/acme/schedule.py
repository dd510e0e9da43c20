"""When a certificate is renewed, and when what failed is tried again. No clock: times come in, in seconds since 1970."""

from __future__ import annotations

DAY = 86400.0
SHORT_LIVED = 10 * DAY
FIRST_RETRY = 300.0
LAST_RETRY = DAY
GROWTH = 3.0
"""Five minutes, a quarter of an hour, three quarters and so on, up to a day: Let's Encrypt lets five validations of a name
fail in an hour."""
JITTER = 0.2
FIRST_CALL, LAST_CALL = 0.02, 0.1
"""So much of a lifetime is over, and so much is left, when a certificate is renewed, whatever the authority suggests: it must not
end, nor be ordered again and again."""


def renewal_time(not_before: float, not_after: float) -> float:
    """When a third of the lifetime is left; of one below ten days, half of it."""
    lifetime = not_after - not_before
    return not_before + lifetime * (1 / 2 if lifetime < SHORT_LIVED else 2 / 3)


def suggested_time(start: float, end: float, not_before: float, not_after: float, chance: float) -> float:
    """One of those between `start` and `end`, which the authority suggests (RFC 9773 section 4.2), within reason. `chance`: from
    0 to 1."""
    lifetime = not_after - not_before
    suggested = start + max(0.0, end - start) * chance
    return max(not_before + lifetime * FIRST_CALL, min(suggested, not_after - lifetime * LAST_CALL))


def retry_delay(failures: int, asked: float, chance: float) -> float:
    """Seconds until what has failed `failures` times in a row is tried again, `asked` (the authority's Retry-After) at least.
    `chance`: from 0 to 1."""
    steps = min(failures - 1, 16)  # beyond, nothing changes
    return max(min(FIRST_RETRY * GROWTH**steps, LAST_RETRY) * (1 + JITTER * chance), asked)
