//! TLS over a connection, for one thread that waits: the sans-I/O session of `hg-tls`, and the bytes
//! between it and the socket.

use crate::{Failure, Reason};
use hg_tls::{ClientSession, TlsError};

/// Most bytes that wait for the rest of their record: one record, and one read.
const RAW_BYTES: usize = 64 * 1024;

/// A session and its bytes.
pub(crate) struct Secured {
    session: ClientSession,
    /// The bytes that came from the socket and were not used yet.
    raw: Vec<u8>,
    /// The bytes that go to the socket.
    pub(crate) out: Vec<u8>,
    /// The bytes that were decrypted and not taken yet.
    plain: Vec<u8>,
    pub(crate) is_over: bool,
}

impl Secured {
    /// Begins a session: the ClientHello is in `out`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn begin(mut session: ClientSession) -> Result<Self, Failure> {
        let mut out = Vec::new();
        session.start(&mut out).map_err(|error| failed(&error))?;
        let (raw, plain) = Default::default();
        Ok(Self { session, raw, out, plain, is_over: false })
    }

    pub(crate) fn is_established(&self) -> bool {
        self.session.is_established()
    }

    /// Takes what came from the socket.
    ///
    /// # Errors
    /// If the session is over; `out` ends with the alert for the peer.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.raw.extend_from_slice(bytes);
        let received = self.session.receive(&mut self.raw, &mut self.plain, &mut self.out);
        let received = received.map_err(|error| failed(&error))?;
        self.raw.drain(..received.consumed.min(self.raw.len()));
        self.is_over |= received.peer_closed;
        if self.raw.len() > RAW_BYTES {
            return Err(Failure::new(Reason::Tls, "it sends a record without an end"));
        }
        Ok(())
    }

    /// Takes what was decrypted.
    pub(crate) fn take(&mut self, into: &mut Vec<u8>) -> usize {
        let count = self.plain.len();
        into.append(&mut self.plain);
        count
    }

    /// Encrypts bytes into `out`.
    ///
    /// # Errors
    /// If the session is over.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.session.send(bytes, &mut self.out).map_err(|error| failed(&error))
    }

    /// Appends what says goodbye.
    pub(crate) fn close(&mut self) {
        self.session.close(&mut self.out);
    }
}

fn failed(error: &TlsError) -> Failure {
    Failure::new(Reason::Tls, format!("TLS: {}", error.detail()))
}
