"""What Envoy's http2_flood_integration_test.cc tries of endpoints: floods in place of an answer,
and answers that no endpoint may give."""

from dataclasses import replace

from frame_client import CONTINUATION, PRIORITY, WINDOW
from header_blocks import literal
from http2_wire import END_HEADERS, HEADERS, PING, SETTINGS, frame

from http2_suites.case import (
    AnyCase,
    Case,
    Code,
    Elsewhere,
    blocks,
    called,
    data,
    head,
    pseudo,
)
from http2_suites.nginx_grpc import Answer

_MANY = 2_000


def _repeated(one: bytes) -> Answer:
    return lambda _: one * _MANY


ANSWERS: dict[str, Answer] = {
    "UpstreamPingFlood": _repeated(frame(PING, 0, 0, bytes(8))),
    "UpstreamSettings": _repeated(frame(SETTINGS, 0, 0, b"")),
    "UpstreamWindowUpdate": _repeated(frame(WINDOW, 0, 0, (1).to_bytes(4))),
    "UpstreamPriorityNoOpenStreams": _repeated(frame(PRIORITY, 0, 99, bytes(5))),
    "UpstreamPriorityOneOpenStream": lambda s: frame(PRIORITY, 0, s, bytes(5)) * _MANY,
    "UpstreamEmptyData": lambda s: (
        blocks(b"\x88", s, ends=False) + data(b"", s, ends=False) * _MANY
    ),
    "UpstreamEmptyHeadersContinuation": lambda s: (
        frame(HEADERS, 0, s, b"") + frame(CONTINUATION, 0, s, b"") * _MANY
    ),
    "UpstreamEmptyHeaders": lambda s: frame(HEADERS, END_HEADERS, s, b""),
    "UpstreamZerolenHeader": lambda s: blocks(b"\x88" + literal(b"", b"x"), s),
}


def _case(name: str, does: str, differs: str = "") -> Case:
    """A call whose endpoint answers so."""
    path = f"/call/{name}"
    sent = (head(pseudo(path, method="POST")),)
    reached = called(path, last=("content-length: 0",))
    return Case(name, does, sent, 502, reaches=(reached,), differs=differs)


CASES: tuple[AnyCase, ...] = (
    _case("UpstreamPingFlood", "PING"),
    Elsewhere(
        "UpstreamFloodDetectionIsOnByDefault",
        "the same without any config",
        "502, as in the case before, whose config says nothing of it",
        ("envoy-endpoints-UpstreamPingFlood",),
    ),
    _case("UpstreamSettings", "SETTINGS"),
    _case("UpstreamWindowUpdate", "WINDOW_UPDATE of 1"),
    _case("UpstreamPriorityNoOpenStreams", "PRIORITY for a stream that was never opened"),
    _case("UpstreamPriorityOneOpenStream", "PRIORITY for the stream of the call"),
    Elsewhere(
        "UpstreamPriorityOneClosedStream",
        "PRIORITY for a stream that is over",
        "the connection to the endpoint ends",
        (
            "floods_of_one_frame_close_the_connection",
            "envoy-endpoints-UpstreamPriorityNoOpenStreams",
        ),
    ),
    replace(
        _case("UpstreamEmptyData", "an answer whose DATA are empty and never end"),
        status=200,
        reset=Code.INTERNAL_ERROR,
    ),
    _case("UpstreamEmptyHeadersContinuation", "empty CONTINUATION that never end"),
    _case("UpstreamEmptyHeaders", "HEADERS without any field"),
    _case(
        "UpstreamZerolenHeader",
        "an answer with a field without a name",
        "Envoy also ends the connection to the endpoint; here its stream alone is reset, as"
        " RFC 9113, 8.1.1 says (and as `UpstreamZerolenHeaderAllowed` of Envoy's)",
    ),
    Elsewhere(
        "UpstreamRstStreamOnDownstreamRemoteClose",
        "a client that leaves, with an endpoint that reads nothing",
        "the stream is cancelled, and the connection is closed after 30 s without progress",
        ("a_client_that_leaves_cancels_its_stream",),
        "Envoy ends the connection to the endpoint at once",
    ),
    Elsewhere(
        "UpstreamRstStreamStormOnDownstreamCloseRegressionTest",
        "a client that leaves with 80 streams",
        "each is cancelled, and the connections to the endpoint go on",
        (
            "a_client_that_leaves_cancels_its_stream",
            "a_connection_that_is_lost_lets_go_of_every_endpoint",
        ),
    ),
    Elsewhere(
        "UpstreamRstStreamOnStreamIdleTimeout",
        "a timeout, with an endpoint that reads nothing",
        "the stream is cancelled",
        ("a_client_that_leaves_cancels_its_stream",),
        "Envoy ends the connection to the endpoint at once",
    ),
    Elsewhere(
        "GoAwayAfterRequestReset",
        "a reset and GOAWAY of an endpoint at once",
        "waiting calls go to another connection",
        (
            "after_a_goaway_running_streams_end_and_others_go_elsewhere",
            "what_an_endpoint_did_not_process_is_sent_again",
        ),
        "the test wants 503 for both, as its endpoint takes no second connection",
    ),
)
