"""Stores 100,000 answers with one tag, purges it, and looks when that is so for every connection: their workers differ.

`call ms` is how long the purge itself took. `effect ms` is from its beginning to the first request that was answered anew, on the
connection that was last. The origin gives each answer a body of its own (`bench.cache_origin`).
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

from bench.clients.crowd import PATIENCE, Crowd

STORED = 100_000
CONNECTIONS = 64
LOST = 0.01
"""The part that may not have been stored after all."""


def fill(crowd: Crowd) -> dict[str, bytes]:
    """What is stored of a thousandth part: path -> body."""
    crowd.ask_all(f"/tagged/{n}" for n in range(STORED))
    sample = [f"/tagged/{n}" for n in range(0, STORED, STORED // 1000)]
    first, second = ({answer.path: answer.body for answer in crowd.ask_all(sample)} for _ in range(2))
    stored = {path: body for path, body in first.items() if second[path] == body}
    if len(stored) < len(sample) * (1 - LOST):
        sys.exit(f"only {len(stored)} of {len(sample)} answers are stored")
    return stored


def effect(crowd: Crowd, stored: dict[str, bytes], begun: float) -> float:
    """Seconds from `begun` until each connection was answered anew."""
    latest = 0.0
    places = dict(zip(crowd.clients, stored, strict=False))
    for client, path in places.items():
        client.ask(path)
    while places:
        for client, answer in crowd.answers():
            if answer.body != stored[answer.path]:
                latest = max(latest, client.asked - begun)
                del places[client]
            else:
                client.ask(answer.path)
    return latest


def load(port: int, address: str, request: str) -> dict[str, float]:
    crowd = Crowd(port, CONNECTIONS)
    stored = fill(crowd)
    with socket.create_connection((address, port), timeout=PATIENCE) as purging:
        begun = time.perf_counter()
        purging.sendall(request.encode())
        answer = purging.recv(65536)
        called = time.perf_counter() - begun
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"not purged: {answer!r}")
    return {"call ms": called * 1000, "effect ms": effect(crowd, stored, begun) * 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, help="it takes as long as it takes")
    parser.add_argument("--address", required=True, help="where to purge")
    parser.add_argument("--request", required=True, help="what purges, as it stands on the wire")
    options = parser.parse_args()
    print(json.dumps(load(options.port, options.address, options.request)))


if __name__ == "__main__":
    main()
