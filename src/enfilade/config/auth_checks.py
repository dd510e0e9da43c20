"""What `auth` must hold beyond the types of its values."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.config.errors import Path, did_you_mean, dotted
from enfilade.config.report import Report
from enfilade.config.schema import Auth, ForwardAuth, Jwt, Policies
from enfilade.config.units import texts
from enfilade.http.addresses import Networks
from enfilade.http.cookies import cookie_reader
from enfilade.http.field_texts import field_name
from enfilade.http.uri import UriError, parse_url, split_target
from enfilade.identity.algorithms import ALGORITHMS, SECRET

SOURCES = ("jwks", "file", "secret")


def check_auth(table: Policies, path: Path, report: Report) -> None:
    """`auth` of a site or a route at `path`."""
    auth, path = table.auth, (*path, "auth")
    if auth is True or auth == Auth():
        if report.complete(path):
            text = f"{dotted(path)} does not say who may come in"
            report(
                path, False, text, 'write auth = { basic = { file = "users" } }, { jwt = {...} } or { forward = {...} }'
            )
        report.misread(path)
    if not isinstance(auth, Auth):
        return
    if auth.jwt is not None:
        _check_jwt(auth.jwt, (*path, "jwt"), report)
    if auth.forward is not None:
        _check_forward(auth.forward, (*path, "forward"), report)


def _check_jwt(jwt: Jwt, path: Path, report: Report) -> None:
    said = [key for key in SOURCES if getattr(jwt, key) is not None]
    if len(said) != 1 and report.complete(path):
        report(path, True, f"{dotted(path)} needs exactly one of jwks, file and secret")
    for key in ("issuer", "audience"):
        for text in texts(getattr(jwt, key)):
            if not text:
                report((*path, key), False, f"{dotted((*path, key))} is empty", f"for any, write {key} = []")
    _check_algorithms(jwt, path, report)
    _check_fetching(jwt, path, report)
    for name, values in jwt.claims.items():
        if not values:
            where = (*path, "claims", name)
            report(where, False, f"{dotted(where)}: no value is good", "leave it out, or name one")
    kind, _, name = jwt.token.partition(" ")
    try:
        if kind not in _READERS:
            raise ValueError(f'"{jwt.token}" is no place of a token: write "header NAME" or "cookie NAME"')
        _READERS[kind](name)
    except ValueError as error:
        report((*path, "token"), False, f"{dotted((*path, 'token'))}: {error}")
    _check_names([((*path, "forward", claim), field) for claim, field in jwt.forward.items()], report)


_READERS = {"header": field_name, "cookie": cookie_reader}


def _check_algorithms(jwt: Jwt, path: Path, report: Report) -> None:
    for i, name in enumerate(jwt.algorithms):
        where = (*path, "algorithms", i)
        if name not in ALGORITHMS:
            report(
                where,
                False,
                f'{dotted(where)}: "{name}" is no signature that is known here',
                did_you_mean(name, ALGORITHMS),
            )
        elif (ALGORITHMS[name].kind == SECRET) is (jwt.secret is None):
            needed = "a secret" if jwt.secret is None else "public keys"
            report(where, False, f'{dotted(where)}: "{name}" goes only with {needed}')


def _check_fetching(jwt: Jwt, path: Path, report: Report) -> None:
    for i, text in enumerate(jwt.allow):
        try:
            Networks([text])
        except ValueError as error:
            report((*path, "allow", i), False, f"{dotted((*path, 'allow', i))}: {error}")
    if jwt.jwks is None:
        for key in ("allow", "authority"):
            if getattr(jwt, key):
                report((*path, key), True, f"{dotted((*path, key))} goes only with jwks")
        return
    where = (*path, "jwks")
    try:
        if parse_url(jwt.jwks).scheme == "http" and not jwt.allow:
            report(
                where, False, f"{dotted(where)}: over plain http, whoever is on the way can put keys of their own there"
            )
    except ValueError as error:
        report(where, False, f"{dotted(where)}: {error}")


def _check_forward(forward: ForwardAuth, path: Path, report: Report) -> None:
    try:
        split_target(forward.path.encode())
    except UriError:
        where = (*path, "path")
        report(where, False, f'{dotted(where)}: "{forward.path}" is not a path', 'it starts with "/"')
    _check_names([((*path, "copy", i), name) for i, name in enumerate(forward.copy)], report)


def _check_names(fields: Iterable[tuple[Path, str]], report: Report) -> None:
    """Names of fields by which something is told, each once."""
    seen: set[bytes] = set()
    for where, text in fields:
        try:
            name = field_name(text)
            if name in seen:
                raise ValueError(f'"{text}" stands there already')
            seen.add(name)
        except ValueError as error:
            report(where, False, f"{dotted(where)}: {error}")
