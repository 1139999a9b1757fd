//! A connection to the store that was greeted; every step has a deadline.

use crate::session::{Charge, Session, Trouble};
use crate::store::Meant;
use hg_dial::{Connection, Failure, Lookup, Reason, Steps, Tried};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A connection that was greeted.
pub(crate) struct Wire {
    connection: Connection,
    session: Session,
}

impl Wire {
    /// Connects to the first address of the store that answers the greeting; each has its time.
    ///
    /// # Errors
    /// Why it is away.
    pub(crate) fn open(meant: &Meant, lookup: &Lookup, timeout: Duration) -> Result<Self, Failure> {
        let mut idle = || {};
        let mut steps = Steps { until: Instant::now() + timeout, between: &mut idle };
        let mut why = Failure::new(Reason::Name, "its name has no address");
        for address in Connection::addresses(&meant.place, lookup, &Tried::default(), &mut steps)? {
            match Self::to(meant, address, Instant::now() + timeout) {
                Ok(wire) => return Ok(wire),
                Err(Trouble::Again(failure) | Trouble::Away(failure)) => why = failure,
            }
        }
        Err(why)
    }

    /// Connects to an address and greets.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) fn to(meant: &Meant, address: SocketAddr, until: Instant) -> Result<Self, Trouble> {
        let mut steps = Steps { until, between: &mut || {} };
        let connection =
            Connection::to(&meant.place, address, &mut steps).map_err(Trouble::Away)?;
        let mut out = Vec::new();
        let session = Session::begin(&meant.plan, &mut out);
        let mut it = Self { connection, session };
        it.talk(&out, until)?;
        Ok(it)
    }

    /// Returns where it leads.
    pub(crate) fn address(&self) -> SocketAddr {
        self.connection.peer
    }

    /// Charges; returns how far ahead each key is.
    ///
    /// # Errors
    /// Why there is no answer; then the connection is of no more use.
    pub(crate) fn charge(
        &mut self,
        charges: &[Charge],
        until: Instant,
    ) -> Result<Vec<u64>, Trouble> {
        let mut out = Vec::with_capacity(charges.len() * 160);
        self.session.charge(charges, &mut out);
        self.talk(&out, until)
    }

    /// Asks whether the store counts.
    ///
    /// # Errors
    /// As [`Self::charge`].
    pub(crate) fn trial(&mut self, until: Instant) -> Result<(), Trouble> {
        let mut out = Vec::new();
        self.session.trial(&mut out);
        self.talk(&out, until).map(drop)
    }

    fn talk(&mut self, out: &[u8], until: Instant) -> Result<Vec<u64>, Trouble> {
        let mut steps = Steps { until, between: &mut || {} };
        self.connection.send(out, &mut steps).map_err(trouble)?;
        let (mut ahead, mut input) = (Vec::new(), Vec::new());
        while !self.session.is_answered() {
            input.clear();
            if self.connection.receive(&mut input, &mut steps).map_err(trouble)? == 0 {
                return Err(trouble(Failure::new(Reason::Closed, "it closed the connection")));
            }
            self.session.feed(&input, &mut ahead)?;
        }
        Ok(ahead)
    }
}

/// A connection that ended may be followed by another one; everything else means that it is away.
fn trouble(failure: Failure) -> Trouble {
    match failure.reason {
        Reason::Closed => Trouble::Again(failure),
        _ => Trouble::Away(failure),
    }
}
