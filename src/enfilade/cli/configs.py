"""The configurations that `run` and `serve` stand for: arguments in, Config out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import structs

from enfilade.assemble.trial import try_out
from enfilade.config import App, Config, Proxy, Route, Server, Site, Stream, Tls, validate

HTTP, HTTPS = "127.0.0.1:8000", "127.0.0.1:8443"
NAME = "command line"


class Listen(NamedTuple):
    """The options that say where. `tls`: also over TLS, with a certificate of our own if no files are named."""

    http: Sequence[str] = ()
    https: Sequence[str] = ()
    tls: bool = False
    cert: str | None = None
    key: str | None = None

    @property
    def addresses(self) -> tuple[list[str], list[str]]:
        """For http and for https. Who names only an https address wants no other."""
        https = list(self.https) or ([HTTPS] if self.tls or self.cert else [])
        http = list(self.http) or ([] if self.https else [HTTP])
        return http, https

    @property
    def certificate(self) -> Tls | Literal["internal"] | None:
        if self.cert and self.key:
            return Tls(certificate=self.cert, key=self.key)
        return "internal" if self.tls or self.https else None


def run_config(app: App, listen: Listen, *, root_path: str, log: bool) -> Config:
    """Everything to one application, whose workers are edge workers too where it runs inline. Raises ConfigError."""
    route = Route(app="app", mount=root_path or True)
    workers: int | Literal["auto"] = app.workers if isinstance(app.workers, int) else "auto"
    if app.inline:
        app = structs.replace(app, workers="auto")
    elif isinstance(workers, int):
        workers = -(-workers // 4)  # an application has more to do for a request than the edge in front of it
    return _config(route, listen, workers, log, {"app": app})


def proxy_config(
    to: Sequence[str], listen: Listen, *, workers: int | Literal["auto"], balance: str, host: str, log: bool
) -> Config:
    """Everything to the servers at these URLs. Raises ConfigError."""
    route = Route(proxy=Proxy(to=list(to), host=host), balance=balance)
    return _config(route, listen, workers, log, {})


def serve_config(
    directory: str, listen: Listen, *, workers: int | Literal["auto"], spa: bool, listing: bool, log: bool
) -> Config:
    """Everything from one directory. Raises ConfigError."""
    return _config(Route(files=directory, spa=spa, listing=listing), listen, workers, log, {})


def _config(route: Route, listen: Listen, workers: int | Literal["auto"], log: bool, apps: dict[str, App]) -> Config:
    http, https = listen.addresses
    site = Site(tls=listen.certificate, log=log, routes={"/*": route})
    return validate(
        Config(server=Server(http=http, https=https, workers=workers), sites={"*": site}, apps=apps), NAME, ".", try_out
    )


def stream_config(stream: Stream) -> Config:
    """One stream, and nothing else. Raises ConfigError."""
    name = (stream.handler or "proxy").rpartition(":")[2]
    return validate(Config(streams={name: stream}), NAME, ".", try_out)
