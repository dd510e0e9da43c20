"""What the streams of a configuration must hold beyond the types of their values."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import get_args, get_type_hints

import msgspec

from enfilade.config import units
from enfilade.config.build import kinds_of
from enfilade.config.errors import Path, did_you_mean, dotted
from enfilade.config.report import Report
from enfilade.config.schema import Check, PeerTls, Stream, Table, Upstream
from enfilade.upstream.addresses import Address, parse_address

ONLY_HTTP = (
    "retries", "retry_budget", "hedge", "breaker", "sticky", "queue", "queue_timeout", "connections", "keep", "answer_timeout",
    "silence_timeout", "total_timeout", "keep_alive",
)  # fmt: skip
"""Keys of upstreams that say how requests are handed on."""
ONLY_HTTP_CHECKS = ("path", "host", "status")

ONLY_PEERS = ("balance", "peer_tls", "connect_timeout", "send_proxy")
ONLY_HANDLERS = ("model", "workers", "threads", "message_limit")
"""Keys of streams that say how peers are spoken to, and how handlers are run."""

BALANCERS = get_args(kinds_of(get_type_hints(Stream, include_extras=True)["balance"])[0])
"""Those that go by the client's address alone, or by nothing of the client."""


def listens(stream: Stream, path: Path) -> Iterator[tuple[Path, str]]:
    """Where it listens, each with its place."""
    return _texts(stream.listen, (*path, "listen"))


def check_stream(stream: Stream, path: Path, upstreams: Mapping[str, Upstream], report: Report) -> None:
    """Report what cannot work in `stream`."""
    kinds = _check_listen(stream, path, report)
    if not report.complete(path):
        return
    _check_tls(stream, path, kinds, report)
    said = [key for key in ("to", "sni", "handler") if getattr(stream, key)]
    if not said:
        hint = 'write to = ["tcp://host:port"], or handler = "module:callable"'
        report(path, True, f"{dotted(path)} has neither to nor sni nor handler", hint)
    for key in said[1:]:
        _refuse(path, key, f"does not go with {said[0]}", report)
    for key in _said(stream, ONLY_PEERS if said == ["handler"] else () if "handler" in said else ONLY_HANDLERS):
        _refuse(path, key, "does not go with a handler" if said == ["handler"] else "goes only with a handler", report)
    if stream.sni and kinds & {"tls", "udp"}:
        _refuse(path, "sni", "goes only with tcp:// addresses: whoever ends TLS passes none on", report)
    if stream.send_proxy is not None and "udp" in kinds:
        _refuse(path, "send_proxy", "does not go with UDP", report)
    for where, text in _destinations(stream, path):
        if text in upstreams and units.is_name(text):
            _check_upstream(where, text, upstreams[text], "udp" in kinds, report)
    peers = [
        peer for where, text in _destinations(stream, path) for peer in _peers(stream, where, text, upstreams, report)
    ]
    for where, peer in peers:
        _check_peer(peer, where, "udp" in kinds, report)
    if stream.peer_tls != PeerTls() and not any(peer.tls for _, peer in peers) and peers:
        _refuse(path, "peer_tls", "goes only with tls:// peers", report)


def _refuse(path: Path, key: str, why: str, report: Report) -> None:
    report((*path, key), True, f"{dotted((*path, key))} {why}")


def _check_listen(stream: Stream, path: Path, report: Report) -> set[str]:
    kinds: set[str] = set()
    where = (*path, "listen")
    for place, text in listens(stream, path):
        try:
            kinds.add(units.stream_address(text).protocol)
        except ValueError as error:
            report(place, False, f"{dotted(place)}: {error}")
    if "udp" in kinds and len(kinds) > 1:
        report(where, False, f"{dotted(where)}: UDP does not go with others; make two streams of it")
    if not stream.listen and report.complete(path):
        report(where, False, f"{dotted(where)} is empty", 'write it as "tcp://:5432"')
    return kinds


def _check_tls(stream: Stream, path: Path, kinds: set[str], report: Report) -> None:
    if "tls" in kinds and stream.tls is None:
        hint = 'write tls = { certificate = "cert.pem", key = "key.pem" }'
        report(path, True, f"{dotted(path)} listens with TLS, but has no certificate", hint)
    elif stream.tls is not None and kinds and "tls" not in kinds:
        _refuse(path, "tls", "goes only with tls:// addresses", report)


def _destinations(stream: Stream, path: Path) -> Iterator[tuple[Path, str]]:
    yield from _texts(stream.to, (*path, "to"))
    for name, to in stream.sni.items():
        yield from _texts(to, (*path, "sni", name))


def _peers(
    stream: Stream, where: Path, text: str, upstreams: Mapping[str, Upstream], report: Report
) -> Iterator[tuple[Path, Address]]:
    """The peers that `text` stands for."""
    if not units.is_name(text):
        try:
            yield where, parse_address(text)
        except ValueError as error:
            report(where, False, f"{dotted(where)}: {error}")
        return
    upstream = upstreams.get(text)
    if upstream is None or isinstance(where[-1], int):
        what = "in a list stand URLs alone" if upstream is not None else f'there is no upstream "{text}"'
        report(where, False, f"{dotted(where)}: {what}", "" if upstream else did_you_mean(text, upstreams))
        return
    if stream.balance is None and upstream.balance not in BALANCERS:
        text = f'{dotted(where)}: "{upstream.balance}" goes by requests, which a stream does not know'
        report(where, False, text, "give the stream a balance of its own")
    for peer in upstream.peers:
        url = peer if isinstance(peer, str) else peer.url
        try:
            yield where, parse_address(url)
        except ValueError:  # reported where the upstream is looked at
            continue


def _check_upstream(where: Path, name: str, upstream: Upstream, udp: bool, report: Report) -> None:
    """An upstream that a stream names, at `where`, holds nothing that only HTTP has."""
    found: list[Path] = [("upstreams", name, key) for key in _said(upstream, ONLY_HTTP)]
    if isinstance(upstream.check, Check):
        found += [("upstreams", name, "check", key) for key in _said(upstream.check, ONLY_HTTP_CHECKS)]
    for place in found:
        report(place, True, f"{dotted(place)} goes only with HTTP, and {dotted(where)} is none")
    if udp and upstream.check and not (isinstance(upstream.check, Check) and upstream.check.send):
        place = ("upstreams", name, "check")
        report(
            place, True, f"{dotted(place)}: nobody answers over UDP who is not asked", "write check = { send = ... }"
        )
    if udp and upstream.send_proxy is not None:
        _refuse(("upstreams", name), "send_proxy", "does not go with UDP", report)


def _said(table: Table, keys: Container[str]) -> list[str]:
    """Those of `keys` that `table` has another value of than without it."""
    fields = [field for field in msgspec.structs.fields(table) if field.name in keys]
    return [field.name for field in fields if getattr(table, field.name) != field.default]


def _check_peer(peer: Address, where: Path, udp: bool, report: Report) -> None:
    if not peer.speaks("udp" if udp else "tcp"):
        wanted = '"udp://host:port"' if udp else '"tcp://host:port", "tls://host:port" or "unix:/path"'
        report(where, False, f'{dotted(where)}: "{peer.name}" is no peer for this stream', f"it is {wanted}")


def _texts(value: str | list[str], path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if value:
            yield path, value
    else:
        for i, text in enumerate(value):
            yield (*path, i), text
