//! The socket of a connection to the store; every step has a deadline.

use crate::session::{Charge, Session, Trouble};
use hg_plan::LimitStore;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A connection that was greeted.
pub(crate) struct Wire {
    stream: TcpStream,
    session: Session,
    pub(crate) address: SocketAddr,
}

impl Wire {
    /// Resolves the store's name and connects to the first address that answers.
    ///
    /// # Errors
    /// Why it is away.
    pub(crate) fn open(plan: &LimitStore, timeout: Duration) -> Result<Self, String> {
        let found = plan.address.to_socket_addrs();
        let found = found.map_err(|error| format!("its name has no address: {error}"))?;
        let mut why = "its name has no address".to_owned();
        for address in found.take(4) {
            match Self::to(plan, address, Instant::now() + timeout) {
                Ok(wire) => return Ok(wire),
                Err(Trouble::Again(error) | Trouble::Away(error)) => why = error,
            }
        }
        Err(why)
    }

    /// Connects to an address and greets.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(crate) fn to(
        plan: &LimitStore,
        address: SocketAddr,
        until: Instant,
    ) -> Result<Self, Trouble> {
        let connected = TcpStream::connect_timeout(&address, left(until)?);
        let stream = connected.map_err(|error| Trouble::Away(format!("no connection: {error}")))?;
        stream.set_nodelay(true).map_err(broken)?;
        let mut out = Vec::new();
        let session = Session::begin(plan, &mut out);
        let mut it = Self { stream, session, address };
        it.talk(&out, until)?;
        Ok(it)
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
        let mut rest = out;
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(left(until)?)).map_err(broken)?;
            if let Some(sent) = step(self.stream.write(rest))? {
                rest = rest.get(sent..).unwrap_or_default();
            }
        }
        let (mut ahead, mut room) = (Vec::new(), [0u8; 8192]);
        while !self.session.is_answered() {
            self.stream.set_read_timeout(Some(left(until)?)).map_err(broken)?;
            if let Some(came) = step(self.stream.read(&mut room))? {
                self.session.feed(room.get(..came).unwrap_or_default(), &mut ahead)?;
            }
        }
        Ok(ahead)
    }
}

/// Returns what is left of the time.
fn left(until: Instant) -> Result<Duration, Trouble> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Trouble::Away("no answer in time".into())) } else { Ok(left) }
}

/// Returns the bytes of one step; nothing if there were none yet.
fn step(done: io::Result<usize>) -> Result<Option<usize>, Trouble> {
    let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
    match done {
        Ok(0) => Err(Trouble::Again("it closed the connection".into())),
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if waits.contains(&error.kind()) => Ok(None),
        Err(error) => Err(broken(error)),
    }
}

fn broken(error: io::Error) -> Trouble {
    Trouble::Again(format!("the connection broke: {error}"))
}
