"""What Envoy's http2_flood_integration_test.cc tries, by the names that its tests have there."""

from frame_client import CONTINUATION
from http2_wire import DATA, END_HEADERS, END_STREAM, HEADERS, frame

from http2_suites import envoy_endpoints
from http2_suites.case import (
    AnyCase,
    Case,
    Code,
    Elsewhere,
    Suite,
    data,
    head,
    pseudo,
)

_HELD = "it is not read while frames wait for it, and its windows stop its answers"
_INSTEAD = (
    "Envoy ends the connection once 1,000 frames wait; here `output.frames` and"
    " `output.control_frames` hold the client back, and `timeouts.write` ends it"
)
_NOT_READ = (
    "a_session_stops_to_read_at_its_own_limits_of_output",
    "a_peer_that_does_not_read_is_not_read",
    "a_client_that_takes_nothing_holds_back_its_upstream_and_nobody_else",
)
_OUR_FLOODS = (
    "floods_of_one_frame_close_the_connection",
    "what_costs_its_sender_little_ends_by_the_budgets_of_the_listener",
)
_ENDED = "GOAWAY with ENHANCE_YOUR_CALM"


def _flood(name: str, does: str, drill: str, differs: str = "") -> Elsewhere:
    return Elsewhere(name, does, _ENDED, (drill, *_OUR_FLOODS), differs)


_CLIENTS: tuple[AnyCase, ...] = (
    _flood("Ping", "PING whose answers nobody reads", "ping"),
    _flood("Settings", "SETTINGS whose answers nobody reads", "settings"),
    *(
        Elsewhere(name, f"{does}, which nobody reads", _HELD, _NOT_READ, _INSTEAD)
        for name, does in (
            ("404", "answers that the proxy makes itself"),
            ("Data", "an answer in 1,000 DATA"),
            ("Headers", "heads of answers"),
            ("Envoy1xxHeaders", "100 (Continue) of the proxy"),
            ("Trailers", "trailers of answers"),
            ("DataOverflowFromDecoderFilterSendLocalReply", "an answer of a filter with a body"),
            ("HeadersOverflowFromDecoderFilterSendLocalReply", "an answer of a filter"),
            ("WindowUpdateOnLowWatermarkFlood", "WINDOW_UPDATE for a body that went on"),
            ("RstStreamOverflowOnPendingFlushTimeout", "a reset after a timeout"),
            ("RstStreamOnStreamIdleTimeoutAfterResponseHeaders", "a reset of an idle stream"),
            ("RstStreamOnUpstreamRemoteCloseBeforeResponseHeaders", "502 and a reset"),
            ("KeepAliveTimerTriggersFloodProtection", "PING of the proxy"),
        )
    ),
    *(
        Elsewhere(
            name,
            f"GOAWAY {does}, which nobody reads",
            "GOAWAY is sent, and the connection closes after its time",
            ("an_end_has_two_steps", "a_drain_ends_connections_after_what_is_in_flight"),
            _INSTEAD,
        )
        for name, does in (
            ("GoAwayOverflowOnDrainTimeout", "at the end of a drain"),
            ("DownstreamIdleTimeoutTriggersFloodProtection", "of an idle connection"),
            (
                "DownstreamConnectionDurationTimeoutTriggersFloodProtection",
                "of a connection that is too old",
            ),
            ("GoawayOverflowDuringResponseWhenDraining", "within an answer while it drains"),
            (
                "GoawayOverflowFromDecoderFilterSendLocalReplyWhenDraining",
                "with an answer of a filter while it drains",
            ),
        )
    ),
    Elsewhere(
        "Metadata",
        "METADATA frames of answers, which nobody reads",
        "frames of types that we do not know are dropped, and too many end the connection",
        ("pings_are_answered_and_unknown_frames_ignored", "unknown"),
        "METADATA is an extension of Envoy's",
    ),
    Elsewhere(
        "RST_STREAM",
        "requests that are malformed, so that each is reset",
        _ENDED,
        ("resets_that_the_peer_makes_us_send_count_the_same", "made-length"),
    ),
    Elsewhere(
        "TooManyStreams",
        "more streams than SETTINGS allow",
        "RST_STREAM with REFUSED_STREAM",
        ("streams_above_the_limit_are_refused_and_counted",),
        "Envoy ends the connection; RFC 9113, 5.1.2 allows either",
    ),
    Case(
        "EmptyHeaders",
        "HEADERS without any field",
        (frame(HEADERS, END_HEADERS | END_STREAM, 1, b""),),
        400,
        Code.PROTOCOL_ERROR,
        differs="the test allows no empty frame at all; here the request lacks what it must have",
    ),
    Case(
        "EmptyHeadersContinuation",
        "HEADERS without any field, and empty CONTINUATION that never end",
        (frame(HEADERS, END_STREAM, 1, b"") + frame(CONTINUATION, 0, 1, b"") * 9,),
        goaway=Code.ENHANCE_YOUR_CALM,
        differs="Envoy ends the connection at the second one; here `continuations` (8) bounds them",
    ),
    Case(
        "EmptyData",
        "empty DATA that do not end a request",
        (head(pseudo(method="POST"), ends=False) + frame(DATA, 0, 1, b"") * 11,),
        reset=Code.CANCEL,
        goaway=Code.ENHANCE_YOUR_CALM,
        differs="Envoy ends the connection at the second one; here `budgets.empty_data` (10) is the"
        " bound",
    ),
    _flood("PriorityIdleStream", "PRIORITY for a stream that was not opened", "priority"),
    _flood("PriorityOpenStream", "PRIORITY for an open stream", "priority"),
    _flood("PriorityClosedStream", "PRIORITY for a stream that is over", "priority"),
    _flood("WindowUpdate", "WINDOW_UPDATE of 1", "window-drip"),
    Case(
        "ZerolenHeader",
        "a field without a name",
        (head([*pseudo(), ("", "x")]),),
        400,
        Code.PROTOCOL_ERROR,
        differs="Envoy ends the connection unless its config says otherwise; RFC 9113, 8.1.1 makes"
        " it an error of the stream",
    ),
    Case(
        "ZerolenHeaderAllowed",
        "the same with a body, and another request after it",
        (head([*pseudo(method="POST"), ("", "x")], ends=False) + data(b"x"),),
        400,
        Code.PROTOCOL_ERROR,
    ),
)


_FROM = "envoyproxy/envoy, test/integration/http2_flood_integration_test.cc"
SUITES = (
    Suite("envoy-clients", _FROM, _CLIENTS),
    Suite("envoy-endpoints", _FROM, envoy_endpoints.CASES),
)
