"""`http2` of a listener: what bounds each connection of a client over HTTP/2."""

from collections.abc import Iterator, Set
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Strict, WithJsonSchema

from headgate.features.base import Checked, Options
from headgate.features.fields import (
    FROM_ENV,
    DurationOrOff,
    DurationText,
    SizeText,
    count_or_off,
)
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration

_MOST_STREAMS: Final = 10_000
_KIB: Final = 1 << 10
_MIB: Final = 1 << 20


def _size(least: int, most: int) -> AfterValidator:
    """Holds a size between two, in bytes."""

    def within(value: ByteSize) -> ByteSize:
        if not least <= value.bytes <= most:
            raise Invalid(
                f'"{value}" is out of range',
                f'write a size from "{ByteSize(least)}" to "{ByteSize(most)}"',
            )
        return value

    return AfterValidator(within)


def _time(least_ms: int, most_ms: int) -> AfterValidator:
    """Holds a duration that is not off between two, in milliseconds."""

    def within(value: Duration) -> Duration:
        if value.ms and not least_ms <= value.ms <= most_ms:
            raise Invalid(
                f'"{value}" is out of range',
                f'write a duration from "{Duration(least_ms)}" to "{Duration(most_ms)}"',
            )
        return value

    return AfterValidator(within)


Streams = Annotated[int, Strict(), Field(ge=1, le=_MOST_STREAMS), FROM_ENV]
StreamsOrOff = Annotated[
    int,
    count_or_off(_MOST_STREAMS),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST_STREAMS}, {"const": "off"}]}
    ),
]
Frames = Annotated[int, Strict(), Field(ge=10, le=1_000_000), FROM_ENV]
ListSize = Annotated[SizeText, _size(_KIB, 16 * _MIB)]
StreamWindow = Annotated[SizeText, _size(16 * _KIB, 64 * _MIB)]
ConnectionWindow = Annotated[SizeText, _size(64 * _KIB, 1024 * _MIB)]
Held = Annotated[SizeText, _size(64 * _KIB, 1024 * _MIB)]
Wait = Annotated[DurationText, _time(1, 60_000)]
Patience = Annotated[DurationText, _time(100, 3_600_000)]
PatienceOrOff = Annotated[DurationOrOff, _time(1_000, 86_400_000)]


class Http2Windows(Checked):
    """The sizes of what a client may send before it is taken."""

    initial: StreamWindow = Field(
        default=ByteSize(64 * _KIB),
        description="The window of a new stream, 16KiB to 64MiB: at most this much of a request's "
        "body waits here while its upstream takes nothing.",
    )
    max: StreamWindow = Field(
        default=ByteSize(_MIB),
        description="The size up to which that window may grow while the upstream takes "
        "everything, `initial` to 64MiB; absent = 1MiB, or `initial` if that is larger.",
    )
    connection: ConnectionWindow = Field(
        default=ByteSize(_MIB),
        description="The window of the connection, and the most by which the windows of its "
        "streams may grow together, `initial` to 1GiB, at least 64KiB; absent = 1MiB, or `initial` "
        "if that is larger.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for bounds that are smaller than the window of a new stream."""
        for key, value in (("max", self.max), ("connection", self.connection)):
            is_written = key in self.model_fields_set
            if is_written and value < self.initial and "initial" not in wrong:
                yield Invalid(
                    f'"{value}" is smaller than `initial`',
                    f'write at least "{self.initial}"',
                    at=(key,),
                )


class Http2Output(Options):
    """The limits on what may wait for a client that takes little."""

    frames: Held = Field(
        default=ByteSize(256 * _KIB),
        description="Bytes of frames that may wait for the client, 64KiB to 1GiB; above that "
        "nothing more is read from the client.",
    )
    control_frames: Frames = Field(
        default=1000,
        description="Frames that only answer the client's frames, such as acknowledgements, and "
        "may wait for the client; above that nothing more is read from the client.",
    )
    answers: Held = Field(
        default=ByteSize(_MIB),
        description="Bytes of responses that the streams of a connection may hold together, 64KiB "
        "to 1GiB; above that each stream holds 16KiB instead of 64KiB.",
    )


class Http2Budgets(Checked):
    """The limits on what costs a client little to send; numbers of frames or streams."""

    resets: Frames = Field(
        default=100,
        description="Streams that end before their response is complete, in excess of those that "
        "end well; above this number new streams wait, and after as many again the connection ends "
        "(`reset-flood`).",
    )
    reset_wait: Wait = Field(
        default=Duration(100),
        description="How long new streams wait once `resets` is used up, at most 1 minute.",
    )
    settings: Frames = Field(default=100, description="SETTINGS frames in 10 s (`settings-flood`).")
    pings: Frames = Field(
        default=100,
        description="PING frames in 10 s, beyond one for each DATA frame sent (`ping-flood`).",
    )
    priorities: Frames = Field(
        default=100,
        description="PRIORITY and PRIORITY_UPDATE frames in 10 s, beyond 16 for each stream "
        "(`priority-flood`).",
    )
    other_frames: Frames = Field(
        default=100,
        description="Frames of unknown types, and frames for streams that have ended, in 10 s, "
        "beyond one for each stream (`frame-flood`).",
    )
    small_data: Frames = Field(
        default=256,
        description="DATA frames of less than 256 bytes in one second, beyond the number of DATA "
        "frames sent (`small-data-flood`).",
    )
    small_messages: Frames = Field(
        default=8192,
        description="The same as `small_data` on connections with gRPC or WebSockets, whose "
        "messages are small.",
    )
    empty_data: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] = Field(
        default=10, description="Empty DATA frames in a row (`empty-data-flood`)."
    )
    window_updates: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] = Field(
        default=5,
        description="WINDOW_UPDATE frames beyond 2 for each stream and 20 for each DATA frame sent "
        "(`window-update-flood`).",
    )
    work: Annotated[int, Strict(), Field(ge=100, le=10_000_000), FROM_ENV] = Field(
        default=2000,
        description="Points that frames of all these kinds may cost together (`work`): SETTINGS "
        "and early ends of streams cost 5, PING and empty DATA 2, others 1. PINGs and other frames "
        "that DATA and streams allow are free. A twentieth is given back each second.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for connections with messages that get less than others."""
        if self.small_messages < self.small_data and not {"small_data", "small_messages"} & wrong:
            yield Invalid(
                f"{self.small_messages} is less than `small_data`",
                f"write at least {self.small_data}",
                at=("small_messages",),
            )


class Http2Timeouts(Options):
    """The times that a client may take over HTTP/2."""

    settings: Patience | None = Field(
        default=None,
        description="How long the preface, the first SETTINGS, and the acknowledgement of "
        "headgate's SETTINGS may take, 100ms to 1h; absent = `timeouts.head` of the listener.",
    )
    idle: Patience | None = Field(
        default=None,
        description="How long a connection may stay without a stream, 100ms to 1h; absent = "
        "`timeouts.idle` of the listener.",
    )
    write: Patience = Field(
        default=Duration(30_000),
        description="How long a client may read nothing of what waits for it, 100ms to 1h.",
    )
    drain: Patience = Field(
        default=Duration(1_000),
        description="How long a client has to read that the connection ends, before it is told "
        "which stream is the last one served, 100ms to 1h.",
    )
    ping_after: PatienceOrOff = Field(
        default=Duration(0),
        description="After this time without a byte from the client it gets a PING, 1s to 24h. "
        "This ends connections whose clients are gone, even if their streams would stay open.",
    )
    ping: Patience = Field(
        default=Duration(20_000),
        description="How long the client may take to send anything after that PING, 100ms to 1h.",
    )


class Http2(Options):
    """The limits of each connection of a client over HTTP/2."""

    streams: Streams = Field(
        default=128,
        description="Streams that may be open at once; further ones get REFUSED_STREAM.",
    )
    dispatched: Streams = Field(
        default=100,
        description="Streams that may keep an upstream busy at once; others wait, for at most "
        "`timeouts.queue` of the upstream.",
    )
    bodies: StreamsOrOff = Field(
        default=0,
        description="How many of the `dispatched` streams may have a request body that is still "
        "coming; others wait. A gRPC stream has one as long as it lives.",
    )
    header_list: ListSize | None = Field(
        default=None,
        description="The size of the names and values of a request head, plus 32 bytes for each "
        "field, 1KiB to 16MiB; absent = `limits.head` of the listener.",
    )
    continuations: Annotated[int, Strict(), Field(ge=1, le=1000), FROM_ENV] = Field(
        default=8, description="The most CONTINUATION frames of one head."
    )
    windows: Http2Windows = Field(
        default=Http2Windows(),
        description="How much a client may send before the upstream takes it.",
    )
    output: Http2Output = Field(
        default=Http2Output(), description="How much may wait for a client that reads slowly."
    )
    budgets: Http2Budgets = Field(
        default=Http2Budgets(), description="How many frames that cost a client little it may send."
    )
    timeouts: Http2Timeouts = Field(
        default=Http2Timeouts(), description="Timeouts for clients over HTTP/2."
    )
