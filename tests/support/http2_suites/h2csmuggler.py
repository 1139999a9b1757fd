"""What h2csmuggler sends: offers to upgrade to h2c that a proxy might pass on."""

from http2_suites.case import (
    HTTP1,
    HTTP1_TLS,
    PLAIN,
    TLS,
    AnyCase,
    Case,
    Code,
    Http1Case,
    Suite,
    forwarded,
    head,
    pseudo,
)

_SETTINGS = "AAMAAABkAARAAAAAAAIAAAAA"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
_INSIDE = _PREFACE + head(pseudo("/inside"))
_WHERE = {
    PLAIN: ("plain", "a listener with `h2c = true`"),
    HTTP1: ("http1", "a listener without `h2c`"),
    HTTP1_TLS: ("tls", "a listener with TLS"),
}


def _offer(link: str, kind: str, connection: str, upgrade: str = "h2c") -> Http1Case:
    where, listener = _WHERE[link]
    lines = (
        "GET / HTTP/1.1",
        "Host: a.example",
        f"Upgrade: {upgrade}",
        f"HTTP2-Settings: {_SETTINGS}",
        f"Connection: {connection}",
    )
    scheme = "https" if link == HTTP1_TLS else "http"
    return Http1Case(
        f"{where}-{kind}",
        f"`Connection: {connection}` and `Upgrade: {upgrade}` to {listener}, then frames for"
        " `/inside`",
        "\r\n".join([*lines, "", ""]).encode(),
        200,
        (forwarded("GET /", scheme=scheme),),
        link,
        then=_INSIDE,
    )


_CASES: tuple[AnyCase, ...] = (
    *(
        case
        for link in _WHERE
        for case in (
            _offer(link, "usual", "Upgrade, HTTP2-Settings"),
            _offer(link, "upgrade-only", "Upgrade"),
            _offer(link, "beside-websocket", "Upgrade, HTTP2-Settings", "websocket, h2c"),
        )
    ),
    Case(
        "over-http2",
        "a request over HTTP/2 with `upgrade: h2c`",
        (head([*pseudo(scheme="https"), ("upgrade", "h2c"), ("http2-settings", _SETTINGS)]),),
        400,
        Code.PROTOCOL_ERROR,
        link=TLS,
    ),
    Case(
        "settings-over-http2",
        "a request over HTTP/2 with `http2-settings` alone, which is not passed on",
        (head([*pseudo(scheme="https"), ("http2-settings", _SETTINGS)]),),
        200,
        reaches=(forwarded("GET /", scheme="https"),),
        link=TLS,
    ),
)

SUITES = (Suite("h2csmuggler", "BishopFox/h2csmuggler", _CASES),)
