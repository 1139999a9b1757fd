//! Budgets that bound what a peer may cost: integers, refilled by the clock that is passed in.

use crate::close::{Close, Reason};
use crate::limits::Budgets;

/// The window of the budgets that count per time.
const WINDOW_MS: u64 = 10_000;
/// PRIORITY and PRIORITY_UPDATE that each stream adds to its window's budget.
const PRIORITY_PER_STREAM: u32 = 16;
/// DATA frames below this size are small.
const SMALL_BYTES: usize = 256;
/// Frames that may cross the end of a stream that we cut off: a head and trailers, or trailers and
/// RST_STREAM.
const LATE_PER_STREAM: u32 = 2;
/// Frames that may cross the ends of all of them.
const MOST_LATE: u32 = 10_000;
/// In so many seconds all the work comes back.
const WORK_S: u32 = 20;
/// The cost of a stream that ended before its answer.
const RESET_WORK: u32 = 5;
/// The cost of an empty DATA frame.
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

/// The frames and streams of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    settings: u32,
    ping: u32,
    priority: u32,
    other: u32,
    /// Streams opened.
    opened: u32,
    /// DATA frames that we sent.
    sent: u32,
}

/// The rest of the budgets of one connection.
#[derive(Debug)]
pub(crate) struct Flood {
    budgets: Budgets,
    began_ms: u64,
    counts: Counts,
    /// The rest of the resets; `None` if they are not counted.
    resets: Option<i32>,
    small_data: i32,
    /// The value to which `small_data` returns.
    most_small: i32,
    empty_data: u32,
    /// Frames that may still come for streams that we cut off.
    late: u32,
    /// WINDOW_UPDATE frames that may still come.
    updates: u32,
    /// The rest of the work.
    work: u32,
    /// The time at which the clock last gave something back.
    refilled_ms: u64,
    /// A budget is used to three quarters: the connection should end gracefully.
    warned: bool,
}

/// Returns a budget that may become negative.
fn signed(budget: u32) -> i32 {
    i32::try_from(budget).unwrap_or(i32::MAX)
}

impl Flood {
    /// Makes full budgets.
    pub(crate) fn new(budgets: Budgets) -> Self {
        let most_small = signed(budgets.small_data);
        Self {
            budgets,
            began_ms: 0,
            counts: Counts::default(),
            resets: (budgets.resets > 0).then_some(signed(budgets.resets)),
            small_data: most_small,
            most_small,
            empty_data: 0,
            late: 0,
            updates: budgets.window_updates,
            work: budgets.work,
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
            let each = (self.budgets.work / WORK_S).max(1);
            let more = each.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX));
            self.work = self.work.saturating_add(more).min(self.budgets.work);
        }
    }

    /// Allows many small DATA frames, because a stream carries messages.
    pub(crate) fn allow_messages(&mut self) {
        let most = signed(self.budgets.small_messages).max(self.most_small);
        self.small_data += most - self.most_small;
        self.most_small = most;
    }

    /// Charges the work that all kinds share.
    fn work(&mut self, points: u32) -> Result<(), Close> {
        self.work = self.work.checked_sub(points).ok_or(Close::calm(Reason::Work))?;
        self.warned |= self.work < self.budgets.work / 4;
        Ok(())
    }

    /// Charges a frame that is counted per time.
    pub(crate) fn cheap(&mut self, kind: Cheap, now_ms: u64) -> Result<(), Close> {
        if now_ms.saturating_sub(self.began_ms) >= WINDOW_MS {
            self.began_ms = now_ms;
            self.counts = Counts::default();
        }
        let (counts, budgets) = (&mut self.counts, &self.budgets);
        let (count, budget, more, reason) = match kind {
            Cheap::Settings => (&mut counts.settings, budgets.settings, 0, Reason::SettingsFlood),
            // Some clients measure the path with a PING for each DATA frame.
            Cheap::Ping => (&mut counts.ping, budgets.pings, counts.sent, Reason::PingFlood),
            Cheap::Priority => {
                let streams = PRIORITY_PER_STREAM.saturating_mul(counts.opened);
                (&mut counts.priority, budgets.priorities, streams, Reason::PriorityFlood)
            }
            // A reset may cross the end of each stream.
            Cheap::Other => (&mut counts.other, budgets.others, counts.opened, Reason::FrameFlood),
        };
        *count += 1;
        let beyond = count.saturating_sub(more);
        self.warned |= beyond >= budget - budget / 4;
        if beyond > budget {
            return Err(Close::calm(reason));
        }
        // Priorities reorder what waits, however many a stream may have.
        if beyond == 0 && kind != Cheap::Priority {
            return Ok(());
        }
        self.work(kind.work())
    }

    /// Counts a stream that we cut off.
    pub(crate) fn cut_off(&mut self) {
        self.late = (self.late + LATE_PER_STREAM).min(MOST_LATE);
    }

    /// Charges a frame for a stream that we cut off. Those that may have crossed that are free,
    /// however long ago the stream was opened.
    pub(crate) fn late(&mut self, now_ms: u64) -> Result<(), Close> {
        match self.late.checked_sub(1) {
            Some(left) => self.late = left,
            None => self.cheap(Cheap::Other, now_ms)?,
        }
        Ok(())
    }

    /// Counts a stream that the peer opens; returns how long it waits before it is served.
    pub(crate) fn open(&mut self) -> u16 {
        self.counts.opened = self.counts.opened.saturating_add(1);
        self.updates = self.updates.saturating_add(2);
        if self.resets.is_some_and(|left| left <= 0) { self.budgets.reset_wait_ms } else { 0 }
    }

    /// Charges a stream that ended before its answer was whole, by the peer's reset or by what the
    /// peer did.
    pub(crate) fn reset(&mut self) -> Result<(), Close> {
        let Some(left) = &mut self.resets else { return Ok(()) };
        let most = signed(self.budgets.resets);
        *left -= 1;
        self.warned |= *left <= -(most / 2);
        if *left <= -most {
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
            *left = (*left + 1).min(signed(self.budgets.resets));
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
            () if self.empty_data > self.budgets.empty_data => {
                Err(Close::calm(Reason::EmptyDataFlood))
            }
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
        self.counts.sent = self.counts.sent.saturating_add(1);
        self.updates = self.updates.saturating_add(20);
        self.small_data = (self.small_data + 1).min(self.most_small);
    }
}

#[cfg(test)]
mod tests;
