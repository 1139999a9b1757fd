"""The bounds of a listener's HTTP/2 connections; the mirror of hg-plan's `objects/http2.rs`."""

from headgate.plan.node import DefaultedNode


class Http2Windows(DefaultedNode, frozen=True):
    """Windows of flow control."""

    stream_bytes: int = 64 << 10
    most_stream_bytes: int = 1 << 20
    connection_bytes: int = 1 << 20


class Http2Output(DefaultedNode, frozen=True):
    """The limits on what may wait for a client."""

    frames_bytes: int = 256 << 10
    control_frames: int = 1000
    answers_bytes: int = 1 << 20


class Http2Budgets(DefaultedNode, frozen=True):
    """Budgets of cheap frames, and of streams that come to nothing."""

    resets: int = 100
    reset_wait_ms: int = 100
    settings: int = 100
    pings: int = 100
    priorities: int = 100
    others: int = 100
    small_data: int = 256
    small_messages: int = 8192
    empty_data: int = 10
    window_updates: int = 5
    work: int = 2000


class Http2Timeouts(DefaultedNode, frozen=True):
    """Times of one connection; absent = those of the listener."""

    settings_ms: int | None = None
    idle_ms: int | None = None
    write_ms: int = 30_000
    drain_ms: int = 1000
    ping_after_ms: int = 0
    ping_ms: int = 20_000


class Http2(DefaultedNode, frozen=True):
    """The limits of one connection over HTTP/2; `bodies` 0 = as many as `dispatched`."""

    streams: int = 128
    dispatched: int = 100
    bodies: int = 0
    header_list_bytes: int | None = None
    continuations: int = 8
    windows: Http2Windows = Http2Windows()
    output: Http2Output = Http2Output()
    budgets: Http2Budgets = Http2Budgets()
    timeouts: Http2Timeouts = Http2Timeouts()
