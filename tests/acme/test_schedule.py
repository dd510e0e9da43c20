"""When certificates are renewed, and when what failed is tried again."""

from __future__ import annotations

import pytest

from enfilade.acme.schedule import DAY, renewal_time, retry_delay


@pytest.mark.parametrize(
    ("lifetime", "after"),
    [(90 * DAY, 60 * DAY), (45 * DAY, 30 * DAY), (12 * DAY, 8 * DAY), (6 * DAY, 3 * DAY), (3600.0, 1800.0)],
)
def test_a_certificate_is_renewed_while_there_is_time_left(lifetime: float, after: float) -> None:
    assert renewal_time(1000.0, 1000.0 + lifetime) == 1000.0 + after


def test_tries_become_rarer_up_to_one_a_day() -> None:
    assert [retry_delay(n, 0, 0) for n in range(1, 8)] == [300, 900, 2700, 8100, 24300, 72900, DAY]
    assert retry_delay(10_000, 0, 0) == DAY


def test_many_servers_do_not_try_at_the_same_time() -> None:
    assert retry_delay(1, 0, 1) == 360


def test_the_authority_has_the_last_word() -> None:
    assert retry_delay(1, 7200, 0) == 7200
    assert retry_delay(1, 10, 0) == 300
