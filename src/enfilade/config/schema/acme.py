"""Certificates that are had from an authority by themselves."""

from typing import Annotated, Literal

from enfilade.config.schema.leaves import FilePath, Table, Text

Challenge = Literal["http-01", "tls-alpn-01"]


class Acme(Table, frozen=True):
    """Certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt. With this table, each site with a public
    host name and without `tls` gets one; `tls = "acme"` says so for any site."""

    storage: Annotated[
        FilePath,
        Text("Directory for keys and certificates. Nobody else may read it. Edges that share it share certificates."),
    ]
    terms_agreed: Annotated[
        bool, Text("That you have read the authority's terms of service, and agree. Nothing is ordered without `true`.")
    ] = False
    email: Annotated[str | None, Text("Where the authority may write to.")] = None
    directory: Annotated[
        str | list[str],
        Text(
            'The authority: the URL of its directory, `"letsencrypt"`, or `"staging"` (Let\'s Encrypt\'s, for trying things out, '
            "which nobody trusts); or a list, of which the first is taken that signs."
        ),
    ] = "letsencrypt"
    authority: Annotated[
        FilePath | None,
        Text(
            "PEM file that the authority's own HTTPS is verified with, instead of the system's: for one in your own network, "
            "which then may have a private address."
        ),
    ] = None
    account_key_id: Annotated[
        str | None, Text("The name of an account that was made elsewhere, where the authority wants one.")
    ] = None
    account_hmac: Annotated[
        FilePath | None, Text("File with that account's key, as the authority gives it (base64url).")
    ] = None
    challenge: Annotated[
        Challenge | tuple[Challenge, ...],
        Text(
            'How the authority sees that a name is yours: it asks on port 80 (`"http-01"`), or begins a handshake on port 443 '
            '(`"tls-alpn-01"`). Of a list the first is taken as far as `server` listens there; where it fails, the next one is '
            "tried the next time."
        ),
    ] = ("http-01", "tls-alpn-01")
    profile: Annotated[
        str | None,
        Text('Which of the authority\'s kinds of certificates, such as `"shortlived"`; otherwise its usual one.'),
    ] = None
