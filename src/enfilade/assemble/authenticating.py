"""Whom routes let in because somebody else vouches for them: what is read before the fork, and the filters made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from enfilade.config.in_force import in_force
from enfilade.config.schema import Auth, Config, ForwardAuth, Jwt, Route, Site
from enfilade.config.units import texts
from enfilade.exchange.exchange import Filter
from enfilade.http.addresses import Networks
from enfilade.http.cookies import cookie_reader
from enfilade.http.field_texts import field_name
from enfilade.http.fields import Fields
from enfilade.http.uri import parse_url, split_target
from enfilade.identity.algorithms import PUBLIC, SHARED
from enfilade.net.watched import WatchedFiles
from enfilade.upstream.upstream import Upstream

if TYPE_CHECKING:
    from enfilade.identity.jwt import Jwt as JwtFilter
    from enfilade.identity.keys import Keys


def auth_of(site: Site, route: Route | None) -> tuple[Auth | None, str]:
    """What a route asks for, or (None) the site's requests that no route takes; and who says so."""
    said = in_force(site, route, lambda table: table.auth)
    return (said.value if isinstance(said.value, Auth) else None), said.who


def token_tables(config: Config) -> Iterator[Jwt]:
    """Those of all sites and routes."""
    for site in config.sites.values():
        for table in (site, *site.routes.values()):
            if isinstance(table.auth, Auth) and table.auth.jwt is not None:
                yield table.auth.jwt


class TokenKeys:
    """The keys of all routes that ask for tokens; who names the same ones shares them. Files are read now: raises OSError,
    ssl.SSLError or ValueError."""

    def __init__(self, config: Config) -> None:
        self._keys: dict[bytes, Keys] = {}
        for table in token_tables(config):
            self.of(table)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def of(self, table: Jwt) -> Keys:
        name = msgspec.json.encode(
            (table.jwks, table.file, table.secret, table.algorithms, table.allow, table.authority)
        )
        keys = self._keys.get(name)
        if keys is None:
            keys = self._keys[name] = make_keys(table)
        return keys

    def tick(self, now: float) -> None:
        """About once a second."""
        for keys in self._keys.values():
            keys.tick(now)


def make_keys(table: Jwt) -> Keys:
    """Raises OSError, ssl.SSLError or ValueError."""
    # The JOSE library costs 120 ms, which only those pay who ask for tokens.
    from enfilade.identity.keys import FetchedKeys, FixedKeys, KeyFile  # noqa: PLC0415
    from enfilade.identity.token import read_keys, secret_key  # noqa: PLC0415
    from enfilade.net.fetch import Fetcher  # noqa: PLC0415

    pinned = _algorithms(table)
    if table.secret is not None:
        with open(table.secret, "rb") as file:
            return FixedKeys([secret_key(file.read().removesuffix(b"\n"), pinned)])
    read = partial(read_keys, algorithms=pinned)
    if table.file is not None:
        return KeyFile(table.file, read, WatchedFiles([table.file]))
    assert table.jwks is not None, "keys come from somewhere"
    plain = parse_url(table.jwks).scheme == "http"
    return FetchedKeys(table.jwks, Fetcher(Networks(table.allow), http=plain, authority=table.authority), read)


def jwt_filter(table: Jwt, keys: Keys) -> JwtFilter:
    from enfilade.identity.jwt import Jwt as JwtFilter  # noqa: PLC0415
    from enfilade.identity.jwt import bearer  # noqa: PLC0415
    from enfilade.identity.token import Terms  # noqa: PLC0415

    terms = Terms(
        _algorithms(table),
        frozenset(texts(table.issuer)),
        frozenset(texts(table.audience)),
        {name: frozenset(texts(values)) for name, values in table.claims.items()},
        table.leeway,
    )
    forward = {claim: field_name(field) for claim, field in table.forward.items()}
    return JwtFilter(_reader(table.token) or bearer, keys, terms, forward)


def forward_filter(table: ForwardAuth, upstream: Upstream) -> Filter:
    from enfilade.handlers.proxy.asking import AskingProxy, Question  # noqa: PLC0415
    from enfilade.identity.forward import ForwardAuth as ForwardAuthFilter  # noqa: PLC0415

    path, raw_path, query = split_target(table.path.encode())
    question = partial(Question.on, path=path, raw_path=raw_path, query=query)
    return ForwardAuthFilter(AskingProxy(upstream), question, [field_name(name) for name in table.copy])


def _algorithms(table: Jwt) -> frozenset[str]:
    return frozenset(table.algorithms or (PUBLIC if table.secret is None else SHARED))


def _reader(place: str) -> Callable[[Fields], bytes | None] | None:
    """What reads the token at `place`; None: it is behind Bearer."""
    kind, _, text = place.partition(" ")
    if kind == "cookie":
        return cookie_reader(text)
    name = field_name(text)
    return None if name == b"authorization" else lambda fields: fields.get(name)
