"""Holds the questions to an nginx: one table from a name to the text whose acceptance is the
answer.

The names are what `Capabilities.has` takes. A snippet stands in its context of an otherwise empty
config; `modules` are those that it may need, in their order, by their file's name without `ngx_`
and `_module.so`.
"""

from dataclasses import dataclass
from typing import Final, Literal

Context = Literal[
    "main", "http", "upstream", "server", "location", "stream", "stream_upstream", "stream_server"
]


@dataclass(frozen=True, slots=True)
class Snippet:
    """Text for one place of a config."""

    name: str
    context: Context
    text: str
    modules: tuple[str, ...] = ()


_STREAM: Final = ("stream",)
_LUA: Final = ("ndk_http", "http_lua")
_BROTLI: Final = ("http_brotli_filter",)
_NJS: Final = ("http_js",)
_PORT: Final = "0.0.0.0:65535"
_STREAM_PROXY: Final = f"listen {_PORT}; proxy_pass 127.0.0.1:9;"
_STREAM_TLS: Final = (
    f"listen {_PORT} ssl; proxy_pass 127.0.0.1:9;"
    " ssl_certificate data:$ssl_server_name; ssl_certificate_key data:$ssl_server_name;"
)
_LUA_LIBRARY: Final = 'lua_package_path "/usr/share/lua/5.1/?.lua;;";'

SNIPPETS: Final = (
    # Upstreams and balancing
    Snippet(
        "resolve",
        "http",
        "resolver 127.0.0.1; upstream r { zone r 64k; server localhost:9 resolve; }",
    ),
    Snippet("sticky", "upstream", "sticky cookie c;"),
    Snippet("sticky_learn", "upstream", "sticky learn create=$a lookup=$b zone=s:1m;"),
    Snippet("least_conn", "upstream", "least_conn;"),
    Snippet("least_time", "upstream", "least_time header;"),
    Snippet("random", "upstream", "random;"),
    Snippet("random_two", "upstream", "random two least_conn;"),
    Snippet("hash_consistent", "upstream", "hash $request_uri consistent;"),
    Snippet("ip_hash", "upstream", "ip_hash;"),
    Snippet("zone", "upstream", "zone u 64k;"),
    Snippet("keepalive", "upstream", "keepalive 8;"),
    Snippet("keepalive_time", "upstream", "keepalive 8; keepalive_time 1h; keepalive_timeout 60s;"),
    Snippet("keepalive_requests", "upstream", "keepalive 8; keepalive_requests 100;"),
    Snippet("max_conns", "upstream", "server 127.0.0.1:10 max_conns=5;"),
    Snippet("max_fails", "upstream", "server 127.0.0.1:10 max_fails=3 fail_timeout=10s;"),
    Snippet("down", "upstream", "server 127.0.0.1:10 down;"),
    Snippet("backup", "upstream", "server 127.0.0.1:10 backup;"),
    Snippet("slow_start", "upstream", "zone u 64k; server 127.0.0.1:10 slow_start=30s;"),
    Snippet("drain", "upstream", "zone u 64k; server 127.0.0.1:10 drain;"),
    Snippet("queue", "upstream", "zone u 64k; queue 10 timeout=5s;"),
    Snippet("state", "http", "upstream s { zone s 64k; state {folder}/state; }"),
    Snippet("health_check", "location", "proxy_pass http://u; health_check;"),
    Snippet(
        "lua_balancer",
        "http",
        _LUA_LIBRARY + ' init_by_lua_block { require "resty.core"; require "ngx.balancer" }'
        " upstream l { server 0.0.0.1; balancer_by_lua_block { } }",
        _LUA,
    ),
    Snippet("lua", "location", "content_by_lua_block { ngx.exit(204) }", _LUA),
    # Listeners and HTTP
    Snippet("http_v2", "server", f"listen {_PORT} http2;"),
    Snippet("http2_listen", "server", f"listen {_PORT} http2;"),
    Snippet("http2_directive", "server", "http2 on;"),
    Snippet("quic", "server", f"listen {_PORT} quic;"),
    Snippet("http3", "server", "http3 on;"),
    Snippet("reuseport", "server", f"listen {_PORT} reuseport;"),
    Snippet("so_keepalive", "server", f"listen {_PORT} so_keepalive=30s:10s:3;"),
    Snippet("fastopen", "server", f"listen {_PORT} fastopen=16;"),
    Snippet("backlog", "server", f"listen {_PORT} backlog=1024;"),
    Snippet("proxy_protocol", "server", f"listen {_PORT} proxy_protocol;"),
    Snippet("max_headers", "server", "max_headers 100;"),
    Snippet("early_hints", "location", "early_hints 1;"),
    Snippet("keepalive_min_timeout", "http", "keepalive_min_timeout 1s;"),
    Snippet("keepalive_time_client", "http", "keepalive_time 1h;"),
    Snippet("worker_shutdown_timeout", "main", "worker_shutdown_timeout 60s;"),
    Snippet("add_header_inherit", "location", "add_header_inherit on;"),
    Snippet("add_trailer", "location", "add_trailer X-A b;"),
    Snippet("absolute_redirect", "server", "absolute_redirect off;"),
    Snippet("merge_slashes", "server", "merge_slashes off;"),
    Snippet("pcre_jit", "main", "pcre_jit on;"),
    Snippet("pcre_no_jit", "location", 'rewrite "(*NO_JIT)^" /;'),
    Snippet("aio_threads", "location", "aio threads;"),
    Snippet("log_escape_json", "http", 'log_format j escape=json \'{"a":"$uri"}\';'),
    Snippet("log_condition", "server", "access_log {folder}/a.log combined if=$arg_a;"),
    Snippet("syslog", "server", "access_log syslog:server=127.0.0.1:9;"),
    # TLS
    Snippet("ssl", "server", "ssl_protocols TLSv1.2; ssl_session_tickets off;"),
    Snippet("ssl_tls13", "server", "ssl_protocols TLSv1.2 TLSv1.3;"),
    Snippet("ssl_reject_handshake", "server", f"listen {_PORT} ssl; ssl_reject_handshake on;"),
    Snippet(
        "ssl_conf_command",
        "server",
        f"listen {_PORT} ssl; ssl_reject_handshake on; ssl_conf_command Options -SessionTicket;",
    ),
    Snippet(
        "ssl_ecdh_x25519mlkem768",
        "server",
        f"listen {_PORT} ssl; ssl_reject_handshake on; ssl_ecdh_curve X25519MLKEM768:X25519;",
    ),
    Snippet("ssl_early_data", "server", "ssl_early_data on;"),
    Snippet("ssl_stapling", "server", "ssl_stapling on;"),
    Snippet("ssl_session_cache", "server", "ssl_session_cache shared:t:1m;"),
    Snippet("ssl_certificate_cache", "server", "ssl_certificate_cache max=10;"),
    Snippet("ssl_verify_client", "server", "ssl_verify_client optional_no_ca;"),
    Snippet(
        "proxy_ssl_server_name",
        "location",
        "proxy_pass https://u; proxy_ssl_server_name on; proxy_ssl_name a.example;",
    ),
    Snippet(
        "proxy_ssl_conf_command",
        "location",
        "proxy_pass https://u; proxy_ssl_conf_command Options -SessionTicket;",
    ),
    # Proxying
    Snippet("proxy", "location", "proxy_pass http://u; proxy_http_version 1.1;"),
    Snippet("proxy_http2", "location", "proxy_pass http://u; proxy_http_version 2;"),
    Snippet("proxy_next_upstream_tries", "location", "proxy_next_upstream_tries 3;"),
    Snippet("proxy_next_upstream_non_idempotent", "location", "proxy_next_upstream error timeout;"),
    Snippet("proxy_request_buffering", "location", "proxy_request_buffering off;"),
    Snippet("proxy_socket_keepalive", "location", "proxy_socket_keepalive on;"),
    Snippet("proxy_limit_rate", "location", "proxy_limit_rate 1m;"),
    Snippet(
        "proxy_cache",
        "http",
        "proxy_cache_path {folder}/cache keys_zone=c:1m use_temp_path=off inactive=1m;",
    ),
    Snippet("proxy_bind", "location", "proxy_bind 127.0.0.1;"),
    Snippet("grpc", "location", "grpc_pass grpc://u;"),
    Snippet("grpc_ssl", "location", "grpc_pass grpcs://u; grpc_ssl_server_name on;"),
    Snippet("fastcgi", "location", "fastcgi_pass u;"),
    Snippet("uwsgi", "location", "uwsgi_pass u;"),
    Snippet("scgi", "location", "scgi_pass u;"),
    # Middlewares
    Snippet("auth_basic", "location", "auth_basic r; auth_basic_user_file {folder}/h;"),
    Snippet("auth_request", "location", "auth_request /a; auth_request_set $a $upstream_status;"),
    Snippet("auth_jwt", "location", "auth_jwt r;"),
    Snippet("mirror", "location", "mirror /m; mirror_request_body off;"),
    Snippet("split_clients", "http", "split_clients $remote_addr $s { 0.01% a; * b; }"),
    Snippet("map", "http", "map $uri $m { default 0; ~^/a 1; }"),
    Snippet("map_volatile", "http", "map $uri $m { volatile; default 0; }"),
    Snippet("geo", "http", "geo $g { default 0; 127.0.0.0/8 1; }"),
    Snippet(
        "limit_req",
        "http",
        "limit_req_zone $binary_remote_addr zone=l:1m rate=10r/s;"
        " server { location / { limit_req zone=l burst=5 delay=2; limit_req_status 429; } }",
    ),
    Snippet("limit_req_dry_run", "location", "limit_req_dry_run on;"),
    Snippet(
        "limit_conn",
        "http",
        "limit_conn_zone $binary_remote_addr zone=l:1m;"
        " server { location / { limit_conn l 5; limit_conn_status 429; } }",
    ),
    Snippet("limit_conn_dry_run", "location", "limit_conn_dry_run on;"),
    Snippet("access", "location", "allow 127.0.0.1; deny all;"),
    Snippet("realip", "server", "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"),
    Snippet("realip_recursive", "server", "real_ip_recursive on;"),
    Snippet("rewrite", "location", "rewrite ^/a$ /b break;"),
    Snippet("sub_filter", "location", "sub_filter a b; sub_filter_once off;"),
    Snippet("addition", "location", "add_before_body /b;"),
    Snippet("secure_link", "location", "secure_link $arg_a,$arg_b; secure_link_md5 x;"),
    Snippet("gzip", "location", "gzip on; gzip_vary on; gzip_proxied any;"),
    Snippet("gzip_static", "location", "gzip_static on;"),
    Snippet("gunzip", "location", "gunzip on;"),
    Snippet("brotli", "location", "brotli on;", _BROTLI),
    Snippet("brotli_static", "location", "brotli_static on;", ("http_brotli_static",)),
    Snippet("zstd", "location", "zstd on;", ("http_zstd_filter",)),
    Snippet(
        "headers_more", "location", "more_clear_headers Server;", ("http_headers_more_filter",)
    ),
    Snippet("slice", "location", "slice 1m;"),
    Snippet("dav", "location", "dav_methods PUT DELETE;"),
    Snippet("echo", "location", "echo a;", ("http_echo",)),
    Snippet("njs", "http", "js_path {folder};", _NJS),
    Snippet("modsecurity", "server", "modsecurity on;", ("http_modsecurity",)),
    Snippet(
        "geoip2", "http", "geoip2_proxy 127.0.0.1; geoip2_proxy_recursive on;", ("http_geoip2",)
    ),
    Snippet("cache_purge", "location", "proxy_cache_purge PURGE from all;", ("http_cache_purge",)),
    # Observing
    Snippet("stub_status", "location", "stub_status;"),
    Snippet("api", "location", "api;"),
    Snippet("vts", "http", "vhost_traffic_status_zone;", ("http_vhost_traffic_status",)),
    Snippet("otel", "http", "otel_exporter { endpoint 127.0.0.1:9; }", ("otel",)),
    # Layer 4
    Snippet("stream", "stream_server", _STREAM_PROXY, _STREAM),
    Snippet("stream_udp", "stream_server", f"listen {_PORT} udp; proxy_pass 127.0.0.1:9;", _STREAM),
    Snippet("stream_ssl", "stream_server", _STREAM_PROXY + " ssl_protocols TLSv1.2;", _STREAM),
    Snippet("stream_listen_ssl", "stream_server", _STREAM_TLS, _STREAM),
    Snippet("stream_ssl_alpn", "stream_server", _STREAM_TLS + " ssl_alpn a;", _STREAM),
    Snippet(
        "stream_ssl_conf_command",
        "stream_server",
        _STREAM_TLS + " ssl_conf_command Options -SessionTicket;",
        _STREAM,
    ),
    Snippet(
        "stream_ssl_ecdh_x25519mlkem768",
        "stream_server",
        _STREAM_TLS + " ssl_ecdh_curve X25519MLKEM768:X25519;",
        _STREAM,
    ),
    Snippet("stream_ssl_preread", "stream_server", _STREAM_PROXY + " ssl_preread on;", _STREAM),
    Snippet("stream_proxy_ssl", "stream_server", _STREAM_PROXY + " proxy_ssl on;", _STREAM),
    Snippet(
        "stream_proxy_protocol", "stream_server", _STREAM_PROXY + " proxy_protocol on;", _STREAM
    ),
    Snippet(
        "stream_listen_proxy_protocol",
        "stream_server",
        f"listen {_PORT} proxy_protocol; proxy_pass 127.0.0.1:9;",
        _STREAM,
    ),
    Snippet(
        "stream_server_name", "stream_server", _STREAM_PROXY + " server_name a.example;", _STREAM
    ),
    Snippet(
        "stream_realip",
        "stream_server",
        f"listen {_PORT} proxy_protocol; proxy_pass 127.0.0.1:9; set_real_ip_from 127.0.0.1;",
        _STREAM,
    ),
    Snippet("stream_access", "stream_server", _STREAM_PROXY + " deny all;", _STREAM),
    Snippet("stream_map", "stream", "map $remote_addr $m { default 0; }", _STREAM),
    Snippet("stream_geo", "stream", "geo $g { default 0; }", _STREAM),
    Snippet("stream_split_clients", "stream", "split_clients $remote_addr $s { * a; }", _STREAM),
    Snippet(
        "stream_limit_conn", "stream", "limit_conn_zone $binary_remote_addr zone=l:1m;", _STREAM
    ),
    Snippet("stream_log", "stream", "log_format j escape=json '$bytes_sent';", _STREAM),
    Snippet("stream_return", "stream_server", f"listen {_PORT}; return a;", _STREAM),
    Snippet(
        "stream_resolve",
        "stream",
        "resolver 127.0.0.1; upstream r { zone r 64k; server localhost:9 resolve; }",
        _STREAM,
    ),
    Snippet("stream_hash_consistent", "stream_upstream", "hash $remote_addr consistent;", _STREAM),
    Snippet("stream_least_conn", "stream_upstream", "least_conn;", _STREAM),
    Snippet("stream_least_time", "stream_upstream", "least_time connect;", _STREAM),
    Snippet("stream_random_two", "stream_upstream", "random two least_conn;", _STREAM),
    Snippet("stream_random", "stream_upstream", "random;", _STREAM),
    Snippet("stream_half_close", "stream_server", _STREAM_PROXY + " proxy_half_close on;", _STREAM),
    Snippet("stream_zone", "stream_upstream", "zone u 64k;", _STREAM),
    Snippet("stream_max_conns", "stream_upstream", "server 127.0.0.1:10 max_conns=5;", _STREAM),
)
"""Every question, by its name once."""


def config(snippet: Snippet, loads: tuple[str, ...], temporary: tuple[str, ...] = ()) -> str:
    """Returns a whole config with the snippet in it; `{folder}` stands for the scratch folder.

    `loads` are files to load; `temporary` the `*_temp_path` directives that exist here, which point
    into the scratch folder.
    """
    inner: dict[str, str] = dict.fromkeys(
        ("main", "http", "upstream", "server", "location"), ""
    ) | {snippet.context: snippet.text}
    head = "".join(f"load_module {file};\n" for file in loads)
    paths = "".join(f"{name} {{folder}}/{name};\n" for name in temporary)
    stream = _stream(snippet) if snippet.context.startswith("stream") else ""
    return (
        f"{head}pid {{folder}}/pid;\nerror_log stderr;\n{inner['main']}\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{inner['http']}\n"
        f"upstream u {{ {_balancer_first(inner['upstream'])} }}\n"
        f"server {{ listen unix:{{folder}}/s;\n{inner['server']}\n"
        f"location / {{ {inner['location']} }} }}\n}}\n{stream}"
    )


def _balancer_first(text: str) -> str:
    # A balancing method stands before `server` and `keepalive` in what we render, so here as well.
    return f"{text} server 127.0.0.1:9;"


def _stream(snippet: Snippet) -> str:
    text = snippet.text
    server = text if snippet.context == "stream_server" else _STREAM_PROXY
    upstream = text if snippet.context == "stream_upstream" else ""
    outer = text if snippet.context == "stream" else ""
    group = f"upstream u {{ {_balancer_first(upstream)} }}"
    return f"stream {{ {outer} {group} server {{ {server} }} }}\n"
