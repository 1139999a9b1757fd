//! A connection to a server of the node's own; every step has a deadline.

use crate::place::{Lookup, Place, Tried, host_of};
use crate::secured::Secured;
use crate::{Failure, Reason};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The time that a read or a write waits before the thread looks at its other work.
const SLICE: Duration = Duration::from_millis(100);
/// Longest wait for one address: nothing else is done meanwhile.
const CONNECT: Duration = Duration::from_secs(3);
/// The interval at which it is asked again whether a name was looked up.
const LOOK: Duration = Duration::from_millis(20);

/// The time that an operation may take, and what the thread does between its steps.
pub struct Steps<'a> {
    /// The time by which it has to be over.
    pub until: Instant,
    /// The thread's other work; short.
    pub between: &'a mut dyn FnMut(),
}

impl Steps<'_> {
    fn left(&self) -> Result<Duration, Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Failure::late()) } else { Ok(left) }
    }
}

/// A connection, with its TLS if the place has that.
pub struct Connection {
    stream: TcpStream,
    tls: Option<Box<Secured>>,
    /// The address that it leads to.
    pub peer: SocketAddr,
}

impl Connection {
    /// Connects to the first address of a place that answers, in their order by what is known of them, and
    /// does the handshake. Each has its share of the time that is left. Notes the failures; that an
    /// address works is the caller's to say. Waits for the first look-up of a name.
    ///
    /// # Errors
    /// Why there is no connection.
    pub fn open(
        place: &Place,
        lookup: &Lookup,
        tried: &mut Tried,
        steps: &mut Steps<'_>,
    ) -> Result<Self, Failure> {
        let mut why = Failure::new(Reason::Name, "its name has no address");
        let addresses = Self::addresses(place, lookup, tried, steps)?;
        for (untried, address) in (1..=addresses.len()).rev().zip(addresses) {
            let share = steps.left()? / u32::try_from(untried).unwrap_or(1);
            let mut own = Steps { until: Instant::now() + share, between: &mut *steps.between };
            match Self::to(place, address, &mut own) {
                Ok(connection) => return Ok(connection),
                Err(failure) => why = failure,
            }
            tried.fails(address);
            (steps.between)();
        }
        Err(why)
    }

    /// Returns the addresses of a place, few, in their order by what is known of them. Waits for the
    /// first look-up of a name.
    ///
    /// # Errors
    /// Why its name has none.
    pub fn addresses(
        place: &Place,
        lookup: &Lookup,
        tried: &Tried,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        loop {
            if let Some(found) = place.addresses(lookup, tried) {
                return found;
            }
            let left = steps.left().map_err(|_| {
                Failure::new(Reason::Name, "its name has no address: it was not looked up in time")
            })?;
            (steps.between)();
            std::thread::park_timeout(LOOK.min(left));
        }
    }

    /// Connects to one address of a place, and does the handshake.
    ///
    /// # Errors
    /// Why there is no connection.
    pub fn to(place: &Place, peer: SocketAddr, steps: &mut Steps<'_>) -> Result<Self, Failure> {
        let refused = |error: io::Error| {
            let late = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock);
            let reason = if late { Reason::Timeout } else { Reason::Connect };
            Failure::new(reason, format!("no connection: {error}"))
        };
        let stream =
            TcpStream::connect_timeout(&peer, steps.left()?.min(CONNECT)).map_err(refused)?;
        stream.set_nodelay(true).map_err(|error| Failure::broken(&error))?;
        let mut it = Self { stream, tls: None, peer };
        let Some(tls) = &place.tls else { return Ok(it) };
        let session = tls.session_for(host_of(&place.address), place.protocol);
        let session = session.map_err(|error| Failure::new(Reason::Tls, error.detail()))?;
        it.tls = Some(Box::new(Secured::begin(session)?));
        it.shake_hands(steps)?;
        Ok(it)
    }

    fn shake_hands(&mut self, steps: &mut Steps<'_>) -> Result<(), Failure> {
        let mut room = [0u8; 8192];
        loop {
            self.drain(steps)?;
            match &self.tls {
                Some(tls) if !tls.is_established() => {}
                _ => return Ok(()),
            }
            let came = self.read(&mut room, steps)?;
            if came == 0 {
                return Err(Failure::new(Reason::Tls, "it closed the connection in the handshake"));
            }
            self.feed(room.get(..came).unwrap_or_default())?;
        }
    }

    /// Sends all bytes.
    ///
    /// # Errors
    /// If it breaks, or takes too long.
    pub fn send(&mut self, bytes: &[u8], steps: &mut Steps<'_>) -> Result<(), Failure> {
        let Some(tls) = &mut self.tls else {
            return write(&mut self.stream, bytes, steps);
        };
        tls.seal(bytes)?;
        self.drain(steps)
    }

    /// Appends what came, once there is something; returns its length, 0 at the end.
    ///
    /// # Errors
    /// If it breaks, or takes too long.
    pub fn receive(&mut self, into: &mut Vec<u8>, steps: &mut Steps<'_>) -> Result<usize, Failure> {
        let mut room = [0u8; 8192];
        loop {
            if let Some(tls) = &mut self.tls {
                let count = tls.take(into);
                if count > 0 || tls.is_over {
                    return Ok(count);
                }
            }
            let came = self.read(&mut room, steps)?;
            let bytes = room.get(..came).unwrap_or_default();
            if self.tls.is_none() {
                into.extend_from_slice(bytes);
                return Ok(came);
            }
            if came == 0 {
                return Ok(0);
            }
            self.feed(bytes)?;
            self.drain(steps)?;
        }
    }

    /// Gives what came to the session; the peer is told why if that ends it.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let fed = tls.feed(bytes);
        if fed.is_err() {
            self.part();
        }
        fed
    }

    /// Sends what the session wants to be sent.
    fn drain(&mut self, steps: &mut Steps<'_>) -> Result<(), Failure> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let out = std::mem::take(&mut tls.out);
        write(&mut self.stream, &out, steps)
    }

    /// Sends what is left as far as that does not wait.
    fn part(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        // A peer that does not read gets no goodbye.
        if self.stream.set_nonblocking(true).is_ok() {
            let _ = self.stream.write(&std::mem::take(&mut tls.out));
        }
    }

    fn read(&mut self, room: &mut [u8], steps: &mut Steps<'_>) -> Result<usize, Failure> {
        loop {
            let wait = Some(steps.left()?.min(SLICE));
            self.stream.set_read_timeout(wait).map_err(|error| Failure::broken(&error))?;
            let came = step(self.stream.read(room));
            (steps.between)();
            if let Some(came) = came? {
                return Ok(came);
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close();
        }
        self.part();
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8], steps: &mut Steps<'_>) -> Result<(), Failure> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let wait = Some(steps.left()?.min(SLICE));
        stream.set_write_timeout(wait).map_err(|error| Failure::broken(&error))?;
        let sent = step(stream.write(rest));
        (steps.between)();
        if let Some(sent) = sent? {
            rest = rest.get(sent..).unwrap_or_default();
        }
    }
    Ok(())
}

/// Returns the bytes of one step; nothing if there were none yet.
fn step(done: io::Result<usize>) -> Result<Option<usize>, Failure> {
    let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if waits.contains(&error.kind()) => Ok(None),
        Err(error) => Err(Failure::broken(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::Arc;

    /// Returns a listener whose queue is full, and what fills it: the kernel answers nobody.
    fn mute() -> (TcpListener, Vec<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            queue.push(stream);
            assert!(queue.len() < 5_000, "its queue has an end");
        }
        (listener, queue)
    }

    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next_one() {
        let ((mute, _queue), good) = (mute(), TcpListener::bind("127.0.0.1:0").unwrap());
        let known = [&mute, &good].map(|one| one.local_addr().unwrap());
        let lookup: Lookup = Arc::new(move |_| Some(Ok(known.to_vec())));
        let place = Place { address: "a.example:80".into(), tls: None, protocol: None };
        let until = Instant::now() + Duration::from_secs(6);
        let mut steps = Steps { until, between: &mut || {} };
        let opened =
            Connection::open(&place, &lookup, &mut Tried::default(), &mut steps).map(|it| it.peer);
        assert_eq!(opened, Ok(good.local_addr().unwrap()));
    }
}
