"""Knows what directives around a location do to it.

A directive that is missing here may change anything: whatever it applies to stays verbatim.
"""

from typing import Final

from headgate.nginxtext.tree import Directive

_LOGGING: Final = {
    "access_log",
    "error_log",
    "limit_conn_log_level",
    "limit_req_log_level",
    "log_not_found",
    "log_subrequest",
    "open_log_file_cache",
    "rewrite_log",
}
_TRANSPORT: Final = {
    "aio",
    "aio_write",
    "chunked_transfer_encoding",
    "client_body_temp_path",
    "client_body_timeout",
    "client_header_buffer_size",
    "client_header_timeout",
    "connection_pool_size",
    "directio",
    "http2",
    "http2_max_concurrent_streams",
    "keepalive_disable",
    "keepalive_requests",
    "keepalive_timeout",
    "large_client_header_buffers",
    "lingering_close",
    "lingering_time",
    "lingering_timeout",
    "map_hash_bucket_size",
    "map_hash_max_size",
    "max_ranges",
    "msie_padding",
    "msie_refresh",
    "open_file_cache",
    "open_file_cache_errors",
    "open_file_cache_min_uses",
    "open_file_cache_valid",
    "output_buffers",
    "pcre_jit",
    "postpone_output",
    "proxy_buffer_size",
    "proxy_busy_buffers_size",
    "proxy_headers_hash_bucket_size",
    "proxy_headers_hash_max_size",
    "proxy_pass_header",
    "proxy_socket_keepalive",
    "proxy_temp_file_write_size",
    "proxy_temp_path",
    "request_pool_size",
    "reset_timedout_connection",
    "resolver",
    "resolver_timeout",
    "send_timeout",
    "sendfile",
    "sendfile_max_chunk",
    "server_names_hash_bucket_size",
    "server_names_hash_max_size",
    "tcp_nodelay",
    "tcp_nopush",
    "types_hash_bucket_size",
    "types_hash_max_size",
    "variables_hash_bucket_size",
    "variables_hash_max_size",
}
_BODIES: Final = {
    "client_body_buffer_size",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_max_temp_file_size",
    "proxy_request_buffering",
}
_COMPRESSION: Final = {
    *(f"gzip{rest}" for rest in ("", "_buffers", "_comp_level", "_disable", "_http_version")),
    *(f"gzip_{rest}" for rest in ("min_length", "proxied", "static", "types", "vary")),
    *(f"brotli{rest}" for rest in ("", "_comp_level", "_min_length", "_static", "_types")),
    "gunzip",
}
_TLS: Final = {
    "ssl_buffer_size",
    "ssl_ciphers",
    "ssl_conf_command",
    "ssl_dhparam",
    "ssl_early_data",
    "ssl_ecdh_curve",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_reject_handshake",
    "ssl_session_cache",
    "ssl_session_ticket_key",
    "ssl_session_tickets",
    "ssl_session_timeout",
    "ssl_stapling",
    "ssl_stapling_verify",
    "ssl_trusted_certificate",
}
_FILES: Final = {
    "autoindex",
    "etag",
    "index",
    "root",
    "server_tokens",
    "try_files",
    "charset_types",
}
_DEFINITIONS: Final = {
    "charset_map",
    "fastcgi_cache_path",
    "geo",
    "limit_conn_zone",
    "limit_req_zone",
    "log_format",
    "lua_package_cpath",
    "lua_package_path",
    "lua_shared_dict",
    "map",
    "proxy_cache_path",
    "server",
    "split_clients",
    "types",
    "upstream",
}
_INERT: Final = {
    *(
        f"proxy_cache_{rest}"
        for rest in (
            *("background_update", "bypass", "convert_head", "key", "lock", "lock_age"),
            *("lock_timeout", "max_range_offset", "methods", "min_uses", "revalidate"),
            *("use_stale", "valid"),
        )
    ),
    *("if_modified_since", "proxy_ignore_client_abort", "proxy_no_cache", "send_lowat"),
}
"""The directives that do nothing to a request that is proxied and not cached."""

_USUAL: Final = {
    "ignore_invalid_headers": b"on",
    "merge_slashes": b"on",
    "proxy_cache": b"off",
    "proxy_intercept_errors": b"off",
    "proxy_store": b"off",
    "satisfy": b"all",
    "underscores_in_headers": b"off",
}
"""nginx's defaults of what would otherwise change an answer."""

_TO_TLS: Final = "proxy_ssl_"
"""The prefix of directives about TLS to endpoints. Those that are not folded say how TLS is spoken,
or keep the locations that proxy to `https://`.
"""

_REAL_IP: Final = {"real_ip_header", "real_ip_recursive", "set_real_ip_from"}
_REDIRECTS: Final = {"absolute_redirect", "port_in_redirect", "server_name_in_redirect"}
_OTHER_GATEWAYS: Final = ("fastcgi_", "uwsgi_", "scgi_", "grpc_", "memcached_")

_BEHIND: Final = {"alias", "allow", "deny", "mirror", "mirror_request_body", "return"} | _FILES
_BEHIND_RETURN: Final = {
    *("auth_basic", "auth_basic_user_file", "auth_request", "auth_request_set", "satisfy"),
    *("limit_conn", "limit_conn_status", "limit_rate", "limit_rate_after"),
    *("limit_req", "limit_req_status"),
}

_SET_WORDS: Final = 2
_CHANGEABLE: Final = frozenset({b"args", b"limit_rate"})
_FAMILIES: Final = (b"http_", b"sent_", b"cookie_", b"arg_", b"upstream_")

FOLDED: Final = frozenset(
    {
        "add_header",
        "allow",
        "auth_basic",
        "auth_basic_user_file",
        "client_body_buffer_size",
        "client_max_body_size",
        "default_type",
        "deny",
        "expires",
        "limit_conn",
        "limit_conn_dry_run",
        "limit_conn_status",
        "limit_req",
        "limit_req_dry_run",
        "limit_req_status",
        "limit_rate",
        "limit_rate_after",
        "proxy_buffering",
        "proxy_buffers",
        "proxy_connect_timeout",
        "proxy_hide_header",
        "proxy_http_version",
        "proxy_max_temp_file_size",
        "proxy_next_upstream",
        "proxy_next_upstream_timeout",
        "proxy_next_upstream_tries",
        "proxy_read_timeout",
        "proxy_redirect",
        "proxy_request_buffering",
        "proxy_send_timeout",
        "proxy_set_header",
        "proxy_ssl_name",
        "proxy_ssl_server_name",
        "proxy_ssl_verify",
    }
)
"""Inherited settings that become part of each route below them."""

SERVER_OWN: Final = frozenset(
    {"listen", "server_name", "ssl_certificate", "ssl_certificate_key", "location", "return"}
)
"""The directives of a server that become model."""

LOCATION_OWN: Final = frozenset({"proxy_pass", "return"})
"""The directives of a location that become part of its route."""

ASKING: Final = frozenset({"auth_request", "auth_request_set", "mirror", "mirror_request_body"})
"""They stay beside what says the same: a middleware, or the mirror of a route."""

PAGES: Final = frozenset({"error_page", "proxy_intercept_errors"})
"""They stay beside the middleware that says the same, or what differs is noted."""

_KEPT: Final = frozenset(_LOGGING | _TRANSPORT | _COMPRESSION | _TLS)
_AROUND: Final = frozenset(
    _KEPT | _FILES | _DEFINITIONS | _REAL_IP | _REDIRECTS | ASKING | PAGES | {"charset"}
)


def is_plain_set(line: Directive) -> bool:
    """Reports whether it is a `set` that only the uses of its variable see:
    it sets none of nginx's own.
    """
    words = line.values
    return line.name == b"set" and len(words) == _SET_WORDS and is_own_variable(words[0])


def is_own_variable(word: bytes) -> bool:
    """Reports whether it is a variable (`$name`) of the config's own: none that nginx acts on."""
    name = word[1:].lower()
    return word.startswith(b"$") and name not in _CHANGEABLE and not name.startswith(_FAMILIES)


def is_inert(line: Directive) -> bool:
    """Reports whether a line does nothing to what can become model: its own name is enough, or it
    says what nginx does anyway.
    """
    name = line.name.decode(errors="replace")
    usual = _USUAL.get(name)
    if usual is not None:
        return line.values == (usual,)
    return name in _INERT or (name.startswith(_TO_TLS) and name not in FOLDED)


def is_tls(name: bytes) -> bool:
    """Reports whether it says how TLS is spoken."""
    return name.decode(errors="replace") in _TLS


def is_kept_in_location(name: str) -> bool:
    """Reports whether it may stay verbatim in a location that becomes a route: it concerns how
    bytes move and what is logged, not the answer.
    """
    return name in _KEPT


def is_of_transport(name: str) -> bool:
    """Reports whether it concerns how bytes move and what is logged, not the answer."""
    return name in _KEPT or name in _BODIES


def is_behind(name: str, *, is_denied: bool) -> bool:
    """Reports whether nginx never reaches it in a location that answers outright: with `return`, to
    requests from outside, or with 403 where `is_denied`.
    """
    if name in _KEPT | _BODIES | _BEHIND or name.startswith((*_OTHER_GATEWAYS, "proxy_")):
        return True
    return not is_denied and name in _BEHIND_RETURN


def is_kept_around(name: str) -> bool:
    """Reports whether it may stay verbatim in `http` or `server` without changing what a location
    that proxies or returns answers. nginx serves files only where no location takes the request;
    the location checks error pages.
    """
    return name in _AROUND or name.startswith(_OTHER_GATEWAYS)
