"""The certificate that a server shows, whatever it is good for."""

from __future__ import annotations

import asyncio
import ssl

from enfilade.exchange.fetch import FetchError
from enfilade.net.dialer import connect
from enfilade.net.fetch import CONNECT_TIMEOUT, Fetcher


async def shown_certificate(fetcher: Fetcher, host: str, port: int, server_name: str, protocol: str) -> bytes:
    """DER. Only addresses are connected to that `fetcher` may connect to. Raises FetchError, also where the server does not speak
    `protocol` (ALPN)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([protocol])
    loop = asyncio.get_running_loop()
    why = ""
    for ip in await fetcher.addresses(host):
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                transport, _ = await connect(loop, asyncio.Protocol, (ip, port), tls=context, server_name=server_name)
        except TimeoutError:
            why = f"{ip} does not answer within {CONNECT_TIMEOUT:g} s"
        except OSError as error:  # which an ssl.SSLError is
            why = f"{ip}: {getattr(error, 'reason', None) or error.strerror or error}"
        else:
            tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
            shown, agreed = tls.getpeercert(binary_form=True), tls.selected_alpn_protocol()
            transport.abort()
            if shown is not None and agreed == protocol:
                return shown
            why = f"{ip} does not speak {protocol}"
    raise FetchError(f"{host} port {port}: {why}")
