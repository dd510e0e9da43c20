"""FAILURES 27 and 28 through real sockets: what strangers do to get a page of theirs to others, or others' pages to them."""

from __future__ import annotations

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.kit import eventually, last_words, parse
from tests.e2e.origins import APPS, Origin, ask

pytest_plugins = ["tests.e2e.origin_fixtures"]

CONFIG = """
[server]
http = "127.0.0.1:0"
workers = 2
[cache]
purge_token = "0123456789abcdef0123456789abcdef"
[sites."*"]
"/*" = {{ proxy = "{origin}", cache = "1h" }}
"/isolated/*" = {{ app = "isolated", cache = "1h" }}
"/inline/*" = {{ app = "inline", cache = "1h" }}
"/some/*" = {{ proxy = "{origin}", cache = {{ ttl = "1h", ignore_query = ["utm_*"] }} }}
[apps.isolated]
target = "origin:app"
path = "{apps}"
workers = 1
[apps.inline]
target = "origin:app"
path = "{apps}"
inline = true
"""
FRESH = "cc=max-age=600"


@pytest.fixture(scope="module")
def server(start_once: Start, origin: Origin) -> Server:
    return start_once(CONFIG.format(origin=origin.url, apps=APPS))


def raw(server: Server, target: str, *lines: str, method: str = "GET", body: str = "") -> tuple[int, bytes, bytes]:
    """What a client that forges its request gets: status, Cache-Status, body."""
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: shop.example.com", "Connection: close", *lines])
    [(status, fields, content)] = parse(server.raw(f"{head}\r\n\r\n{body}".encode("latin-1")))
    return status, fields.get(b"cache-status", b""), content


# -- inputs that are not part of the key


@pytest.mark.parametrize("where", ["", "/isolated", "/inline"])
@pytest.mark.parametrize(
    "field",
    [
        "X-Original-URL", "X-Rewrite-URL", "X-Host", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
    ],
)  # fmt: skip
def test_who_asks_for_another_address_or_method_is_answered_alone(
    server: Server, name: str, where: str, field: str
) -> None:
    target = f"{where}/{name}?{FRESH}&echo={field.lower()}"
    assert raw(server, target, f"{field}: evil") == (200, b"enfilade; fwd=bypass; detail=override", b"evil")
    assert b"evil" not in raw(server, target)[2]
    assert raw(server, target, f"{field}: evil")[2] == b"evil", "nor answered from the cache"


@pytest.mark.parametrize("where", ["", "/isolated", "/inline"])
@pytest.mark.parametrize(
    "field",
    ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-For", "X-Real-IP", "Forwarded"],
)
def test_what_strangers_say_of_themselves_is_told_to_nobody(server: Server, name: str, where: str, field: str) -> None:
    """FAILURES 17."""
    target = f"{where}/{name}?{FRESH}&echo={field.lower()}"
    assert b"evil" not in raw(server, target, f"{field}: evil")[2]
    assert b"evil" not in raw(server, target)[2]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_with_a_body_is_not_cached(server: Server, name: str, method: str) -> None:
    target = f"/{name}?{FRESH}"
    if method == "GET":
        status, said, _ = raw(server, target, "Content-Length: 4", body="x=me", method=method)
        assert status == 200 and b"fwd=bypass; detail=request_body" in said
    assert raw(server, target)[2] == (f"{name} 2" if method == "GET" else f"{name} 1").encode()
    assert b"; hit" not in raw(server, target, "Content-Length: 4", body="x=me")[1], "nor answered from the cache"


def test_an_absolute_target_is_kept_under_its_own_host(server: Server, name: str) -> None:
    """RFC 9112 section 3.2.2: Host is not what counts then."""
    raw(server, f"http://evil.example/{name}?{FRESH}")
    assert b"uri-miss" in raw(server, f"/{name}?{FRESH}")[1]
    assert b"hit" in raw(server, f"http://shop.example.com/{name}?{FRESH}")[1]


# -- deception: one path for the key and the origin, and nothing but the answer says that it may be stored


@pytest.mark.parametrize("suffix", [".css", "/x.css", ";x.css", "%3Bx.css", "%0Ax.css", "%2Fx.css", "?x.css", "//x.js"])
def test_a_suffix_makes_nothing_cacheable(server: Server, name: str, suffix: str) -> None:
    """`/account/x.css`: the origin answers with the account, which says that it is private, or nothing at all."""
    join = "&" if "?" in suffix else "?"
    for stated in ("cc=private", "cc=no-store", "h=set-cookie:session=1"):
        for _ in range(2):
            status, said, _ = raw(server, f"/account{name}{suffix}{join}{stated}", "Cookie: session=1")
            assert b"; hit" not in said and b"stored" not in said and status in (200, 400)
    raw(server, f"/account{name}{suffix}", "Cookie: session=1")
    assert b"; hit" not in raw(server, f"/account{name}{suffix}")[1], "with a cookie a lifetime of ours does not count"


@pytest.mark.parametrize("path", ["/static/../{}", "/static/%2e%2e/{}", "//{}", "/./{}", "/%2e/{}"])
def test_the_key_is_the_path_that_the_origin_sees(server: Server, origin: Origin, name: str, path: str) -> None:
    target = path.format(name)
    status, _, body = raw(server, f"{target}?{FRESH}")
    if status == 200 and body == raw(server, f"/{name}?{FRESH}")[2]:
        assert origin.count(name) == 1, "it is the same to both"
    else:
        assert status in (200, 400, 404) and b"uri-miss" not in raw(server, f"{target}?{FRESH}")[1]


def test_an_encoded_question_mark_is_none(server: Server, name: str) -> None:
    """Key confusion."""
    raw(server, f"/{name}?{FRESH}")
    assert b"; hit" not in raw(server, f"/{name}%3F{FRESH}")[1]


def test_a_nul_is_refused(server: Server, name: str) -> None:
    assert raw(server, f"/{name}%00.css?{FRESH}")[0] == 400


def test_parameters_are_not_cloaked(server: Server, name: str) -> None:
    """Some origins end a parameter at `;`, too: what is behind it is part of the key."""
    raw(server, f"/some/{name}?{FRESH}&utm_source=a;echo=x-evil", "X-Evil: evil")
    assert b"; hit" not in raw(server, f"/some/{name}?{FRESH}&utm_source=a")[1]
    assert b"hit" in raw(server, f"/some/{name}?{FRESH}&utm_source=b")[1]


# -- denial of service by errors


def test_errors_of_bad_requests_are_not_kept(server: Server, name: str) -> None:
    target = f"/{name}?{FRESH}"
    assert raw(server, target, f"X-Long: {'x' * 100_000}")[0] == 431
    assert raw(server, target, "X-Bad: a\x01b")[0] in (200, 400)
    assert server.raw(f"GET {target} HTTP/1.1\r\nHost: shop.example.com\r\nX Y: z\r\n\r\n".encode()).startswith(
        b"HTTP/1.1 400"
    )
    assert raw(server, target)[0] == 200


@pytest.mark.parametrize("status", [400, 405, 413, 414, 431, 500, 501, 503])
def test_nor_are_those_that_the_origin_answers_them_with(server: Server, name: str, status: int) -> None:
    """A lifetime of the configuration is for answers worth having."""
    for _ in range(2):
        assert b"; hit" not in raw(server, f"/{name}?status={status}")[1]


# -- purging


def test_strangers_do_not_purge(server: Server, name: str) -> None:
    target = f"/{name}?{FRESH}"
    raw(server, target)
    for line in ("X-A: b", "Authorization: Bearer wrong", "Authorization: Basic eDp5"):
        assert raw(server, target, line, method="PURGE")[0] in (401, 403, 404, 405)
    assert b"hit" in raw(server, target)[1]
    token = "Authorization: Bearer 0123456789abcdef0123456789abcdef"
    assert raw(server, target, token, method="PURGE")[0] in (200, 204)
    assert b"; hit" not in raw(server, target)[1]


def test_what_was_asked_for_before_a_purge_is_not_stored_after_it(server: Server, origin: Origin, name: str) -> None:
    target = f"/{name}?{FRESH}&gate=before"
    with server.connect() as sock:
        sock.settimeout(20)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n".encode())
        eventually(lambda: origin.count(name), "it is on its way")
        token = "Authorization: Bearer 0123456789abcdef0123456789abcdef"
        assert raw(server, target, token, method="PURGE")[0] in (200, 204)
        origin.open(name)
        assert last_words(sock).endswith(f"{name} 1".encode())
    assert raw(server, target)[2] == f"{name} 2".encode()


# -- ranges, ages, variants


def test_ranges_are_not_amplified(server: Server, name: str) -> None:
    """FAILURES 26: never more bytes than there are."""
    target = f"/{name}?{FRESH}&size=100000"
    raw(server, target)
    for wanted in (",".join(["0-"] * 200), ",".join(f"{i}-" for i in range(200)), ",".join(["0-0"] * 500)):
        status, _, body = raw(server, target, f"Range: bytes={wanted}")
        assert status in (200, 206, 416) and len(body) <= 101_000


@pytest.mark.parametrize(
    "stated",
    [
        "cc=max-age=99999999999999999999", "cc=max-age=-1", "cc=max-age=1e9", 'cc=max-age="60', "cc=max-age=60, max-age=0",
        "cc=max-age=60&h=age:99999999999999999999", "cc=max-age=60&h=age:-5", "cc=max-age=60&h=expires:0",
        "cc=max-age=60&h=date:Fri, 99 Xyz 9999 99:99:99 GMT", "h=expires:Fri, 31 Dec 9999 23:59:59 GMT", "cc=,,=,;\"",
    ],
)  # fmt: skip
def test_nonsense_about_ages_harms_nobody(server: Server, name: str, stated: str) -> None:
    target = f"/{name}?{stated.replace(' ', '%20')}"
    for _ in range(3):
        status, said, body = raw(server, target)
        assert status == 200 and body.startswith(name.encode()) and b"enfilade;" in said


def test_variants_without_end_stay_bounded(server: Server, name: str) -> None:
    target = f"/{name}?{FRESH}&h=vary:x-any&echo=x-any"
    for i in range(150):
        assert ask(server, target, x_any=f"v{i}", host="shop.example.com")[2] == f"v{i}".encode()
    assert ask(server, target, x_any="v149", host="shop.example.com")[1]["cache-status"].startswith("enfilade; hit")
    assert "hit" not in ask(server, target, x_any="v0", host="shop.example.com")[1]["cache-status"]
