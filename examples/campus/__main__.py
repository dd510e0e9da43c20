"""`python -m examples.campus`: says what to open and try, then becomes the server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CONFIG = Path(__file__).parent / "enfilade.toml"
URL = "https://localhost:8443"

WELCOME = f"""\
Campus: a page, an API with its database, and files, from one process tree.

  open   {URL}/           in two windows: what you change in one moves in the other
         (the certificate was made a moment ago, so the browser warns once)

  try    curl -k --http2 -i {URL}/api/students/1
         curl -k -i {URL}/api/students -H 'content-type: application/json' -d '{{"name":"You","email":"you@example.com"}}'
         curl -k -i -X OPTIONS {URL}/api/students/1
         curl -k -i -X DELETE {URL}/api/courses/1
         curl -k -r 0-7 {URL}/files/syllabus.txt

  read   examples/campus/enfilade.toml, then api.py

Ctrl-C ends it.
"""


def command(config: Path = CONFIG) -> list[str]:
    """The command line that serves the example with this Python."""
    return [sys.executable, "-m", "enfilade", "up", "-c", str(config)]


if __name__ == "__main__":
    print(WELCOME, flush=True)
    os.execv(command()[0], command())
