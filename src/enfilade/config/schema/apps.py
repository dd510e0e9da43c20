"""Applications."""

import os
from typing import Annotated, Literal

from enfilade.config.schema.leaves import Count, Duration, FilePath, Positive, Size, Table, Text, Workers

INLINE = False
"""Whether an application runs inside the edge workers that does not say."""


class WorkerRange(Table, frozen=True):
    """As many workers as there is work for: more at once when they are busy (three quarters of what they can serve at once; an
    application that can serve any number: of a processor each), fewer after a calm minute."""

    min: Annotated[Workers, Text("So many at least; the start waits for them.")] = 1
    max: Annotated[Workers, Text("So many at most.")] = 8


class AppLimits(Table, frozen=True):
    """What the system lets each worker of an application have (setrlimit)."""

    memory: Annotated[Size, Text("Address space, which is much more than what is used; 0: as the server.")] = 0
    files: Annotated[Count, Text("Open files and connections; 0: as the server.")] = 0


class App(Table, frozen=True):
    """An application that is run here: in processes of its own, or `inline`. The keys after `inline` go only with the former."""

    target: Annotated[
        str,
        Text(
            "`module:attribute` of the application, such as `shop.main:app`; or only its module, in which it is called `app`, "
            "`application` or, as a function that makes it, `create_app`."
        ),
    ]
    interface: Annotated[Literal["auto", "asgi", "wsgi"], Text('What it speaks; `"auto"` finds out.')] = "auto"
    factory: Annotated[bool, Text("The target is a function that makes the application.")] = False
    path: Annotated[FilePath, Text("Directory to import from.")] = "."
    env: Annotated[
        dict[str, str],
        Text(
            "Environment variables, set before it is imported. Inline applications share one process and see those of all of "
            "them: two that give one variable different values are an error."
        ),
    ] = {}
    threads: Annotated[Positive, Text("Only WSGI: requests at once in one worker.")] = 8
    lifespan: Annotated[
        Literal["auto", "on", "off"], Text('Only ASGI: its start-up and shutdown. `"on"`: failing is fatal.')
    ] = "auto"
    websocket_message_limit: Annotated[Size, Text("Longest WebSocket message, after decompression.")] = 16 * 1024 * 1024
    start_timeout: Annotated[Duration, Text("For its import, its lifespan start-up, and `warm_up`.")] = 60.0
    inline: Annotated[
        bool,
        Text(
            "Run it inside the edge workers: the lowest overhead, but what blocks, leaks or kills it does so to everything else "
            "that they serve."
        ),
    ] = INLINE
    workers: Annotated[
        Workers | WorkerRange | Literal["auto"],
        Text(
            'How many processes, or a table with `min` and `max`. `"auto"`: one a core, as more could not run at once; eight at '
            "most, as each is a copy of the application in memory."
        ),
    ] = "auto"
    concurrency: Annotated[
        Positive | Literal["auto"],
        Text('Requests that one worker gets at once. `"auto"`: WSGI its `threads`, ASGI any number.'),
    ] = "auto"
    venv: Annotated[FilePath | None, Text("Virtual environment whose Python, 3.9 or later, runs it.")] = None
    python: Annotated[FilePath | None, Text("Interpreter that runs it, 3.9 or later, instead of the server's own.")] = (
        None
    )
    user: Annotated[str | None, Text("Its workers run as this user instead of `server.user`.")] = None
    group: Annotated[str | None, Text("Its workers run as this group.")] = None
    cwd: Annotated[FilePath | None, Text("Its working directory, instead of the server's.")] = None
    limits: Annotated[AppLimits, Text("What each worker may have.")] = AppLimits()
    warm_up: Annotated[
        str | None,
        Text("Path that each worker is asked for before it serves; a 5xx is a failed start."),
    ] = None
    max_requests: Annotated[
        Count,
        Text("A worker is replaced after so many requests, or up to a tenth fewer, one worker at a time; 0: never."),
    ] = 0
    max_memory: Annotated[
        Size, Text("A worker that uses so much memory (resident) is replaced, one at a time; 0: never.")
    ] = 0
    queue: Annotated[
        Count, Text("Requests that may wait while all workers have as many as they can serve; beyond: 503.")
    ] = 1000
    queue_timeout: Annotated[Duration, Text("How long a request may wait for a worker; beyond: 503.")] = 10.0
    idle_stop: Annotated[
        Duration, Text("All workers end after so long without a request, and the next one starts them again; 0: never.")
    ] = 0.0
    live: Annotated[
        str | None, Text("Path that is answered with 200 in the application's place, also while it still starts.")
    ] = None

    @property
    def interpreter(self) -> str | None:
        """The Python that is named; None: the server's own."""
        return os.path.join(self.venv, "bin", "python") if self.venv is not None else self.python
