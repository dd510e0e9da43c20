"""The works: what is asked of the servers, how it is measured, and what we want to reach. A new work is a new row."""

from __future__ import annotations

from functools import partial

from bench import caching, loads, trust
from bench.measures import Work, by_megabytes, by_p99, idle_memory, start_time, storm, under
from bench.servers import THREADING

H2 = {str(n): under(partial(loads.h2load, connections=16, streams=n)) for n in (1, 32)}

TEN_M = 10 * 1024 * 1024
DISCARD = partial(loads.client, name="download", options=("--path", "/10m.bin"))

MESSAGE = "Sixty-four bytes of text that go to and fro, compared each time."
TCP = under(partial(loads.stream, transport="tcp", connections=100, answer=MESSAGE))
UDP = under(partial(loads.stream, transport="udp", connections=100, answer=MESSAGE))
QUESTION, ANSWER = "What counts?", "Readability counts."
ZEN = under(partial(loads.stream, transport="tcp", connections=1000, answer=ANSWER))

WORKS = {
    work.name: work
    for work in (
        Work("file-1k", "1 KB file, HTTP/1.1", "files", under(loads.wrk), "requests/s",
             ("nginx", "caddy", "floor"), {"nginx": 1.0, "caddy": 3.0}, path="/1k.html", body=1024),
        Work("file-1k-tls", "1 KB file, HTTP/1.1 over TLS", "tls", under(loads.wrk), "requests/s",
             ("nginx", "caddy", "floor"), {"nginx": 0.95}, path="/1k.html", body=1024),
        Work("h2-32", "1 KB file, HTTP/2 over TLS, 32 streams on each of 16 connections", "tls", H2["32"], "requests/s",
             ("nginx", "caddy"), {"nginx": 3.0}, path="/1k.html", body=1024),
        Work("h2-1", "1 KB file, HTTP/2 over TLS, 1 stream on each of 16 connections", "tls", H2["1"], "requests/s",
             ("nginx", "caddy"), {"nginx": 0.9}, path="/1k.html", body=1024),
        Work("file-10m", "10 MB file", "files", under(partial(loads.wrk, connections=16), by_megabytes), "MB/s",
             ("nginx", "caddy"), {"nginx": 1.0}, path="/10m.bin", body=TEN_M),
        Work("file-10m-discard", "10 MB file, thrown away unread", "files", under(DISCARD, by_megabytes), "MB/s",
             ("nginx", "caddy"), path="/10m.bin", body=TEN_M),
        Work("file-varied", "1 KB files, 20,000 different requests", "files", under(partial(loads.wrk, varied=True)),
             "requests/s", ("nginx", "caddy"), path="/varied/000.html", body=1024),
        Work("asgi", "ASGI hello", "asgi", under(loads.wrk), "requests/s",
             ("granian", "uvicorn", "hypercorn", "floor"), {"granian": 1.5, "uvicorn": 1.7}),
        Work("asgi-varied", "ASGI hello, 20,000 different requests", "asgi", under(partial(loads.wrk, varied=True)),
             "requests/s", ("granian", "uvicorn")),
        Work("wsgi", "WSGI hello", "wsgi", under(loads.wrk), "requests/s",
             ("granian", "gunicorn"), {"granian": 1.0, "gunicorn": 5.0}),
        Work("fastapi", "FastAPI, JSON, one path parameter", "api", under(loads.wrk), "requests/s",
             ("granian", "uvicorn"), {"granian": 1.0, "uvicorn": 1.0}, path="/items/42", body=38),
        Work("websocket", "WebSocket echo, 100 connections", "asgi", under(partial(loads.client, name="websocket")), "echoes/s",
             ("uvicorn", "granian"), {"uvicorn": 1.0}),
        Work("mix", "99th percentile of quick requests among slow clients, slow answers and errors", "mixed",
             under(partial(loads.client, name="mix"), by_p99), "ms", ("granian", "uvicorn")),
        Work("proxy", "reverse proxy to nginx, 1 KB, HTTP/1.1", "proxy", under(loads.wrk), "requests/s",
             ("nginx", "haproxy", "caddy", "traefik"), {"nginx": 0.9, "haproxy": 0.9, "caddy": 3.0}, path="/1k.html", body=1024),
        Work("proxy-varied", "the same, 20,000 different requests", "proxy", under(partial(loads.wrk, varied=True)),
             "requests/s", ("nginx", "haproxy", "caddy", "traefik"), path="/varied/000.html", body=1024),
        Work("proxy-1m", "reverse proxy, 1 MB answers", "proxy", under(partial(loads.wrk, connections=16), by_megabytes),
             "MB/s", ("nginx", "haproxy", "caddy", "traefik"), {"nginx": 0.9}, path="/1m.bin", body=1024 * 1024),
        Work("proxy-h2", "reverse proxy, 1 KB, HTTP/2 over TLS, 32 streams on each of 16 connections", "proxy-tls", H2["32"],
             "requests/s", ("nginx", "haproxy", "caddy", "traefik"), path="/1k.html", body=1024),
        Work("proxy-post", "reverse proxy, POST of 64 KB", "proxy", under(partial(loads.wrk, post=65536)), "requests/s",
             ("nginx", "haproxy", "caddy", "traefik"), {"nginx": 0.9}, path="/post"),
        Work("grpc", "gRPC unary through the proxy, 8 calls at once on each of 16 connections", "grpc", under(loads.grpc),
             "requests/s", ("nginx",), {"nginx": 0.5}, path="/bench.Hello/Say", body=18),
        Work("isolated", "ASGI hello in a process of its own, edge and application on one core", "isolated", under(loads.wrk),
             "requests/s", ("nginx+uvicorn", "granian", "uvicorn"), {"nginx+uvicorn": 2.0, "granian": 1.0}),
        Work("burn", "99th percentile of quick requests, one in ten beside them burns 50 ms of CPU; 4 workers", "burn",
             under(partial(loads.client, name="burn"), by_p99), "ms", ("granian", "uvicorn"),
             {"granian": 0.5, "uvicorn": 0.5}),
        Work("storm", "2,000 requests a second, 20 reloads, 5 workers killed, a peer that flaps: idempotent requests that failed",
             "storm", storm, "failed", (), limit=0, path="/app"),
        Work("idle", "memory for each of 5,000 idle keep-alive connections", "asgi", idle_memory(5000), "KB",
             ("uvicorn", "granian", "floor"), limit=5.0),
        Work("websocket-memory", "memory for each of 1,000 WebSockets, proxied to uvicorn", "websocket",
             idle_memory(1000, "--websocket"), "KB", (), limit=40.0),
        Work("cache-hit", "1 KB from the cache, HTTP/1.1", "cache", caching.hits(loads.wrk), "requests/s",
             ("nginx", "varnish"), {"nginx": 1.3, "varnish": 1.6}, path="/1k.html", body=1024),
        Work("cache-varied", "the same, 20,000 different requests for 256 addresses", "cache",
             caching.hits(partial(loads.wrk, varied=True)), "requests/s",
             ("nginx", "varnish"), path="/varied/000.html", body=1024),
        Work("cache-disk", "1 KB, HTTP/1.1, ours from the disk alone", "cache-disk", caching.hits(loads.wrk), "requests/s",
             ("nginx",), {"nginx": 1.0}, path="/1k.html", body=1024),
        Work("cache-tiers", "the same, ours from memory over the disk", "cache-tiers", caching.hits(loads.wrk), "requests/s",
             ("nginx",), {"nginx": 1.0}, path="/1k.html", body=1024),
        Work("cache-h2", "the same over HTTP/2 and TLS, 32 streams on each of 16 connections", "cache-tls",
             caching.hits(partial(loads.h2load, streams=32)), "requests/s",
             ("nginx",), {"nginx": 2.0}, path="/1k.html", body=1024),
        Work("cache-304", "the same, HTTP/1.1, with an If-None-Match that is answered with 304", "cache",
             caching.not_modified, "requests/s",
             ("nginx", "varnish"), {"nginx": 1.3}, path="/1k.html", body=1024),
        Work("cache-zipf", "10,000 objects of 10 KB by Zipf's law (exponent 0.9), 10 MB for the cache: part of hits",
             "cache-zipf", caching.zipf, "% hits", ("nginx", "varnish"), {"nginx": 1.0, "varnish": 1.0},
             path="/objects/1", body=10240),
        Work("cache-herd", "99th percentile where 1,000 clients at once ask for a new object whose origin takes 500 ms",
             "cache-herd", caching.herd("p99 ms"), "ms", ("nginx", "varnish"), limit=550, path="/1k.html", body=1024),
        Work("cache-herd-2", "the same with two workers", "cache-herd-2",
             caching.herd("p99 ms"), "ms", ("nginx", "varnish"), limit=550, path="/1k.html", body=1024),
        Work("cache-fetches", "requests for each of these objects that reach the origin, with two workers", "cache-herd-2",
             caching.herd("fetches"), "fetches", ("nginx", "varnish"), limit=1, path="/1k.html", body=1024),
        Work("cache-purge", "how long a purge of a tag takes that 100,000 stored objects have", "cache-purge",
             caching.purge("call ms"), "ms", ("varnish",), limit=1.0, path="/1k.html", body=1024),
        Work("cache-purged", "from the beginning of this purge until each of two workers knows", "cache-purge",
             caching.purge("effect ms"), "ms", ("varnish",), limit=10.0, path="/1k.html", body=1024),
        Work("cache-guarded", "cache-hit behind 100,000 networks, a limit and request rules, against the same without",
             "cache-guarded", caching.hits(loads.wrk), "requests/s", ("unguarded",), {"unguarded": 0.75},
             path="/1k.html", body=1024),
        Work("refused", "connections that the firewall refuses, against 403 by nginx's deny", "denied",
             trust.for_each(trust.refused), "/CPU s", ("nginx",), {"nginx": 2.0}, path="/1k.html", body=1024),
        Work("refused-nftables", "the same by nftables, for each second of server and client together", "banned",
             trust.for_each(trust.refused, both=True), "/CPU s", ("nginx",), {"nginx": 2.0}, path="/1k.html", body=1024),
        Work("handshake", "full TLS 1.3 handshakes, ECDSA P-256", "handshake", trust.for_each(trust.handshakes("-new")),
             "/CPU s", ("nginx", "caddy", "traefik"), {"nginx": 0.9}, path="/ping", body=2),
        Work("handshake-resumed", "resumed TLS 1.3 handshakes, with one request each", "handshake",
             trust.for_each(trust.handshakes("-reuse", "-www", "/ping")), "/CPU s",
             ("nginx", "caddy", "traefik"), {"nginx": 0.9}, path="/ping", body=2),
        Work("attacked", "99th percentile of a visitor beside 2,100 slow clients, against the same without them",
             "attacked", trust.attacked, "times", ("nginx", "caddy", "traefik"), limit=2.0, path="/1k.html", body=1024),
        Work("echo-tcp", "echo of 64 bytes over TCP, 100 connections, model uvloop_protocol", "echo-tcp", TCP, "echoes/s",
             ("C", "floor"), {"C": 0.9}, path=MESSAGE, body=64),
        Work("echo-tcp-asyncio", "the same, asyncio_protocol", "echo-tcp-asyncio", TCP, "echoes/s",
             ("C",), path=MESSAGE, body=64),
        Work("echo-tcp-epoll", "the same, epoll", "echo-tcp-epoll", TCP, "echoes/s",
             ("C",), {"C": 0.6}, path=MESSAGE, body=64),
        Work("echo-udp", "echo of 64 bytes over UDP, 100 sockets, model uvloop_protocol", "echo-udp", UDP, "echoes/s",
             ("C", "floor"), {"C": 0.8}, path=MESSAGE, body=64),
        Work("echo-udp-epoll", "the same, epoll", "echo-udp-epoll", UDP, "echoes/s",
             ("C",), {"C": 0.8}, path=MESSAGE, body=64),
        Work("zen-1000", "the Zen of Python, 1,000 connections, uvloop_protocol against socketserver_threading", "zen",
             ZEN, "answers/s", (THREADING,), {THREADING: 5.0}, path=QUESTION, body=len(ANSWER)),
        Work("zen-1000-cores", "the same, not kept to one core", "zen-cores",
             ZEN, "answers/s", (THREADING,), {THREADING: 5.0}, path=QUESTION, body=len(ANSWER)),
        Work("start", "start to first answer", "start", start_time, "s", ("uvicorn",), limit=0.4, rounds=5),
    )
}  # fmt: skip
