"""Fetching on somebody's word (FAILURES 35): who is connected to, and how much of the answer is taken."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import self_signed
from tests.net.test_resolver import Script, a

from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.http.addresses import Networks
from enfilade.net.fetch import ADDRESSES, Fetcher
from enfilade.net.resolver import Reply, ResolveError, Resolver

HERE = Networks(["127.0.0.1"])
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Origin:
    """Answers each request with `answer`; `heads` and `bodies` are what it was asked."""

    def __init__(self, answer: bytes = OK) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self._connections: set[asyncio.Task[None]] = set()

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def over(self) -> None:
        await asyncio.gather(*self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if b"content-length: " in head:
                self.bodies.append(await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0])))
            writer.write(self.answer)
            await writer.drain()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Names(Script):
    def __init__(self, **ips: Sequence[str]) -> None:
        super().__init__({(f"{name}.example", "A"): a(*found) for name, found in ips.items()})


def resolver(script: Script) -> Resolver:
    return Resolver(script, hosts="/dev/null")


def fetch(url: str, origin: Origin | None = None, *, tls: ssl.SSLContext | None = None, names: Script | None = None,
          make: Callable[..., Fetcher] = Fetcher, how: Sequence[Any] = ("GET",), **options: Any) -> Fetched:  # fmt: skip
    """What comes of it; `{port}` stands for that of `origin`."""

    async def main() -> Fetched:
        served = origin or Origin()
        server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
        served.port = server.sockets[0].getsockname()[1]
        async with server:
            method, *rest = how
            options.setdefault("http", True)
            fetcher = make(resolver=resolver(names or Names()), **options)
            try:
                return await fetcher(method, url.format(port=served.port), *rest)
            finally:
                await served.over()

    return asyncio.run(main())


def failure(url: str, origin: Origin | None = None, **options: Any) -> str:
    with pytest.raises(FetchError) as raised:
        fetch(url, origin, **options)
    return str(raised.value)


def test_what_is_sent_and_what_comes_back() -> None:
    origin = Origin(
        b"HTTP/1.1 201 Created\r\nreplay-nonce: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
    )
    how = ("POST", [(b"content-type", b"application/jose+json"), (b"user-agent", b"me")], b"{}")
    found = fetch("http://127.0.0.1:{port}/new?a=b#x", origin, allow=HERE, how=how)
    assert (found.status, found.fields.get(b"replay-nonce"), found.body) == (201, b"x", b"ab")
    head = origin.heads[0]
    assert head.startswith(b"POST /new?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % origin.port)
    assert head.count(b"user-agent") == 1 and b"user-agent: me\r\n" in head and origin.bodies == [b"{}"]
    assert b"accept-encoding" not in head and b"cookie" not in head


def test_a_name_is_looked_up_once_and_its_host_is_said() -> None:
    """DNS rebinding: what was looked at is what is connected to."""
    names, origin = Names(api=["127.0.0.1"]), Origin()
    assert fetch("http://api.example:{port}/", origin, names=names, allow=HERE).body == b"ok"
    assert names.asked == ["api.example A"] and b"host: api.example:" in origin.heads[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://api.example:{port}/",
    ],
)
def test_private_addresses_are_refused(url: str) -> None:
    origin = Origin()
    assert "is not a public address" in failure(url, origin, names=Names(api=["127.0.0.1"]))
    assert not origin.heads


def test_metadata_is_refused_however_much_is_allowed_beside_it() -> None:
    said = failure("http://metadata.example/latest", names=Names(metadata=["169.254.169.254"]), allow=HERE)
    assert "169.254.169.254 is not a public address" in said


def test_of_several_addresses_only_those_are_tried_that_may_be() -> None:
    origin = Origin()
    names = Names(api=["10.0.0.1", "127.0.0.1", "127.0.0.2"])
    assert fetch("http://api.example:{port}/", origin, names=names, allow=HERE).status == 200


def test_the_next_address_is_tried_where_one_refuses() -> None:
    names = Names(api=["127.0.0.0", "127.0.0.1"])  # nobody listens at the first
    allow = Networks(["127.0.0.0/8"])
    assert fetch("http://api.example:{port}/", names=names, allow=allow).status == 200


def test_no_more_than_some_addresses_are_tried() -> None:
    names = Names(api=[f"127.1.0.{i}" for i in range(ADDRESSES)] + ["127.2.0.1"])
    assert failure("http://api.example:1/", names=names, allow=Networks(["127.0.0.0/8"])).startswith(
        f"http://api.example:1/: 127.1.0.{ADDRESSES - 1}: "
    )


def test_redirects_are_answers() -> None:
    origin = Origin(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n")
    found = fetch("http://127.0.0.1:{port}/", origin, allow=HERE)
    assert (found.status, found.fields.get(b"location"), len(origin.heads)) == (302, b"http://169.254.169.254/", 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n12345678901",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n12345678901",
        b"HTTP/1.0 200 OK\r\n\r\n12345678901",
    ],
)
def test_a_large_answer_is_not_taken(answer: bytes) -> None:
    assert failure("http://127.0.0.1:{port}/x?secret", Origin(answer), allow=HERE, body=10).endswith(
        "/x: the answer has more than 10 bytes"
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "malformed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", ""),
    ],
)
def test_what_is_no_answer_is_a_failure(answer: bytes, text: str) -> None:
    assert text in failure("http://127.0.0.1:{port}/", Origin(answer), allow=HERE)


def test_all_of_it_has_its_time() -> None:
    origin = Origin(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")
    assert failure("http://127.0.0.1:{port}/", origin, allow=HERE, timeout=0.05).endswith("/: not within 0.05 s")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("ftp://x.example/", "this is not a URL"),
        ("file:///etc/passwd", "this is not a URL"),
        ("https://me:secret@x.example/", "credentials"),
        ("https://x.example/%zz", "this is not a URL"),
        ("https:///x", "this is not a URL"),
        ("https://x.example:99999/", "this is not a URL"),
        ("https://x.example/\r\nhost: y", "this is not a URL"),
    ],
)
def test_what_is_no_url_is_not_fetched(url: str, text: str) -> None:
    said = failure(url.replace("{", "{{"))
    assert text in said and "secret" not in said


def test_plain_http_is_fetched_only_where_it_may_be() -> None:
    assert "only https" in failure("http://127.0.0.1:{port}/", allow=HERE, http=False)


def test_names_that_there_are_not() -> None:
    script = Script({("x.example", "A"): ResolveError("there is no such name")})
    assert failure("https://x.example/", names=script) == "https://x.example/: there is no such name"
    # What other readers take for an address is a name here, and DNS knows none of it.
    assert "it has no addresses" in failure("https://2130706433/", names=Script({("x", "A"): Reply((), 0)}))


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "pem"
    made = self_signed(["api.example"])
    path.write_bytes(made.chain + made.key)
    return path


@pytest.mark.parametrize(
    ("host", "trusted", "text"), [("api", True, ""), ("other", True, "mismatch"), ("api", False, "self-signed")]
)
def test_servers_are_verified(pem: Path, host: str, trusted: bool, text: str) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pem)
    options: dict[str, Any] = {
        "names": Names(api=["127.0.0.1"], other=["127.0.0.1"]), "allow": HERE, "tls": theirs,
        "authority": str(pem) if trusted else None, "http": False,
    }  # fmt: skip
    url = f"https://{host}.example:{{port}}/"
    if text:
        assert text in failure(url, **options)
    else:
        assert fetch(url, **options).body == b"ok"


def test_an_authority_that_cannot_be_read_is_no_fetcher(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Fetcher(authority=str(tmp_path / "missing"))
    (tmp_path / "empty").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        Fetcher(authority=str(tmp_path / "empty"))


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert fetch("http://127.0.0.1:{port}/", allow=HERE).status == 200
