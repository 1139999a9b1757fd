//! The events that a session reports to its owner, and what it takes from it.

use crate::close::Code;
use hg_proto::Reject;
use std::ops::Range;

/// The side that ended a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The peer sent RST_STREAM.
    Peer,
    /// The session sent RST_STREAM because of what the peer did.
    Session(Option<&'static Reject>),
}

/// Something happened. Ranges refer to the input of the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request (server) or a response (client) began; [`crate::Session::message`] holds it until
    /// the next call.
    Head {
        /// The stream.
        stream: u32,
        /// True if no body follows.
        end: bool,
        /// The time that the owner must wait before it serves the request; not 0 only if the
        /// connection used up its resets.
        wait_ms: u16,
    },
    /// A request is malformed; nothing more comes from the stream. The owner answers with the
    /// fault's status or resets it.
    Malformed {
        /// The stream.
        stream: u32,
        /// The fault.
        fault: &'static Reject,
    },
    /// The peer opened a stream although it has as many as it may; the session reset it.
    Refused {
        /// The stream.
        stream: u32,
    },
    /// Body bytes came. The owner gives their credit back by [`crate::Session::credit`].
    Data {
        /// The stream.
        stream: u32,
        /// Their place in the input.
        range: Range<usize>,
        /// True if the message is over.
        end: bool,
    },
    /// Trailers came and the message is over; [`crate::Session::message`] holds them until the next
    /// call.
    Trailers {
        /// The stream.
        stream: u32,
    },
    /// The stream was cut off. It keeps its place until [`crate::Session::release`].
    Reset {
        /// The stream.
        stream: u32,
        /// The code, as it came or as it was sent.
        code: Code,
        /// The side that cut it off.
        by: By,
    },
    /// The peer changed its settings.
    Settings,
    /// The peer acknowledged our SETTINGS.
    SettingsAcked,
    /// The peer takes no more streams, and served none of ours above `last`: the owner may send those
    /// again elsewhere, and releases them.
    GoAway {
        /// The last stream that it may have processed.
        last: u32,
        /// The reason.
        code: Code,
    },
    /// The peer acknowledged a PING of ours.
    Pong([u8; 8]),
}

/// The continuation of the bytes that are handed to [`crate::Session::data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// More bytes are there already.
    More,
    /// More bytes come later; the owner then calls [`crate::Session::want`].
    Later,
    /// The end of the message, with END_STREAM.
    End,
}

/// Leave to send body bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The stream whose turn it is.
    pub stream: u32,
    /// The number of bytes that it may send now, at least one.
    pub bytes: usize,
}

/// The reason why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The stream does not exist or is over.
    NoStream,
    /// The stream is not in a state for it: a second head, a body without a head.
    State,
    /// The peer allows no more streams now.
    Streams,
    /// The connection is ending, or the ids are used up.
    Closing,
    /// The peer does not offer extended CONNECT.
    NoWebSocket,
}
