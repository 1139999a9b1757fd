//! The two directions of a session: how much has passed, and which side has ended its half. Pure.
//!
//! A direction ends in two steps: its source sends the end of stream (`ended`), and once the sink
//! has taken every byte before it, the end is passed on (`told`). The other direction goes on.
//!
//! A direction may have a pace (`bandwidth`): while none of its bytes may pass it is held back.

use hg_middleware::{Pace, Paces};
use hg_net::{Clock, Ticks};

/// The side that sends in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Endpoint,
}

impl Side {
    /// Returns the other side.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Endpoint,
            Self::Endpoint => Self::Client,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// Bytes taken from its source.
    pub(crate) bytes: u64,
    /// True if the last read was so large that splicing the next bytes costs less.
    pub(crate) is_bulk: bool,
    ended: bool,
    told: bool,
    pace: Option<Box<Pace>>,
    is_held: bool,
}

impl Half {
    /// Reports whether its source may still send.
    pub(crate) fn is_open(&self) -> bool {
        !self.ended
    }

    /// Reports whether its end has to be passed on as soon as everything before it is.
    pub(crate) fn owes_end(&self) -> bool {
        self.ended && !self.told
    }

    /// Notes that it is held back no more: whether bytes may pass is asked for once there are some.
    pub(crate) fn release(&mut self) {
        self.is_held = false;
    }

    /// Returns how many bytes may pass now; 0 = it is held back.
    pub(crate) fn allowed(&mut self, now_us: u64) -> usize {
        let Some(pace) = &mut self.pace else {
            return usize::MAX;
        };
        let bytes = pace.allow(self.bytes, now_us);
        self.is_held = bytes == 0;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Returns when its bytes may pass again, if it is held back.
    fn resumes_at(&self) -> Option<Ticks> {
        let pace = self.pace.as_ref().filter(|_| self.is_held)?;
        Some(Clock::after(pace.until_us(), 0))
    }

    /// Notes that its end was passed on.
    pub(crate) fn told(&mut self) {
        self.told = true;
    }
}

/// Both directions.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    from_client: Half,
    from_endpoint: Half,
    first_end: Option<Side>,
}

impl Halves {
    /// Returns the direction of which a side is the source.
    pub(crate) fn of(&mut self, from: Side) -> &mut Half {
        match from {
            Side::Client => &mut self.from_client,
            Side::Endpoint => &mut self.from_endpoint,
        }
    }

    /// Returns the bytes taken from the client and from the endpoint.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.from_client.bytes, self.from_endpoint.bytes)
    }

    /// Has bytes pass only so quickly from now on.
    pub(crate) fn pace(&mut self, paces: Paces) {
        self.from_client.pace = paces.upload;
        self.from_endpoint.pace = paces.download;
    }

    /// Accounts for all that has passed.
    pub(crate) fn end_paces(&mut self, now_us: u64) {
        for half in [&mut self.from_client, &mut self.from_endpoint] {
            if let Some(mut pace) = half.pace.take() {
                pace.end(half.bytes, now_us);
            }
        }
    }

    /// Returns when a direction that is held back goes on, the earlier one of two.
    pub(crate) fn resumes_at(&self) -> Option<Ticks> {
        let each = [self.from_client.resumes_at(), self.from_endpoint.resumes_at()];
        each.into_iter().flatten().min()
    }

    /// Counts bytes that the client has sent before its route was known.
    pub(crate) fn took(&mut self, n: u64) {
        self.from_client.bytes += n;
    }

    /// Notes that a side has sent its end of stream.
    pub(crate) fn end(&mut self, from: Side) {
        self.of(from).ended = true;
        self.first_end.get_or_insert(from);
    }

    /// Reports whether one side has ended its half and the other has not.
    pub(crate) fn is_half_open(&self) -> bool {
        self.first_end.is_some()
    }

    /// Returns which side ended first, once both ends were passed on.
    pub(crate) fn over(&self) -> Option<Side> {
        self.first_end.filter(|_| self.from_client.told && self.from_endpoint.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_over_once_both_ends_were_passed_on_in_any_order() {
        for first in [Side::Client, Side::Endpoint] {
            let mut halves = Halves::default();
            halves.of(first).bytes += 3;
            assert!(!halves.is_half_open() && halves.of(first).is_open());
            halves.end(first);
            assert!(halves.is_half_open() && halves.of(first).owes_end());
            assert!(!halves.of(first).is_open() && halves.of(first.other()).is_open());
            halves.of(first).told();
            assert!(!halves.of(first).owes_end());
            assert_eq!(halves.over(), None);
            halves.end(first.other());
            assert_eq!(halves.over(), None);
            halves.of(first.other()).told();
            assert_eq!(halves.over(), Some(first));
        }
    }

    #[test]
    fn bytes_count_for_their_source() {
        let mut halves = Halves::default();
        halves.of(Side::Client).bytes = 1;
        halves.of(Side::Endpoint).bytes = 2;
        assert_eq!(halves.bytes(), (1, 2));
        halves.took(5);
        assert_eq!(halves.bytes(), (6, 2));
    }

    #[test]
    fn a_direction_that_is_released_is_asked_again() {
        let mut half = Half { is_held: true, ..Half::default() };
        half.release();
        assert!(!half.is_held);
        assert_eq!((half.allowed(1), half.resumes_at()), (usize::MAX, None));
    }
}
