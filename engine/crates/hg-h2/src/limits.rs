//! The limits that the owner of a session configures.

use crate::decode::BlockLimits;

/// The side of the connection on which the session is.
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
    /// The limits of a decoded block.
    pub head: BlockLimits,
    /// Window of a new stream.
    pub stream_window: u32,
    /// The size to which the window of a stream may grow while its bytes are taken faster than they
    /// come.
    pub most_stream_window: u32,
    /// Window of the connection, and what the windows of its streams may grow by together.
    pub connection_window: u32,
    /// Bytes that wait to be sent before the session stops to read and to give grants.
    pub output_bytes: usize,
    /// Control frames that wait to be sent before the session stops to read.
    pub output_frames: u32,
    /// True if a server accepts extended CONNECT (RFC 8441).
    pub extended_connect: bool,
    /// The limits of cheap frames and of streams that come to nothing.
    pub budgets: Budgets,
}

/// The limits of what a peer may send at little cost to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Streams that end before their answer beyond those that end well, before new ones wait; as
    /// many again close the connection. 0 = they are not counted.
    pub resets: u32,
    /// The time that a new stream waits when the resets are used up.
    pub reset_wait_ms: u16,
    /// SETTINGS in 10 s.
    pub settings: u32,
    /// PINGs in 10 s beyond the DATA frames that we sent.
    pub pings: u32,
    /// PRIORITY and PRIORITY_UPDATE in 10 s beyond 16 for each stream.
    pub priorities: u32,
    /// Frames of unknown types or for streams that are over in 10 s, beyond one for each stream.
    pub others: u32,
    /// DATA frames of less than 256 bytes in a second, beyond the DATA frames that we sent.
    pub small_data: u32,
    /// The same once a stream carries messages, of gRPC or WebSocket: they are small by nature.
    pub small_messages: u32,
    /// Empty DATA frames in a row.
    pub empty_data: u32,
    /// WINDOW_UPDATE frames beyond two for each stream and twenty for each DATA frame that we sent.
    pub window_updates: u32,
    /// Points that all cheap frames together may cost, without the PINGs that DATA allows and the other
    /// frames that streams allow; a twentieth comes back in a second.
    pub work: u32,
}

impl Budgets {
    /// Returns the budgets of clients.
    pub fn server() -> Self {
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

    /// Returns the budgets of endpoints. One may cut streams off, and send small frames, as it
    /// likes, and more frames of other kinds than a client: on its connection it answers many of them.
    pub fn client() -> Self {
        Self {
            resets: 0,
            pings: 1000,
            others: 10_000,
            small_data: 1 << 20,
            small_messages: 1 << 20,
            work: 40_000,
            ..Self::server()
        }
    }
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
            budgets: Budgets::server(),
        }
    }

    /// Returns the limits of a session towards an endpoint.
    pub fn client() -> Self {
        Self {
            connection_window: 4 * 1024 * 1024,
            extended_connect: false,
            budgets: Budgets::client(),
            ..Self::server()
        }
    }
}
