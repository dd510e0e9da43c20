"""The servers: how each is started for each kind of work. A new peer is a new row.

$-names in commands and configurations are filled in by `bench.ground`: port, host, files (the folder), certificate, key,
config (the file written from `configs`), scratch (a folder to write in), cache (another, empty at each start),
target (the application), origin (the port of what stands behind), programs (the folder of those in C), python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from socket import SOCK_DGRAM, SOCK_STREAM

# kind of work -> the application that serves it
TARGETS = {
    "asgi": "bench.apps.asgi:app",
    "wsgi": "bench.apps.wsgi:app",
    "api": "bench.apps.api:app",
    "mixed": "bench.apps.mixed:app",
    "isolated": "bench.apps.asgi:app",
    "isolated-mixed": "bench.apps.mixed:app",
    "burn": "bench.apps.burn:app",
    "storm": "bench.apps.asgi:app",
}
OURS = "enfilade"
UNGUARDED = "unguarded"
"""The same without a firewall, a limit and request rules."""
TLS = ("tls", "handshake", "proxy-tls", "cache-tls")
"""Kinds of work that are over TLS."""

STREAMS = {
    "echo-tcp": SOCK_STREAM,
    "echo-tcp-asyncio": SOCK_STREAM,
    "echo-tcp-epoll": SOCK_STREAM,
    "echo-udp": SOCK_DGRAM,
    "echo-udp-epoll": SOCK_DGRAM,
    "zen": SOCK_STREAM,
    "zen-cores": SOCK_STREAM,
}
"""Kinds of work that are raw services, and the kind of their sockets."""
ON_ALL_CORES = ("zen-cores",)
"""Kinds of work whose server is not kept to a core of its own: threads of Python get into each other's way only on several."""
THREADING = "socketserver_threading"


@dataclass(frozen=True)
class Server:
    name: str
    version: str
    """The command that prints its version."""
    commands: dict[str, str]
    """Kind of work -> command line."""
    configs: dict[str, str] = field(default_factory=dict)
    """Kind of work -> what stands in the file $config."""


def apps(command: str, *kinds: str) -> dict[str, str]:
    return dict.fromkeys(kinds, command)


NGINX = """
daemon off; worker_processes 1; pid $scratch/nginx.pid; error_log stderr warn; worker_rlimit_nofile 20000;
$nginx_user
events { worker_connections 8192; }
http {
    types { text/html html; }
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; server_tokens off;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
    client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi; scgi_temp_path $scratch/scgi;
    server { listen 127.0.0.1:$port %s; root $files; }
}
"""
NGINX_TLS = "ssl http2; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate $certificate; ssl_certificate_key $key"

CADDY = """
{
    admin off
    auto_https off
}
%s://:$port {
    bind 127.0.0.1
    %s
    root * $files
    file_server
}
"""

ENFILADE_FILES = """
[server]
%s = "127.0.0.1:$port"
workers = 1

[sites."*"]
tls = %s
log = false
"/*" = { files = "$files" }
"""
ENFILADE_APP = """
[server]
http = "127.0.0.1:$port"
workers = 1

[sites."*"]
tls = "off"
log = false
"/*" = { app = "bench" }

[apps.bench]
target = "$target"
%s
"""
INLINE = "inline = true"
PEM = '{ certificate = "$certificate", key = "$key" }'
ADMIN = 'admin = "127.0.0.2:$port"'
COOKIES_IGNORED = "{ ignore_cookies = true }"
"""Requests with cookies wait for nobody otherwise."""

ENFILADE_PROXY = """
[server]
%s = "127.0.0.1:$port"
workers = 1
[server.limits]
body = 0

[sites."*"]
tls = %s
log = false
"/*" = { proxy = "http://127.0.0.1:$origin" }
"""
ENFILADE_STORM = """
[server]
http = "127.0.0.1:$port"
admin = "127.0.0.2:$port"
workers = 2
log = { level = "warning" }

[sites."*"]
log = false
"/app" = { app = "bench" }
"/peers" = { proxy = "origin" }

[apps.bench]
target = "$target"
workers = 2

[upstreams.origin]
peers = ["http://127.0.0.1:$origin", "http://127.0.0.2:$origin"]
eject = { failures = 2, time = "200ms" }
"""
NGINX_ORIGIN = """
daemon off; worker_processes 1; pid $scratch/origin.pid; error_log stderr warn; worker_rlimit_nofile 20000;
$nginx_user
events { worker_connections 8192; }
http {
    types { text/html html; }
    access_log off; sendfile on; tcp_nodelay on; server_tokens off;
    keepalive_timeout 300s; keepalive_requests 1000000000; client_max_body_size 0;
    open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
    client_body_temp_path $scratch/obody; proxy_temp_path $scratch/oproxy; fastcgi_temp_path $scratch/ofastcgi;
    uwsgi_temp_path $scratch/ouwsgi; scgi_temp_path $scratch/oscgi;
    server { listen 127.0.0.1:$origin; root $files; location /post { return 200 "Hello, World!"; } }
}
"""
NGINX_PROXY = """
daemon off; worker_processes 1; pid $scratch/nginx.pid; error_log stderr error; worker_rlimit_nofile 20000;
$nginx_user
events { worker_connections 8192; }
http {
    access_log off; tcp_nodelay on; server_tokens off;
    keepalive_timeout 300s; keepalive_requests 1000000000; client_max_body_size 0; client_body_buffer_size 128k;
    client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi; scgi_temp_path $scratch/scgi;
    upstream origin { server %s; keepalive 128; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:$port %s;
        location / {
            proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $$host; proxy_set_header X-Forwarded-For $$remote_addr;
            proxy_set_header X-Forwarded-Proto $$scheme; proxy_buffers 32 64k;
        }
    }
}
"""
HAPROXY = """
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    option http-keep-alive
    option forwardfor
    http-reuse always
frontend front
    bind 127.0.0.1:$port %s
    default_backend back
backend back
    server origin 127.0.0.1:$origin maxconn 0
"""
CADDY_PROXY = """
{
    admin off
    auto_https off
}
%s://:$port {
    bind 127.0.0.1
    %s
    reverse_proxy 127.0.0.1:$origin
}
"""
CADDY_TLS = "tls $certificate $key"
TRAEFIK = """
[global]
checkNewVersion = false
sendAnonymousUsage = false
[experimental.fastProxy]
[ping]
manualRouting = true
[entryPoints.front]
address = "127.0.0.1:$port"
[entryPoints.front.transport.respondingTimeouts]
idleTimeout = "300s"
%s
[providers.file]
filename = "$config"
[http.routers.all]
rule = "PathPrefix(`/`)"
service = "origin"
[http.routers.ping]
rule = "Path(`/ping`)"
priority = 100
service = "ping@internal"
[[http.services.origin.loadBalancer.servers]]
url = "http://127.0.0.1:$origin"
"""
TRAEFIK_TLS = """
[entryPoints.front.http.tls]
[[tls.certificates]]
certFile = "$certificate"
keyFile = "$key"
"""
ENFILADE_GRPC = """
[server]
http = "127.0.0.1:$port"
h2c = true
workers = 1

[sites."*"]
log = false
"/*" = { proxy = "h2c://127.0.0.1:$origin" }
"""
NGINX_GRPC = """
daemon off; worker_processes 1; pid $scratch/nginx.pid; error_log stderr error; worker_rlimit_nofile 20000;
$nginx_user
events { worker_connections 8192; }
http {
    access_log off; tcp_nodelay on; server_tokens off;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi; scgi_temp_path $scratch/scgi;
    upstream origin { server 127.0.0.1:$origin; keepalive 256; keepalive_requests 1000000000; }
    server { listen 127.0.0.1:$port http2; location / { grpc_pass grpc://origin; } }
}
"""
ENFILADE_CACHE = """
[server]
%s = "127.0.0.1:$port"
workers = %d
%s

[sites."*"]
tls = %s
log = false
"/*" = { proxy = "http://127.0.0.1:$origin", cache = %s }

[cache]
%s
"""
NGINX_CACHE = """
daemon off; worker_processes %d; pid $scratch/nginx.pid; error_log stderr error; worker_rlimit_nofile 20000;
$nginx_user
events { worker_connections 8192; }
http {
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; server_tokens off;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi; scgi_temp_path $scratch/scgi;
    proxy_cache_path $cache/store levels=1:2 inactive=1h use_temp_path=off %s;
    upstream origin { server 127.0.0.1:$origin; keepalive 128; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:$port %s;
        location / {
            proxy_cache bench; proxy_cache_lock on; proxy_pass http://origin;
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $$host;
        }
    }
}
"""
NGINX_ROOM = (
    "keys_zone=bench:64m; open_file_cache max=1000 inactive=300s; open_file_cache_valid 60s; open_file_cache_min_uses 1"
)
NGINX_TIGHT = "keys_zone=bench:132k max_size=10m manager_sleep=50ms"
"""nginx looks at `max_size` once in ten seconds as long as it was not exceeded when it last looked; so the zone of the keys has
room for as many objects of 10 KB as 10 MB hold: the one used least recently is removed when another one comes."""
VARNISH = "varnishd -F -j none -n $cache/varnish -a 127.0.0.1:$port -f $config -s malloc,%s"
VARNISH_CACHE = """
vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "$origin"; }
sub vcl_recv {
    unset req.http.Cookie;  # requests with cookies are passed on otherwise
    if (req.method == "BAN") {
        ban("obj.http.Surrogate-Key == " + req.http.Tag);
        return (synth(200));
    }
}
"""
ENFILADE_ATTACKED = ENFILADE_FILES + '"/post" = { proxy = "http://127.0.0.1:$origin" }\n'
NGINX_PING = "; location = /ping { return 200 OK; } default_type text/plain"
CADDY_ATTACKED = "reverse_proxy /post 127.0.0.1:$origin"
NGINX_ATTACKED = "; location /post { proxy_pass http://127.0.0.1:$origin; } client_max_body_size 0"
DENIED = '[firewall]\ndeny = ["127.0.0.9"]\n'
BANNED = '[bans]\nfile = "$scratch/bans"\nnever = []\nnftables = true\n'
BLOCKED = '[firewall]\ndeny = ["file:$scratch/blocked.txt"]\n'
"""100,000 networks."""
GUARDED = 'true, limit = "1000000/s", rules = true'
CACHE_KINDS = (
    "cache",
    "cache-guarded",
    "cache-disk",
    "cache-tiers",
    "cache-tls",
    "cache-zipf",
    "cache-herd",
    "cache-herd-2",
    "cache-purge",
)
CACHE_ORIGIN = ("$python -m bench.cache_origin --port $origin", "")
FILES_ORIGIN = ("nginx -p $scratch -e stderr -c $origin_config", NGINX_ORIGIN)
ORIGINS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(CACHE_KINDS, CACHE_ORIGIN),
    **dict.fromkeys(("proxy", "proxy-tls", "attacked"), FILES_ORIGIN),
    "storm": ("$python -m bench.flapping --port $origin", ""),
    "failures": (
        "uvicorn --host 127.0.0.1 --port $origin --no-access-log --log-level critical bench.apps.echo:app",
        "",
    ),
    "grpc": ("$python -m bench.grpc_origin --port $origin", ""),
    "websocket": (
        "uvicorn --host 127.0.0.1 --port $origin --loop uvloop --no-access-log --log-level warning bench.apps.asgi:app",
        "",
    ),
}
"""Kind of work -> the server behind the servers, which runs on the cores of the load, and its configuration."""

ENFILADE_STREAM = "$python -m enfilade stream {} --listen {}://127.0.0.1:$port --model {} --no-log"
C_ECHO = "$programs/echo_server {} $port"

GRANIAN = (
    "granian --host 127.0.0.1 --port $port --workers 1 --backlog 8192 --no-access-log --log-level warning "
    "--interface {} $target"
)
UVICORN = (
    "uvicorn --host 127.0.0.1 --port $port --loop uvloop --http httptools --no-access-log --log-level warning "
    "--timeout-keep-alive 300 $target"
)
FLOOR = "$python -m bench.floor --port $port"
FLOOR_ECHO = "$python -m bench.floor_echo {} --port $port"

SERVERS = {
    server.name: server
    for server in (
        Server(
            OURS,
            "$python -m enfilade --version",
            apps(
                "$python -m enfilade up -c $config",
                "files",
                "denied",
                "banned",
                "attacked",
                "tls",
                "handshake",
                "asgi",
                "wsgi",
                "api",
                "mixed",
                "proxy",
                "proxy-tls",
                "isolated",
                "isolated-mixed",
                "burn",
                "storm",
                "grpc",
                "websocket",
                *CACHE_KINDS,
            )
            | {"start": "$python -m enfilade run bench.apps.asgi:app --http 127.0.0.1:$port --workers 1"}
            | {
                "echo-tcp": ENFILADE_STREAM.format("echo", "tcp", "uvloop_protocol"),
                "echo-tcp-asyncio": ENFILADE_STREAM.format("echo", "tcp", "asyncio_protocol"),
                "echo-tcp-epoll": ENFILADE_STREAM.format("echo", "tcp", "epoll"),
                "echo-udp": ENFILADE_STREAM.format("echo", "udp", "uvloop_protocol"),
                "echo-udp-epoll": ENFILADE_STREAM.format("echo", "udp", "epoll"),
            }
            | apps(ENFILADE_STREAM.format("zen", "tcp", "uvloop_protocol"), "zen", "zen-cores"),
            {
                "files": ENFILADE_FILES % ("http", '"off"'),
                "tls": ENFILADE_FILES % ("https", PEM),
                "handshake": ENFILADE_FILES % ("https", PEM) + '"/ping" = { respond = { body = "OK" } }\n',
                "denied": ENFILADE_FILES % ("http", '"off"') + DENIED,
                "banned": ENFILADE_FILES % ("http", '"off"') + BANNED,
                "attacked": ENFILADE_ATTACKED % ("http", '"off"'),
            }
            | apps(ENFILADE_APP % INLINE, "asgi", "wsgi", "api", "mixed")
            | apps(ENFILADE_APP % "workers = 1", "isolated", "isolated-mixed")
            | {"burn": ENFILADE_APP % "workers = 4", "storm": ENFILADE_STORM, "grpc": ENFILADE_GRPC}
            | apps(ENFILADE_PROXY % ("http", '"off"'), "proxy", "websocket")
            | {"proxy-tls": ENFILADE_PROXY % ("https", PEM)}
            | {
                "cache": ENFILADE_CACHE % ("http", 1, "", '"off"', "true", ""),
                "cache-guarded": ENFILADE_CACHE % ("http", 1, "", '"off"', GUARDED, "") + BLOCKED,
                "cache-disk": ENFILADE_CACHE % ("http", 1, "", '"off"', "true", 'memory = 0\ndisk = "$cache/store"'),
                "cache-tiers": ENFILADE_CACHE % ("http", 1, "", '"off"', "true", 'disk = "$cache/store"'),
                "cache-tls": ENFILADE_CACHE % ("https", 1, "", PEM, "true", ""),
                "cache-zipf": ENFILADE_CACHE % ("http", 1, "", '"off"', "true", 'memory = "10MB"'),
                "cache-herd": ENFILADE_CACHE % ("http", 1, "", '"off"', COOKIES_IGNORED, ""),
                "cache-herd-2": ENFILADE_CACHE % ("http", 2, "", '"off"', COOKIES_IGNORED, ""),
                "cache-purge": ENFILADE_CACHE % ("http", 2, ADMIN, '"off"', "true", 'memory = "512MB"'),
            },
        ),
        Server(
            UNGUARDED,
            "$python -m enfilade --version",
            {"cache-guarded": "$python -m enfilade up -c $config"},
            {"cache-guarded": ENFILADE_CACHE % ("http", 1, "", '"off"', "true", "")},
        ),
        Server(
            THREADING,
            "$python -m enfilade --version",
            apps(ENFILADE_STREAM.format("zen", "tcp", THREADING), "zen", "zen-cores"),
        ),
        Server(
            "C",
            "cc --version",
            apps(C_ECHO.format("tcp"), "echo-tcp", "echo-tcp-asyncio", "echo-tcp-epoll")
            | apps(C_ECHO.format("udp"), "echo-udp", "echo-udp-epoll"),
        ),
        Server(
            "nginx",
            "nginx -v",
            apps(
                "nginx -p $scratch -e stderr -c $config",
                "files",
                "denied",
                "banned",
                "attacked",
                "tls",
                "handshake",
                "proxy",
                "proxy-tls",
                "grpc",
                *CACHE_KINDS,
            ),
            {
                "files": NGINX % "",
                "denied": NGINX % "; deny 127.0.0.9",
                "banned": NGINX % "; deny 127.0.0.9",
                "attacked": NGINX % NGINX_ATTACKED,
                "tls": NGINX % NGINX_TLS,
                "handshake": NGINX % (NGINX_TLS + NGINX_PING),
                "proxy": NGINX_PROXY % ("127.0.0.1:$origin", ""),
                "proxy-tls": NGINX_PROXY % ("127.0.0.1:$origin", NGINX_TLS),
                "grpc": NGINX_GRPC,
                "cache-tls": NGINX_CACHE % (1, NGINX_ROOM, NGINX_TLS),
                "cache-zipf": NGINX_CACHE % (1, NGINX_TIGHT, ""),
                "cache-herd-2": NGINX_CACHE % (2, NGINX_ROOM, ""),
            }
            | apps(NGINX_CACHE % (1, NGINX_ROOM, ""), "cache", "cache-disk", "cache-tiers", "cache-herd"),
        ),
        Server(
            "caddy",
            "caddy version",
            apps(
                "caddy run --adapter caddyfile --config $config",
                "files",
                "attacked",
                "tls",
                "handshake",
                "proxy",
                "proxy-tls",
            ),
            {
                "files": CADDY % ("http", ""),
                "attacked": CADDY % ("http", CADDY_ATTACKED),
                "tls": CADDY % ("https", CADDY_TLS),
                "handshake": CADDY % ("https", f"{CADDY_TLS}\n    respond /ping OK"),
                "proxy": CADDY_PROXY % ("http", ""),
                "proxy-tls": CADDY_PROXY % ("https", CADDY_TLS),
            },
        ),
        Server(
            "varnish",
            "varnishd -V",
            apps(VARNISH % "512m", "cache", "cache-herd", "cache-herd-2", "cache-purge")
            | {"cache-zipf": VARNISH % "10m"},
            apps(VARNISH_CACHE, *CACHE_KINDS),
        ),
        Server(
            "haproxy",
            "haproxy -v",
            apps("haproxy -db -f $config", "proxy", "proxy-tls"),
            {"proxy": HAPROXY % "", "proxy-tls": HAPROXY % "ssl crt $certificate alpn h2,http/1.1"},
        ),
        Server(
            "traefik",
            "traefik version",
            apps("traefik --configFile=$config", "attacked", "handshake", "proxy", "proxy-tls"),
            apps(TRAEFIK % "", "attacked", "proxy") | apps(TRAEFIK % TRAEFIK_TLS, "handshake", "proxy-tls"),
        ),
        Server(
            "nginx+uvicorn",
            "uvicorn --version",
            {
                "isolated": "bash -c 'uvicorn --uds $scratch/app.sock --loop uvloop --http httptools --no-access-log "
                "--log-level warning $target & exec nginx -p $scratch -e stderr -c $config'"
            },
            {"isolated": NGINX_PROXY % ("unix:$scratch/app.sock", "")},
        ),
        Server(
            "granian",
            "granian --version",
            apps(GRANIAN.format("asgi"), "asgi", "api", "mixed", "isolated")
            | {"wsgi": GRANIAN.format("wsgi"), "burn": GRANIAN.format("asgi").replace("--workers 1", "--workers 4")},
        ),
        Server(
            "uvicorn",
            "uvicorn --version",
            apps(UVICORN, "asgi", "api", "mixed", "isolated")
            | {"burn": f"{UVICORN} --workers 4"}
            | {"start": UVICORN.replace("$target", TARGETS["asgi"])},
        ),
        Server(
            "hypercorn",
            """$python -c 'from importlib.metadata import version; print(version("hypercorn"))'""",
            apps("hypercorn --bind 127.0.0.1:$port --workers 1 --worker-class uvloop --keep-alive 300 $target", "asgi"),
        ),
        Server(
            "gunicorn",
            "gunicorn --version",
            apps(
                "gunicorn --bind 127.0.0.1:$port --workers 1 --worker-class gthread --threads 4 --keep-alive 300 "
                "--log-level warning --no-control-socket $target",
                "wsgi",
            ),
        ),
        Server(
            "floor",
            "$python -c 'import uvloop; print(uvloop.__version__)'",
            {
                "files": FLOOR + " --body 1024",
                "tls": FLOOR + " --body 1024 --certificate $certificate --key $key",
                "asgi": FLOOR + " --body 13",
                "echo-tcp": FLOOR_ECHO.format("tcp"),
                "echo-udp": FLOOR_ECHO.format("udp"),
            },
        ),
    )
}
