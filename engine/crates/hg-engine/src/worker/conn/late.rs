//! Events of a connection that are handled later.

use hg_net::{Event, Token};

/// Events of a connection, of which several become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Late {
    readable: bool,
    writable: bool,
    read_closed: bool,
    closed: bool,
}

impl Late {
    /// Adds an event; reports whether it is the first one.
    pub(crate) fn add(&mut self, event: &Event) -> bool {
        let is_first = *self == Late::default();
        self.readable |= event.readable;
        self.writable |= event.writable;
        self.read_closed |= event.read_closed;
        self.closed |= event.closed;
        is_first
    }

    /// Takes everything, as one event.
    pub(crate) fn take(&mut self, token: Token) -> Event {
        let Late { readable, writable, read_closed, closed } = std::mem::take(self);
        Event { token, readable, writable, read_closed, closed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_wait_become_one() {
        let token = Token::new(1, 2, 3);
        let none =
            Event { token, readable: false, writable: false, read_closed: false, closed: false };
        let mut late = Late::default();
        assert!(late.add(&Event { readable: true, ..none }));
        assert!(!late.add(&Event { writable: true, ..none }));
        assert!(!late.add(&Event { read_closed: true, ..none }));
        let event = late.take(token);
        assert_eq!(event.token.raw(), token.raw());
        assert_eq!(
            [event.readable, event.writable, event.read_closed, event.closed],
            [true, true, true, false]
        );
        assert!(late.add(&Event { closed: true, ..none }), "nothing waits any more");
        assert!(late.take(token).closed);
    }
}
