"""How much of an HTTP/1 connection a stranger may use."""

from __future__ import annotations


class Http1Limits:
    """Sizes in bytes, times in seconds; one object for all connections of a listener.

    `body` 0: no limit. `min_rate`: bytes a second that a request body must come with, on average over any `body_timeout`.
    """

    __slots__ = (
        "body", "body_timeout", "chunk_extensions", "chunk_line", "fields", "head", "head_timeout", "idle_timeout",
        "min_rate", "request_line", "trailers",
    )  # fmt: skip

    def __init__(
        self,
        *,
        request_line: int = 8192,  # nginx: large_client_header_buffers 8k; Apache: LimitRequestLine 8190
        head: int = 65536,  # HAProxy's and node's are 16 KiB, Apache's 800 KiB; single sign-on needs about 40
        fields: int = 100,  # Apache: LimitRequestFields 100
        body: int = 16 * 1024 * 1024,  # nginx: 1 MiB; Kestrel: 28.6 MiB
        chunk_line: int = 1024,  # one size with its extensions; h11 caps it by its buffer, 16 KiB
        chunk_extensions: int = 16384,  # of all chunks together: node and Go since CVE-2024-22019 and CVE-2023-39326
        trailers: int = 8192,  # Tomcat: maxTrailerSize 8192
        head_timeout: float = 10.0,  # IIS and Kestrel: 30; Apache: 20; nginx: 60
        body_timeout: float = 30.0,  # nginx: 60; Apache: 20
        idle_timeout: float = 75.0,  # nginx: keepalive_timeout 75
        min_rate: int = 240,  # Kestrel: MinRequestBodyDataRate 240
    ) -> None:
        self.request_line = request_line
        self.head = head
        self.fields = fields
        self.body = body
        self.chunk_line = chunk_line
        self.chunk_extensions = chunk_extensions
        self.trailers = trailers
        self.head_timeout = head_timeout
        self.body_timeout = body_timeout
        self.idle_timeout = idle_timeout
        self.min_rate = min_rate
