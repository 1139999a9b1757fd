"""`bandwidth` in nginx: `limit_rate`, which holds each answer back on its own."""

from typing import Final

from headgate.features.byterates import CONNECTION, REQUEST
from headgate.features.middleware.bandwidth.spec import BandwidthNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain, collecting
from headgate.nginxtext.writer import Word, directive

_KEY: Final = "middlewares.NAME.bandwidth"
_SHARED: Final = "nginx holds each answer back on its own; write `request`, others are refused"
_PER_CONNECTION: Final = (
    "nginx holds each answer back on its own, not those of a connection together, neither over "
    "HTTP/1.1 nor over HTTP/2"
)

PARITY: Final = (
    Parity(
        f"{_KEY}.download",
        "differs",
        "`limit_rate`: nginx counts the head of an answer too, in whole seconds, lets a WebSocket "
        "pass as it comes, and fills its buffers before it sends, so that events come late; a "
        "second one of a route is refused",
    ),
    Parity(f"{_KEY}.upload", "no", "nginx reads a request as quickly as it comes; it is refused"),
    Parity(
        f"{_KEY}.burst",
        "differs",
        "`limit_rate_after` with what is beyond a second's bytes, which always pass at once",
    ),
    Parity(
        f"{_KEY}.key",
        "differs",
        f"{_SHARED}; so is `connection`: `limit_rate` counts each request anew, also the next ones "
        "of a kept connection and the streams of HTTP/2",
    ),
    Parity(f"{_KEY}.ipv6_prefix", "no", _SHARED),
    Parity(f"{_KEY}.max_keys", "no", _SHARED),
)


def apply(node: BandwidthNode, chain: Chain, about: About) -> None:
    """Has a location hold answers back, or says why nginx cannot."""
    if node.upload:
        about.refuse("upload", "nginx reads a request as quickly as it comes")
    if node.key == (CONNECTION,):
        about.refuse("key", _PER_CONNECTION)
    elif node.key != (REQUEST,):
        about.refuse("key", "nginx holds each answer back on its own, not all of a key together")
    if not node.download:
        return
    if chain.rate:
        about.refuse("download", "nginx has one rate for the answers of a route")
        return
    if node.download_burst < node.download:
        about.note("burst", "nginx always lets the bytes of a second pass at once")
    after = max(node.download_burst - node.download, 0)
    chain.rate = [
        # Without buffers nginx heeds no rate (`ngx_http_upstream_send_response`).
        *collecting(),
        directive("limit_rate", Word(str(node.download))),
    ]
    if after:
        chain.rate.append(directive("limit_rate_after", Word(str(after))))
