"""What a start costs: which modules are imported, as time itself cannot be held by a test."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.conftest import Start
from tests.e2e.kit import get

UNNEEDED = {
    "cryptography", "ctypes", "difflib", "email", "encodings.idna", "enfilade.wire.hpack", "enfilade.wire.http2.server",
    "enfilade.identity.jwt", "enfilade.net.fetch", "enfilade.wire.websocket.frames", "importlib.metadata", "joserfc",
    "pathlib", "tomllib", "websockets", "zipfile",
}  # fmt: skip
"""What an ASGI application over HTTP/1 without TLS has no use for: a quarter of what a start would cost with them."""

HELLO = """
import sys

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = " ".join(sys.modules).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""


def bare() -> set[str]:
    """What the interpreter imports by itself."""
    show = "import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True).stdout.split())


def test_it_imports_no_more_than_it_needs(start: Start) -> None:
    server = start("", "run", "hello:app", "--inline", "--http", "127.0.0.1:0", files={"hello.py": HELLO})
    status, body = get(server, "/")
    imported = set(body.decode().split())
    assert status == 200 and "enfilade.wire.http1.server" in imported
    assert UNNEEDED & imported <= bare()
