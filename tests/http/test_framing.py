"""RFC 9112 section 6.3, and FAILURES: no message has two lengths."""

from __future__ import annotations

import pytest

from enfilade.http.fields import Fields
from enfilade.http.framing import CHUNKED, UNTIL_CLOSE, content_length, request_framing, response_framing
from enfilade.http.reasons import Reason

CL5 = (b"content-length", b"5")
TE = (b"transfer-encoding", b"chunked")


def said(result: int | Reason | None) -> int | str | None:
    return result.name if isinstance(result, Reason) else result


BOTH_WAYS: list[tuple[str, list[tuple[bytes, bytes]], int | str]] = [
    ("1.1", [CL5], 5),
    ("1.0", [CL5], 5),
    ("1.1", [(b"content-length", b"007")], 7),
    ("1.1", [TE], CHUNKED),
    ("1.1", [(b"transfer-encoding", b"Chunked")], CHUNKED),
    ("1.1", [CL5, TE], "two_framings"),
    ("1.0", [CL5, TE], "two_framings"),
    ("1.0", [TE], "bad_transfer_encoding"),
    ("1.1", [TE, TE], "bad_transfer_encoding"),
    ("1.1", [(b"transfer-encoding", b"gzip, chunked")], "bad_transfer_encoding"),
    ("1.1", [(b"transfer-encoding", b"chunked, gzip")], "bad_transfer_encoding"),
    ("1.1", [(b"transfer-encoding", b"identity")], "bad_transfer_encoding"),
    ("1.1", [(b"transfer-encoding", b"xchunked")], "bad_transfer_encoding"),
    ("1.1", [(b"transfer-encoding", b"chunked;q=1")], "bad_transfer_encoding"),
    ("1.1", [(b"transfer-encoding", b"")], "bad_transfer_encoding"),
    ("1.1", [CL5, CL5], "bad_content_length"),
    ("1.1", [CL5, (b"content-length", b"6")], "bad_content_length"),
    *[
        ("1.1", [(b"content-length", bad)], "bad_content_length")
        for bad in (b"", b"5, 5", b"5,5", b"+5", b"-5", b"0x5", b"5 ", b"5_0", b"5.0", b"\xb2", b"9" * 19)
    ],
]


@pytest.mark.parametrize(("version", "pairs", "expected"), BOTH_WAYS)
def test_failures_1_one_framing_or_none(version: str, pairs: list[tuple[bytes, bytes]], expected: int | str) -> None:
    assert said(request_framing(version, Fields(pairs))) == expected
    assert said(response_framing("GET", 200, version, Fields(pairs))) == expected


def test_without_framing_fields_a_request_is_empty_and_a_response_ends_with_the_connection() -> None:
    assert request_framing("1.1", Fields()) == 0
    assert response_framing("GET", 200, "1.1", Fields()) == UNTIL_CLOSE
    assert content_length(Fields()) is None


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204), ("GET", 100), ("GET", 101)])
def test_failures_13_some_responses_have_no_body(method: str, status: int) -> None:
    assert response_framing(method, status, "1.1", Fields()) == 0
    assert response_framing(method, status, "1.1", Fields([CL5])) == 0
    assert said(response_framing(method, status, "1.1", Fields([CL5, TE]))) == "two_framings"


@pytest.mark.parametrize(
    ("status", "expected"), [(204, "bad_transfer_encoding"), (103, "bad_transfer_encoding"), (304, 0)]
)
def test_a_status_without_body_may_not_claim_chunks(status: int, expected: int | str) -> None:
    assert said(response_framing("GET", status, "1.1", Fields([TE]))) == expected


def test_a_tunnel_lasts_until_the_end() -> None:
    assert response_framing("CONNECT", 200, "1.1", Fields([CL5])) == UNTIL_CLOSE
    assert response_framing("CONNECT", 403, "1.1", Fields([CL5])) == 5
