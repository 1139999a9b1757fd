//! Budgets that bound what a peer may cost: integers, refilled by the clock that is passed in.

use crate::close::{Close, Reason};
use crate::limits::Role;

/// The window of the budgets that count per time.
const WINDOW_MS: u64 = 10_000;
/// SETTINGS, PING and other cheap frames in one window.
const FRAMES: u32 = 100;
/// PRIORITY and PRIORITY_UPDATE that each stream adds to its window's budget.
const PRIORITY_PER_STREAM: u32 = 16;
/// Resets that a connection may cause before its new streams wait; as many again close it.
const RESETS: i32 = 100;
/// How long a new stream waits when the resets are used up.
const WAIT_MS: u16 = 100;
/// DATA frames below [`SMALL_BYTES`] in a second.
const SMALL_DATA: i32 = 256;
/// The same once a stream carries messages, of gRPC or WebSocket: they are small by nature.
const SMALL_MESSAGES: i32 = 8192;
/// The same from an endpoint: on its connection it answers many clients.
const SMALL_SHARED: i32 = 1 << 20;
const SMALL_BYTES: usize = 256;
/// Empty DATA frames in a row.
const EMPTY_DATA: u32 = 10;

/// Points of work that all kinds share; a kind's own budget is smaller.
const WORK: u32 = 2000;
/// Points that come back in a second.
const WORK_PER_S: u32 = 100;
/// What a stream costs that ended before its answer.
const RESET_WORK: u32 = 5;
/// What an empty DATA frame costs.
const EMPTY_WORK: u32 = 2;

/// A kind of frame that is counted per time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cheap {
    Settings,
    Ping,
    Priority,
    /// Frames of unknown types, and those for streams that are over.
    Other,
}

impl Cheap {
    /// Returns what one costs.
    fn work(self) -> u32 {
        match self {
            Cheap::Settings => 5,
            Cheap::Ping => 2,
            Cheap::Priority | Cheap::Other => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    settings: u32,
    ping: u32,
    priority: u32,
    other: u32,
}

/// The budgets of one connection.
#[derive(Debug)]
pub(crate) struct Flood {
    began_ms: u64,
    counts: Counts,
    /// Streams opened in the window.
    opened: u32,
    /// DATA frames that we sent in the window.
    sent: u32,
    /// What is left of the resets; `None` if they are not counted (towards an endpoint).
    resets: Option<i32>,
    small_data: i32,
    /// What `small_data` returns to.
    most_small: i32,
    empty_data: u32,
    /// WINDOW_UPDATE frames that may still come.
    updates: u32,
    /// What is left of the work.
    work: u32,
    /// When time last gave something back.
    refilled_ms: u64,
    /// A budget is used to three quarters: the connection should end gracefully.
    warned: bool,
}

impl Flood {
    /// Makes full budgets. An endpoint may cut streams off and send small frames as it likes.
    pub(crate) fn new(role: Role) -> Self {
        let is_server = role == Role::Server;
        let most_small = if is_server { SMALL_DATA } else { SMALL_SHARED };
        Self {
            began_ms: 0,
            counts: Counts::default(),
            opened: 0,
            sent: 0,
            resets: is_server.then_some(RESETS),
            small_data: most_small,
            most_small,
            empty_data: 0,
            updates: 5,
            work: WORK,
            refilled_ms: 0,
            warned: false,
        }
    }

    /// Reports whether a budget is used to three quarters.
    pub(crate) fn is_warned(&self) -> bool {
        self.warned
    }

    /// Gives back what time gives back.
    #[inline]
    pub(crate) fn refill(&mut self, now_ms: u64) {
        let seconds = now_ms.saturating_sub(self.refilled_ms) / 1000;
        if seconds > 0 {
            self.refilled_ms = now_ms;
            self.small_data = self.most_small;
            let more = WORK_PER_S.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX));
            self.work = self.work.saturating_add(more).min(WORK);
        }
    }

    /// Allows many small DATA frames, because a stream carries messages.
    pub(crate) fn allow_messages(&mut self) {
        if self.most_small == SMALL_DATA {
            self.most_small = SMALL_MESSAGES;
            self.small_data += SMALL_MESSAGES - SMALL_DATA;
        }
    }

    /// Charges the work that all kinds share.
    fn work(&mut self, points: u32) -> Result<(), Close> {
        self.work = self.work.checked_sub(points).ok_or(Close::calm(Reason::Work))?;
        self.warned |= self.work < WORK / 4;
        Ok(())
    }

    /// Charges a frame that is counted per time.
    pub(crate) fn cheap(&mut self, kind: Cheap, now_ms: u64) -> Result<(), Close> {
        if now_ms.saturating_sub(self.began_ms) >= WINDOW_MS {
            self.began_ms = now_ms;
            (self.counts, self.opened, self.sent) = (Counts::default(), 0, 0);
        }
        let (count, most, reason) = match kind {
            Cheap::Settings => (&mut self.counts.settings, FRAMES, Reason::SettingsFlood),
            // Some clients measure the path with a PING for each DATA frame.
            Cheap::Ping => {
                (&mut self.counts.ping, FRAMES.saturating_add(self.sent), Reason::PingFlood)
            }
            Cheap::Priority => {
                let streams = PRIORITY_PER_STREAM.saturating_mul(self.opened);
                let most = FRAMES.saturating_add(streams);
                (&mut self.counts.priority, most, Reason::PriorityFlood)
            }
            // A reset may cross the end of each stream.
            Cheap::Other => {
                (&mut self.counts.other, FRAMES.saturating_add(self.opened), Reason::FrameFlood)
            }
        };
        *count += 1;
        self.warned |= *count >= most / 4 * 3;
        if *count > most {
            return Err(Close::calm(reason));
        }
        self.work(kind.work())
    }

    /// Counts a stream that the peer opens; returns how long it waits before it is served.
    pub(crate) fn open(&mut self) -> u16 {
        self.opened = self.opened.saturating_add(1);
        self.updates = self.updates.saturating_add(2);
        if self.resets.is_some_and(|left| left <= 0) { WAIT_MS } else { 0 }
    }

    /// Charges a stream that ended before its answer was whole, by the peer's reset or by what the
    /// peer did.
    pub(crate) fn reset(&mut self) -> Result<(), Close> {
        let Some(left) = &mut self.resets else { return Ok(()) };
        *left -= 1;
        self.warned |= *left <= -RESETS / 2;
        if *left <= -RESETS {
            return Err(Close::calm(Reason::ResetFlood));
        }
        self.work(RESET_WORK)
    }

    /// Charges a request that is malformed.
    pub(crate) fn malformed(&mut self) -> Result<(), Close> {
        self.work(RESET_WORK)
    }

    /// Counts a stream that ended cleanly.
    pub(crate) fn clean_end(&mut self) {
        if let Some(left) = &mut self.resets {
            *left = (*left + 1).min(RESETS);
        }
    }

    /// Charges a DATA frame by its content; padding is no progress.
    pub(crate) fn data(&mut self, content: usize, end: bool) -> Result<(), Close> {
        if content >= SMALL_BYTES || end {
            self.empty_data = 0;
            if content >= SMALL_BYTES {
                self.small_data = (self.small_data + 1).min(self.most_small);
            }
            return Ok(());
        }
        self.empty_data = if content == 0 { self.empty_data + 1 } else { 0 };
        self.small_data -= 1;
        self.warned |= self.small_data < self.most_small / 4;
        match () {
            () if self.empty_data > EMPTY_DATA => Err(Close::calm(Reason::EmptyDataFlood)),
            () if self.small_data < 0 => Err(Close::calm(Reason::SmallDataFlood)),
            () if content == 0 => self.work(EMPTY_WORK),
            () => Ok(()),
        }
    }

    /// Charges a WINDOW_UPDATE; each stream allows two, each DATA frame that we sent twenty.
    pub(crate) fn window_update(&mut self) -> Result<(), Close> {
        let left = self.updates.checked_sub(1).ok_or(Close::calm(Reason::WindowUpdateFlood))?;
        self.updates = left;
        Ok(())
    }

    /// Counts a DATA frame that we sent.
    pub(crate) fn sent_data(&mut self) {
        self.sent = self.sent.saturating_add(1);
        self.updates = self.updates.saturating_add(20);
        self.small_data = (self.small_data + 1).min(self.most_small);
    }
}

#[cfg(test)]
mod tests;
