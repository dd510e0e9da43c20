"""Purging asked for by HTTP: what is named is purged, all of it or, where one name is wrong, nothing."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import msgspec

from enfilade.cache.invalidate import MAX_TAG, MAX_TAGS, tags
from enfilade.cache.key import KeyRules, keyed_query, origin_host
from enfilade.cache.purge_text import purge_name
from enfilade.cache.purges import Purges
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.http.request import Request

METHOD = "PURGE"
_REFUSED = reason("purge_refused")
_CHALLENGE = Fields([(b"www-authenticate", b'Bearer realm="purge"')])
_JSON = Fields([(b"content-type", b"application/json"), (b"cache-control", b"no-store")])


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """What a client asks for, in JSON. `purge`: as purge_text.py has it."""

    purge: list[str]
    soft: bool = False


def purge_as_asked(purges: Purges, body: bytes) -> tuple[int, object]:
    """Purge what the JSON in `body` says: a status, and what becomes the JSON of the answer."""
    try:
        wanted = msgspec.json.decode(body, type=Wanted)
        names = {text: purge_name(text) for text in wanted.purge}
    except ValueError as error:
        return 400, {"purged": [], "why": str(error)}
    return 200, _purge(purges, names, soft=wanted.soft)


def _purge(purges: Purges, names: Mapping[str, bytes], *, soft: bool) -> dict[str, object]:
    for name in names.values():
        purges.purge(name, soft=soft)
    return {"purged": list(names), "soft": soft}


class PurgeMethod:
    """Answers the requests with the method PURGE to a route that caches by `keys`, from whoever knows `token`.

    What is purged is the request's URL, where it has no query with whatever query, and below a directory where it ends with `/*`;
    or, where Surrogate-Key or Cache-Tag name some, those tags instead. `Soft-Purge: 1` makes it stale.
    """

    def __init__(self, token: str, purges: Purges, keys: KeyRules) -> None:
        self._token = b"Bearer " + token.encode()
        self._purges = purges
        self._keys = keys

    def __call__(self, x: Exchange) -> Response:
        fields = x.request.fields
        if not hmac.compare_digest(fields.get(b"authorization") or b"", self._token):
            return error_response(_REFUSED, x, _CHALLENGE)
        try:
            names = _tag_names(fields) or self._address(x.request)
        except ValueError as error:
            return _answer(400, {"purged": [], "why": str(error)})
        return _answer(200, _purge(self._purges, names, soft=fields.get(b"soft-purge") == b"1"))

    def _address(self, request: Request) -> dict[str, bytes]:
        query = keyed_query(request.query, self._keys)
        url = request.scheme.encode() + b"://" + origin_host(request) + request.raw_path
        text = (url + b"?" + query if query else url).decode("ascii")
        return {text: purge_name(text)}


def _tag_names(fields: Fields) -> dict[str, bytes]:
    found = tags(fields)
    if found is None:
        raise ValueError(f"more than {MAX_TAGS} tags, or one of more than {MAX_TAG} bytes")
    return {tag.decode("utf-8", "replace"): b"tag:" + tag for tag in found}


def _answer(status: int, facts: object) -> Response:
    return Response(status, _JSON, msgspec.json.encode(facts))
