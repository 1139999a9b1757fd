//! Everything that a plan says about TLS, compiled outside the workers: immutable, and shared with
//! the previous context as far as nothing changed.

use crate::algorithms::Speaks;
use crate::build::Build;
use crate::certificate::{CertificateInfo, Certified, Problem};
use crate::client::ClientTls;
use crate::policy::Policy;
use crate::selector::{Names, Selector};
use crate::shards::Shards;
use crate::ticket::Ticketer;
use hg_plan::{Digest, Kind, ObjectError, ObjectKey, Plan};
use std::collections::HashMap;
use std::sync::Arc;

/// The content of a blob by its sha256 in hex.
pub type Blobs<'a> = dyn Fn(&str) -> Option<Arc<[u8]>> + 'a;

/// The TLS side of a snapshot.
#[derive(Clone, Default)]
pub struct TlsContext {
    pub(crate) certificates: Shards<Arc<Certified>>,
    pub(crate) upstreams: Shards<Arc<ClientTls>>,
    /// Policies by name; policies of equal content are the same.
    pub(crate) policies: HashMap<Arc<str>, Arc<Policy>>,
    pub(crate) listeners: HashMap<Arc<str>, Arc<Selector>>,
    pub(crate) tables: HashMap<TableKey, Arc<Names>>,
    /// Towards servers that the node itself sends to, by their path in the settings.
    pub(crate) outlets: HashMap<&'static str, Outlet>,
}

/// TLS towards a server that the node itself sends to, and the certificate that it may ask for.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) tls: Arc<ClientTls>,
    pub(crate) certificate: Option<Arc<Certified>>,
}

/// The basis of the selections of hosts besides the hosts: the listener's policy, its default
/// certificate, and what its clients speak. Listeners that agree in these share a table.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct TableKey {
    pub(crate) policy: Digest,
    pub(crate) default: Option<Arc<str>>,
    pub(crate) speaks: Speaks,
}

impl TlsContext {
    /// Compiles what `plan` says about TLS. Reuses certificates, policies and configurations that
    /// are as they were in `previous` (of the same process, with the same ticketer). Costs about 30
    /// µs for each new certificate and 2 µs for each host.
    ///
    /// # Errors
    /// Every problem of every object.
    pub fn build(
        plan: &Plan,
        blobs: &Blobs<'_>,
        ticketer: &Arc<Ticketer>,
        previous: Option<&TlsContext>,
    ) -> Result<TlsContext, Vec<ObjectError>> {
        let mut build = Build::new(plan, blobs, ticketer, previous);
        build.everything();
        build.finish()
    }

    /// Compiles a plan in which only `changed` (put or deleted) differs from the plan of this
    /// context. Returns this very context if none of it concerns TLS. A renewed certificate costs
    /// its own loading and one check of every host; a changed policy or TLS listener costs a build.
    ///
    /// # Errors
    /// Every problem found in what changed and what depends on it.
    pub fn update(
        self: &Arc<Self>,
        plan: &Plan,
        blobs: &Blobs<'_>,
        ticketer: &Arc<Ticketer>,
        changed: &[ObjectKey],
    ) -> Result<Arc<TlsContext>, Vec<ObjectError>> {
        let mut build = Build::new(plan, blobs, ticketer, Some(&**self));
        if !changed.iter().any(|key| build.concerns_tls(key)) {
            return Ok(self.clone());
        }
        if changed.iter().any(|key| build.concerns_all(key)) {
            build.everything();
        } else {
            build.only(changed);
        }
        build.finish().map(Arc::new)
    }

    /// Returns the TLS of a listener; `None` if it is plain or unknown. Resolve it once per
    /// snapshot.
    pub fn listener(&self, name: &str) -> Option<&Arc<Selector>> {
        self.listeners.get(name)
    }

    /// Returns the TLS towards an upstream; `None` if it is plain or unknown.
    pub fn upstream(&self, name: &str) -> Option<&Arc<ClientTls>> {
        self.upstreams.get(name)
    }

    /// Returns the TLS towards a server that the node itself sends to, by its path in the settings;
    /// `None` if it is plain or unknown.
    pub fn outlet(&self, path: &str) -> Option<&Arc<ClientTls>> {
        self.outlets.get(path).map(|outlet| &outlet.tls)
    }

    /// Returns every certificate of the plan's own objects, in no order.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateInfo> {
        self.certificates.values().map(|c| &c.info)
    }

    /// Returns problems that do not prevent serving: certificates outside their validity period.
    /// `now_unix_s` is seconds since 1970.
    pub fn warnings(&self, now_unix_s: i64) -> Vec<ObjectError> {
        let own = self.outlets.iter().filter_map(|(path, outlet)| {
            let message = validity(&outlet.certificate.as_ref()?.info, now_unix_s)?;
            Some(error(Kind::Settings, &"node".into(), (format!("{path}.tls.cert"), message)))
        });
        let mut warnings: Vec<_> = self
            .certificates
            .values()
            .filter_map(|c| {
                let message = validity(&c.info, now_unix_s)?;
                Some(error(Kind::Certificate, &c.info.name, ("cert".into(), message)))
            })
            .chain(own)
            .collect();
        warnings.sort_by(|a, b| a.name.cmp(&b.name));
        warnings
    }
}

/// Returns why a certificate is not valid now.
fn validity(certificate: &CertificateInfo, now_unix_s: i64) -> Option<String> {
    if certificate.not_after_unix_s < now_unix_s {
        Some(format!("expired {} ago", age(now_unix_s - certificate.not_after_unix_s)))
    } else if certificate.not_before_unix_s > now_unix_s {
        Some(format!("not valid for another {}", age(certificate.not_before_unix_s - now_unix_s)))
    } else {
        None
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        0..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub(crate) fn error(kind: Kind, name: &Arc<str>, (path, message): Problem) -> ObjectError {
    ObjectError { kind, name: name.clone(), path, message }
}
