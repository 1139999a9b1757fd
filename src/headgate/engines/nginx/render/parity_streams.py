"""Says how nginx's `stream` differs for the config keys of TCP and UDP routes: one line each."""

from typing import Final

from headgate.features.nginx import Parity

_TCP_ROUTES: Final = (
    Parity("tcp_routes.NAME.listeners", "same"),
    Parity("tcp_routes.NAME.client", "same"),
    Parity(
        "tcp_routes.NAME.sni",
        "differs",
        "by `ssl_preread`; a ClientHello that nginx cannot read counts as one without a name",
    ),
    Parity(
        "tcp_routes.NAME.alpn",
        "differs",
        "refused where TLS passes through: a map does not know what a client prefers",
    ),
    Parity(
        "tcp_routes.NAME.tls",
        "differs",
        "`passthrough` on a listener with `tls` is refused: nginx ends TLS of all its connections",
    ),
    Parity(
        "tcp_routes.NAME.upstream",
        "differs",
        "`timeouts.connect` is for each endpoint that is tried, and none is tried after it has "
        "passed; routes of a listener must agree in it, and in `tls`, with a `verify_name` if they "
        "have several upstreams; endpoints with TLS see ends without a close_notify, and are "
        "offered no protocol (ALPN); of names, "
        "health and state: as for HTTP, except that the log tells of a connection that has ended",
    ),
    Parity("tcp_routes.NAME.split[].upstream", "differs", "as `tcp_routes.NAME.upstream`"),
    Parity("tcp_routes.NAME.split[].weight", "differs", "in steps of 0.01 %"),
    Parity(
        "tcp_routes.NAME.sticky.by",
        "differs",
        "by `split_clients`: of weights that change, more clients move than need to, and routes "
        "with equal shares send a client to the same branch",
    ),
    Parity("tcp_routes.NAME.timeouts.idle", "differs", "routes of a listener must agree in it"),
    Parity(
        "tcp_routes.NAME.timeouts.half_open", "differs", "must be that of `idle`, or its default"
    ),
    Parity("tcp_routes.NAME.timeouts.lifetime", "no", "refused"),
    *(
        Parity(
            f"tcp_routes.NAME.bandwidth.{key}",
            "differs",
            "by `proxy_download_rate` and `proxy_upload_rate`; routes of a listener must agree in "
            "it; not counted",
        )
        for key in ("download", "upload")
    ),
    Parity("tcp_routes.NAME.bandwidth.burst", "differs", "must be the bytes of a second"),
    Parity("tcp_routes.NAME.bandwidth.key", "differs", "anything but `connection` is refused"),
    Parity("tcp_routes.NAME.bandwidth.ipv6_prefix", "no", "without a shared limit it is nothing"),
    Parity("tcp_routes.NAME.bandwidth.max_keys", "no", "without a shared limit it is nothing"),
)
_AGREE: Final = "routes of a listener must agree in it"
_UDP_ROUTES: Final = (
    Parity("udp_routes.NAME.listeners", "same"),
    Parity("udp_routes.NAME.client", "same"),
    Parity("udp_routes.NAME.sni", "no", "refused: nginx reads no QUIC"),
    Parity(
        "udp_routes.NAME.upstream",
        "differs",
        "a flow that meets a closed port, or gets no answer in time where `answers` awaits some, "
        "ends, and its client's next datagram begins another; counted when it has ended; "
        "`outlier_detection` and `circuit_breaker` of its upstream are refused, since nginx does "
        "not tell the one from the other",
    ),
    Parity(
        "udp_routes.NAME.balance_by",
        "differs",
        f"{_AGREE}; with `datagram` each datagram is a flow of its own",
    ),
    Parity("udp_routes.NAME.answers", "differs", _AGREE),
    Parity(
        "udp_routes.NAME.timeouts.idle",
        "differs",
        f"{_AGREE}; the log says `ended` of every flow that went well, `unanswered` of others, and "
        "counts bytes, no datagrams",
    ),
    *(
        Parity(f"udp_routes.NAME.bandwidth.{key}", "no", "refused: nginx drops none by a rate")
        for key in ("download", "upload", "burst", "ipv6_prefix", "max_keys", "key")
    ),
)

PARITY: Final = (*_TCP_ROUTES, *_UDP_ROUTES)
