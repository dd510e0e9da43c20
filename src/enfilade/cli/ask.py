"""`ask`: what a raw TCP or UDP service answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import click

from enfilade.cli.common import DURATION, Unit, fail
from enfilade.client.asking import Asking, Manner, Unanswered, reason_of
from enfilade.client.target import Target, target
from enfilade.config.units import octets
from enfilade.observe.log import printable

_NEWLINES = {"lf": b"\n", "crlf": b"\r\n", "none": b""}
_ESCAPES = {"\\n": "\\x0a", "\\r": "\\x0d", "\\t": "\\x09"}


def _unescaped(text: str) -> bytes:
    for escape, code in _ESCAPES.items():
        text = text.replace(escape, code)
    return octets(text)


class _Shown(NamedTuple):
    """How answers are printed. `as_hex`: what is asked is written so, too."""

    as_json: bool
    as_hex: bool

    def answer(self, asked: bytes, answer: bytes, seconds: float) -> None:
        if self.as_json:
            click.echo(
                json.dumps({"asked": self._text(asked), "answer": self._text(answer), "seconds": round(seconds, 6)})
            )
        elif self.as_hex:
            click.echo(answer.hex(" "))
        else:
            self._bytes(answer)

    def _text(self, data: bytes) -> str:
        return data.hex(" ") if self.as_hex else data.decode(errors="backslashreplace")

    def _bytes(self, answer: bytes) -> None:
        """As they are; but a terminal obeys no stranger."""
        lines = answer if answer.endswith(b"\n") or not answer else answer + b"\n"
        if sys.stdout.isatty():
            for line in lines.decode(errors="backslashreplace").splitlines():
                click.echo("\t".join(map(printable, line.split("\t"))))
        else:
            click.echo(lines, nl=False)


@click.command()
@click.argument("url")
@click.argument("texts", nargs=-1)
@click.option(
    "--end",
    type=Unit("text", _unescaped),
    default="",
    metavar="TEXT",
    help=r"Where an answer ends: `\n`, `.`, `\x00`.  [default: when no more comes]",
)
@click.option(
    "--wait",
    type=DURATION,
    default="500ms",
    show_default=True,
    help="Silence that ends an answer without --end.",
)
@click.option(
    "--timeout",
    type=DURATION,
    default="5s",
    show_default=True,
    help="In which there must be an answer.",
)
@click.option(
    "--newline", type=click.Choice(list(_NEWLINES)), default="lf", show_default=True, help="What each text is sent with."
)  # fmt: skip
@click.option("--hex", "as_hex", is_flag=True, help="Texts and answers are hexadecimal; no newline is added.")
@click.option(
    "--authority", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="Certificates to trust instead of the system's (tls://).",
)  # fmt: skip
@click.option("--insecure", is_flag=True, help="Take whatever certificate the server has (tls://).")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
def ask(
    url: str,
    texts: tuple[str, ...],
    end: bytes,
    wait: float,
    timeout: float,
    newline: str,
    as_hex: bool,
    authority: str | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Ask a raw TCP or UDP service each of TEXTS, one after the other on one connection, and print the answers. Without TEXTS,
    ask each line of the standard input.

    \b
    URL: tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT or unix:/PATH.
    TEXTS and --end: \\n, \\r, \\t and \\xHH stand for the bytes that they are elsewhere.

    \b
    Examples:
      enfilade ask tcp://localhost:9999 "What counts?" "Why?" --end .
      enfilade ask udp://localhost:9999 now
      enfilade ask tls://mail.example.com:993 "a1 LOGOUT" --newline crlf
      enfilade ask tcp://localhost:9999 < questions.txt
      enfilade ask unix:/run/service.sock --hex "00 03 61 62 63"
    """
    if not timeout:
        raise click.UsageError("--timeout 0: there is no answer in no time")
    try:
        there = target(url, authority, verify=not insecure)
        asked = _texts(texts, as_hex, _NEWLINES[newline])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _ask(there, asked, Manner(end, wait, timeout), _Shown(as_json, as_hex))


def _texts(texts: tuple[str, ...], as_hex: bool, newline: bytes) -> Iterator[bytes]:
    """What to ask. Raises ValueError, for the arguments at once."""
    if not texts:
        return (_text(line.rstrip("\r\n"), as_hex, newline) for line in sys.stdin)
    return iter([_text(text, as_hex, newline) for text in texts])


def _text(text: str, as_hex: bool, newline: bytes) -> bytes:
    if as_hex:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise ValueError(f'"{text}" is not hexadecimal; write "68 65 6c 6c 6f"') from None
    return _unescaped(text) + newline


def _ask(there: Target, texts: Iterator[bytes], manner: Manner, shown: _Shown) -> None:
    try:
        sock = there.connect(manner.patience)
    except OSError as error:
        fail(f"{there.address.name}: {reason_of(error)}")
    with sock:
        asking = Asking(sock, manner)
        try:
            for text in texts:
                begun = perf_counter()
                try:
                    shown.answer(text, asking.ask(text), perf_counter() - begun)
                except Unanswered as error:
                    if error.part:
                        shown.answer(text, error.part, perf_counter() - begun)
                    fail(f"{there.address.name}: {error}")
        except ValueError as error:  # a line that cannot be asked
            fail(str(error))
