"""The certificate that a server shows."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from tests.certificates import self_signed

from enfilade.exchange.fetch import FetchError
from enfilade.http.addresses import Networks
from enfilade.net.fetch import Fetcher
from enfilade.net.shown import shown_certificate
from enfilade.net.tls import context_for

CERTIFICATE = self_signed(["a.internal"])
HERE = Networks(["127.0.0.1"])


def look(host: str = "127.0.0.1", protocols: tuple[str, ...] = ("acme-tls/1",), allow: Networks | None = HERE) -> bytes:
    """What is seen of a server that speaks `protocols`."""

    async def main() -> bytes:
        names: list[object] = []
        context = context_for(CERTIFICATE, protocols)
        context.sni_callback = lambda tls, name, _: names.append(name)
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server:
            found = await shown_certificate(Fetcher(allow), host, port, "a.internal", "acme-tls/1")
        assert names == ["a.internal"]
        return found

    return asyncio.run(main())


def test_it_is_shown_to_who_asks_by_name_and_protocol() -> None:
    assert look() == ssl.PEM_cert_to_DER_cert(CERTIFICATE.chain.decode())
    assert look("localhost") == look()


def test_another_protocol_is_none() -> None:
    with pytest.raises(FetchError, match=r"127\.0\.0\.1 port [0-9]+: 127\.0\.0\.1.*(speak|PROTOCOL)"):
        look(protocols=("h2",))


def test_only_allowed_addresses_are_connected_to() -> None:
    with pytest.raises(FetchError, match="is not a public address"):
        look(allow=None)


def test_nobody_there() -> None:
    with pytest.raises(FetchError, match=r"127\.0\.0\.1 port 1: 127\.0\.0\.1: "):
        asyncio.run(shown_certificate(Fetcher(HERE), "127.0.0.1", 1, "a.internal", "acme-tls/1"))
