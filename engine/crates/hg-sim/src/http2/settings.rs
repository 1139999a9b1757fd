//! The settings that the two sides of a connection have agreed on.

use super::frame::{END, SETTINGS, put};
use crate::ledger::wrong;
use std::io;

/// Settings that a peer of the worker offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Window of a new stream.
    pub(crate) window: u32,
    /// Longest payload of a frame.
    pub(crate) frame: u32,
    /// Table of the worker's encoder.
    pub(crate) table: u32,
    /// Streams that the worker may open.
    pub(crate) streams: u32,
}

/// The settings that hold before any frame.
const INITIAL: Offer = Offer { window: 65_535, frame: 16_384, table: 4096, streams: u32::MAX };

/// The settings that a peer has sent to the worker, and those that the worker has acknowledged.
#[derive(Debug)]
pub(crate) struct Mine {
    in_force: Offer,
    offered: Option<Offer>,
}

impl Default for Mine {
    fn default() -> Self {
        Self { in_force: INITIAL, offered: None }
    }
}

impl Mine {
    /// Reports whether everything that was offered is acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.offered.is_none()
    }

    /// Offers something; returns by how much the windows of streams grow at once.
    pub(crate) fn offer(&mut self, offer: Offer, out: &mut Vec<u8>) -> i64 {
        let mut payload = Vec::new();
        let all = [(1, offer.table), (3, offer.streams), (4, offer.window), (5, offer.frame)];
        for (id, value) in all.into_iter().filter(|(id, v)| *id != 3 || *v != u32::MAX) {
            payload.extend_from_slice(&u16::to_be_bytes(id));
            payload.extend_from_slice(&u32::to_be_bytes(value));
        }
        // Extended CONNECT, and no priorities of RFC 7540.
        payload.extend_from_slice(&[0, 8, 0, 0, 0, 1, 0, 9, 0, 0, 0, 1]);
        put(out, SETTINGS, 0, 0, &payload);
        let before = self.window();
        self.offered = Some(offer);
        self.window() - before
    }

    /// Takes an acknowledgement; returns by how much the windows of streams change, and the table's
    /// size that the worker has to obey from the next header block on.
    pub(crate) fn acked(&mut self) -> io::Result<(i64, u32)> {
        let before = self.window();
        let Some(offer) = self.offered.take() else {
            return wrong("an acknowledgement of SETTINGS that nobody sent".to_owned());
        };
        self.in_force = offer;
        Ok((self.window() - before, offer.table))
    }

    fn most(&self, of: impl Fn(&Offer) -> u32) -> u32 {
        of(&self.in_force).max(self.offered.as_ref().map_or(0, of))
    }

    /// The window that a new stream may have at the worker.
    pub(crate) fn window(&self) -> i64 {
        i64::from(self.most(|o| o.window))
    }

    pub(crate) fn frame(&self) -> usize {
        self.most(|o| o.frame) as usize
    }

    pub(crate) fn streams(&self) -> usize {
        self.most(|o| o.streams) as usize
    }

    /// Returns what was offered last.
    pub(crate) fn last(&self) -> Offer {
        self.offered.unwrap_or(self.in_force)
    }
}

/// The settings that the worker has sent.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) window: i64,
    pub(crate) frame: usize,
    pub(crate) streams: usize,
    /// True if its first SETTINGS have come.
    pub(crate) came: bool,
    /// True if it takes extended CONNECT (RFC 8441).
    pub(crate) connects: bool,
}

impl Default for Theirs {
    fn default() -> Self {
        Self { window: 65_535, frame: 16_384, streams: usize::MAX, came: false, connects: false }
    }
}

impl Theirs {
    /// Takes SETTINGS and acknowledges them; returns by how much the windows of streams change.
    pub(crate) fn take(&mut self, payload: &[u8], out: &mut Vec<u8>) -> io::Result<i64> {
        let before = self.window;
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return wrong("SETTINGS are not whole entries".to_owned());
        }
        for [i, d, a, b, c, e] in entries {
            let value = u32::from_be_bytes([*a, *b, *c, *e]);
            match u16::from_be_bytes([*i, *d]) {
                8 if value <= 1 => self.connects |= value == 1,
                3 => self.streams = value as usize,
                4 if value <= 0x7fff_ffff => self.window = i64::from(value),
                5 if (16_384..1 << 24).contains(&value) => self.frame = value as usize,
                4 | 5 => return wrong(format!("a setting with the value {value}")),
                _ => {}
            }
        }
        self.came = true;
        put(out, SETTINGS, END, 0, &[]);
        Ok(self.window - before)
    }
}
