"""A name for each request, the same in the log, in the answer, and in what the application sees."""

from __future__ import annotations

import itertools
import os
import re

from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.exchange.told import Told
from enfilade.http.field_texts import field_name

TRUSTED_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
"""What an id from outside may look like: no quotes, spaces or controls, and not longer than a log line wants."""


class IdSource:
    """Ids that are unique over processes and restarts: 64 random bits for the process, and a counter. Not a secret."""

    def __init__(self) -> None:
        self._renew()
        # A forked worker goes on with its parent's memory, so it would go on with its parent's ids.
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._prefix = os.urandom(8).hex()
        self._next = itertools.count(1).__next__

    def __call__(self) -> str:
        """A new id: 24 hexadecimal digits."""
        return f"{self._prefix}{self._next():08x}"


_new_id = IdSource()


class RequestId(Filter):
    """Gives each request an id, kept on the exchange (`x.id`) and set as the field `field` of the answer. ValueError if `field`
    is no field name.

    - `trust`: an id that came with the request is taken over if it is a TRUSTED_ID; only behind a proxy that sets it.
    - `tell`: the field is set on the request too. That costs a new Request, so only for handlers that look at its fields.
    """

    def __init__(self, field: str = "x-request-id", trust: bool = False, tell: bool = True) -> None:
        self._field = field_name(field)
        self._trust = trust
        self._tell = tell
        self._told = Told((self._field,))

    def on_request(self, x: Exchange) -> None:
        given = x.request.fields.get(self._field)
        if given is not None and self._trust and TRUSTED_ID.fullmatch(given):
            x.id = given.decode()
            return
        x.id = _new_id()
        if self._tell:
            fields = self._told.clear(x.request.fields)
            x.request = x.request.with_fields(fields.adding((self._field, x.id.encode())))

    def on_response(self, x: Exchange, r: Response) -> Response:
        if x.id is None:
            return r
        fields, pair = r.fields, (self._field, x.id.encode())
        return r.with_fields(fields.setting(pair) if self._field in fields else fields.adding(pair))
