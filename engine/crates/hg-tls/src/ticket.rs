//! Session tickets: sealed state that any worker, and any process with the same secrets, accepts.
//!
//! A ticket's key is derived (HKDF-SHA256) from a secret of the supervisor, the policy's digest and
//! the number of the current time period, so that a session never resumes under another policy and
//! old tickets expire by themselves. Layout: key id (8) · nonce (12) · AES-256-GCM-SIV ciphertext ·
//! tag (16); the key id is authenticated with it.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use hg_plan::Digest;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds for which one derived key seals new tickets; it opens them for as long again.
const PERIOD_S: u64 = 6 * 60 * 60;
/// The lifetime that clients are told, seconds: a ticket is valid for at least this long.
const LIFETIME_S: u32 = 6 * 60 * 60;
const ID: usize = 8;
const TAG: usize = 16;
/// A ticket carries at most a client's certificate chain and some keys.
const MAX_TICKET: usize = 32 * 1024;

type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The secrets of a process's tickets, shared by its workers and by every context it builds.
pub struct Ticketer {
    secrets: RwLock<Secrets>,
    clock: Clock,
}

struct Secrets {
    /// Number of rotations, by which derived keys notice them.
    version: u64,
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl Ticketer {
    /// Makes a ticketer from the supervisor's secrets: 64 hex characters each, the current one
    /// first, at most one previous one after it.
    ///
    /// # Errors
    /// If there is none, more than two, or one is not 32 bytes in hex.
    pub fn new(secrets: &[impl AsRef<str>]) -> Result<Arc<Self>, String> {
        Self::with_clock(secrets, Arc::new(unix_now))
    }

    /// Makes a ticketer with a given clock, in seconds since 1970, which also decides whether
    /// clients' certificates are valid.
    ///
    /// # Errors
    /// As [`Ticketer::new`].
    pub fn with_clock(
        secrets: &[impl AsRef<str>],
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Result<Arc<Self>, String> {
        let (current, previous) = match secrets {
            [current] => (parse(current.as_ref())?, None),
            [current, previous] => (parse(current.as_ref())?, Some(parse(previous.as_ref())?)),
            _ => return Err("one or two ticket secrets are needed".into()),
        };
        let secrets = Secrets { version: 0, current, previous };
        Ok(Arc::new(Self { secrets: RwLock::new(secrets), clock }))
    }

    /// Seals with a new secret from now on; the current one becomes the previous one, whose tickets
    /// are still accepted. The same secret again changes nothing.
    ///
    /// # Errors
    /// When it is not 32 bytes in hex.
    pub fn rotate(&self, secret: &str) -> Result<(), String> {
        let new = parse(secret)?;
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if secrets.current != new {
            secrets.version += 1;
            secrets.previous = Some(std::mem::replace(&mut secrets.current, new));
        }
        Ok(())
    }

    /// Returns what seals and opens tickets under one policy.
    pub(crate) fn for_policy(self: &Arc<Self>, policy: &Digest) -> Arc<dyn ProducesTickets> {
        Arc::new(PolicyTickets {
            ticketer: self.clone(),
            policy: *policy,
            keys: RwLock::new(Keys { made_at: None, sealing: None, opening: Vec::new() }),
        })
    }

    /// Returns the same clock in the form that rustls uses.
    pub(crate) fn time(self: &Arc<Self>) -> Arc<dyn TimeProvider> {
        Arc::new(Time(self.clone()))
    }

    fn derive(&self, policy: &Digest, period: u64) -> Keys {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let key = |secret: &[u8; 32], period| Key::derive(secret, policy, period);
        let before = period.saturating_sub(1);
        let mut opening = vec![key(&secrets.current, before)];
        if let Some(previous) = &secrets.previous {
            opening.extend([key(previous, period), key(previous, before)]);
        }
        Keys {
            made_at: Some((secrets.version, period)),
            sealing: key(&secrets.current, period),
            opening: opening.into_iter().flatten().collect(),
        }
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

#[derive(Debug)]
struct Time(Arc<Ticketer>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs((self.0.clock)())))
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn parse(secret: &str) -> Result<[u8; 32], String> {
    Digest::parse(secret)
        .map(|d| d.0)
        .ok_or_else(|| "a ticket secret is 32 bytes in hex (64 characters)".to_owned())
}

struct Key {
    id: [u8; ID],
    aead: LessSafeKey,
}

struct Okm;

impl KeyType for Okm {
    fn len(&self) -> usize {
        ID + 32
    }
}

impl Key {
    /// Derives a key; `None` only if the library fails, and no ticket is then issued.
    fn derive(secret: &[u8; 32], policy: &Digest, period: u64) -> Option<Self> {
        let prk: Prk = Salt::new(HKDF_SHA256, b"headgate session ticket 1").extract(secret);
        let info = [&policy.0[..], &period.to_be_bytes()];
        let mut okm = [0u8; ID + 32];
        prk.expand(&info, Okm).and_then(|o| o.fill(&mut okm)).ok()?;
        let (id, key) = okm.split_first_chunk::<ID>()?;
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).ok()?);
        Some(Self { id: *id, aead })
    }

    fn seal(&self, state: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(ID + NONCE_LEN + state.len() + TAG);
        ticket.extend_from_slice(&self.id);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(state);
        let body = ticket.get_mut(ID + NONCE_LEN..)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.aead.seal_in_place_separate_tag(nonce, Aad::from(self.id), body).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut state = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = self.aead.open_in_place(nonce, Aad::from(self.id), &mut state).ok()?.len();
        state.truncate(len);
        Some(state)
    }
}

struct Keys {
    /// The version of the secrets and the period for which these keys were derived.
    made_at: Option<(u64, u64)>,
    sealing: Option<Key>,
    opening: Vec<Key>,
}

struct PolicyTickets {
    ticketer: Arc<Ticketer>,
    policy: Digest,
    keys: RwLock<Keys>,
}

impl PolicyTickets {
    fn with_keys<T>(&self, act: impl FnOnce(&Keys) -> Option<T>) -> Option<T> {
        let period = (self.ticketer.clock)() / PERIOD_S;
        let version = self.ticketer.secrets.read().unwrap_or_else(PoisonError::into_inner).version;
        {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            if keys.made_at == Some((version, period)) {
                return act(&keys);
            }
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.made_at != Some((version, period)) {
            *keys = self.ticketer.derive(&self.policy, period);
        }
        act(&keys)
    }
}

impl fmt::Debug for PolicyTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyTickets({:?})", self.policy)
    }
}

impl ProducesTickets for PolicyTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.with_keys(|keys| keys.sealing.as_ref()?.seal(plain))
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        if cipher.len() > MAX_TICKET {
            return None;
        }
        let (id, rest) = cipher.split_first_chunk::<ID>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        self.with_keys(|keys| {
            let key = keys.sealing.iter().chain(&keys.opening).find(|k| k.id == *id)?;
            key.open(*nonce, sealed)
        })
    }
}
