"""A worker of an application for the supervisor's tests: it does what its {"start": SCRIPT} says, and answers lines on its links.

SCRIPT: "failed": why it cannot start; "exit": a code instead; "never_ready"; "fail_if": a file that must not be there; "out",
"err": what it prints. On a link a line is answered with a line of facts, but "hang" never, and "die" ends the process.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from typing import Any

from enfilade.process.channel import Channel


class Worker:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.selector = selectors.DefaultSelector()
        self.selector.register(channel.fileno(), selectors.EVENT_READ)
        self.links: dict[int, socket.socket] = {}
        self.script: dict[str, Any] = {}
        self.answered = 0
        self.until: float | None = None

    def run(self) -> None:
        while self.until is None or (self.links and time.monotonic() < self.until):
            timeout = None if self.until is None else max(0.0, self.until - time.monotonic())
            for key, _ in self.selector.select(timeout):
                if key.fd == self.channel.fileno():
                    self.hear()
                else:
                    self.answer(self.links[key.fd])
        print("ended well", flush=True)

    def hear(self) -> None:
        try:
            messages = self.channel.receive()
        except EOFError:
            self.selector.unregister(self.channel.fileno())
            self.until = time.monotonic() + self.script["drain_timeout"]
            return
        for message, fd in messages:
            if "start" in message:
                self.start(message["start"])
            elif "link" in message:
                assert fd is not None
                self.links[fd] = socket.socket(fileno=fd)
                self.selector.register(fd, selectors.EVENT_READ)
            elif "drain" in message:
                self.until = time.monotonic() + message["drain"]
            elif "stop" in message:
                os._exit(0)

    def start(self, script: dict[str, Any]) -> None:
        self.script = script
        for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
            stream.write(script.get(name, ""))
            stream.flush()
        if "exit" in script:
            os._exit(script["exit"])
        if script.get("never_ready"):
            time.sleep(60)
        if "failed" in script or os.path.exists(script.get("fail_if", "")):
            self.channel.send({"failed": script.get("failed", "as told by a file")})
            sys.exit(1)
        self.channel.send({"ready": {"interface": "asgi", "concurrency": script.get("concurrency", 0)}})

    def answer(self, link: socket.socket) -> None:
        line = link.recv(1000).decode()
        if not line:
            self.selector.unregister(link)
            del self.links[link.fileno()]
            link.close()
        elif line == "die\n":
            os.kill(os.getpid(), signal.SIGKILL)
        elif line != "hang\n":
            self.answered += 1
            link.sendall(json.dumps(self.facts()).encode() + b"\n")

    def facts(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "answered": self.answered,
            "text": self.script.get("text", ""),
            "links": len(self.links),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "cwd": os.getcwd(),
            "uid": os.getuid(),
            "mode": os.environ.get("MODE"),
            "limits": [resource.getrlimit(what)[0] for what in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE)],
        }


if __name__ == "__main__":
    Worker(Channel(socket.socket(fileno=int(sys.argv[1])))).run()
