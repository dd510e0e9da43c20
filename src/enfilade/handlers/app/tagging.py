"""Tags that an application gives an answer while it makes it (`enfilade.app.tag`): they go into its field Cache-Tag."""

from __future__ import annotations

from contextvars import ContextVar

from enfilade.exchange.response import Response

TAGS: ContextVar[list[bytes]] = ContextVar("enfilade.tags")
"""Of the answer that is being made. The list is its handler's, so tasks and threads of the application, which have copies of its
context, add to the same one."""


def tagged(response: Response, tags: list[bytes]) -> Response:
    return response.with_fields(response.fields.adding((b"cache-tag", b", ".join(tags))))
