"""What scanners of http-request-smuggler send over HTTP/2, in our words and bytes."""

from http2_suites.case import (
    CHUNKED,
    HTTP1_TLS,
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

_FIELDS = pseudo("/p", scheme="https")


def _refused(name: str, does: str, *sent: bytes) -> Case:
    """A request that no endpoint may get."""
    return Case(name, does, sent, 400, Code.PROTOCOL_ERROR, link=TLS)


_PSEUDO = (
    _refused(
        "lines-in-a-value",
        "a value with a line break and a second `:path` after it",
        head([*_FIELDS, ("x", "x\r\n:path : /canary")]),
    ),
    _refused(
        "name-with-a-blank",
        "a field `:path ` (with a blank) after a usual one",
        head([*_FIELDS, ("x", "x"), (":path ", "/canary")]),
    ),
    _refused(
        "name-with-a-blank-first",
        "a field ` :path` (with a blank) whose value is a path",
        head([*_FIELDS, ("x", "x"), (" :path", "/canary")]),
    ),
    _refused(
        "path-with-lines",
        "a `:path` with a line break, a field and a second `:path`",
        head(pseudo("/p\r\nx: x\r\n :path: /canary", scheme="https")),
    ),
)

_METHOD = (
    _refused(
        "request-line",
        "a `:method` that is a whole request line to another host",
        head(pseudo("/p", scheme="https", method="GET http://b.example/p HTTP/1.1")),
    ),
    _refused(
        "request-and-head",
        "a `:method` that is a whole request with its head",
        head(pseudo("/p", scheme="https", method="GET /x HTTP/1.1\r\nHost: b.example\r\n\r\nGET")),
    ),
)

_SCHEME = tuple(
    _refused(name, does, head(pseudo("/p", scheme=scheme)))
    for name, does, scheme in (
        ("url-and-path", "a `:scheme` that is a URL with a path", "http://a.example/canary?"),
        ("url", "a `:scheme` that is a URL of another host", "http://b.example/"),
        ("https-url", "the same with https", "https://b.example/"),
        ("host", "a `:scheme` that is a host", "b.example"),
        ("word", "a `:scheme` that is a word", "canary"),
        ("file", "a `:scheme` of file", "file"),
    )
)


def _two(first: str, second: str) -> bytes:
    whole = [(n, first if n == ":path" else v) for n, v in _FIELDS]
    return head([*whole, (":path", second)])


_PATHS = (
    _refused("same", "`:path` twice, with the same path", _two("/p", "/p")),
    _refused("second", "`:path` twice, the second one with another path", _two("/p", "/canary")),
    _refused("first", "`:path` twice, the first one with another path", _two("/canary", "/p")),
    _refused(
        "after-fields",
        "a second `:path` after the other fields",
        head([*_FIELDS, ("accept", "*/*"), (":path", "/canary")]),
    ),
    _refused(
        "line-break",
        "a `:path` with a line break and a second `:path` after it",
        head(pseudo("/p\r\n:path: /canary", scheme="https")),
    ),
)

_HIDDEN = (
    Http1Case(
        "preface-without-alpn",
        "the preface, on a listener with TLS that offers `http/1.1` alone",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        505,
        link=HTTP1_TLS,
    ),
)

_BODY = b"FOO BAR AAH\r\n\r\n"
_NESTED = b"HEAD / HTTP/1.1\r\nHost: hostname\r\n\r\nX-NoResponseQueue-Poisoning\r\n\r\n"


def _tunnels(method: str) -> tuple[Case, ...]:
    """The requests that the scanner makes with a method."""
    fields = pseudo("/p", scheme="https", method=method)
    via = ("via", "x (comment\0hmmm)")
    zero = ("content-length", "0")
    name = method.lower()
    passed = forwarded(f"{method} /p", scheme="https", framing=CHUNKED, body=chunk(_NESTED))
    return (
        _refused(
            f"{name}-null",
            f"{method} with a NUL in `via`, a Content-Length of 0 and a body like a request",
            head([*fields, via, zero], ends=False) + data(_BODY),
        ),
        Case(
            f"{name}-length-0",
            f"{method} with a Content-Length of 0 and such a body",
            (head([*fields, zero], ends=False) + data(_BODY),),
            reset=Code.PROTOCOL_ERROR,
            link=TLS,
        ),
        Case(
            f"{name}-nested",
            f"{method} without Content-Length, whose body is a request",
            (head(fields, ends=False) + data(_NESTED),),
            200,
            reaches=(passed,),
            body=b"" if method == "HEAD" else b"ok",
            link=TLS,
        ),
    )


_TUNNELS = tuple(case for m in ("GET", "POST", "HEAD", "OPTIONS") for case in _tunnels(m))

_FROM = "PortSwigger/http-request-smuggler, src/burp/"
SUITES = (
    Suite("smuggler-fake-pseudo", _FROM + "HTTP2FakePseudo", _PSEUDO),
    Suite("smuggler-method", _FROM + "HTTP2Method", _METHOD),
    Suite("smuggler-scheme", _FROM + "HTTP2Scheme", _SCHEME),
    Suite("smuggler-dual-path", _FROM + "HTTP2DualPath", _PATHS),
    Suite("smuggler-hidden", _FROM + "HiddenHTTP2", _HIDDEN),
    Suite("smuggler-tunnel", _FROM + "H2TunnelScan", _TUNNELS),
)
