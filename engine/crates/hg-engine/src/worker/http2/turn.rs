//! The share of one connection's input that is handled before other connections have their turn.

use hg_h2::Event;

/// The most that the frames of one turn may cost; a read may have thousands of them.
const COST: u32 = 256;
/// Begun or given up, a request costs more than other frames: its route and its middlewares.
const REQUEST_COST: u32 = 8;
/// After frames of this cost the clock is looked at, for what a request costs differs.
const LOOK_COST: u32 = 16;
/// The time for which frames are handled in one turn.
const US: u64 = 40;

/// The rest of a turn for the frames of one connection.
pub(super) struct Allowance {
    spent: u32,
    look_at: u32,
    until_us: u64,
}

impl Allowance {
    /// A turn that began at this time.
    pub(super) fn new(began_us: u64) -> Self {
        Self { spent: 0, look_at: LOOK_COST, until_us: began_us + US }
    }

    /// Reports whether the turn was over before this frame is handled. It handles at least one.
    pub(super) fn is_over(&mut self, now_us: impl FnOnce() -> u64) -> bool {
        if self.spent < self.look_at {
            return false;
        }
        self.look_at = self.spent + LOOK_COST;
        self.spent >= COST || now_us() >= self.until_us
    }

    /// Counts a frame that is handled.
    pub(super) fn spend(&mut self, event: &Event) {
        let is_request = matches!(event, Event::Head { .. } | Event::Reset { .. });
        self.spent += if is_request { REQUEST_COST } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Event = Event::Head { stream: 1, end: true, wait_ms: 0 };

    /// Returns how many of many such frames a turn handles if each takes this long.
    fn handled(event: &Event, us: u64) -> u64 {
        let mut left = Allowance::new(1_000);
        let mut n = 0;
        while !left.is_over(|| 1_000 + n * us) {
            left.spend(event);
            n += 1;
        }
        n
    }

    #[test]
    fn a_turn_ends_after_many_frames_or_a_short_time() {
        let data = Event::Data { stream: 1, range: 0..1, end: false };
        assert_eq!([handled(&HEAD, 0), handled(&HEAD, 5), handled(&HEAD, 60)], [32, 8, 2]);
        assert_eq!([handled(&data, 0), handled(&data, 1)], [256, 48]);
        assert_eq!(handled(&HEAD, 1_000_000), 2, "it goes on, however slow");
    }
}
