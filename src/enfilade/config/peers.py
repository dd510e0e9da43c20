"""Lists of peers outside of the configuration: in files that are watched, and in registrations."""

from __future__ import annotations

from typing import Annotated

from enfilade.config.build import Builder
from enfilade.config.errors import Problem, dotted
from enfilade.config.report import Report
from enfilade.config.schema import Peer, Table, Text
from enfilade.upstream.addresses import Wanted, parse_address


class PeerList(Table, frozen=True):
    peers: Annotated[list[str | Peer], Text("URLs, or tables with `url`.")] = []


def read_peers(text: str, name: str) -> list[Wanted]:
    """The peers that `text` lists, the content of the file called `name`: `*.toml` with `peers = [...]` as in an upstream;
    `*.json`, that list or an object that has it; any other has a URL a line, and lines that begin with `#` are comments.

    Raises ValueError, with line and column where that is known. A list without peers is an error, too: it is mostly one that
    somebody is about to write.
    """
    if name.endswith(".toml"):
        found = _from_toml(text)
    elif name.endswith(".json"):
        found = _from_json(text)
    else:
        found = _from_lines(text)
    if not found:
        raise ValueError("it lists no peers")
    return found


def read_peer(text: str) -> Wanted:
    """The one peer of the JSON object `text`, with the keys that it has in an upstream's `peers`. Raises ValueError."""
    document = _json(text)
    if not isinstance(document, dict):
        raise ValueError('write it as an object: {"url": "http://host:port"}')
    report = Report("")
    peer = Builder("/", report).table(Peer, document, ())
    if not report.problems:
        _check((), peer, report)
    _raise(report)
    return wanted_of(peer)


def wanted_of(peer: str | Peer) -> Wanted:
    """What a peer of the configuration comes to. Raises ValueError."""
    if isinstance(peer, str):
        return Wanted(parse_address(peer))
    return Wanted(parse_address(peer.url), peer.weight, peer.tier, peer.limit)


def _from_toml(text: str) -> list[Wanted]:
    # Reading TOML costs 5 ms, which `run` and `serve` need not pay.
    import tomllib  # noqa: PLC0415

    from enfilade.config.locate import Places  # noqa: PLC0415

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None
    return _from_document(document, Report("", Places(text)))


def _from_json(text: str) -> list[Wanted]:
    document = _json(text)
    if isinstance(document, list):
        document = {"peers": document}
    if not isinstance(document, dict):
        raise ValueError('write a list: ["http://host:port"]')
    return _from_document(document, Report(""))


def _json(text: str) -> object:
    import json  # noqa: PLC0415

    try:
        document: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    return document


def _from_document(document: dict[str, object], report: Report) -> list[Wanted]:
    peers = Builder("/", report).table(PeerList, document, ()).peers
    for i, peer in enumerate(peers if not report.problems else ()):
        _check(("peers", i), peer, report)
    _raise(report)
    return [wanted_of(peer) for peer in peers]


def _check(path: tuple[str | int, ...], peer: str | Peer, report: Report) -> None:
    where = path if isinstance(peer, str) else (*path, "url")
    try:
        wanted_of(peer)
    except ValueError as error:
        report(where, False, f"{dotted(where)}: {error}")


def _raise(report: Report) -> None:
    if report.problems:
        first, *others = sorted(report.problems, key=lambda problem: (problem.line, problem.column))
        raise ValueError(_line(first) + (f" (and {len(others)} more)" if others else ""))


def _line(problem: Problem) -> str:
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    return f"{place}{problem.text}" + (f"; {problem.hint}" if problem.hint else "")


def _from_lines(text: str) -> list[Wanted]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        url = line.strip()
        if url and not url.startswith("#"):
            try:
                found.append(Wanted(parse_address(url)))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return found
