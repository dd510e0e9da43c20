"""The certificate that a client has shown, told to whoever answers the request (RFC 9440)."""

from __future__ import annotations

from base64 import b64encode

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.exchange.told import Told
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

FIELD = b"client-cert"
_CERTIFICATE_WANTED = reason("certificate_wanted")
_TOLD = Told((FIELD, b"client-cert-chain"))


class ClientCertificate(Filter):
    """Sets Client-Cert on requests to the verified certificate of their connection. What the client itself says there is removed,
    so that nobody can pretend (section 4). `required`: who has shown none is refused."""

    def __init__(self, required: bool = False) -> None:
        self._required = required

    def on_request(self, x: Exchange) -> Response | None:
        if self._required and x.ends.certificate is None:
            return error_response(_CERTIFICATE_WANTED, x)
        x.request = x.request.with_fields(_telling(_TOLD.clear(x.request.fields), x.ends.certificate))
        return None


def _telling(fields: Fields, certificate: bytes | None) -> Fields:
    if certificate is None:
        return fields
    return fields.adding((FIELD, b":%s:" % b64encode(certificate)))
