"""What the file h2_headers.t of nginx-tests tries of fields, in requests and in answers."""

from http2_suites import nginx_blocks
from http2_suites.case import (
    AnyCase,
    Case,
    Code,
    Elsewhere,
    Pairs,
    Suite,
    forwarded,
    head,
    pseudo,
)


def _taken(name: str, does: str, whole: bytes, host: str = "localhost", *fields: str) -> Case:
    return Case(name, does, (whole,), 200, reaches=(forwarded("GET /", host, fields=fields),))


def _refused(name: str, does: str, whole: bytes, differs: str = "") -> Case:
    return Case(name, does, (whole,), 400, Code.PROTOCOL_ERROR, differs=differs)


def _with(more: Pairs, authority: str | None = "localhost") -> bytes:
    return head([*pseudo(authority=authority), *more])


def _fields() -> tuple[AnyCase, ...]:
    return (
        _taken(
            "cookies",
            "a cookie in two fields becomes one line",
            _with([("cookie", "a=b"), ("cookie", "c=d")]),
            "localhost",
            "cookie: a=b; c=d",
        ),
        _refused(
            "value-with-lines",
            "a value with a line break and a second field in it",
            _with([("x-foo", "x-bar\r\nreferer:see-this")]),
        ),
        _taken(
            "underscore",
            "a name with an underscore, and a field after it: the first is left out",
            _with([("x_foo", "x-bar"), ("referer", "see-this")]),
            "localhost",
            "referer: see-this",
        ),
        _refused("name-colon", "a name with a colon", _with([("x:foo", "x-bar")])),
        _refused("name-blank", "a name with a blank", _with([("x foo", "bar")])),
        _refused("name-control", "a name with a control", _with([("foo\x02", "bar")])),
        _refused("no-scheme", "no `:scheme`", head([f for f in pseudo() if f[0] != ":scheme"])),
        _refused("empty-authority", "an empty `:authority`", _with([], "")),
        _refused("no-authority", "neither `:authority` nor Host", _with([], None)),
        _taken("host", "Host without `:authority`", _with([("host", "localhost")], None)),
        _taken(
            "host-and-port",
            "Host with a port, without `:authority`",
            _with([("host", "localhost:1234")], None),
            "localhost:1234",
        ),
        _taken("same-host", "`:authority` and the same Host", _with([("host", "localhost")])),
        _taken(
            "same-host-and-port",
            "the same with a port",
            _with([("host", "localhost:1234")], "localhost:1234"),
            "localhost:1234",
        ),
        _refused("other-host", "`:authority` and another Host", _with([("host", "localhost2")])),
        _refused(
            "other-port",
            "`:authority` and a Host with another port",
            _with([("host", "localhost:5678")], "localhost:1234"),
        ),
        _refused("path", "a `:path` without a slash", head(pseudo("t1.html"))),
        _refused("path-control", "a `:path` with a control", head(pseudo("/t1.html\x02"))),
    )


_LONG = "a head of 24 KB in an answer, in frames of at most 16,384 octets"


def _answers() -> tuple[AnyCase, ...]:
    def asked(name: str, does: str, path: str, status: int, field: tuple[bytes, bytes]) -> Case:
        sent = (head(pseudo(path)),)
        return Case(name, does, sent, status, reaches=(forwarded(f"GET {path}"),), has=field)

    return (
        asked("set-cookie", "two cookies in an answer", "/cookies", 200, (b"set-cookie", b"c=d")),
        asked("long-answer", _LONG, "/long", 200, (b"x-third", b"x" * 8192)),
        asked(
            "long-answer-204",
            f"{_LONG}, without a body",
            "/long-204",
            204,
            (b"x-third", b"x" * 8192),
        ),
        Elsewhere(
            "sizes",
            "names, values and heads as large as allowed, and an octet larger",
            "431, and ENHANCE_YOUR_CALM beyond twice the size",
            ("a_head_may_be_as_large_as_its_list",),
            "the suite ends the connection; with 431 (RFC 6585, 5) other streams go on",
        ),
        Elsewhere(
            "size-by-index",
            "a head whose fields are references of one octet to a large field",
            "it counts with the size of its fields",
            ("hpack-bomb",),
        ),
        Elsewhere(
            "underscores-on",
            "a name with an underscore where the config takes it",
            "it is passed on",
            ("rule_18_spellings_of_framing_fields_are_refused",),
        ),
    )


_FROM = "nginx/nginx-tests, h2_headers.t"
SUITES = (
    Suite("nginx-hpack", _FROM, nginx_blocks.CASES),
    Suite("nginx-fields", _FROM, (*_fields(), *_answers())),
)
