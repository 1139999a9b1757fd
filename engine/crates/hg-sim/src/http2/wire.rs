//! A peer's socket: bytes come and go at its owner's pace.

use crate::world::Cx;
use hg_net::Received;

pub(crate) const PUSH: u8 = 0;
pub(crate) const PULL: u8 = 1;

/// Most bytes and the longest pause between.
pub(crate) type Pace = (u64, u64);

/// The result of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulled {
    Nothing,
    /// So many bytes; there may be more.
    More(usize),
    /// So many bytes; the owner makes a pause.
    Pause(usize),
    End,
    Reset,
}

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) socket: Option<usize>,
    dribble: Pace,
    sips: Pace,
    pub(crate) input: Vec<u8>,
    pub(crate) out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(socket: usize, dribble: Pace, sips: Pace) -> Self {
        Self { socket: Some(socket), dribble, sips, input: Vec::new(), out: Vec::new() }
    }

    /// Sends what waits; returns how much was taken.
    pub(crate) fn push(&mut self, cx: &mut Cx<'_>) -> usize {
        let Some(socket) = self.socket else { return 0 };
        let mut all = 0;
        while !self.out.is_empty() {
            let n = usize::try_from(cx.rng.between(1, self.dribble.0)).unwrap_or(1);
            let n = n.min(self.out.len());
            let sent = hg_net::send(socket, self.out.get(..n).unwrap_or_default());
            // A reset is found by reading.
            let sent = sent.unwrap_or(self.out.len());
            self.out.drain(..sent);
            all += sent;
            if sent < n {
                break;
            }
            if self.dribble.1 > 0 && !self.out.is_empty() {
                cx.soon(PUSH, self.dribble.1);
                break;
            }
        }
        all
    }

    /// Reads once.
    pub(crate) fn pull(&mut self, cx: &mut Cx<'_>) -> Pulled {
        let Some(socket) = self.socket else { return Pulled::Nothing };
        let most = usize::try_from(cx.rng.between(1, self.sips.0)).unwrap_or(1);
        match hg_net::receive(socket, &mut self.input, most) {
            Received::Nothing => Pulled::Nothing,
            Received::Bytes(n) if n == most && self.sips.1 > 0 => {
                cx.soon(PULL, self.sips.1);
                Pulled::Pause(n)
            }
            Received::Bytes(n) => Pulled::More(n),
            Received::End => Pulled::End,
            Received::Reset => Pulled::Reset,
        }
    }

    /// Closes the socket, with a reset if that is wanted.
    pub(crate) fn close(&mut self, reset: bool) {
        if let Some(socket) = self.socket.take() {
            if reset { hg_net::abort(socket) } else { hg_net::close(socket) }
        }
    }
}
