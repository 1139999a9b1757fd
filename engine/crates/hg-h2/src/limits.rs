//! What the owner of a session configures.

use crate::decode::BlockLimits;

/// Which side of the connection the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends requests.
    Client,
    /// Answers them.
    Server,
}

/// Limits of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams of the peer that are open or whose work is not gone.
    pub streams: u32,
    /// Encoded bytes of one header block.
    pub block_bytes: usize,
    /// CONTINUATION frames of one header block.
    pub continuations: u32,
    /// What a decoded block may hold.
    pub head: BlockLimits,
    /// Window of a new stream.
    pub stream_window: u32,
    /// What the window of a stream may grow to while its bytes are taken faster than they come.
    pub most_stream_window: u32,
    /// Window of the connection, and what the windows of its streams may grow by together.
    pub connection_window: u32,
    /// Bytes that wait to be sent before the session stops to read and to give grants.
    pub output_bytes: usize,
    /// Control frames that wait to be sent before the session stops to read.
    pub output_frames: u32,
    /// Whether a server accepts extended CONNECT (RFC 8441).
    pub extended_connect: bool,
}

impl Limits {
    /// Returns the limits of a session towards clients.
    pub fn server() -> Self {
        Self {
            streams: 128,
            block_bytes: 32 * 1024,
            continuations: 8,
            head: BlockLimits { fields: 128, bytes: 64 * 1024 },
            stream_window: 64 * 1024,
            most_stream_window: 1024 * 1024,
            connection_window: 1024 * 1024,
            output_bytes: 256 * 1024,
            output_frames: 1000,
            extended_connect: true,
        }
    }

    /// Returns the limits of a session towards an endpoint.
    pub fn client() -> Self {
        Self { connection_window: 4 * 1024 * 1024, extended_connect: false, ..Self::server() }
    }
}
