//! Protected records after the handshake: TLS 1.3 (RFC 8446 §5) and the AEAD suites of TLS 1.2 (RFC
//! 5246 §6.2.3.3, RFC 5288, RFC 7905). Encrypts directly into the caller's buffer and decrypts in
//! place; allocates nothing.

use crate::alert;
use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion, SupportedCipherSuite};

/// Most plaintext bytes of one record (RFC 8446 §5.1).
pub(crate) const MAX_PLAIN: usize = 16 * 1024;
/// Bytes of a record's header.
pub(crate) const HEADER: usize = 5;
/// Most bytes by which a record is longer than its plaintext.
pub(crate) const OVERHEAD: usize = HEADER + EXPLICIT + 1 + TAG;
const TAG: usize = 16;
const EXPLICIT: usize = 8;

/// Content types (RFC 8446 §5.1).
pub(crate) mod content {
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const DATA: u8 = 23;
}

/// The layout of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// The content type is inside; no nonce.
    Tls13,
    /// Eight bytes of nonce come first.
    Tls12Gcm,
    /// No nonce.
    Tls12ChaCha,
}

/// The keys of one direction.
struct Keys {
    aead: LessSafeKey,
    iv: [u8; NONCE_LEN],
    /// The number of the next record.
    seq: u64,
    format: Format,
}

impl Keys {
    /// Returns `None` only if the library refuses a key that it made itself.
    fn new(version: ProtocolVersion, seq: u64, secrets: &ConnectionTrafficSecrets) -> Option<Self> {
        let (algorithm, key, iv, tls12) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => {
                (&AES_128_GCM, key, iv, Format::Tls12Gcm)
            }
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
                (&AES_256_GCM, key, iv, Format::Tls12Gcm)
            }
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (&CHACHA20_POLY1305, key, iv, Format::Tls12ChaCha)
            }
            _ => return None,
        };
        Some(Self {
            aead: LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).ok()?),
            iv: iv.as_ref().try_into().ok()?,
            seq,
            format: if version == ProtocolVersion::TLSv1_3 { Format::Tls13 } else { tls12 },
        })
    }

    /// Returns the nonce of this record: the IV with the record's number in its last eight bytes.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (n, s) in nonce.iter_mut().skip(NONCE_LEN - 8).zip(self.seq.to_be_bytes()) {
            *n ^= s;
        }
        nonce
    }

    /// Returns what TLS 1.2 authenticates besides the payload (RFC 5246 §6.2.3.3).
    fn aad12(&self, kind: u8, plain_len: usize) -> [u8; 13] {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.seq.to_be_bytes();
        let [hi, lo] = (plain_len as u16).to_be_bytes();
        [s0, s1, s2, s3, s4, s5, s6, s7, kind, 3, 3, hi, lo]
    }
}

/// Protects what we send.
pub(crate) struct Sealer {
    keys: Keys,
    /// Number of records that one key may protect.
    limit: u64,
}

impl Sealer {
    /// Returns `None` only if the library refuses a key that it made itself.
    pub fn new(
        suite: SupportedCipherSuite,
        (seq, secrets): (u64, &ConnectionTrafficSecrets),
    ) -> Option<Self> {
        let limit = match suite {
            SupportedCipherSuite::Tls12(s) => s.common.confidentiality_limit,
            SupportedCipherSuite::Tls13(s) => s.common.confidentiality_limit,
        };
        Some(Self { keys: Keys::new(suite.version().version, seq, secrets)?, limit })
    }

    /// Returns how many records remain before the keys must change.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.keys.seq)
    }

    /// Appends one record of the two parts, together at most [`MAX_PLAIN`] long.
    ///
    /// # Errors
    /// If the keys are used up or the cipher fails; `out` is then unchanged.
    pub fn seal(
        &mut self,
        kind: u8,
        parts: [&[u8]; 2],
        out: &mut Vec<u8>,
    ) -> Result<(), Exhausted> {
        let start = out.len();
        let tag = self.append(kind, parts, out);
        match (tag, self.keys.seq.checked_add(1)) {
            (Some(tag), Some(next)) => {
                out.extend_from_slice(&tag);
                self.keys.seq = next;
                Ok(())
            }
            _ => {
                out.truncate(start);
                Err(Exhausted)
            }
        }
    }

    fn append(&self, kind: u8, parts: [&[u8]; 2], out: &mut Vec<u8>) -> Option<[u8; TAG]> {
        let plain_len = parts[0].len() + parts[1].len();
        let nonce = self.keys.nonce();
        let (outer, prefix, suffix) = match self.keys.format {
            Format::Tls13 => (content::DATA, 0, 1),
            Format::Tls12Gcm => (kind, EXPLICIT, 0),
            Format::Tls12ChaCha => (kind, 0, 0),
        };
        let [hi, lo] = u16::try_from(prefix + plain_len + suffix + TAG).ok()?.to_be_bytes();
        let header = [outer, 3, 3, hi, lo];
        out.extend_from_slice(&header);
        out.extend_from_slice(nonce.get(NONCE_LEN - prefix..)?);
        let body = out.len();
        out.extend_from_slice(parts[0]);
        out.extend_from_slice(parts[1]);
        let sealed = if self.keys.format == Format::Tls13 {
            out.push(kind);
            self.tag(nonce, &header, out.get_mut(body..)?)
        } else {
            self.tag(nonce, &self.keys.aad12(kind, plain_len), out.get_mut(body..)?)
        };
        sealed?.as_ref().try_into().ok()
    }

    fn tag(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        body: &mut [u8],
    ) -> Option<aws_lc_rs::aead::Tag> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.keys.aead.seal_in_place_separate_tag(nonce, Aad::from(aad), body).ok()
    }
}

/// The keys of this direction must not protect another record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Opens what the peer sends.
pub(crate) struct Opener {
    keys: Keys,
}

impl Opener {
    /// Returns `None` only if the library refuses a key that it made itself.
    pub fn new(
        version: ProtocolVersion,
        (seq, secrets): (u64, &ConnectionTrafficSecrets),
    ) -> Option<Self> {
        Keys::new(version, seq, secrets).map(|keys| Self { keys })
    }

    /// Returns the length of the first record's payload; `None` = the header is incomplete.
    ///
    /// # Errors
    /// The alert to send: the record may not come now, or it is too long.
    pub fn payload_len(&self, input: &[u8]) -> Result<Option<usize>, u8> {
        let Some(&[kind, major, _, hi, lo]) = input.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([hi, lo]));
        let (kind_ok, max) = match self.keys.format {
            Format::Tls13 => (kind == content::DATA, MAX_PLAIN + 256),
            _ => (
                matches!(kind, content::ALERT | content::HANDSHAKE | content::DATA),
                MAX_PLAIN + 2048,
            ),
        };
        match (kind_ok && major == 3, len <= max) {
            (false, _) => Err(alert::UNEXPECTED_MESSAGE),
            (_, false) => Err(alert::RECORD_OVERFLOW),
            _ => Ok(Some(len)),
        }
    }

    /// Opens a complete record in place; returns its content type and plaintext.
    ///
    /// # Errors
    /// The alert to send.
    pub fn open<'b>(&mut self, record: &'b mut [u8]) -> Result<(u8, &'b [u8]), u8> {
        let (header, body) = record.split_first_chunk_mut::<HEADER>().ok_or(alert::DECODE_ERROR)?;
        let header = *header;
        let (kind, plain) = match self.keys.format {
            Format::Tls13 => unpad(self.decrypt(self.keys.nonce(), &header, body)?)?,
            Format::Tls12Gcm => {
                let (explicit, body) =
                    body.split_first_chunk_mut::<EXPLICIT>().ok_or(alert::BAD_RECORD_MAC)?;
                let mut nonce = self.keys.iv;
                for (n, e) in nonce.iter_mut().skip(NONCE_LEN - EXPLICIT).zip(explicit) {
                    *n = *e;
                }
                (header[0], self.open12(header[0], nonce, body)?)
            }
            Format::Tls12ChaCha => (header[0], self.open12(header[0], self.keys.nonce(), body)?),
        };
        if plain.len() > MAX_PLAIN {
            return Err(alert::RECORD_OVERFLOW);
        }
        self.keys.seq = self.keys.seq.checked_add(1).ok_or(alert::INTERNAL_ERROR)?;
        Ok((kind, plain))
    }

    fn open12<'b>(
        &self,
        kind: u8,
        nonce: [u8; NONCE_LEN],
        body: &'b mut [u8],
    ) -> Result<&'b [u8], u8> {
        let plain_len = body.len().checked_sub(TAG).ok_or(alert::BAD_RECORD_MAC)?;
        self.decrypt(nonce, &self.keys.aad12(kind, plain_len), body)
    }

    fn decrypt<'b>(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        body: &'b mut [u8],
    ) -> Result<&'b [u8], u8> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.keys
            .aead
            .open_in_place(nonce, Aad::from(aad), body)
            .map(|plain| &*plain)
            .map_err(|_| alert::BAD_RECORD_MAC)
    }
}

/// Removes zero padding and the content type from a TLSInnerPlaintext (RFC 8446 §5.2, §5.4).
fn unpad(inner: &[u8]) -> Result<(u8, &[u8]), u8> {
    let end = inner.iter().rposition(|b| *b != 0).ok_or(alert::UNEXPECTED_MESSAGE)?;
    match inner.split_at(end) {
        (plain, [kind, ..]) => Ok((*kind, plain)),
        _ => Err(alert::UNEXPECTED_MESSAGE),
    }
}
