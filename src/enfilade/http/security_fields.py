"""Header fields that tell browsers to be careful: what each preset says, and why."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One field: its value in either preset, None where that has none, and the reason."""

    name: str
    standard: str | None
    strict: str | None
    why: str


HSTS = "strict-transport-security"
ROWS = (
    Row(
        HSTS, "max-age=31536000", "max-age=63072000; includeSubDomains",
        "Only over TLS (RFC 6797 section 7.2): the browser comes back over TLS only, for one or two years. No `preload`: that "
        "takes months to undo.",
    ),
    Row(
        "x-content-type-options", "nosniff", "nosniff",
        "The browser believes Content-Type, so that what somebody uploaded as text does not become a script.",
    ),
    Row(
        "referrer-policy", "strict-origin-when-cross-origin", "same-origin",
        "Other sites see at most where a visitor came from, never the path and query. Not `no-referrer`: with it browsers "
        "send `Origin: null` with forms, which checks against request forgery refuse.",
    ),
    Row(
        "x-frame-options", "SAMEORIGIN", "DENY",
        "No other site puts a page into a frame and has its visitors click there. A `frame-ancestors` of the application's own "
        "Content-Security-Policy goes before it in browsers.",
    ),
    Row(
        "cross-origin-opener-policy", "same-origin-allow-popups", "same-origin",
        "Windows of other origins cannot reach this one. `strict` also cuts off the pop-ups by which one signs in elsewhere.",
    ),
    Row(
        "cross-origin-resource-policy", None, "same-origin",
        "No other site embeds images, scripts and the like, nor reads them by timing and side channels.",
    ),
    Row(
        "content-security-policy", None, "base-uri 'self'; object-src 'none'",
        "The two rules that hardly any page needs to break. What scripts it may load, only the application knows.",
    ),
    Row(
        "permissions-policy", None, "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "No script, not even an embedded one, asks for these.",
    ),
)  # fmt: skip

PRESETS = {
    "standard": {row.name: row.standard for row in ROWS if row.standard is not None},
    "strict": {row.name: row.strict for row in ROWS if row.strict is not None},
}
