//! A session from its first byte to its last: rustls does the handshake, then our own channel takes
//! over.

use crate::channel::Channel;
use crate::drive::{self, Connection};
use crate::{Received, TlsError, TlsErrorKind};
use rustls::{CipherSuite, CommonState, NamedGroup, ProtocolVersion};

/// The way in which a session got its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeKind {
    /// By certificate and key exchange.
    Full,
    /// From the ticket of an earlier session.
    Resumed,
}

/// The parameters that the two sides agreed on in the handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub version: ProtocolVersion,
    pub suite: CipherSuite,
    pub kind: HandshakeKind,
    /// `None` for a resumed TLS 1.2 session.
    pub group: Option<NamedGroup>,
    /// Index into the configuration's protocols.
    pub alpn: Option<u8>,
}

enum Stage<C: Connection> {
    /// With the number of input bytes that it did not use.
    Handshake(Box<C>, usize),
    Open(Channel<C::Kernel>, Facts),
    Over,
}

/// Either side's session.
pub(crate) struct Tunnel<C: Connection>(Stage<C>);

impl<C: Connection> Tunnel<C> {
    pub fn new(conn: C) -> Self {
        Self(Stage::Handshake(Box::new(conn), 0))
    }

    /// Receives as [`crate::ServerSession::receive`] does. `accept` sees the connection once its
    /// handshake is over and may still refuse it with an alert; `alpn` is the configuration's list.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
        alpn: &[Vec<u8>],
        accept: impl FnOnce(&CommonState) -> Result<(), u8>,
    ) -> Result<Received, TlsError> {
        let result = match &mut self.0 {
            Stage::Open(channel, _) => channel.receive(input, plain, out),
            Stage::Over => Err(over()),
            // rustls keeps offsets into the bytes that it did not use and relies on getting them
            // again.
            Stage::Handshake(_, left) if input.len() < *left => {
                Err(TlsError::new(TlsErrorKind::Internal, "unused input was not offered again"))
            }
            Stage::Handshake(conn, left) => match drive::receive(&mut **conn, input, plain, out) {
                Ok(received) if received.handshake_done => {
                    self.open(received, out, alpn, accept).map(|()| received)
                }
                Ok(received) => {
                    *left = input.len() - received.consumed;
                    Ok(received)
                }
                Err(e) => Err(e),
            },
        };
        if result.is_err() {
            self.0 = Stage::Over;
        }
        result
    }

    fn open(
        &mut self,
        received: Received,
        out: &mut Vec<u8>,
        alpn: &[Vec<u8>],
        accept: impl FnOnce(&CommonState) -> Result<(), u8>,
    ) -> Result<(), TlsError> {
        let Stage::Handshake(conn, _) = std::mem::replace(&mut self.0, Stage::Over) else {
            return Err(over());
        };
        let common = conn.common();
        let (Some(suite), Some(facts)) = (common.negotiated_cipher_suite(), facts(common, alpn))
        else {
            return Err(TlsError::new(TlsErrorKind::Internal, "the handshake agreed on nothing"));
        };
        let accepted = accept(common);
        let (secrets, kernel) = conn.into_kernel()?;
        let mut channel = Channel::new(&secrets, kernel, suite, received.peer_closed)?;
        if let Err(description) = accepted {
            channel.fail(description, out);
            let detail = crate::alert::meaning(description);
            return Err(TlsError::new(TlsErrorKind::Certificate, detail));
        }
        self.0 = Stage::Open(channel, facts);
        Ok(())
    }

    /// Sends as [`crate::ServerSession::send_parts`] does.
    pub fn send(&mut self, head: &[u8], body: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        match &mut self.0 {
            Stage::Open(channel, _) => channel.send(head, body, out),
            Stage::Over => Err(over()),
            Stage::Handshake(..) => {
                Err(TlsError::new(TlsErrorKind::Internal, "sent before the handshake was over"))
            }
        }
    }

    /// Closes as [`crate::ServerSession::close`] does.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if let Stage::Open(channel, _) = &mut self.0 {
            channel.close(out);
        }
    }

    /// Returns the result of the handshake; `None` before its end.
    pub fn facts(&self) -> Option<&Facts> {
        match &self.0 {
            Stage::Open(_, facts) => Some(facts),
            _ => None,
        }
    }
}

fn over() -> TlsError {
    TlsError::new(TlsErrorKind::Internal, "the session is over")
}

fn facts(common: &CommonState, alpn: &[Vec<u8>]) -> Option<Facts> {
    let agreed = common.alpn_protocol();
    Some(Facts {
        version: common.protocol_version()?,
        suite: common.negotiated_cipher_suite()?.suite(),
        kind: match common.handshake_kind()? {
            rustls::HandshakeKind::Resumed => HandshakeKind::Resumed,
            _ => HandshakeKind::Full,
        },
        group: common.negotiated_key_exchange_group().map(|g| g.name()),
        alpn: alpn.iter().position(|p| agreed == Some(p)).and_then(|i| u8::try_from(i).ok()),
    })
}
