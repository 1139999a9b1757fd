//! A connection after its handshake: application data, alerts, key updates and tickets, with our
//! own record protection. rustls keeps the key schedule (its kernel connection API).

use crate::record::{Exhausted, HEADER, MAX_PLAIN, OVERHEAD, Opener, Sealer, content};
use crate::{Received, TlsError, TlsErrorKind, alert};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ExtractedSecrets, ProtocolVersion, SupportedCipherSuite};

const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// Most key updates between two records of data, and most warnings on one connection: the limits of
/// rustls and BoringSSL.
const MAX_KEY_UPDATES: u8 = 32;
const MAX_WARNINGS: u8 = 4;
/// Records reserved for the key update itself and a closing alert.
const RESERVE: u64 = 4;

/// The differences between the two sides in messages after the handshake.
pub(crate) trait Role {
    /// Most bytes of a handshake message, header included.
    const MAX_MESSAGE: usize;
    /// Takes the body of a NewSessionTicket.
    ///
    /// # Errors
    /// The alert to send.
    fn ticket(&mut self, body: &[u8]) -> Result<(), u8>;
    fn update_tx(&mut self) -> Option<(u64, rustls::ConnectionTrafficSecrets)>;
    fn update_rx(&mut self) -> Option<(u64, rustls::ConnectionTrafficSecrets)>;
}

impl Role for KernelConnection<ServerConnectionData> {
    /// Clients send nothing but key updates.
    const MAX_MESSAGE: usize = 5;
    fn ticket(&mut self, _: &[u8]) -> Result<(), u8> {
        Err(alert::UNEXPECTED_MESSAGE)
    }
    fn update_tx(&mut self) -> Option<(u64, rustls::ConnectionTrafficSecrets)> {
        self.update_tx_secret().ok()
    }
    fn update_rx(&mut self) -> Option<(u64, rustls::ConnectionTrafficSecrets)> {
        self.update_rx_secret().ok()
    }
}

impl Role for KernelConnection<ClientConnectionData> {
    /// Tickets, which may hold a certificate chain.
    const MAX_MESSAGE: usize = 64 * 1024;
    fn ticket(&mut self, body: &[u8]) -> Result<(), u8> {
        self.handle_new_session_ticket(body).map_err(|_| alert::DECODE_ERROR)
    }
    fn update_tx(&mut self) -> Option<(u64, rustls::ConnectionTrafficSecrets)> {
        self.update_tx_secret().ok()
    }
    fn update_rx(&mut self) -> Option<(u64, rustls::ConnectionTrafficSecrets)> {
        self.update_rx_secret().ok()
    }
}

/// An established connection.
pub(crate) struct Channel<K> {
    sealer: Sealer,
    opener: Opener,
    suite: SupportedCipherSuite,
    /// The key schedule; TLS 1.2 has none.
    kernel: Option<Box<K>>,
    /// A handshake message that has come in part.
    partial: Vec<u8>,
    /// True if the peer asked for a key update of ours. It goes out before the next data, so a peer
    /// that asks without reading makes nothing pile up (RFC 8446 §4.6.3).
    owes_key_update: bool,
    key_updates: u8,
    warnings: u8,
    renegotiations: u8,
    said_close: bool,
    heard_close: bool,
}

impl<K: Role> Channel<K> {
    /// Takes over where the handshake ended; `heard_close` if the peer has already sent
    /// close_notify.
    ///
    /// # Errors
    /// Only if the library refuses a key it made itself.
    pub fn new(
        secrets: &ExtractedSecrets,
        kernel: K,
        suite: SupportedCipherSuite,
        heard_close: bool,
    ) -> Result<Self, TlsError> {
        let version = suite.version().version;
        let sealer = Sealer::new(suite, (secrets.tx.0, &secrets.tx.1));
        let opener = Opener::new(version, (secrets.rx.0, &secrets.rx.1));
        let (Some(sealer), Some(opener)) = (sealer, opener) else {
            return Err(TlsError::new(TlsErrorKind::Internal, "no keys for the cipher suite"));
        };
        Ok(Self {
            sealer,
            opener,
            suite,
            kernel: (version == ProtocolVersion::TLSv1_3).then(|| Box::new(kernel)),
            partial: Vec::new(),
            owes_key_update: false,
            key_updates: 0,
            warnings: 0,
            renegotiations: 0,
            said_close: false,
            heard_close,
        })
    }

    /// Opens every whole record of `input`.
    ///
    /// # Errors
    /// If the connection is over; its alert has been appended to `out`.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Received, TlsError> {
        let mut consumed = 0;
        while !self.heard_close {
            let rest = input.get_mut(consumed..).unwrap_or_default();
            match self.record(rest, plain, out) {
                Ok(0) => break,
                Ok(n) => consumed += n,
                Err(Failure::Ours(description)) => {
                    self.alert(alert::FATAL, description, out);
                    let detail = alert::meaning(description);
                    return Err(TlsError::new(TlsErrorKind::Protocol, detail));
                }
                Err(Failure::Theirs(description)) => {
                    let name = rustls::AlertDescription::from(description);
                    let detail = format!("the peer sent the alert {name:?}");
                    return Err(TlsError::new(TlsErrorKind::Alert, detail));
                }
            }
        }
        if self.heard_close {
            // Data after close_notify is ignored (RFC 8446 §6.1).
            consumed = input.len();
        }
        Ok(Received { consumed, handshake_done: true, peer_closed: self.heard_close })
    }

    /// Opens the first record of `input`; returns the bytes it took, 0 if the record is incomplete.
    fn record(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Failure> {
        let Some(len) = self.opener.payload_len(input)? else {
            return Ok(0);
        };
        let Some(record) = input.get_mut(..HEADER + len) else {
            return Ok(0);
        };
        let (kind, content) = self.opener.open(record)?;
        if !self.partial.is_empty() && kind != content::HANDSHAKE {
            // Nothing may come between fragments of one message (RFC 8446 §5.1).
            return Err(Failure::Ours(alert::UNEXPECTED_MESSAGE));
        }
        match kind {
            content::DATA => {
                self.key_updates = 0;
                plain.extend_from_slice(content);
            }
            content::ALERT => {
                let (level, description) = match content {
                    [level, description] => (*level, *description),
                    _ => return Err(Failure::Ours(alert::DECODE_ERROR)),
                };
                self.heard_alert(level, description)?;
            }
            content::HANDSHAKE if self.kernel.is_none() => self.renegotiation(out)?,
            content::HANDSHAKE if !content.is_empty() => {
                let mut joined = std::mem::take(&mut self.partial);
                joined.extend_from_slice(content);
                self.messages(joined)?;
            }
            _ => return Err(Failure::Ours(alert::UNEXPECTED_MESSAGE)),
        }
        Ok(HEADER + len)
    }

    fn heard_alert(&mut self, level: u8, description: u8) -> Result<(), Failure> {
        if description == alert::CLOSE_NOTIFY {
            self.heard_close = true;
            return Ok(());
        }
        // TLS 1.3 has no other warning than this one; TLS 1.2 alerts state their level.
        let harmless = match self.kernel {
            Some(_) => description == alert::USER_CANCELED,
            None => level == alert::WARNING,
        };
        if !harmless {
            return Err(Failure::Theirs(description));
        }
        count(&mut self.warnings, MAX_WARNINGS)
    }

    /// Never renegotiates in TLS 1.2: declines the first attempt and ends the connection at the
    /// second.
    fn renegotiation(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        count(&mut self.renegotiations, 1)?;
        self.alert(alert::WARNING, alert::NO_RENEGOTIATION, out);
        Ok(())
    }

    /// Handles complete handshake messages (RFC 8446 §4.6); keeps a part of one for the next
    /// record.
    fn messages(&mut self, mut joined: Vec<u8>) -> Result<(), Failure> {
        let mut rest = &joined[..];
        while let Some((&[kind, a, b, c], body)) = rest.split_first_chunk::<4>() {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            if len + 4 > K::MAX_MESSAGE {
                return Err(Failure::Ours(alert::UNEXPECTED_MESSAGE));
            }
            let Some((body, after)) = body.split_at_checked(len) else {
                break;
            };
            match (kind, body) {
                (KEY_UPDATE, [asked @ (0 | 1)]) if after.is_empty() => {
                    self.key_update(*asked == 1)?;
                }
                // A key change may not fall inside a record (RFC 8446 §5.1).
                (KEY_UPDATE, [0 | 1]) => return Err(Failure::Ours(alert::UNEXPECTED_MESSAGE)),
                (KEY_UPDATE, [_]) => return Err(Failure::Ours(alert::ILLEGAL_PARAMETER)),
                (KEY_UPDATE, _) => return Err(Failure::Ours(alert::DECODE_ERROR)),
                (NEW_SESSION_TICKET, body) => self.kernel()?.ticket(body)?,
                _ => return Err(Failure::Ours(alert::UNEXPECTED_MESSAGE)),
            }
            rest = after;
        }
        if !rest.is_empty() {
            let done = joined.len() - rest.len();
            joined.drain(..done);
            self.partial = joined;
        }
        Ok(())
    }

    fn key_update(&mut self, asked: bool) -> Result<(), Failure> {
        count(&mut self.key_updates, MAX_KEY_UPDATES)?;
        let version = self.suite.version().version;
        let next = self.kernel()?.update_rx();
        self.opener = next
            .and_then(|(seq, secrets)| Opener::new(version, (seq, &secrets)))
            .ok_or(Failure::Ours(alert::INTERNAL_ERROR))?;
        self.owes_key_update |= asked;
        Ok(())
    }

    /// Announces a change of our keys to the peer and changes them. TLS 1.2 cannot do that without
    /// renegotiation, so its connection ends.
    fn rekey(&mut self, out: &mut Vec<u8>) -> Result<(), Exhausted> {
        if self.kernel.is_none() {
            return Err(Exhausted);
        }
        self.sealer.seal(content::HANDSHAKE, [&[KEY_UPDATE, 0, 0, 1, 0], &[]], out)?;
        let next = self.kernel.as_mut().and_then(|k| k.update_tx());
        self.sealer = next
            .and_then(|(seq, secrets)| Sealer::new(self.suite, (seq, &secrets)))
            .ok_or(Exhausted)?;
        self.owes_key_update = false;
        Ok(())
    }

    fn kernel(&mut self) -> Result<&mut K, Failure> {
        self.kernel.as_deref_mut().ok_or(Failure::Ours(alert::UNEXPECTED_MESSAGE))
    }

    /// Appends `head` and then `body` as records, each as full as possible.
    ///
    /// # Errors
    /// After close, or when the keys are used up and cannot change.
    pub fn send(&mut self, head: &[u8], body: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        if self.said_close {
            return Err(TlsError::new(TlsErrorKind::Internal, "sent after close_notify"));
        }
        let total = head.len() + body.len();
        out.reserve(total + (total.div_ceil(MAX_PLAIN) + 1) * OVERHEAD);
        let (mut head, mut body) = (head, body);
        while !head.is_empty() || !body.is_empty() {
            let (first, head_rest) = head.split_at(head.len().min(MAX_PLAIN));
            let (second, body_rest) = body.split_at(body.len().min(MAX_PLAIN - first.len()));
            if self.owes_key_update || self.sealer.left() <= RESERVE {
                self.rekey(out).map_err(exhausted)?;
            }
            self.sealer.seal(content::DATA, [first, second], out).map_err(exhausted)?;
            (head, body) = (head_rest, body_rest);
        }
        Ok(())
    }

    /// Appends close_notify, once.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.alert(alert::WARNING, alert::CLOSE_NOTIFY, out);
    }

    /// Appends a fatal alert; nothing may follow it.
    pub fn fail(&mut self, description: u8, out: &mut Vec<u8>) {
        self.alert(alert::FATAL, description, out);
    }

    fn alert(&mut self, level: u8, description: u8, out: &mut Vec<u8>) {
        if self.said_close {
            return;
        }
        self.said_close = level == alert::FATAL || description == alert::CLOSE_NOTIFY;
        // Used-up keys cannot protect an alert, and none is needed.
        let _ = self.sealer.seal(content::ALERT, [&[level, description], &[]], out);
    }
}

fn exhausted(_: Exhausted) -> TlsError {
    TlsError::new(TlsErrorKind::Internal, "the connection's keys are used up")
}

fn count(counter: &mut u8, max: u8) -> Result<(), Failure> {
    if *counter >= max {
        return Err(Failure::Ours(alert::UNEXPECTED_MESSAGE));
    }
    *counter += 1;
    Ok(())
}

/// The reason why a record ends the connection, by alert description.
enum Failure {
    /// We found a fault and send the alert.
    Ours(u8),
    /// The peer sent the alert.
    Theirs(u8),
}

impl From<u8> for Failure {
    fn from(description: u8) -> Self {
        Failure::Ours(description)
    }
}

#[cfg(test)]
mod tests;
