"""The environment of a WSGI application (PEP 3333, "environ Variables")."""

from __future__ import annotations

import sys
from io import BufferedIOBase
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from enfilade.exchange.exchange import Exchange
from enfilade.http.fields import Pair
from enfilade.http.forwarded import told_fields
from enfilade.http.memory import remember

Environ = dict[str, Any]
_Variable = tuple[str, str]

MEMORY = 4096
"""Field lines remembered; the memory is emptied when it is full."""
REMEMBERED_SIZE = 512
"""Bytes: longer lines are not worth keeping."""

# Secrets of one client must not live longer than its request.
_SECRET = frozenset((b"cookie", b"authorization", b"proxy-authorization"))
# `Proxy` would become HTTP_PROXY, which libraries take for a setting (httpoxy); framing is the server's.
_DROPPED = frozenset((b"proxy", b"transfer-encoding"))
_CGI = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_PROTOCOLS = {"1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2"}
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_BOUNDARY = (b"", b"/")
_NONE: _Variable = ("", "")

_memory: dict[Pair, _Variable] = {}
_remembered = _memory.get


def make_environ(x: Exchange, body: BufferedIOBase, multithread: bool) -> Environ:
    """A new environment for `x`; `body` ends where the request's body does."""
    request = x.request
    known = request.scope
    if known is None:
        known = request.scope = _environ_of(x)
    environ = known.copy()
    environ["wsgi.input"] = body
    environ["wsgi.multithread"] = multithread
    return environ


def _environ_of(x: Exchange) -> Environ:
    """What is the same for every exchange with this very request."""
    request, ends = x.request, x.ends
    mount = x.match.mount
    host, port = ends.server
    environ: Environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": mount.encode("utf-8", "surrogateescape").decode("latin-1"),
        "PATH_INFO": _path_info(request.raw_path, mount),
        "QUERY_STRING": request.query.decode("latin-1"),
        "SERVER_NAME": host if port is not None else request.host or "localhost",
        "SERVER_PORT": str(port) if port is not None else _DEFAULT_PORTS[request.scheme],
        "SERVER_PROTOCOL": _PROTOCOLS[request.version],
        "REMOTE_ADDR": ends.client_ip,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    for pair in told_fields(request.fields, ends).pairs:
        variable = _remembered(pair) or _variable(pair)
        key, value = variable
        if key not in environ:
            environ[key] = value
        elif key:
            # RFC 9110 section 5.3; for crumbs of a cookie RFC 9113 section 8.2.3
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value
    environ.pop("", None)
    return environ


def _path_info(raw_path: bytes, mount: str) -> str:
    path = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
    prefix = mount.encode("utf-8", "surrogateescape")
    if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in _BOUNDARY:
        path = path[len(prefix) :]  # otherwise a proxy has taken it off already
    return path.decode("latin-1")


def _variable(pair: Pair) -> _Variable:
    """The name and value that a field line becomes; no name where the application must not see it."""
    name, value = pair
    if b"_" in name or name in _DROPPED:  # `X_Forwarded_For` would read like a trusted `X-Forwarded-For`
        variable = _NONE
    else:
        key = _CGI.get(name) or "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        variable = (key, value.decode("latin-1"))
    if name not in _SECRET and len(name) + len(value) <= REMEMBERED_SIZE:
        remember(_memory, pair, variable, MEMORY)
    return variable
