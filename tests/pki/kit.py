"""A moment, and a client of what the authority signs: OpenSSL's verification, in memory."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from enfilade.net.tls import Certificate, context_for
from enfilade.pki.authority import Authority, Leaf, key_pem, pem

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def leaf_of(authority: Authority, *names: str) -> Leaf:
    """Signed for `names` whatever the authority may sign for."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Leaf(pem(authority.sign(key.public_key(), names, NOW, DAY), authority.certificate), key_pem(key))


def refusal(root: x509.Certificate, leaf: Leaf, name: str) -> str:
    """Why a client that trusts `root` would not talk to `name`, which shows `leaf`; "": it would."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    us = context_for(Certificate("leaf", leaf.chain, leaf.key)).wrap_bio(to_us, to_them, server_side=True)
    client = ssl.create_default_context(cadata=pem(root).decode())
    them = client.wrap_bio(to_them, to_us, server_hostname=name)
    for end in (them, us, them, us):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return ""
