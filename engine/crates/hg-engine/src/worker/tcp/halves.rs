//! The two directions of a session: how much has passed, and which side has ended its half. Pure.
//!
//! A direction ends in two steps: its source sends the end of stream (`ended`), and once the sink
//! has taken every byte before it, the end is passed on (`told`). The other direction goes on.

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Half {
    /// Bytes taken from its source.
    pub(crate) bytes: u64,
    /// Whether the last read was so large that splicing the next bytes costs less.
    pub(crate) is_bulk: bool,
    ended: bool,
    told: bool,
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

    /// Notes that its end was passed on.
    pub(crate) fn told(&mut self) {
        self.told = true;
    }
}

/// Both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
            assert!(halves.of(first.other()).is_open());
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
    }
}
