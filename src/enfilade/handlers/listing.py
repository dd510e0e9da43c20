"""What a directory holds, as a page or as JSON."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from enfilade.exchange.response import Response
from enfilade.handlers.beneath import open_beneath
from enfilade.http.fields import Fields
from enfilade.http.negotiate import choose_type

MAX_LISTED = 10_000
"""Entries of one directory that are shown."""

_KINDS = (b"text/html", b"application/json")

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.3rem; font-weight: 600; overflow-wrap: anywhere }}
table {{ border-collapse: collapse; width: 100% }}
td {{ padding: .15rem 0; border-top: 1px solid #8883 }}
td + td {{ opacity: .65; padding-left: 1.5rem; white-space: nowrap; font-variant-numeric: tabular-nums; text-align: right }}
td:first-child {{ width: 100%; overflow-wrap: anywhere }}
a {{ text-decoration: none }} a:hover {{ text-decoration: underline }}
@media (max-width: 32rem) {{ td:last-child {{ display: none }} }}
</style>
<h1>{title}</h1>
<table>
{rows}
</table>
{more}</html>
"""


class Entry:
    """One name in a directory: `size` in bytes (0 for directories), `modified` a Unix time."""

    __slots__ = ("directory", "modified", "name", "size")

    def __init__(self, name: str, directory: bool, size: int, modified: float) -> None:
        self.name = name
        self.directory = directory
        self.size = size
        self.modified = modified


def list_directory(root: str, parts: list[str], path: str, accept: bytes | None) -> Response | None:
    """The page, or the JSON, for the directory at `parts` beneath `root`, asked for as `path`. Blocks: it belongs into a thread.
    None if the directory is not there any more."""
    opened = open_beneath(root, parts)
    if opened is None:
        return None
    fd, state = opened
    try:
        if not stat.S_ISDIR(state.st_mode):
            return None
        entries = read_entries(root, parts, fd)
    finally:
        os.close(fd)
    if choose_type(accept, _KINDS) == b"application/json":
        kind, body = b"application/json", _write_json(entries)
    else:
        kind, body = b"text/html; charset=utf-8", _write_html(entries, path, top=len(parts) == 0)
    fields = Fields([(b"content-type", kind), (b"cache-control", b"no-cache"), (b"vary", b"accept")])
    return Response(200, fields, body)


def read_entries(root: str, parts: list[str], fd: int) -> list[Entry]:
    """The files and directories of the open directory `fd` that would be served: directories first, then by name."""
    entries: list[Entry] = []
    with os.scandir(fd) as found:
        for item in found:
            if item.name.startswith(".") and item.name != ".well-known":
                continue
            state = _state(root, parts, item)
            if state is not None:
                directory = stat.S_ISDIR(state.st_mode)
                entries.append(Entry(item.name, directory, 0 if directory else state.st_size, state.st_mtime))
            if len(entries) > MAX_LISTED:
                break
    return sorted(entries, key=lambda e: (not e.directory, e.name.lower(), e.name))


def _state(root: str, parts: list[str], item: os.DirEntry[str]) -> os.stat_result | None:
    """The state of what a request for `item` would get; None if it would get a 404."""
    if item.is_symlink():
        opened = open_beneath(root, [*parts, item.name])
        if opened is None:
            return None
        os.close(opened[0])
        return opened[1]
    try:
        state = item.stat(follow_symlinks=False)
    except OSError:  # gone since the directory was read
        return None
    return state if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode) else None


def _write_html(entries: list[Entry], path: str, top: bool) -> bytes:
    rows = [] if top else ['<tr><td><a href="../">../</a><td><td>']
    for e in entries[:MAX_LISTED]:
        name = e.name + "/" * e.directory
        # The leading `./` keeps a name with a colon from being read as a scheme.
        link = "./" + quote(os.fsencode(name))
        date = datetime.fromtimestamp(e.modified, UTC).strftime("%Y-%m-%d %H:%M")
        rows.append(
            f'<tr><td><a href="{link}">{escape(name)}</a><td>{"" if e.directory else size_text(e.size)}<td>{date}'
        )
    more = f"<p>Only the first {MAX_LISTED} are shown.</p>\n" if len(entries) > MAX_LISTED else ""
    page = _PAGE.format(title=escape(path), rows="\n".join(rows), more=more)
    return page.encode("utf-8", "replace")


def _write_json(entries: list[Entry]) -> bytes:
    items = [
        {
            "name": e.name,
            "type": "directory" if e.directory else "file",
            "size": e.size,
            "modified": datetime.fromtimestamp(e.modified, UTC).isoformat(timespec="seconds"),
        }
        for e in entries[:MAX_LISTED]
    ]
    return json.dumps(items).encode() + b"\n"


def size_text(size: int) -> str:
    """A size for people: `1.5 MB`, in steps of 1000."""
    number, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{number:.0f} {units[0]}" if units[0] == "B" or number >= 99.5 else f"{number:.1f} {units[0]}"
