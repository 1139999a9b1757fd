"""Features that other proxies have and this version lacks, by their usual keys and words.

Holds words only; nothing here decides whether a config is right.
"""

from collections.abc import Mapping
from typing import Final

from headgate.features.registry import MIDDLEWARES

_FAILS: Final = (
    "no such key for endpoints that fail",
    "write `outlier_detection` in the upstream: it ejects endpoints that fail",
)
_AUTH: Final = (
    "no such key for who may pass",
    "write a middleware with `api_key`, `basic_auth`, `jwt` or `forward_auth`",
)
_H2: Final = (
    "no such word for HTTP/2 and gRPC",
    'write `protocol = "h2"` or "h2c" in the upstream; clients get HTTP/2 on listeners with TLS, '
    "or by `h2c = true` on others",
)
_H3: Final = ("no HTTP/3", 'leave it out: clients get "h2" and "http/1.1"')
_PASSED: Final = (
    "no such key for TLS that passes unread",
    'write a listener with `protocol = "tcp"`, and `tcp_routes` with `sni`',
)
_ACME: Final = (
    "no ACME client",
    "name the files of a certificate; they are read again when they change",
)
_RETRIES: Final = ("no such key for tries after the first", "write `retry` in the route")
_CACHE: Final = ("no cache", "leave it out")
_ENCODING: Final = ("no such key for compression", "write a middleware with `compress`")
_FILES: Final = ("no static files", "leave it out: forward to a server that has them")
_CODE: Final = ("no plugins", "leave it out: the middlewares are those of the reference")
_TRACING: Final = ("no such key for traces", "write `tracing` in `[node]`")
_MIRROR: Final = ("no such key for mirrored requests", "write `mirror` in the route")
_BREAKER: Final = ("no such key for circuit breakers", "write `circuit_breaker` in the upstream")
_CGI: Final = ("no FastCGI, SCGI or uwsgi", "forward to a server that speaks HTTP")

_FEATURES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    _FAILS: ("passive_health_check", "max_fails", "fail_timeout"),
    _AUTH: ("auth", "authentication", "oidc", "ldap"),
    _H2: ("h2", "grpc", "grpcs", "grpc_routes"),
    _H3: ("http3", "h3", "quic"),
    _PASSED: ("tls_routes", "passthrough", "stream"),
    _ACME: ("acme", "letsencrypt", "lets_encrypt", "cert_resolver", "certificate_resolver"),
    _RETRIES: ("retry_policy", "max_retries", "attempts", "hedging",
               "proxy_next_upstream"),
    _CACHE: ("cache", "caching", "proxy_cache"),
    _ENCODING: ("compression", "gzip", "brotli", "zstd"),
    _FILES: ("root", "static", "file_server", "try_files", "index"),
    _CODE: ("plugin", "plugins", "lua", "wasm", "script"),
    _TRACING: ("trace", "traces", "opentelemetry", "otel", "zipkin"),
    _MIRROR: ("shadow", "mirroring", "mirrors", "request_mirror"),
    _BREAKER: ("circuit_breakers", "breaker"),
    _CGI: ("fastcgi", "fastcgi_pass", "scgi", "uwsgi", "php"),
}  # fmt: skip

_MIDDLEWARES: Final = {
    word: ("no such key here", f"write the middleware `{feature.key}`")
    for feature in MIDDLEWARES
    for word in feature.aliases
}

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    word: feature
    for feature, words in _FEATURES.items()
    for word in words
    if word not in {one.key for one in MIDDLEWARES}
} | _MIDDLEWARES
"""By the word others write: what this version has not, and what to do instead."""

_VERSIONS: Final = frozenset(
    {"1.0", "1.1", "ssl3", "sslv3", "tls1.0", "tls1.1", "tlsv1", "tlsv1.0", "tlsv1.1"}
)


def feature(word: str) -> tuple[str, str] | None:
    """Returns what is wrong and what to do instead, if the word names a feature
    that this version lacks.
    """
    found = WORDS.get(word.lower().replace("-", "_"))
    return (f"this version has {found[0]}", found[1]) if found else None


def protocol_version(word: str) -> str | None:
    """Returns what is wrong, if the word is an unsupported version of TLS."""
    if word.lower().replace(" ", "").replace("_", ".") in _VERSIONS:
        return f'"{word}" is a version of TLS that is unsafe and not spoken'
    return None
