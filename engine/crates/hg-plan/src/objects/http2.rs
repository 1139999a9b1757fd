//! The limits of the HTTP/2 connections of a listener's clients.

use serde::Deserialize;

/// The limits of one connection over HTTP/2. They hold for connections that begin after the change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2 {
    /// Streams open at once; further ones are refused.
    pub streams: u32,
    /// Streams that keep an upstream busy at once; others wait.
    pub dispatched: u32,
    /// Those of them whose request has a body that is not whole; 0 = all.
    pub bodies: u32,
    /// Names and values of a head, with 32 bytes for each field; absent = the listener's `head_bytes`.
    pub header_list_bytes: Option<u32>,
    /// CONTINUATION frames of one head.
    pub continuations: u32,
    /// The limits of the bytes that a client may send before they are taken.
    pub windows: Http2Windows,
    /// The limits of the output that may wait for the client.
    pub output: Http2Output,
    /// The limits of what it may send that costs it little.
    pub budgets: Http2Budgets,
    /// The limits of the time that a client may take.
    pub timeouts: Http2Timeouts,
}

impl Default for Http2 {
    fn default() -> Self {
        Self {
            streams: 128,
            dispatched: 100,
            bodies: 0,
            header_list_bytes: None,
            continuations: 8,
            windows: Http2Windows::default(),
            output: Http2Output::default(),
            budgets: Http2Budgets::default(),
            timeouts: Http2Timeouts::default(),
        }
    }
}

/// Windows of flow control.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2Windows {
    /// The window of a new stream.
    pub stream_bytes: u32,
    /// The size to which it may grow while the upstream takes everything.
    pub most_stream_bytes: u32,
    /// The window of the connection, and the bytes by which its streams may grow together.
    pub connection_bytes: u32,
}

impl Default for Http2Windows {
    fn default() -> Self {
        Self {
            stream_bytes: 64 * 1024,
            most_stream_bytes: 1024 * 1024,
            connection_bytes: 1024 * 1024,
        }
    }
}

/// The limits of the output that may wait for a client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2Output {
    /// Bytes of frames, before nothing more is read of the client.
    pub frames_bytes: u32,
    /// Frames that answer frames of the client, before nothing more is read of it.
    pub control_frames: u32,
    /// Bytes of answers that all streams hold, before each reads 16 KiB at a time.
    pub answers_bytes: u32,
}

impl Default for Http2Output {
    fn default() -> Self {
        Self { frames_bytes: 256 * 1024, control_frames: 1000, answers_bytes: 1024 * 1024 }
    }
}

/// Budgets of cheap frames, and of streams that come to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2Budgets {
    /// Streams that end before their answer is whole, beyond those that end well.
    pub resets: u32,
    /// The time that new streams wait when that is used up.
    pub reset_wait_ms: u16,
    /// SETTINGS in 10 s.
    pub settings: u32,
    /// PINGs in 10 s.
    pub pings: u32,
    /// PRIORITY and PRIORITY_UPDATE in 10 s.
    pub priorities: u32,
    /// Frames of unknown types, and for streams that are over, in 10 s.
    pub others: u32,
    /// DATA frames of less than 256 bytes in a second.
    pub small_data: u32,
    /// The same once a stream carries messages, of gRPC or WebSocket.
    pub small_messages: u32,
    /// Empty DATA frames in a row.
    pub empty_data: u32,
    /// WINDOW_UPDATE frames beyond those that streams and DATA allow.
    pub window_updates: u32,
    /// Points that all cheap frames together may cost.
    pub work: u32,
}

impl Default for Http2Budgets {
    fn default() -> Self {
        Self {
            resets: 100,
            reset_wait_ms: 100,
            settings: 100,
            pings: 100,
            priorities: 100,
            others: 100,
            small_data: 256,
            small_messages: 8192,
            empty_data: 10,
            window_updates: 5,
            work: 2000,
        }
    }
}

/// Times of one connection; 0 = no limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http2Timeouts {
    /// For the preface, the first SETTINGS, and the acknowledgement of ours; absent = the
    /// listener's `head_timeout_ms`.
    pub settings_ms: Option<u64>,
    /// Without a stream; absent = the listener's `idle_timeout_ms`.
    pub idle_ms: Option<u64>,
    /// For a client to take something of what waits for it.
    pub write_ms: u64,
    /// For reading the first GOAWAY of a graceful end.
    pub drain_ms: u64,
    /// Without a byte of the client, before it gets a PING.
    pub ping_after_ms: u64,
    /// For anything of the client after that PING.
    pub ping_ms: u64,
}

impl Default for Http2Timeouts {
    fn default() -> Self {
        Self {
            settings_ms: None,
            idle_ms: None,
            write_ms: 30_000,
            drain_ms: 1000,
            ping_after_ms: 0,
            ping_ms: 20_000,
        }
    }
}
