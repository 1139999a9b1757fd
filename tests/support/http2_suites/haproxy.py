"""What HAProxy's reg-tests try of HTTP/2, in our words and bytes."""

from http2_suites.case import (
    CHUNKED,
    HTTP1,
    TLS,
    Case,
    Code,
    Http1Case,
    Suite,
    chunk,
    data,
    forwarded,
    head,
    pseudo,
)

_ANSWERED_TOO = (
    "the suite wants RST_STREAM alone; a 400 comes before it, as RFC 9113, 8.1.1 allows, so that"
    " the client learns why"
)

_DESYNC = (
    Case("valid", "a plain GET", (head(pseudo()),), 200, reaches=(forwarded("GET /"),)),
    Case(
        "path",
        "a `:path` that is a word without a slash",
        (head(pseudo("hello-world")),),
        400,
        Code.PROTOCOL_ERROR,
        differs=_ANSWERED_TOO,
    ),
    Case(
        "scheme",
        "a `:scheme` that is a whole URL up to its question mark",
        (head(pseudo(scheme="http://localhost/?")),),
        400,
        Code.PROTOCOL_ERROR,
    ),
    Case(
        "method",
        "a `:method` with a question mark",
        (head(pseudo(method="GET?")),),
        400,
        Code.PROTOCOL_ERROR,
    ),
    Case(
        "host-authority",
        "`:authority` and Host with different names",
        (head([*pseudo(authority="hostname"), ("host", "other_host")]),),
        400,
        Code.PROTOCOL_ERROR,
        differs="the suite wants Host to be ignored; the request is refused, as RFC 9113, 8.3.1"
        " says that it should be",
    ),
)

_EMPTY = ("content-length: 0",)
_LATE = b"this is sent and ignored"
_WHOLE = b"this must be delivered, like it or not"


def _length(method: str, value: str, *, ends: bool = False) -> bytes:
    """HEADERS with this Content-Length."""
    fields = pseudo(method=method, scheme="https")
    return head([*fields, ("content-length", value)], ends=ends)


def _good(method: str) -> tuple[Case, ...]:
    """The requests with a method that are served."""
    name, line = method.lower(), f"{method} /"
    fields = pseudo(method=method, scheme="https")
    return (
        Case(
            f"{name}-plain",
            f"{method} without a body",
            (head(fields),),
            200,
            reaches=(forwarded(line, scheme="https", framing=() if method == "GET" else _EMPTY),),
            link=TLS,
        ),
        Case(
            f"{name}-length-0",
            f"{method} with a Content-Length of 0 and no body",
            (_length(method, "0", ends=True),),
            200,
            reaches=(forwarded(line, scheme="https", framing=_EMPTY),),
            link=TLS,
        ),
        Case(
            f"{name}-body",
            f"{method} with a body and no Content-Length",
            (head(fields, ends=False) + data(_WHOLE),),
            200,
            reaches=(forwarded(line, scheme="https", framing=CHUNKED, body=chunk(_WHOLE)),),
            link=TLS,
        ),
    )


def _bad(method: str) -> tuple[Case, ...]:
    """The requests with a method whose length is not that of their body, or is none."""
    name = method.lower()
    return (
        Case(
            f"{name}-longer",
            f"{method} with a Content-Length of 2 and more DATA than that",
            (_length(method, "2") + data(_LATE),),
            reset=Code.PROTOCOL_ERROR,
            link=TLS,
        ),
        *(
            Case(
                f"{name}-length-{label}",
                f"{method} with {does}",
                (_length(method, value),),
                400,
                Code.PROTOCOL_ERROR,
                link=TLS,
                differs=_ANSWERED_TOO,
            )
            for label, does, value in (
                ("list", "a Content-Length of `0,`", "0,"),
                ("empty", "an empty Content-Length", ""),
            )
        ),
    )


_TO_H1 = (
    Case(
        "https-without-tls",
        "a `:scheme` of https on a listener without TLS, as the suite sends each of its requests",
        (head(pseudo(scheme="https")),),
        400,
        differs="the suite wants it served; a scheme that the connection contradicts is refused,"
        " unless the client is a proxy that is trusted, and the next cases use TLS",
    ),
    *_good("GET"),
    *_bad("GET"),
    *_good("POST"),
    *_bad("POST"),
)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

_UPGRADE = (
    Case("valid", "a plain GET", (head(pseudo()),), 200, reaches=(forwarded("GET /"),)),
    Case(
        "pri-method",
        "a request whose method, path and body are the words of the preface",
        (head(pseudo("*", method="PRI"), ends=False) + data(b"SM\r\n\r\n"),),
        400,
        Code.PROTOCOL_ERROR,
    ),
    Http1Case(
        "preface-to-http1",
        "the preface, on a listener that speaks HTTP/1.1 only",
        _PREFACE,
        505,
        link=HTTP1,
        differs="the suite wants 405; 505 says what the client did wrong, and the connection ends"
        " either way",
    ),
)

_COOKIES = (
    Case(
        "crumbs",
        "a cookie in three fields",
        (head([*pseudo(), *(("cookie", f"c{n}={v}") for n, v in enumerate("abc", 1))]),),
        200,
        reaches=(forwarded("GET /", fields=("cookie: c1=a; c2=b; c3=c",)),),
    ),
)

_UNCOUNTED = (
    "the suite also looks at HAProxy's counter of glitches; here such a stream counts in"
    " `budgets.resets`"
)

_GLITCHES = (
    Case(
        "none",
        "two good requests, one after the other",
        (head(pseudo("/1")), head(pseudo("/2"), 3)),
        200,
        reaches=(forwarded("GET /1"), forwarded("GET /2")),
    ),
    Case(
        "path",
        "a `:path` without a slash after a good request",
        (head(pseudo("/1")), head(pseudo("hello-world"), 3)),
        400,
        Code.PROTOCOL_ERROR,
        reaches=(forwarded("GET /1"),),
        differs=_UNCOUNTED,
    ),
    Case(
        "scheme",
        "a `:scheme` that is a URL, after a good request",
        (head(pseudo("/1")), head(pseudo(scheme="http://localhost/?"), 3)),
        400,
        Code.PROTOCOL_ERROR,
        reaches=(forwarded("GET /1"),),
    ),
)

_FROM = "haproxy/haproxy, reg-tests/"
SUITES = (
    Suite("haproxy-desync", _FROM + "http-messaging/h2_desync_attacks.vtc", _DESYNC),
    Suite("haproxy-h2-to-h1", _FROM + "http-messaging/h2_to_h1.vtc", _TO_H1),
    Suite("haproxy-upgrade", _FROM + "http-messaging/h1_to_h2_upgrade.vtc", _UPGRADE),
    Suite("haproxy-cookies", _FROM + "http-cookies/h2_cookie_concat.vtc", _COOKIES),
    Suite("haproxy-glitches", _FROM + "connection/h2_glitches.vtc", _GLITCHES),
)
