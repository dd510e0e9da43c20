"""What applications hear of the way that a request has come (FAILURES 17): from strangers nothing, from trusted proxies all."""

from __future__ import annotations

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Start

APPS = """
async def asgi(scope, receive, send):
    told = b",".join(value for name, value in scope["headers"] if b"forwarded" in name or name in (b"x-real-ip", b"x-request-id"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told})

def wsgi(environ, start_response):
    told = [value for key, value in environ.items() if "FORWARDED" in key or key in ("HTTP_X_REAL_IP", "HTTP_X_REQUEST_ID")]
    start_response("200 OK", [])
    return [",".join(told).encode("latin-1")]
"""
CLAIMS = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("inline", ["true", "false"])
def test_applications_hear_claims_of_trusted_proxies_alone(start: Start, kind: str, inline: str) -> None:
    config = f"""
[server]
http = "127.0.0.1:0"
workers = 1
PROXIES
[sites."*"]
"/*" = {{ app = "main" }}
[apps.main]
target = "apps:{kind}"
inline = {inline}
"""
    for proxies, told in (("", ""), ('trusted_proxies = ["127.0.0.1"]', "192.0.2.66,https")):
        server = start(config.replace("PROXIES", proxies), files={"apps.py": APPS})
        assert [httpx.get(server.url(), headers=CLAIMS, timeout=PATIENCE).text for _ in range(2)] == [told, told]
        server.stop()


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("inline", ["true", "false"])
def test_an_application_knows_the_request_by_our_name_whatever_its_client_says(
    start: Start, kind: str, inline: str
) -> None:
    config = f"""
[server]
http = "127.0.0.1:0"
workers = 1
[sites."*"]
request_id = true
"/*" = {{ app = "main" }}
[apps.main]
target = "apps:{kind}"
inline = {inline}
"""
    server = start(config, files={"apps.py": APPS})
    for claims in ({}, {"X-Request-Id": "theirs"}, {"Connection": "X-Request-Id"}, {"X_Request_Id": "theirs"}):
        answer = httpx.get(server.url(), headers=claims)
        assert answer.text == answer.headers["x-request-id"]
