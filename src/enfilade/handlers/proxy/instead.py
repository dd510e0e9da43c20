"""Pages of our own in place of a peer's answers."""

from __future__ import annotations

import re

from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.media import media_type

_STATUS = re.compile(r"([2345])(?:[0-9]{2}|xx)").fullmatch


def status_of(text: str) -> int:
    """The status that `"404"` means, or the class (5) that `"5xx"` does. ValueError if it is neither."""
    found = _STATUS(text)
    if found is None:
        raise ValueError(f'"{text}" is not a status; write one as "404", or a class as "5xx"')
    return int(found[1]) if text.endswith("xx") else int(text)


def page(path: str) -> Response:
    """The file as an answer whose status is still to be said. Raises OSError where it cannot be read."""
    with open(path, "rb") as file:
        return Response(200, Fields([(b"content-type", media_type(path))]), file.read())
