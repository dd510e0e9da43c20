"""What `auth` of a site or a route comes to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import ask, config_of, write_pem
from tests.identity.kit import EC, RSA, SECRET, jwk, jwks, secret, sign

from enfilade.assemble.authenticating import TokenKeys, token_tables
from enfilade.assemble.explain import explain
from enfilade.assemble.plan import EdgePlan
from enfilade.assemble.upstreams import references
from enfilade.config import ConfigError
from enfilade.exchange.identity import Identity
from enfilade.process.board import Board

CLAIMS: dict[str, Any] = {"iss": "i", "aud": "a", "sub": "ada", "exp": time.time() + 86400}
WHO = 'issuer = "i", audience = "a"'

TOLD = '[upstreams.told]\npeers = ["http://127.0.0.1:1"]\nsend_proxy = "v2"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys.json").write_bytes(jwks(jwk(RSA, kid="r"), jwk(EC)))
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    (tmp_path / "short").write_bytes(b"too short")
    (tmp_path / "empty.json").write_bytes(b'{"keys": []}')
    write_pem(tmp_path, "ca", "id.example")
    return tmp_path


def site(jwt: str, more: str = "") -> str:
    return f'[sites."*"]\nauth = {{ jwt = {{ {jwt} }} }}\n"/" = {{ respond = 200 }}\n{more}'


def status(text: str, folder: Path, *fields: tuple[bytes, bytes], target: str = "/") -> int:
    return ask(config_of(text, folder), "GET", target, fields=list(fields))[0].status


def bearer(token: bytes) -> tuple[bytes, bytes]:
    return (b"authorization", b"Bearer " + token)


SIGNED = bearer(sign(CLAIMS, kid="r"))


@pytest.mark.parametrize(
    ("jwt", "field", "expected"),
    [
        (f'{WHO}, file = "keys.json"', SIGNED, 200),
        (f'{WHO}, file = "keys.json"', (b"x-token", SIGNED[1]), 401),
        ('issuer = "j", audience = "a", file = "keys.json"', SIGNED, 401),
        ('issuer = ["j", "i"], audience = "a", file = "keys.json"', SIGNED, 200),
        ('issuer = [], audience = ["b"], file = "keys.json"', SIGNED, 401),
        ('issuer = [], audience = [], file = "keys.json"', SIGNED, 200),
        (f'{WHO}, file = "keys.json", algorithms = ["ES256"]', SIGNED, 401),
        (f'{WHO}, file = "keys.json", algorithms = ["ES256"]', bearer(sign(CLAIMS, EC, "ES256")), 200),
        (f'{WHO}, file = "keys.json", claims = {{ sub = ["ada", "eve"] }}', SIGNED, 200),
        (f'{WHO}, file = "keys.json", claims = {{ role = "admin" }}', SIGNED, 403),
        (f'{WHO}, file = "keys.json", token = "header X-Token"', (b"x-token", sign(CLAIMS)), 200),
        (f'{WHO}, file = "keys.json", token = "cookie t"', (b"cookie", b"t=" + sign(CLAIMS)), 200),
        (f'{WHO}, file = "keys.json", token = "cookie t"', SIGNED, 401),
        (f'{WHO}, file = "keys.json", leeway = "1h"', bearer(sign({**CLAIMS, "exp": time.time() - 60})), 200),
        (f'{WHO}, file = "keys.json"', bearer(sign({**CLAIMS, "exp": time.time() - 60})), 401),
        (f'{WHO}, secret = "secret"', bearer(sign(CLAIMS, secret(), "HS256")), 200),
        (f'{WHO}, secret = "secret"', SIGNED, 401),
    ],
)
def test_whom_a_site_lets_in(jwt: str, field: tuple[bytes, bytes], expected: int, folder: Path) -> None:
    assert status(site(jwt), folder, field) == expected


def test_a_route_says_it_for_itself(folder: Path) -> None:
    text = site(f'{WHO}, file = "keys.json"', '"/open" = { respond = 200, auth = false }\n')
    assert [status(text, folder, target=target) for target in ("/", "/open", "/none")] == [401, 200, 401]
    steps = {step.name: step.reason for step in explain(config_of(text, folder), "GET", "http://x/")}
    assert steps["Jwt"] == "the site says so"


def test_claims_are_told_and_who_it_is_is_kept(folder: Path) -> None:
    text = site(f'{WHO}, file = "keys.json", forward = {{ sub = "X-User" }}')
    _, x = ask(config_of(text, folder), "GET", "/", fields=[SIGNED, (b"x-user", b"root")])
    assert x.request.fields.all(b"x-user") == [b"ada"] and x.kept(Identity).name == "ada"


@pytest.mark.parametrize(
    ("forward", "expected", "told"),
    [
        ('to = "gate", path = "/in"', 200, []),
        ('to = "gate", path = "/in", copy = ["X-Accel-Redirect"]', 200, [b"/a.txt"]),
        ('to = ["http://g:1"], path = "/none?a=b"', 404, []),
    ],
)
def test_somebody_else_is_asked(forward: str, expected: int, told: list[bytes], folder: Path) -> None:
    text = f'[sites."*"]\nauth = {{ forward = {{ {forward} }} }}\n"/" = {{ respond = "in" }}\n'
    text = text.replace("/in", "/file" if told else "/in") + '[upstreams.gate]\npeers = ["http://127.0.0.1:1"]\n'
    config = config_of(text, folder)
    answer, x = ask(config, "GET", "/", fields=[(b"x-accel-redirect", b"mine")] if told else [])
    assert answer.status == expected and x.request.fields.all(b"x-accel-redirect") == told
    asked = answer.body if expected == 404 else b""
    assert asked in (b"", b"http://g:1 GET peer:1 /none?a=b")
    steps = {step.name: step.reason for step in explain(config, "GET", "http://x/")}
    assert steps["ForwardAuth"] == "the site says so"
    assert len(references(config)) == 1


@pytest.mark.parametrize(
    ("auth", "at", "text"),
    [
        ("auth = true", 'true', "does not say who may come in"),
        ("auth = {}", '{}', "does not say who may come in"),
        ('auth = "jwt"', '"jwt"', "expected true or false or a table"),
        ("auth = { jwt = {} }", 'jwt', 'the key "issuer" is missing'),
        (f'auth = {{ jwt = {{ {WHO} }} }}', 'jwt', "needs exactly one of jwks, file and secret"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", secret = "secret" }} }}', 'jwt', "exactly one"),
        (f'auth = {{ jwt = {{ {WHO}, file = "none" }} }}', '"none"', "No such file"),
        (f'auth = {{ jwt = {{ {WHO}, file = "empty.json" }} }}', '"empty.json"', "it has no key for"),
        (f'auth = {{ jwt = {{ {WHO}, file = "ca.pem" }} }}', '"ca.pem"', "it is not JSON"),
        (f'auth = {{ jwt = {{ {WHO}, secret = "none" }} }}', '"none"', "No such file"),
        (f'auth = {{ jwt = {{ {WHO}, secret = "short" }} }}', '"short"', "at least 32 bytes, and this one 9"),
        (f'auth = {{ jwt = {{ {WHO}, jwks = "id.example" }} }}', '"id.example"', "this is not a URL"),
        (f'auth = {{ jwt = {{ {WHO}, jwks = "https://a:b@id.example" }} }}', '"https://a:b', "has credentials in it"),
        (f'auth = {{ jwt = {{ {WHO}, jwks = "http://id.example" }} }}', '"http://', "over plain http"),
        (f'auth = {{ jwt = {{ {WHO}, jwks = "https://x", authority = "none" }} }}', '"none"', "No such file"),
        (f'auth = {{ jwt = {{ {WHO}, jwks = "https://x", authority = "secret" }} }}', '"secret"', "cannot be used"),
        (f'auth = {{ jwt = {{ {WHO}, jwks = "https://x", allow = ["10.0.0.1/8"] }} }}', '"10.0.0.1/8"', "the network is"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", allow = ["::1"] }} }}', 'allow', "goes only with jwks"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", algorithms = ["none"] }} }}', '"none"', "no signature that is known"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", algorithms = ["HS256"] }} }}', '"HS256"', "goes only with a secret"),
        (f'auth = {{ jwt = {{ {WHO}, secret = "secret", algorithms = ["RS256"] }} }}', '"RS256"', "goes only with public keys"),
        (f'auth = {{ jwt = {{ {WHO}, secret = "secret", algorithms = ["HS512"] }} }}', '"secret"', "at least 64 bytes"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", claims = {{ role = [] }} }} }}', '[]', "no value is good"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", token = "query t" }} }}', '"query t"', "is no place of a token"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", token = "cookie" }} }}', '"cookie"', "is not the name of a cookie"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", forward = {{ sub = "a b" }} }} }}', '"a b"', "is not the name"),
        (f'auth = {{ jwt = {{ {WHO}, file = "keys.json", forward = {{ sub = "X", n = "x" }} }} }}', '"x"', "already"),
        ('auth = { forward = { path = "/" } }', "forward", 'the key "to" is missing'),
        ('auth = { forward = { to = "http://a" } }', "forward", 'the key "path" is missing'),
        ('auth = { forward = { to = [], path = "/" } }', "[]", "names nobody"),
        ('auth = { forward = { to = "gate", path = "/" } }', '"gate"', 'there is no upstream "gate"'),
        ('auth = { forward = { to = "ftp://a", path = "/" } }', '"ftp', "a peer does not speak"),
        ('auth = { forward = { to = "told", path = "/" } }', '"told"', "is asked by us"),
        ('auth = { forward = { to = "http://a", path = "x" } }', '"x"', '"x" is not a path; it starts with "/"'),
        ('auth = { forward = { to = "http://a", path = "/", copy = ["a b"] } }', '"a b"', "is not the name of a header field"),
        ('auth = { forward = { to = "http://a", path = "/", copy = ["Host", "te"] } }', '"te"', "belongs to the connection"),
        ('auth = { forward = { to = "http://a", path = "/", copy = ["A", "a"] } }', '"a"', "stands there already"),
        ('auth = { jwt = { issuer = "", audience = "a", file = "keys.json" } }', '""', "is empty; for any, write issuer = []"),
    ],
)  # fmt: skip
def test_a_mistake_refuses_the_start_with_its_place(auth: str, at: str, text: str, folder: Path) -> None:
    """FAILURES 31: nobody is let in because it cannot be found out who may."""
    with pytest.raises(ConfigError) as raised:
        config_of(f'[sites."*"]\n{auth}\n"/" = {{ respond = 200 }}\n{TOLD}', folder)
    assert str(raised.value).startswith(f"e.toml:2:{auth.rindex(at) + 1}: ") and text in str(raised.value)


def test_files_that_are_gone_at_the_start_refuse_it(folder: Path) -> None:
    """They were there when the configuration was checked."""
    config = config_of(site(f'{WHO}, file = "keys.json"'), folder)
    assert EdgePlan(config, Board(rows=4096, columns=2))
    (folder / "keys.json").unlink()
    with pytest.raises(OSError):
        EdgePlan(config, Board(rows=4096, columns=2))


def test_routes_that_name_the_same_keys_share_them(folder: Path) -> None:
    text = site(
        f'{WHO}, file = "keys.json"',
        f'"/a" = {{ respond = 200, auth = {{ jwt = {{ {WHO}, claims = {{ x = "y" }}, file = "keys.json" }} }} }}\n'
        f'"/b" = {{ respond = 200, auth = {{ jwt = {{ {WHO}, jwks = "https://id.example/keys" }} }} }}\n',
    )
    config = config_of(text, folder)
    keys = TokenKeys(config)
    first, second, third = [keys.of(table) for table in token_tables(config)]
    assert first is second and third is not first and third.now == ()
