"""The servers as strangers meet them in docs/failures.md: files and an application behind each, a certificate, and every line
of its manual that we know to better a row. The page shows these configurations.

$-names are filled in by `bench.ground`; the numbers of rows stand in comments.
"""

from __future__ import annotations

from bench.servers import Server

KIND = "failures"
ENFILADE = """
[server]
http = "127.0.0.1:$port"
https = "127.0.0.2:$port"
workers = 1
[rules.httpoxy]  # 14
when = [{ at = "field proxy", longer_than = 0 }]
[sites."$host"]
tls = { certificate = "$certificate", key = "$key" }
http = "serve"
log = false
rules = { exclude = ["shipped"] }  # 14: only the one above
csrf = true  # 15
security_headers = { set = { content-security-policy = "frame-ancestors 'self'" } }  # 37
"/app/*" = { proxy = "http://127.0.0.1:$origin" }
"/*" = { files = "$files" }
"""
NGINX = """
daemon off; worker_processes 1; pid $scratch/nginx.pid; error_log stderr crit; $nginx_user
events { worker_connections 768; }
http {
    sendfile on; tcp_nopush on; types_hash_max_size 2048; include /etc/nginx/mime.types; default_type application/octet-stream;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; gzip on; access_log off;
    client_body_temp_path $scratch/body; proxy_temp_path $scratch/proxy; fastcgi_temp_path $scratch/fastcgi;
    uwsgi_temp_path $scratch/uwsgi; scgi_temp_path $scratch/scgi;
    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;  # 36
    server_tokens off;  # 38
    max_ranges 10;  # 26
    add_header Strict-Transport-Security max-age=31536000 always;  # 37
    add_header X-Content-Type-Options nosniff always;  # 37
    add_header X-Frame-Options SAMEORIGIN always;  # 37
    add_header Referrer-Policy strict-origin-when-cross-origin always;  # 37
    add_header Content-Security-Policy "frame-ancestors 'self'" always;  # 37
    map $$http_upgrade $$connection_upgrade { default upgrade; '' close; }
    map $$http_upgrade$$http_origin $$foreign { default 0; "~*^websocket(?!https?://$host(:\\d+)?$$)." 1; }  # 15
    server { listen 127.0.0.1:$port default_server; return 421; }  # 8
    server {
        listen 127.0.0.1:$port; listen 127.0.0.2:$port ssl http2; server_name $host;
        ssl_certificate $certificate; ssl_certificate_key $key;
        root $files;
        if ($$http_expect !~* "^(100-continue)?$$") { return 417; }  # 3
        if ($$request_uri ~ "#") { return 400; }  # 7
        location ~ /\\. { return 404; }  # 25
        location /app/ {
            if ($$foreign) { return 403; }  # 15
            proxy_pass http://127.0.0.1:$origin; proxy_http_version 1.1; proxy_set_header Host $$host;
            proxy_set_header X-Forwarded-For $$remote_addr;  # 17: not $$proxy_add_x_forwarded_for
            proxy_set_header X-Forwarded-Proto $$scheme;
            proxy_set_header X-Forwarded-Host $$host;  # 17
            proxy_set_header X-Real-IP $$remote_addr;  # 17
            proxy_set_header Forwarded "";  # 17
            proxy_set_header Proxy "";  # 14
            proxy_set_header Upgrade $$http_upgrade; proxy_set_header Connection $$connection_upgrade;
        }
    }
}
"""
CADDY = """
{
    admin off
    auto_https off
    servers {
        max_header_size 16KB  # 10, 12
        timeouts {  # 11
            read_header 10s
            read_body 60s
            write 60s
            idle 75s
        }
    }
}
(site) {
    @foreign {  # 15
        header Upgrade websocket
        header Origin *
        not header_regexp Origin ^https?://$host(:[0-9]+)?$$
    }
    respond @foreign 403
    @nul path_regexp \\x00  # 7
    respond @nul 400
    @ranges header_regexp Range (,.*){10}  # 26
    request_header @ranges -Range
    @trace method TRACE  # 33
    respond @trace 405
    request_body {  # 12
        max_size 16MB
    }
    header {  # 37
        Strict-Transport-Security max-age=31536000
        X-Content-Type-Options nosniff
        X-Frame-Options SAMEORIGIN
        Referrer-Policy strict-origin-when-cross-origin
        Content-Security-Policy "frame-ancestors 'self'"
    }
    reverse_proxy /app/* 127.0.0.1:$origin {
        header_up X-Real-IP {remote_host}  # 17
        header_up -Forwarded  # 17
        header_up -Proxy  # 14
        header_up -*_*  # 14
        header_up -Expect  # 3: who stands in front says 100
    }
    root * $files
    file_server {
        hide .*  # 25
    }
}
http://$host:$port {
    bind 127.0.0.1
    import site
}
https://$host:$port {
    bind 127.0.0.2
    tls $certificate $key
    import site
}
http://:$port {  # 8
    bind 127.0.0.1
    respond 421
}
"""
HAPROXY = """
global
    maxconn 2000
    ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20  # 36
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    timeout http-request 10s  # 11
    option http-restrict-req-hdr-names delete  # 14
frontend front
    bind 127.0.0.1:$port
    bind 127.0.0.2:$port ssl crt $certificate alpn h2,http/1.1
    http-request deny unless { req.fhdr(host) -i -m reg ^$host(:[0-9]+)?$$ }  # 7, 8
    http-request deny unless { path_beg / } or METH_OPTIONS  # 7
    http-request deny if { path_sub %00 } or { url -m reg ^[a-z]+://[^/]*@ }  # 7
    http-request deny unless HTTP_1.0 or HTTP_1.1 or HTTP_2.0  # 14
    http-request deny if METH_TRACE  # 33
    http-request deny deny_status 413 if { req.body_size gt 16777216 }  # 12
    http-request wait-for-body time 30s  # 11
    http-request deny if { req.hdr(expect) -m found } !{ req.hdr(expect) -i 100-continue }  # 3
    http-request del-header expect if HTTP_1.0  # 3
    acl own_page req.hdr(origin) -m reg ^https?://$host(:[0-9]+)?$$
    http-request deny if { req.hdr(upgrade) -i websocket } { req.hdr(origin) -m found } !own_page  # 15
    http-request del-header ^(forwarded|x-forwarded-.*|x-real-ip|proxy)$$ -m reg  # 14, 17
    http-response set-header strict-transport-security max-age=31536000  # 37
    http-response set-header x-content-type-options nosniff  # 37
    http-response set-header x-frame-options SAMEORIGIN  # 37
    http-response set-header referrer-policy strict-origin-when-cross-origin  # 37
    http-response set-header content-security-policy "frame-ancestors 'self'"  # 37
    option forwardfor
    default_backend back
backend back
    server origin 127.0.0.1:$origin
"""
TRAEFIK_ENTRY = """
[entryPoints.{name}]
address = "{address}:$port"
[entryPoints.{name}.http]
aliasHeadersStrategy = "delete"  # 14
maxHeaderBytes = 16384  # 10, 12
[entryPoints.{name}.http.encodedCharacters]
allowEncodedNullCharacter = false  # 7
[entryPoints.{name}.transport.respondingTimeouts]
readTimeout = "60s"  # 11
writeTimeout = "60s"  # 11
"""
TRAEFIK_ROUTER = """\
[http.routers.{name}]
entryPoints = ["{name}"]
rule = '''
    Host(`$host`) && PathPrefix(`/`) && !Method(`TRACE`) &&
    (!Header(`Upgrade`, `websocket`) || !HeaderRegexp(`Origin`, `.`) || HeaderRegexp(`Origin`, `^https?://$host(:[0-9]+)?$$`))
'''  # 7, 8, 15, 33
middlewares = ["fields", "body"]
service = "app"
"""
TRAEFIK = (
    """
[global]
checkNewVersion = false
sendAnonymousUsage = false
"""
    + TRAEFIK_ENTRY.format(name="plain", address="127.0.0.1")
    + TRAEFIK_ENTRY.format(name="tls", address="127.0.0.2")
    + """
[providers.file]
filename = "$config"
"""
    + TRAEFIK_ROUTER.format(name="plain")
    + TRAEFIK_ROUTER.format(name="tls")
    + """\
tls = {}
[http.middlewares.body.buffering]
maxRequestBodyBytes = 16777216  # 12
[http.middlewares.fields.headers]
stsSeconds = 31536000  # 37
forceSTSHeader = true
contentTypeNosniff = true  # 37
customFrameOptionsValue = "SAMEORIGIN"  # 37
referrerPolicy = "strict-origin-when-cross-origin"  # 37
contentSecurityPolicy = "frame-ancestors 'self'"  # 37
[http.middlewares.fields.headers.customRequestHeaders]
Forwarded = ""  # 17
Proxy = ""  # 14
[[http.services.app.loadBalancer.servers]]
url = "http://127.0.0.1:$origin"
[[tls.certificates]]
certFile = "$certificate"
keyFile = "$key"
[tls.options.default]  # 36
cipherSuites = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
]
"""
)
SERVERS = {
    server.name: server
    for server in (
        Server(name, version, {KIND: command}, {KIND: config})
        for name, version, command, config in (
            ("Enfilade", "$python -m enfilade --version", "$python -m enfilade up -c $config", ENFILADE),
            ("nginx", "nginx -v", "nginx -p $scratch -e stderr -c $config", NGINX),
            ("Caddy", "caddy version", "caddy run --adapter caddyfile --config $config", CADDY),
            ("HAProxy", "haproxy -v", "haproxy -db -f $config", HAPROXY),
            ("Traefik", "traefik version", "traefik --configFile=$config", TRAEFIK),
        )
    )
}
