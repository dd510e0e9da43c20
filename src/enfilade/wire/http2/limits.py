"""What a stranger may cost us: the limits of a connection, and the budget that floods run into."""

from __future__ import annotations


class Http2Limits:
    """Sizes in bytes, times in seconds. One object for all connections."""

    __slots__ = (
        "body", "body_timeout", "connection_window", "continuations", "fields", "flood_budget", "flood_refill", "head",
        "head_timeout", "idle_timeout", "min_rate", "request_line", "settings_timeout", "stream_window", "streams",
        "write_timeout",
    )  # fmt: skip

    def __init__(
        self,
        *,
        request_line: int = 8192,  # nginx large_client_header_buffers
        head: int = 65536,  # hyper-h2 and Granian 64 KB; as RFC 9113 section 6.5.2 counts
        fields: int = 100,  # Apache LimitRequestFields
        body: int = 16 * 1024 * 1024,  # between nginx (1 MB) and Caddy (none)
        streams: int = 128,  # nginx http2_max_concurrent_streams
        stream_window: int = 256 * 1024,  # Go x/net/http2 1 MB, nginx 64 KB: an upload of 256 KB a round trip
        connection_window: int = 1024 * 1024,  # Go x/net/http2
        continuations: int = 16,  # nghttp2 allows 8 (CVE-2024-28182), Envoy's header limit comes to about 4
        flood_budget: float = 10_000,  # with the COSTS below: nghttp2's stream reset burst of 1000 ...
        flood_refill: float = 330,  # ... and its 33 a second
        head_timeout: float = 10.0,  # Caddy and HAProxy examples; Apache reqtimeout header=20
        settings_timeout: float = 10.0,  # Go x/net/http2 firstSettingsTimeout 2 s, hyper 10 s
        body_timeout: float = 30.0,  # gunicorn; nginx client_body_timeout 60
        idle_timeout: float = 75.0,  # nginx keepalive_timeout
        write_timeout: float = 30.0,  # nginx send_timeout 60, Apache Timeout 60
        min_rate: int = 240,  # bytes a second; Kestrel MinResponseDataRate and MinRequestBodyDataRate
    ) -> None:
        self.request_line = request_line
        self.head = head
        self.fields = fields
        self.body = body
        self.streams = streams
        self.stream_window = stream_window
        self.connection_window = connection_window
        self.continuations = continuations
        self.flood_budget = flood_budget
        self.flood_refill = flood_refill
        self.head_timeout = head_timeout
        self.settings_timeout = settings_timeout
        self.body_timeout = body_timeout
        self.idle_timeout = idle_timeout
        self.write_timeout = write_timeout
        self.min_rate = min_rate


class Cost:
    """What cheap things of the peer's cost it."""

    RESET = 10  # RST_STREAM after our work has begun: Rapid Reset (CVE-2023-44487)
    OUR_RESET = 10  # and the same provoked by its mistakes: MadeYouReset (CVE-2025-8671)
    EARLY_ANSWER = 1  # what is dropped behind a complete answer: ordinary, but not for ever
    SETTINGS = 10  # CVE-2019-9515: each wants an ACK
    PING = 5  # CVE-2019-9512: each wants an ACK
    EMPTY_DATA = 5  # CVE-2019-9518
    PRIORITY = 2  # CVE-2019-9513
    TINY_WINDOW_UPDATE = 1  # less than TINY: CVE-2019-9517. Larger ones soon reach the largest window (section 6.9.1)
    OTHER = 2  # GOAWAY, unknown frames, and frames for streams that we have reset


TINY = 1024
FREE_TINY = 256
"""A tiny WINDOW_UPDATE is free for each so many bytes that we sent: they give back small bodies one by one."""


class Budget:
    """A bucket of points, one a connection: it refills with time, each Cost is taken from it, and a flood empties it."""

    __slots__ = ("_at", "_full", "_left", "_refill")

    def __init__(self, limits: Http2Limits) -> None:
        self._full = self._left = limits.flood_budget
        self._refill = limits.flood_refill
        self._at = 0.0

    def spend(self, cost: int, now: float) -> bool:
        """Take `cost`; False if it is not there."""
        left = min(self._full, self._left + (now - self._at) * self._refill) - cost
        self._at = now
        self._left = left
        return left >= 0

    def __repr__(self) -> str:
        return f"<Budget {self._left:.0f} of {self._full:.0f}>"
