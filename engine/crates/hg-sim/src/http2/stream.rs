//! One stream of a peer: what it sends, what has come, and its windows.

use super::fields::Fields;
use crate::http1::Message;

/// The bytes and trailers that are sent on a stream after its head.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pub(crate) bytes: Vec<u8>,
    /// The number of them that are sent.
    pub(crate) at: usize,
    /// The bytes that follow once the other side has said something.
    pub(crate) more: Option<Vec<u8>>,
    pub(crate) trailers: Option<Fields>,
    /// True if they wait for something.
    pub(crate) held: bool,
    /// True if the end is sent.
    pub(crate) done: bool,
}

impl Sending {
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Goes on with what had to wait for the other side.
    pub(crate) fn go_on(&mut self) {
        self.bytes.extend(self.more.take().unwrap_or_default());
    }
}

#[derive(Debug)]
pub(crate) struct Stream {
    /// The request to which it belongs.
    pub(crate) id: usize,
    /// The part of the message that has come.
    pub(crate) message: Message,
    pub(crate) has_head: bool,
    /// True if the end has come.
    pub(crate) ended: bool,
    pub(crate) send: Sending,
    pub(crate) send_window: i64,
    pub(crate) recv_window: i64,
    /// Bytes that came and were not given back to the window.
    pub(crate) owed: u32,
    /// Bytes of bodies until its owner cuts it off.
    pub(crate) patience: Option<usize>,
}

impl Stream {
    pub(crate) fn new(send_window: i64, recv_window: i64) -> Self {
        Self {
            id: usize::MAX,
            message: Message::default(),
            has_head: false,
            ended: false,
            // Nothing is sent before the head.
            send: Sending { held: true, ..Sending::default() },
            send_window,
            recv_window,
            owed: 0,
            patience: None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.send.done
    }

    /// Reports whether DATA or the end may be sent now.
    pub(crate) fn may_send(&self, window: i64) -> bool {
        let s = &self.send;
        let room = match s.left() {
            0 => s.more.is_none(),
            _ => window.min(self.send_window) > 0,
        };
        !s.held && !s.done && self.patience != Some(0) && room
    }

    /// Counts bytes against the patience. Reports whether it is at its end now.
    pub(crate) fn spend(&mut self, n: usize) -> bool {
        let before = self.patience;
        self.patience = before.map(|left| left.saturating_sub(n));
        self.patience == Some(0) && before != Some(0)
    }
}
