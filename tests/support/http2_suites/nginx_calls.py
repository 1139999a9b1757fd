"""What grpc*.t of nginx-tests try: calls that an endpoint answers with `nginx_grpc.ANSWERS`."""

from dataclasses import replace

from http2_suites.case import (
    AnyCase,
    Case,
    Code,
    Elsewhere,
    Pairs,
    Suite,
    called,
    data,
    head,
    pseudo,
)

_HELLO, _WORLD = b"Hello", b"Hello world"
_FINE, _UNIMPLEMENTED, _UNAVAILABLE = ((b"grpc-status", code) for code in (b"0", b"12", b"14"))
_LONG = "Z" * 20_000
_FIELDS: Pairs = (("content-type", "application/grpc"), ("te", "trailers"))


def _reached(path: str, method: str = "POST", body: bytes = _HELLO, more: str = "") -> bytes:
    """A call as the endpoint gets it."""
    fields = ("content-type: application/grpc", *([more] if more else []))
    return called(path, method=method, fields=fields, last=("te: trailers",), body=body)


def _start(path: str, method: str = "POST", *, ends: bool = False, more: Pairs = ()) -> bytes:
    return head([*pseudo(path, method=method), *_FIELDS, *more], ends=ends)


def _call(name: str, does: str, differs: str = "") -> Case:
    """A call with a body, which gets the answer of its name."""
    path = f"/call/{name}"
    sent = (_start(path) + data(_HELLO),)
    return Case(name, does, sent, 200, reaches=(_reached(path),), differs=differs)


def _answered(name: str, does: str) -> Case:
    """A call that its client gets a good answer for."""
    return replace(_call(name, does), has=_FINE, body=_WORLD)


_IN_FORM = (
    "the suite wants 502; a client of gRPC gets 200 with `grpc-status: 14`, the form that its"
    " library reads"
)
_BOUND = "the suite raises nginx's limit; here the endpoint has gone beyond what it may send"


def _failed(name: str, does: str, differs: str = _IN_FORM) -> Case:
    """A call whose answer breaks the rules."""
    return replace(_call(name, does, differs), has=_UNAVAILABLE, body=b"")


def _unknown(name: str, does: str) -> Case:
    """A call whose answer has no body."""
    return replace(_call(name, does), has=_UNIMPLEMENTED, body=b"")


def _early(name: str, does: str, differs: str = "") -> Case:
    """A call that is answered before its body has come."""
    path = f"/call/{name}"
    whole = replace(_call(name, does, differs), has=_FINE, body=_WORLD, reset=Code.NO_ERROR)
    return replace(whole, sent=(_start(path),), reaches=(_reached(path, body=b""),))


def _cut(name: str, does: str) -> Case:
    """A call whose answer breaks off."""
    return replace(_call(name, does), reset=Code.INTERNAL_ERROR)


_REQUESTS: tuple[AnyCase, ...] = (
    _answered("hello", "a call; its answer has trailers"),
    replace(
        _answered("hello", "a call whose body ends with an empty DATA"),
        name="two-parts",
        sent=(_start("/call/hello") + data(_HELLO, ends=False) + data(b""),),
    ),
    Case(
        "long-field",
        "a field of 20,000 octets, which needs CONTINUATION on both sides",
        (_start("/call/hello", more=[("x-long", _LONG)]) + data(_HELLO),),
        200,
        reaches=(_reached("/call/hello", more=f"x-long: {_LONG}"),),
        has=_FINE,
    ),
    Case(
        "get",
        "a call by GET without a body",
        (_start("/call/hello", "GET", ends=True),),
        200,
        reaches=(_reached("/call/hello", "GET", b""),),
        has=_FINE,
    ),
    Case(
        "head",
        "a call by HEAD",
        (_start("/call/error", "HEAD", ends=True),),
        200,
        reaches=(_reached("/call/error", "HEAD", b""),),
        body=b"",
    ),
    Elsewhere(
        "authority",
        "`:authority` at the endpoint",
        "it is the client's, as the cases before show",
        ("rule_27_the_authority_is_host_and_host_is_dropped", "nginx-grpc-requests-hello"),
        "nginx sends the endpoint's address unless its config says otherwise",
    ),
    Elsewhere(
        "flow-control",
        "bodies that are longer than the windows of an endpoint, and of a client",
        "each side waits for WINDOW_UPDATE",
        (
            "bodies_pass_in_both_directions_from_both_kinds_of_clients",
            "a_client_that_takes_nothing_does_not_hold_up_others",
        ),
    ),
)

_ANSWERS: tuple[AnyCase, ...] = (
    *(
        _answered(name, f"an answer of literals {does}")
        for name, does in (
            ("indexing", "that are to be indexed"),
            ("without", "without an index"),
            ("without-new", "without an index, with their names"),
            ("never", "that are never indexed"),
            ("never-new", "that are never indexed, with their names"),
        )
    ),
    _answered("padding", "HEADERS of an answer with padding"),
    _answered("priority", "HEADERS of an answer with a priority"),
    _answered("padding-and-priority", "the same with both"),
    _unknown("error", "an answer of trailers alone: the client gets no DATA"),
    _unknown("error-and-reset", "the same, then RST_STREAM with NO_ERROR"),
    _cut("short", "an answer with less DATA than its Content-Length"),
    _cut("long", "an answer with more DATA than its Content-Length"),
    _answered("continuation", "the head of an answer in HEADERS and three CONTINUATION"),
    _failed("many-continuations", "the same with 42 CONTINUATION", _BOUND),
    _answered("field-128", "a field of an answer with 128 octets of name and of value"),
    _answered("field-256", "the same with 256 octets of each"),
    _failed("field-32768", "the same with 32,768 octets of each", _BOUND),
    _failed("name-colon", "an answer with a colon in a name"),
    _failed("name-upper-case", "an answer with an upper-case name"),
    _failed("name-control", "an answer with a line break in a name"),
    _failed("name-blank", "an answer with a blank in a name"),
    _failed("value-control", "an answer with a line break in a value"),
    _failed("index", "an answer with an index that its tables do not have"),
    _failed("index-with-indexing", "the same as the name of a literal that is to be indexed"),
    _failed("index-without-indexing", "the same as the name of a literal without an index"),
    _answered("padded-body", "DATA of an answer with padding"),
    _answered("padded-body-length", "the same with a Content-Length"),
    _early("early-window", "a whole answer before the request has ended, then WINDOW_UPDATE"),
    _early("early-reset", "the same, then RST_STREAM with NO_ERROR"),
    _early(
        "early-resets",
        "the same, then RST_STREAM with NO_ERROR three times",
        "the suite wants the answer cut off; it had ended before, and the first reset closed the"
        " stream",
    ),
    _early(
        "early-cancel",
        "the same, then RST_STREAM with CANCEL",
        "the suite wants the answer cut off; it had ended before, and the stream with it",
    ),
)

_LIFE: tuple[AnyCase, ...] = (
    Elsewhere(
        "kept-connections",
        "the next call on a connection of an endpoint, also after its SETTINGS and resets",
        "calls share connections",
        (
            "requests_of_many_clients_share_one_connection",
            "a_stream_that_is_reset_ends_its_own_request_only",
        ),
        "nginx has one call at a time on a connection",
    ),
    Elsewhere(
        "goaway-below",
        "GOAWAY below the stream of a call",
        "the call is sent again on another connection",
        (
            "a_stream_above_the_last_of_a_goaway_is_sent_again",
            "what_an_endpoint_did_not_process_is_sent_again",
        ),
        "the suite wants 502; RFC 9113, 8.7 lets what was not processed be sent again",
    ),
    Elsewhere(
        "goaway-above",
        "GOAWAY at or above the stream of a call",
        "the call ends, and the next one goes to another connection",
        ("after_a_goaway_running_streams_end_and_others_go_elsewhere",),
    ),
)

_OTHERS: tuple[AnyCase, ...] = (
    _answered("hints", "103 before the answer (grpc_early_hints.t)"),
    _failed("hints-only", "103 that ends the stream (grpc_early_hints.t)"),
    replace(
        _call("trailers", "an answer with two trailers (grpc_trailers.t)"),
        has=(b"x-another", b"bar"),
        body=b"SEE-THIS",
    ),
    Elsewhere(
        "next-upstream",
        "another endpoint after one that failed (grpc_next_upstream.t)",
        "as the route's retries say, after REFUSED_STREAM always",
        ("what_an_endpoint_refuses_goes_to_another_at_once",),
        "retries after a status have to be asked for in the route",
    ),
    Elsewhere(
        "pass",
        "endpoints over HTTP/2 with TLS and without (grpc_pass.t, grpc_ssl.t)",
        "`protocol` of the upstream says which",
        ("over_tls_the_endpoint_decides_where_both_are_allowed",),
    ),
    Elsewhere(
        "collected",
        "a body that is collected before an endpoint is asked (grpc_request_buffering.t)",
        "it is sent whole",
        ("a_body_that_is_collected_first_is_sent_without_chunks",),
    ),
)

_FROM = "nginx/nginx-tests, "
SUITES = (
    Suite("nginx-grpc-requests", _FROM + "grpc.t", _REQUESTS),
    Suite("nginx-grpc-answers", _FROM + "grpc.t", _ANSWERS),
    Suite("nginx-grpc-connections", _FROM + "grpc.t", _LIFE),
    Suite("nginx-grpc-others", _FROM + "the other files grpc*.t", _OTHERS),
)
