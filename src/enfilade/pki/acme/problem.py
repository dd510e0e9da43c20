"""What an ACME server refuses, and how it says so (RFC 8555 section 6.7, RFC 7807)."""

from __future__ import annotations

import msgspec


class Problem(Exception):
    """An error of RFC 8555's list by its name, with a text for people. `more`: members besides."""

    def __init__(self, kind: str, detail: str, status: int = 400, **more: object) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = status
        self.more = more

    @property
    def document(self) -> dict[str, object]:
        """Its problem document."""
        return {
            "type": f"urn:ietf:params:acme:error:{self.kind}",
            "detail": self.detail,
            "status": self.status,
            **self.more,
        }

    def encoded(self) -> bytes:
        return msgspec.json.encode(self.document)


def malformed(detail: str) -> Problem:
    return Problem("malformed", detail)
