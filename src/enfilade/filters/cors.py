"""Cross-origin resource sharing: whose scripts may read the answers (fetch.spec.whatwg.org, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.filters.remade import Remade
from enfilade.http.fields import Fields, Pair
from enfilade.http.negotiate import vary_by
from enfilade.http.origins import Origins
from enfilade.http.reasons import reason

_REFUSED = reason("origin_refused")
_OWN = (b"access-control-allow-origin", b"access-control-allow-credentials", b"access-control-expose-headers")


class Cors(Filter):
    """Answers preflight requests itself, and says in every answer whose scripts may read it.

    `origins`: None for everybody; else an answer names the one that asks, if it is one of them. What the handler says of this is
    dropped: one place decides. `max_age` in seconds.
    """

    def __init__(
        self,
        origins: Origins | None,
        methods: Sequence[str] = (),
        headers: Sequence[str] = (),
        expose: Sequence[str] = (),
        credentials: bool = False,
        max_age: int = 0,
    ) -> None:
        self._origins = origins
        self._said: tuple[Pair, ...] = (
            *([(b"access-control-allow-credentials", b"true")] if credentials else []),
            *_listed(b"access-control-expose-headers", expose),
        )
        # What stands in every answer is added to this one as well, on its way out.
        pairs = [*_listed(b"access-control-allow-methods", methods), *_listed(b"access-control-allow-headers", headers)]
        self._preflight = Response(204, Fields([*pairs, (b"access-control-max-age", b"%d" % max_age)]))
        self._remade: Remade[bytes | None] = Remade(self._apply)

    def on_request(self, x: Exchange) -> Response | None:
        if x.request.method != "OPTIONS":
            return None
        origin, method = x.request.fields.values((b"origin", b"access-control-request-method"))
        if origin is None or method is None:
            return None
        return self._preflight if self._reader(x) is not None else error_response(_REFUSED, x)

    def on_response(self, x: Exchange, r: Response) -> Response:
        return self._remade.of(r, self._reader(x))

    def _reader(self, x: Exchange) -> bytes | None:
        """Who may read the answer: `*`, or the origin that asks; None: nobody of another origin."""
        if self._origins is None:
            return b"*"
        origin = x.request.fields.get(b"origin")
        return origin if origin is not None and origin in self._origins else None

    def _apply(self, fields: Fields, reader: bytes | None) -> Fields:
        made = fields.without(*_OWN)
        if reader is not None:
            made = made.adding((_OWN[0], reader), *self._said)
        if self._origins is not None:
            made = made.setting((b"vary", vary_by(b"origin", made.get(b"vary"))))
        return made


def _listed(name: bytes, members: Sequence[str]) -> list[Pair]:
    return [(name, ", ".join(members).encode())] if members else []
