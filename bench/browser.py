"""The request that every load generator sends: the ten lines of a browser."""

from __future__ import annotations

HOST = "shop.example.com"
COOKIE = "session=abcdef0123456789abcdef0123456789; theme=dark"
FIELDS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.9",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Dest": "document",
    "Upgrade-Insecure-Requests": "1",
}


def head(path: str, cookie: str = COOKIE) -> bytes:
    """A GET as it stands on the wire in HTTP/1.1."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in FIELDS.items())]
    return ("\r\n".join([*lines, f"Cookie: {cookie}"]) + "\r\n\r\n").encode()
