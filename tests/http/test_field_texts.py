"""What a person may say about header fields, wherever it is said."""

from __future__ import annotations

import pytest

from enfilade.http.field_texts import field_name, field_value


@pytest.mark.parametrize(
    ("text", "name"), [("X-Frame-Options", b"x-frame-options"), ("a!#$%&'*+-.^_`|~0", b"a!#$%&'*+-.^_`|~0")]
)
def test_names_are_kept_in_lower_case(text: str, name: bytes) -> None:
    assert field_name(text) == name


@pytest.mark.parametrize("text", ["", "a b", "a:", "ä", "\udce4", "a\r\nb"])
def test_a_name_is_a_token(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a header field"):
        field_name(text)


@pytest.mark.parametrize(
    "text",
    ["Content-Length", "transfer-encoding", "Connection", "keep-alive", "Proxy-Connection", "TE", "Trailer", "Upgrade"],
)
def test_framing_is_the_server_s_own(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" belongs to the connection'):
        field_name(text)


@pytest.mark.parametrize("text", ["", "a", "a b\tc", 'max-age=60, "x"'])
def test_values_are_sent_as_they_are(text: str) -> None:
    assert field_value(text) == text.encode()


@pytest.mark.parametrize("text", ["a\r\nb: c", "a\nb", "\x00", " a", "a ", "a\t", "\x7f", "naïve", "\udce4"])
def test_values_that_cannot_be_sent(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be the value of a header field"):
        field_value(text)
