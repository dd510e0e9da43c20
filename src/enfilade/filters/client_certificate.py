"""The certificate that a client has shown, told to whoever answers the request (RFC 9440)."""

from __future__ import annotations

from base64 import b64encode

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.http.fields import Fields

FIELD = b"client-cert"
_CHAIN = b"client-cert-chain"


class ClientCertificate(Filter):
    """Sets Client-Cert on requests to the verified certificate of their connection. What the client itself says there is removed,
    so that nobody can pretend (section 4)."""

    def on_request(self, x: Exchange) -> None:
        fields = x.request.fields
        if FIELD in fields or _CHAIN in fields:
            fields = fields.without(FIELD, _CHAIN)
        x.request = x.request.with_fields(_telling(fields, x.ends.certificate))


def _telling(fields: Fields, certificate: bytes | None) -> Fields:
    if certificate is None:
        return fields
    return fields.adding((FIELD, b":%s:" % b64encode(certificate)))
