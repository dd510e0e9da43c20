"""Certificates that are had from an authority by themselves."""

from typing import Annotated, Literal

from enfilade.config.schema.leaves import Duration, FilePath, RedisUrl, Table, Text

Challenge = Literal["http-01", "tls-alpn-01", "dns-01"]


class DnsUpdate(Table, frozen=True):
    """A name server that takes updates (RFC 2136), signed with a key that it knows (TSIG)."""

    server: Annotated[
        str, Text('The server of the zone that others copy, by its IP address: `"192.0.2.53"`, `"[::1]:5353"`.')
    ]
    key: Annotated[str, Text("What the server calls the key.")]
    secret: Annotated[FilePath, Text("File with the key, in base64 as the server has it.")]
    algorithm: Annotated[Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"], Text("What the key is for.")] = (
        "hmac-sha256"
    )


class OnDemand(Table, frozen=True):
    """Which names have a certificate when a client first asks for them: those that both `allow` and `ask` let have one, as far as
    they are there. One of them must be."""

    allow: Annotated[
        list[str], Text('Names, and `"*.customers.example"` for all with one label in the place of the `*`.')
    ] = []
    ask: Annotated[
        str | None,
        Text(
            "URL that is asked by GET, with `?domain=NAME`: 2xx is a yes, everything else a no, which holds for a minute. It "
            "may be one of `http://`, and have a private address."
        ),
    ] = None


class Acme(Table, frozen=True):
    """Certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt. With this table, each site with a public
    host name and without `tls` gets one; `tls = "acme"` says so for any site."""

    storage: Annotated[
        FilePath | None,
        Text("Directory for keys and certificates. Nobody else may read it. Servers that share it share certificates."),
    ] = None
    redis: Annotated[
        RedisUrl | None,
        Text("Or a Redis or Valkey for them, which servers may share: `redis://`, `rediss://` or `unix://`."),
    ] = None
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
            'tried the next time. `"dns-01"`: it looks for a record that `dns` can make; wildcards need it.'
        ),
    ] = ("http-01", "tls-alpn-01", "dns-01")
    dns: Annotated[
        DnsUpdate | list[str] | None,
        Text(
            "How a record is made: a table for a server that takes updates; or a command, which is called with `add` or "
            "`remove`, the name of a TXT record, and its value, and ends when that is done."
        ),
    ] = None
    dns_wait: Annotated[
        Duration, Text("How long it takes from there until every server of the zone has the record.")
    ] = 10.0
    on_demand: Annotated[
        OnDemand | None,
        Text(
            'Sites with `"*"` or a wildcard for a name, and `tls = "acme"`, have a certificate for each of their names when a '
            "client first asks for it. A wildcard has one for all of its names instead where `dns` is there."
        ),
    ] = None
    profile: Annotated[
        str | None,
        Text('Which of the authority\'s kinds of certificates, such as `"shortlived"`; otherwise its usual one.'),
    ] = None
