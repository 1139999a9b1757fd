//! The pace of small DATA frames on a connection to an endpoint. An endpoint may take many of them for
//! a flood and end the connection, with the requests of all clients on it; so beyond so many in a
//! second, a small part of a body waits for more of its body, or for its turn. Pure code: time is
//! passed in.

use std::collections::BTreeSet;

/// A DATA frame with fewer bytes is small, as in the budgets of `hg-h2`.
pub(super) const SMALL: usize = 256;
/// Small frames in a second, of a connection that carries no messages: half of what an endpoint with
/// the budgets of `hg-h2` allows.
const MOST: u32 = 128;
/// The same once a request of gRPC or a WebSocket is on it: messages are small by nature.
const MOST_MESSAGES: u32 = 4096;
/// The parts of a second after which some frames are allowed again.
const PARTS: u32 = 8;
const PART_MS: u64 = 1000 / PARTS as u64;

/// The small frames that one connection may still send, and the streams that wait for their turns.
#[derive(Debug)]
pub(super) struct Pace {
    left: u32,
    most: u32,
    /// The time at which frames were last allowed again.
    refilled_ms: u64,
    waiting: BTreeSet<u32>,
    /// The stream that had its turn last.
    last: u32,
}

impl Pace {
    /// Begins with a full second's frames.
    pub(super) fn new(now_ms: u64) -> Self {
        Self { left: MOST, most: MOST, refilled_ms: now_ms, waiting: BTreeSet::new(), last: 0 }
    }

    /// Allows many small frames, because a stream carries messages.
    pub(super) fn allow_messages(&mut self) {
        self.left += MOST_MESSAGES - self.most;
        self.most = MOST_MESSAGES;
    }

    /// Counts a DATA frame of the endpoint: whoever answers small frames does not suffer from them.
    #[inline]
    pub(super) fn answered(&mut self) {
        self.left = (self.left + 1).min(self.most);
    }

    /// Counts a small frame if the stream may send it now; otherwise the stream waits for its turn.
    /// None overtakes those that wait.
    pub(super) fn may_send(&mut self, stream: u32, now_ms: u64) -> bool {
        self.refill(now_ms);
        if self.left == 0 || !self.waiting.is_empty() {
            self.waiting.insert(stream);
            return false;
        }
        self.left -= 1;
        true
    }

    /// Reports whether a stream waits for its turn.
    pub(super) fn is_waiting(&self, stream: u32) -> bool {
        self.waiting.contains(&stream)
    }

    /// Ends the wait of a stream that has more to send than a small frame.
    pub(super) fn end_wait(&mut self, stream: u32) {
        self.waiting.remove(&stream);
    }

    /// Forgets streams that are over.
    pub(super) fn keep(&mut self, is_open: impl Fn(u32) -> bool) {
        self.waiting.retain(|stream| is_open(*stream));
    }

    /// Returns when the next turns are, at once if frames are left; `None` if no stream waits.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let after_ms = if self.left > 0 { 0 } else { PART_MS };
        (!self.waiting.is_empty()).then_some(self.refilled_ms + after_ms)
    }

    /// Counts the frame of the next stream that has its turn now and returns it. The turns go round.
    pub(super) fn next_turn(&mut self, now_ms: u64) -> Option<u32> {
        self.refill(now_ms);
        let left = self.left.checked_sub(1)?;
        let after = self.waiting.range(self.last.saturating_add(1)..).next();
        let stream = *after.or_else(|| self.waiting.first())?;
        self.waiting.remove(&stream);
        (self.left, self.last) = (left, stream);
        Some(stream)
    }

    fn refill(&mut self, now_ms: u64) {
        let parts = now_ms.saturating_sub(self.refilled_ms) / PART_MS;
        if parts > 0 {
            let parts = u32::try_from(parts).unwrap_or(u32::MAX).min(PARTS);
            self.left = (self.left + parts * (self.most / PARTS)).min(self.most);
            self.refilled_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as many frames on a new stream as it may, all at one time.
    fn burst(pace: &mut Pace, now_ms: u64) -> u32 {
        let mut sent = 0;
        while pace.may_send(u32::MAX, now_ms) {
            sent += 1;
        }
        pace.end_wait(u32::MAX);
        sent
    }

    fn turns(pace: &mut Pace, now_ms: u64) -> Vec<u32> {
        std::iter::from_fn(|| pace.next_turn(now_ms)).collect()
    }

    #[test]
    fn a_second_has_its_frames_and_gives_them_back_in_parts() {
        let mut pace = Pace::new(5_000);
        assert_eq!((burst(&mut pace, 5_000), pace.due_ms()), (128, None));
        for stream in 1..=20 {
            assert!(!pace.may_send(stream, 5_000) && pace.is_waiting(stream));
        }
        assert_eq!(pace.due_ms(), Some(5_125));
        assert!(turns(&mut pace, 5_124).is_empty());
        assert_eq!(turns(&mut pace, 5_125), (1..=16).collect::<Vec<_>>());
        assert_eq!((pace.is_waiting(16), pace.is_waiting(17)), (false, true));
        assert!(!pace.may_send(3, 5_250), "four wait, and nobody overtakes them");
        assert_eq!(
            (pace.due_ms(), turns(&mut pace, 5_250)),
            (Some(5_250), vec![17, 18, 19, 20, 3])
        );
        assert_eq!((pace.due_ms(), burst(&mut pace, 5_250)), (None, 11));
        assert_eq!(burst(&mut pace, 60_000), 128, "never more than those of one second");
    }

    #[test]
    fn streams_that_wait_have_their_turns_although_others_come() {
        let mut pace = Pace::new(0);
        burst(&mut pace, 0);
        pace.may_send(1, 0);
        for stream in 2..=3 {
            // Each comes just before the turns, which it does not put off.
            let now_ms = 125 * u64::from(stream);
            assert!(!pace.may_send(stream, now_ms));
            assert!(pace.due_ms().is_some_and(|at| at <= now_ms), "{stream}");
        }
        assert_eq!(turns(&mut pace, 375), [1, 2, 3]);
        burst(&mut pace, 375);
        assert!(!pace.may_send(4, 375) && pace.due_ms() == Some(500));
        pace.answered();
        assert!(pace.due_ms().is_some_and(|at| at <= 375), "the endpoint allows one more");
    }

    #[test]
    fn streams_that_are_over_or_have_more_to_send_take_no_turn() {
        let mut pace = Pace::new(0);
        burst(&mut pace, 0);
        for stream in 1..=40 {
            pace.may_send(stream, 0);
        }
        pace.end_wait(2);
        pace.keep(|stream| stream != 1);
        assert_eq!(turns(&mut pace, 125), (3..=18).collect::<Vec<_>>());
    }

    #[test]
    fn messages_have_more_and_what_is_answered_costs_nothing() {
        let mut pace = Pace::new(0);
        assert!(pace.may_send(1, 0));
        pace.allow_messages();
        pace.allow_messages();
        for _ in 0..10_000 {
            assert!(pace.may_send(1, 0));
            pace.answered();
        }
        assert_eq!(burst(&mut pace, 0), 4095);
        pace.answered();
        assert_eq!(burst(&mut pace, 125), 513);
    }
}
