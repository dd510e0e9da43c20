"""The ways in which servers fail that the probes look for: the rows of docs/failures.md, under the same numbers."""

from __future__ import annotations

ROWS = {
    1: "two lengths of one body",
    2: "chunks that two readers take for different ones",
    3: "a body that is not read, and the request behind it",
    4: "an answer before the body has come",
    5: "upgrades that smuggle",
    6: "HTTP/2 requests that are none in HTTP/1.1",
    7: "request targets",
    8: "host names",
    9: "HTTP/2 frames that cost the sender nothing",
    10: "fields that become more than they were",
    11: "slow clients",
    12: "what is too long",
    13: "answers without a body, and the connection behind them",
    14: "field lines",
    15: "WebSockets",
    17: "what strangers say of themselves",
    25: "files outside the root",
    26: "ranges",
    27: "poisoned answers",
    29: "secrets in compressed answers",
    33: "administration for everybody",
    36: "TLS",
    37: "what browsers are told",
    38: "what is told about the server",
}
