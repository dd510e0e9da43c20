"""What `enfilade register` refuses before it does anything."""

from __future__ import annotations

import pytest
from tests.cli.kit import enfilade

GOOD = {"--redis": "redis://localhost", "--upstream": "api", "--url": "http://10.0.0.3:8000"}


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--redis", "http://localhost", "this is not the URL of a Redis"),
        ("--url", "10.0.0.3:8000", '"10.0.0.3:8000" is not a peer; write it as "http://host:port"'),
        ("--url", "http://10.0.0.3:8000/app", "a peer has no path"),
        ("--ttl", "0.5", "0.5 is not in the range"),
        ("--weight", "0", "0 is not in the range"),
    ],
)
def test_what_is_not_usable_is_a_usage_error(option: str, value: str, why: str) -> None:
    options = [word for pair in {**GOOD, option: value}.items() for word in pair]
    result = enfilade("register", *options)
    assert result.exit_code == 2
    assert why in result.stderr


def test_a_password_is_not_repeated() -> None:
    result = enfilade("register", "--redis", "http://:secret@localhost", "--upstream", "api", "--url", GOOD["--url"])
    assert result.exit_code == 2 and "secret" not in result.output


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.cli.register.find_spec", lambda name: None)
    result = enfilade("register", *[word for pair in GOOD.items() for word in pair])
    assert result.exit_code == 1
    assert 'pip install "enfilade[redis]"' in result.stderr
