"""Who may come in."""

from typing import Annotated

from enfilade.config.schema.leaves import Duration, FilePath, Table, Text


class BasicAuth(Table, frozen=True):
    """Who may come in: whoever has a name and a password (RFC 7617)."""

    file: Annotated[
        FilePath,
        Text("Users, one a line as `enfilade password USER` prints it. Read at the start and at each reload."),
    ]
    realm: Annotated[str, Text("What browsers show when they ask for the password.")] = "restricted"


class Jwt(Table, frozen=True):
    """Whoever has a good token (JWT, RFC 7519) comes in. Its keys come from exactly one of `jwks`, `file`, `secret`."""

    issuer: Annotated[
        str | list[str], Text("Who may have issued it: its `iss`, or several. An empty list: anybody who has a key.")
    ]
    audience: Annotated[
        str | list[str],
        Text("For whom it must be: one of its `aud`, or several. An empty list: also for others of the same issuer."),
    ]
    jwks: Annotated[
        str | None,
        Text("The https URL of the issuer's keys (JWK Set). Fetched with the first request, and kept fresh."),
    ] = None
    file: Annotated[FilePath | None, Text("A file with the issuer's keys (JWK Set), which is watched.")] = None
    secret: Annotated[
        FilePath | None,
        Text("A file with a secret that whoever issues tokens has, too: its bytes, less a newline at the end."),
    ] = None
    algorithms: Annotated[
        list[str],
        Text(
            "How it may be signed. Without it, `RS256`, `ES256`, `EdDSA` and `Ed25519`, with `secret` `HS256`; there are also "
            "`RS384`, `RS512`, `PS256` and so on, `ES384`, `ES512`, `HS384`, `HS512`."
        ),
    ] = []
    claims: Annotated[
        dict[str, str | list[str]],
        Text(
            'What else it must say: `{ role = ["admin", "owner"] }`: one of these values each. `"a.b"`: `b` within `a`; `scope` '
            "is taken apart at its blanks."
        ),
    ] = {}
    token: Annotated[
        str,
        Text('Where it stands: `"header Authorization"` behind `Bearer`, another `"header NAME"`, or `"cookie NAME"`.'),
    ] = "header Authorization"
    leeway: Annotated[Duration, Text("So much clocks may differ.")] = 30.0
    forward: Annotated[
        dict[str, str],
        Text(
            'Claims that whoever answers is told, by the fields that say them: `{ sub = "X-User" }`. What clients say there is '
            "removed."
        ),
    ] = {}
    allow: Annotated[
        list[str],
        Text("Networks that `jwks` may lie in besides the public ones. With it the URL may begin with `http://`, too."),
    ] = []
    authority: Annotated[
        FilePath | None,
        Text("PEM file of those who vouch for the server of `jwks`, instead of the system's authorities."),
    ] = None


class ForwardAuth(Table, frozen=True):
    """Whoever another server lets in comes in: it is asked about each request, and its answer goes to all others."""

    to: Annotated[
        str | list[str], Text("Who is asked: the name of a table in `upstreams`, or the URLs of its servers.")
    ]
    path: Annotated[str, Text('What it is asked for, with a query if there is one: `"/api/authz/forward-auth"`.')]
    copy: Annotated[
        list[str],
        Text(
            'Fields of its answer that whoever answers the request is told: `["Remote-User", "Remote-Groups"]`; the first says '
            "who it is. What clients say there is removed."
        ),
    ] = []


class Auth(Table, frozen=True):
    """Who may come in. What stands here must all let a request pass."""

    basic: Annotated[BasicAuth | None, Text("Who has a name and a password.")] = None
    jwt: Annotated[Jwt | None, Text("Who has a good token.")] = None
    forward: Annotated[ForwardAuth | None, Text("Whom another server lets in.")] = None
