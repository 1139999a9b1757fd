//! The offer of a listener for each server name, and which requests do not belong on a connection.

use crate::alert;
use crate::algorithms::Speaks;
use crate::certificate::{CertificateInfo, Certified};
use crate::context::TableKey;
use crate::policy::Policy;
use crate::session::ServerSession;
use crate::shards::Shards;
use hg_plan::{Digest, UnknownSni};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

/// A policy and the certificates that go with a name. Cheap to clone.
#[derive(Clone)]
pub struct Selection(Arc<Offer>);

struct Offer {
    config: Arc<ServerConfig>,
    policy: Arc<Policy>,
    /// Certificates in the order of preference; never empty.
    certificates: Box<[Arc<Certified>]>,
    first: Arc<str>,
}

impl Selection {
    /// Returns `None` without a certificate.
    pub(crate) fn new(
        policy: &Arc<Policy>,
        speaks: Speaks,
        certificates: &[Arc<Certified>],
    ) -> Option<Self> {
        let mut certificates = certificates.to_vec();
        certificates.sort_by_key(|c| c.cost());
        let first = certificates.first()?.info.name.clone();
        let keys = certificates.iter().map(|c| c.key.clone()).collect();
        Some(Self(Arc::new(Offer {
            config: policy.config(Arc::new(Resolver { keys }), speaks),
            policy: policy.clone(),
            certificates: certificates.into(),
            first,
        })))
    }

    /// Returns what rustls needs for a session.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.0.config
    }

    /// Returns the protocol that a session agrees on with a client that offers these; `None` without
    /// one.
    ///
    /// # Errors
    /// If both sides have protocols and none in common: the handshake fails (RFC 7301 §3.2).
    pub fn agree(&self, offered: &[Box<[u8]>]) -> Result<Option<&[u8]>, NoProtocol> {
        let ours = &self.0.config.alpn_protocols;
        if ours.is_empty() || offered.is_empty() {
            return Ok(None);
        }
        let agreed = ours.iter().find(|one| offered.iter().any(|theirs| **theirs == ***one));
        agreed.map(|one| Some(&one[..])).ok_or(NoProtocol)
    }

    /// Returns the digest of the policy's meaning.
    pub fn policy(&self) -> &Digest {
        &self.0.policy.digest
    }

    /// Returns the certificates on offer, in the order of preference.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateInfo> {
        self.0.certificates.iter().map(|c| &c.info)
    }

    pub(crate) fn compiled_policy(&self) -> &Policy {
        &self.0.policy
    }

    pub(crate) fn certificate(&self, index: u8) -> &Arc<str> {
        self.0.certificates.get(usize::from(index)).map_or(&self.0.first, |c| &c.info.name)
    }

    /// Reports whether it was made from exactly these.
    pub(crate) fn is_of(&self, policy: &Arc<Policy>, certificates: &[Arc<Certified>]) -> bool {
        Arc::ptr_eq(&self.0.policy, policy)
            && self.0.certificates.len() == certificates.len()
            && certificates
                .iter()
                .all(|new| self.0.certificates.iter().any(|old| Arc::ptr_eq(old, new)))
    }

    fn covers(&self, index: u8, host: &str) -> bool {
        self.0.certificates.get(usize::from(index)).is_some_and(|c| c.info.covers(host))
    }

    fn offers(&self, name: &str) -> bool {
        self.certificates().any(|c| *c.name == *name)
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.certificates().map(|c| &c.name).collect();
        f.debug_struct("Selection")
            .field("policy", self.policy())
            .field("certificates", &names)
            .finish()
    }
}

thread_local! {
    /// The certificate that the resolver chose last on this thread. rustls does not report it, but
    /// calls the resolver from within `receive`, which reads it right after.
    static PICKED: Cell<Option<u8>> = const { Cell::new(None) };
}

/// Returns the certificate chosen since the last call on this thread.
pub(crate) fn take_picked() -> Option<u8> {
    PICKED.take()
}

#[derive(Debug)]
struct Resolver {
    keys: Box<[Arc<CertifiedKey>]>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let i = self.keys.iter().position(|k| k.key.choose_scheme(schemes).is_some())?;
        PICKED.set(u8::try_from(i).ok());
        self.keys.get(i).cloned()
    }
}

/// A client offers protocols by ALPN of which its listener has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProtocol;

/// The reason why a client gets no session; each has its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client asked for a name that no host or certificate has.
    UnknownName,
    /// The client sent no name and there is no default certificate.
    NoName,
}

impl Refusal {
    /// Appends the fatal alert: `unrecognized_name` (RFC 6066 §3) or `missing_extension`
    /// (RFC 8446 §9.2).
    pub fn write_alert(self, out: &mut Vec<u8>) {
        alert::write_plain(
            out,
            match self {
                Refusal::UnknownName => alert::UNRECOGNIZED_NAME,
                Refusal::NoName => alert::MISSING_EXTENSION,
            },
        );
    }
}

/// Selections by host name: exact, then the longest wildcard, then any.
#[derive(Clone, Default)]
pub(crate) struct Names {
    exact: Shards<Selection>,
    /// Wildcards by what follows `*.`.
    wildcard: Shards<Selection>,
    has_wildcard: bool,
    any: Option<Selection>,
    /// True once the policy of a host asked for client certificates; removals do not reset it.
    may_ask: bool,
}

impl Names {
    pub fn insert(&mut self, host: &Arc<str>, selection: Selection) {
        self.may_ask |= selection.compiled_policy().asks_client_certificate();
        if **host == *ANY {
            self.any = Some(selection);
        } else if let Some(parent) = host.strip_prefix("*.") {
            self.wildcard.insert(parent.into(), selection);
            self.has_wildcard = true;
        } else {
            self.exact.insert(host.clone(), selection);
        }
    }

    pub fn remove(&mut self, host: &str) {
        if host == ANY {
            self.any = None;
        } else if let Some(parent) = host.strip_prefix("*.") {
            self.wildcard.remove(parent);
            self.has_wildcard = !self.wildcard.is_empty();
        } else {
            self.exact.remove(host);
        }
    }

    /// Returns what was entered under exactly this host.
    pub fn get(&self, host: &str) -> Option<&Selection> {
        if host == ANY {
            self.any.as_ref()
        } else if let Some(parent) = host.strip_prefix("*.") {
            self.wildcard.get(parent)
        } else {
            self.exact.get(host)
        }
    }

    /// Finds the selection for `host`, in lower case, without port or trailing dot.
    pub fn find(&self, host: &str) -> Option<&Selection> {
        if let Some(found) = self.exact.get(host) {
            return Some(found);
        }
        if self.has_wildcard {
            let mut rest = host;
            while let Some((label, parent)) = rest.split_once('.') {
                if let Some(found) = self.wildcard.get(parent).filter(|_| !label.is_empty()) {
                    return Some(found);
                }
                rest = parent;
            }
        }
        self.any.as_ref()
    }
}

/// The host that matches every name.
const ANY: &str = "*";

/// One listener's TLS: finds the selection for a server name.
#[derive(Clone)]
pub struct Selector {
    pub(crate) names: Arc<Names>,
    /// The key of `names` in the context.
    pub(crate) table: TableKey,
    pub(crate) policy: Arc<Policy>,
    pub(crate) default: Option<Selection>,
    pub(crate) unknown: UnknownSni,
    pub(crate) strict_sni: bool,
}

impl Selector {
    /// Returns the selection for a client that asked for `sni` (as [`crate::peek_client_hello`]
    /// returns it).
    ///
    /// A name is known if a host of that name has a certificate, or the default certificate covers
    /// it.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn select(&self, sni: Option<&str>) -> Result<Selection, Refusal> {
        let Some(host) = sni else {
            return self.default.clone().ok_or(Refusal::NoName);
        };
        if let Some(found) = self.find(host) {
            return Ok(found.clone());
        }
        match self.unknown {
            UnknownSni::Reject => Err(Refusal::UnknownName),
            UnknownSni::Default => self.default.clone().ok_or(Refusal::UnknownName),
        }
    }

    fn find(&self, host: &str) -> Option<&Selection> {
        self.names
            .find(host)
            .or_else(|| self.default.as_ref().filter(|d| d.certificates().any(|c| c.covers(host))))
    }

    /// Reports whether a request for `host` (lower case, no port) must be answered 421 (RFC 9110
    /// §15.5.20) on this session.
    ///
    /// Only if the client sent SNI, `host` is another name, and a new connection for `host` would
    /// get a policy other than this one's or none of the certificate it has; with `strict_sni` also
    /// if that certificate does not cover `host`. A client never reaches a host whose policy asks
    /// for client certificates by leaving SNI out, or on a connection that is older than the policy.
    /// No allocation; one comparison if the names are equal and nobody is asked for a certificate.
    pub fn needs_421(&self, session: &ServerSession, host: &str) -> bool {
        self.is_elsewhere(session.sni(), session.selection(), session.picked(), host)
    }

    /// Reports whether a request for `host` by a client that asks for `sni`, and accepts the
    /// certificate we prefer, will be answered 421: what [`Selector::needs_421`] will report for
    /// its session.
    ///
    /// # Errors
    /// The refusal that such a client gets instead of a session.
    pub fn foresee_421(&self, sni: Option<&str>, host: &str) -> Result<bool, Refusal> {
        let selection = self.select(sni)?;
        Ok(self.is_elsewhere(sni, &selection, 0, host))
    }

    fn is_elsewhere(
        &self,
        sni: Option<&str>,
        selection: &Selection,
        picked: u8,
        host: &str,
    ) -> bool {
        let other_policy = |s: &Selection| s.policy() != selection.policy();
        match sni {
            Some(sni) if sni == host => {
                let may_ask = self.names.may_ask || self.policy.asks_client_certificate();
                may_ask && self.asks_more(selection, self.find(host))
            }
            Some(_) => {
                if self.strict_sni && !selection.covers(picked, host) {
                    return true;
                }
                match self.find(host) {
                    Some(s) => other_policy(s) || !s.offers(selection.certificate(picked)),
                    None => self.policy.digest != *selection.policy(),
                }
            }
            None => match self.find(host) {
                Some(s) => s.compiled_policy().asks_client_certificate() && other_policy(s),
                None => self.asks_more(selection, None),
            },
        }
    }

    /// Reports whether a host, or the listener, asks more of clients than a connection had to answer.
    fn asks_more(&self, then: &Selection, host: Option<&Selection>) -> bool {
        let now = host.map_or(&*self.policy, Selection::compiled_policy);
        now.tightens(then.compiled_policy())
    }
}
