"""Every case there is, in the order in which they are run."""

from loads import Load
from peers.base import Setup
from rows import AGAIN

from cases.base import Case
from cases.features import FEATURES
from cases.held import HELD
from cases.idle import IDLE
from cases.layer4 import BULK, DATAGRAMS, SESSIONS
from cases.nginx_engine import NGINX_ENGINE
from cases.parts import BREAKER, CODEC
from cases.programs import LIBRARY, PRIMITIVES
from cases.reloads import APPLY, RELOADS, RELOADS_LONG
from cases.traffic import Traffic, Variant

_PLAIN = Setup()
_TLS = Setup(tls_group="x25519")
_PQ = Setup(tls_group="x25519mlkem768")
_H2 = Setup(tls_group="x25519", http2=True)
_GUARDED = Setup(guarded=True)
_H2C = Setup(http2=True)
_TCP = Setup(relay="tcp")


def _one(
    name: str, title: str, load: Load, setup: Setup = _PLAIN, *, half_load: bool = True
) -> Traffic:
    return Traffic(name, title, (Variant("", setup, load),), half_load=half_load)


def _http2(name: str, title: str, load: Load, setup: Setup = _H2) -> Traffic:
    return Traffic(name, title, (Variant("", setup, load),), half_load=False)


def _counts(name: str, title: str, *kinds_counts: tuple[str, Setup]) -> Traffic:
    variants = tuple(Variant(variant, setup, Load()) for variant, setup in kinds_counts)
    return Traffic(name, title, variants, half_load=False)


CASES: tuple[Case, ...] = (
    _one("h1-13", "13 B, keep-alive, 64 connections", Load()),
    _one("h1-13-c256", "13 B, keep-alive, 256 connections", Load(connections=256)),
    _one("h1-1k", "1 KiB response", Load("/b/1024")),
    _one("h1-64k", "64 KiB response", Load("/b/65536", connections=32)),
    _one("upload-64k", "64 KiB upload", Load(connections=32, body_bytes=65536)),
    _one("h1-1m", "1 MiB response", Load("/b/1048576", connections=16)),
    _one("close-13", "one connection per request", Load(close=True)),
    _one("tls-13", "TLS 1.3 keep-alive, 13 B", Load(tls=True), _TLS),
    _one("tls-64k", "TLS 1.3 keep-alive, 64 KiB", Load("/b/65536", 32, tls=True), _TLS),
    _one(
        "tls-handshake",
        "TLS 1.3 full handshake + request, X25519",
        Load(connections=32, close=True, tls=True),
        _TLS,
    ),
    _one(
        "tls-handshake-pq",
        "TLS 1.3 full handshake + request, X25519MLKEM768 (client in Go)",
        Load(connections=16, close=True, tls=True, go=True),
        _PQ,
        half_load=False,
    ),
    _http2(
        "h2-13",
        "HTTP/2 over TLS 1.3, 13 B, 16 connections × 8 streams",
        Load(connections=16, streams=8, tls=True),
    ),
    _http2(
        "h2c-13",
        "HTTP/2 in clear, 13 B, 16 connections × 8 streams",
        Load(connections=16, streams=8),
        _H2C,
    ),
    _http2(
        "h2-64k",
        "HTTP/2 over TLS 1.3, 64 KiB, 8 connections × 4 streams",
        Load("/b/65536", 8, streams=4, tls=True),
    ),
    _http2(
        "h2-1m",
        "HTTP/2 over TLS 1.3, 1 MiB, 8 connections × 2 streams",
        Load("/b/1048576", 8, streams=2, tls=True),
    ),
    _http2(
        "mux-13",
        "HTTP/1.1 to an HTTP/2 upstream (nginx: to HTTP/1.1), 13 B, 64 connections",
        Load(),
        Setup(upstream="h2c"),
    ),
    _http2(
        "grpc-13",
        "unary gRPC in clear, messages of 13 B, 16 connections × 8 streams",
        Load("/bench.Echo/Say", connections=16, streams=8, grpc=True),
        Setup(http2=True, upstream="grpc"),
    ),
    _one("websocket", "WebSocket echo, 13 B frames", Load("/ws", websocket=True)),
    _counts(
        "hosts",
        "10,000 hosts against 10",
        ("10", Setup("hosts", 10)),
        ("10000", Setup("hosts", 10_000)),
    ),
    _counts(
        "prefixes",
        "10,000 prefixes against 10",
        ("10", Setup("prefixes", 10)),
        ("10000", Setup("prefixes", 10_000)),
    ),
    _counts(
        "regexes",
        "1,000 regexes against 10, paths that never repeat",
        ("10", Setup("regex", 10)),
        ("1000", Setup("regex", 1_000)),
        ("free-10", Setup("regex-free", 10)),
        ("free-1000", Setup("regex-free", 1_000)),
    ),
    _counts(
        "access-log",
        "access log on (JSON to a file) against off",
        ("off", Setup()),
        ("on", Setup(access_log=True)),
    ),
    Traffic(
        "guarded",
        "retries, breaker, outlier detection and checks on, nothing failing, against none, 13 B",
        (
            Variant("bare", _PLAIN, Load()),
            Variant("guarded", _GUARDED, Load()),
            Variant("guarded" + AGAIN, _GUARDED, Load()),
            Variant("bare" + AGAIN, _PLAIN, Load()),
        ),
        half_load=False,
        alone=True,
    ),
    _one("l4-echo", "TCP, 64 B and back, 64 connections", Load(echo_bytes=64), _TCP),
    _one(
        "l4-close",
        "TCP, one connection for 64 B and back",
        Load(close=True, echo_bytes=64),
        _TCP,
        half_load=False,
    ),
    *BULK,
    *DATAGRAMS,
    SESSIONS,
    *FEATURES,
    PRIMITIVES,
    LIBRARY,
    CODEC,
    BREAKER,
    IDLE,
    HELD,
    APPLY,
    RELOADS,
    RELOADS_LONG,
    NGINX_ENGINE,
)
"""All cases."""
