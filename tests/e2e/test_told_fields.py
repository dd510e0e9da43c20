"""What applications hear of the way that a request has come (FAILURES 17): from strangers nothing, from trusted proxies all."""

from __future__ import annotations

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start

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
CONFIG = """
[server]
http = "127.0.0.1:0"
workers = 1
"""
ROUTES = {"": "", "named/": ", request_id = true"}
CLAIMS = {"X-Forwarded-For": "192.0.2.66", "X-Forwarded-Proto": "https"}


KINDS = {f"{kind}-{place}": (kind, place) for kind in ("asgi", "wsgi") for place in ("inline", "isolated")}


def launch(start: Start, more: str = "") -> Server:
    """One that has each kind of application, in its own process and in another."""
    routes = "".join(
        f'"/{path}{app}" = {{ app = "{app}"{options} }}\n' for app in KINDS for path, options in ROUTES.items()
    )
    apps = "".join(
        f'[apps.{app}]\ntarget = "apps:{kind}"\ninline = {str(place == "inline").lower()}\n'
        for app, (kind, place) in KINDS.items()
    )
    return start(f'{CONFIG}{more}\n[sites."*"]\n{routes}{apps}', files={"apps.py": APPS})


@pytest.fixture(scope="module")
def alone(start_once: Start) -> Server:
    return launch(start_once)


@pytest.fixture(scope="module")
def behind(start_once: Start) -> Server:
    return launch(start_once, 'trusted_proxies = ["127.0.0.1"]')


@pytest.mark.parametrize("app", KINDS)
def test_applications_hear_claims_of_trusted_proxies_alone(alone: Server, behind: Server, app: str) -> None:
    for server, told in ((alone, ""), (behind, "192.0.2.66,https")):
        answers = [httpx.get(f"{server.url()}/{app}", headers=CLAIMS, timeout=PATIENCE).text for _ in range(2)]
        assert answers == [told, told]


@pytest.mark.parametrize("app", KINDS)
def test_an_application_knows_the_request_by_our_name_whatever_its_client_says(alone: Server, app: str) -> None:
    for claims in ({}, {"X-Request-Id": "theirs"}, {"Connection": "X-Request-Id"}, {"X_Request_Id": "theirs"}):
        answer = httpx.get(f"{alone.url()}/named/{app}", headers=claims)
        assert answer.text == answer.headers["x-request-id"]
