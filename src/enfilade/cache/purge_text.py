"""What people write to say what is to be purged, wherever they do: in an application, on the command line, in a request.

| text | what is purged |
|---|---|
| `user:7` | all that has this tag |
| `https://host/path` | this address, with whatever query |
| `https://host/path?query` | this address with this query |
| `https://host/dir/*` | all below this directory |
| `https://host/*` | all of this host |
| `*` | all |

The scheme says which port is meant and nothing else. Needs the standard library alone: applications' processes use it, too.
"""

from __future__ import annotations

import re

from enfilade.cache.invalidate import MAX_TAG
from enfilade.cache.key import MAX_DEPTH, url_name
from enfilade.http.uri import UriError, parse_authority, split_target

_URL = re.compile(r"(https?)://([^/?]+)(.*)", re.ASCII | re.IGNORECASE | re.DOTALL).fullmatch
_TAG = re.compile(r"[^\x00-\x20\x7f,*]+").fullmatch


def purge_name(text: str) -> bytes:
    """The name (key.py) that `text` means. Raises ValueError: it means none; the message says why."""
    if text == "*":
        return b"all"
    url = _URL(text)
    if url is not None:
        return _of_url(text, url[1].lower(), url[2], url[3] or "/")
    return b"tag:" + tag_value(text)


def tag_value(text: str) -> bytes:
    """The tag `text` as it stands in a field. Raises ValueError: a tag cannot be written so."""
    if text.startswith("/") or "://" in text:
        raise ValueError(f'"{text}" is no tag, and an address begins with http:// or https:// and a host')
    value = text.encode("utf-8", "replace")
    if _TAG(text) is None or len(value) > MAX_TAG:
        raise ValueError(f'"{text[:MAX_TAG]}" is no tag: it has 1 to {MAX_TAG} bytes, and no blank, comma or * in it')
    return value


def _of_url(text: str, scheme: str, authority: str, rest: str) -> bytes:
    try:
        host = parse_authority(authority.encode("ascii"))[0].encode()
        _, path, query = split_target(rest.encode("ascii"))
    except (UriError, UnicodeEncodeError):
        raise ValueError(f'"{text}" is no address: it is written as in a request, in ASCII') from None
    start = scheme.encode() + b"://" + host
    if not path.endswith(b"*") or query:
        return url_name(start + path + (b"?" + query if query else b""))
    directory = path[:-1]
    if not directory.endswith(b"/"):
        raise ValueError(f'"{text}": what is purged by * begins at a /, as in "{scheme}://{authority}/shop/*"')
    if directory.count(b"/") > MAX_DEPTH:
        raise ValueError(f'"{text}" is more than {MAX_DEPTH} directories deep; purge one above it')
    name = url_name(start + directory).partition(b":")[2]
    return b"host:" + name[:-1] if directory == b"/" else b"path:" + name
