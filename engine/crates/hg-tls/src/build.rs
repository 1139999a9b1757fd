//! Builds a [`TlsContext`] from a plan: all of it, or what a change touches.

use crate::algorithms::Speaks;
use crate::certificate::{Certified, Problem};
use crate::client::ClientTls;
use crate::context::{Blobs, TableKey, TlsContext, error};
use crate::policy::{self, Policy};
use crate::selector::{Names, Selection, Selector};
use crate::ticket::Ticketer;
use hg_plan::{Digest, Host, Kind, Listener, ListenerProtocol, ListenerTls};
use hg_plan::{ObjectError, Plan, TlsPolicy, Upstream};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use std::collections::HashMap;
use std::sync::Arc;

/// The policy of listeners that name none.
const DEFAULT_POLICY: &str = "default";

type OfferKey = (Digest, Speaks, Box<[Arc<str>]>);

pub(crate) struct Build<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) blobs: &'a Blobs<'a>,
    ticketer: &'a Arc<Ticketer>,
    pub(crate) previous: Option<&'a TlsContext>,
    pub(crate) provider: CryptoProvider,
    pub(crate) next: TlsContext,
    /// Selections by policy and certificates: hosts that agree in both share a configuration.
    offers: HashMap<OfferKey, Selection>,
    errors: Vec<ObjectError>,
}

impl<'a> Build<'a> {
    pub fn new(
        plan: &'a Plan,
        blobs: &'a Blobs<'a>,
        ticketer: &'a Arc<Ticketer>,
        previous: Option<&'a TlsContext>,
    ) -> Self {
        Self {
            plan,
            blobs,
            ticketer,
            previous,
            provider: default_provider(),
            next: TlsContext::default(),
            offers: HashMap::new(),
            errors: Vec::new(),
        }
    }

    /// Returns what was built.
    ///
    /// # Errors
    /// Every problem met.
    pub fn finish(self) -> Result<TlsContext, Vec<ObjectError>> {
        if self.errors.is_empty() { Ok(self.next) } else { Err(self.errors) }
    }

    /// Compiles the whole plan.
    pub fn everything(&mut self) {
        let plan = self.plan;
        for (name, object) in plan.certificates() {
            self.certificate(name, object);
        }
        self.policies();
        for (name, listener) in plan.listeners() {
            if let Some(tls) = &listener.tls {
                self.listener(name, listener, tls);
            }
        }
        for (name, upstream) in plan.upstreams() {
            self.upstream(name, upstream);
        }
        self.outlets();
    }

    pub(crate) fn refuse(
        &mut self,
        kind: Kind,
        name: &Arc<str>,
        problems: impl IntoIterator<Item = Problem>,
    ) {
        for problem in problems {
            let error = error(kind, name, problem);
            // Every table checks a host, so the same error may come twice.
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    pub(crate) fn certificate(&mut self, name: &Arc<str>, object: &hg_plan::Certificate) {
        let before = self.previous.and_then(|p| p.certificates.get(name));
        let loaded = match before.filter(|c| c.object == *object) {
            Some(same) => Ok(same.clone()),
            None => Certified::load(name, object, self.blobs, &self.provider).map(Arc::new),
        };
        match loaded {
            Ok(certified) => self.next.certificates.insert(name.clone(), certified),
            Err(problems) => self.refuse(Kind::Certificate, name, problems),
        }
    }

    fn policies(&mut self) {
        let plan = self.plan;
        if plan.tls_policy(DEFAULT_POLICY).is_none() {
            self.policy(&DEFAULT_POLICY.into(), &TlsPolicy::default());
        }
        for (name, object) in plan.tls_policies() {
            self.policy(name, object);
        }
    }

    fn policy(&mut self, name: &Arc<str>, object: &TlsPolicy) {
        let digest = policy::digest(object);
        let known = self.next.policies.values();
        let before = self.previous.into_iter().flat_map(|p| p.policies.values());
        let compiled = match known.chain(before).find(|p| p.digest == digest) {
            Some(same) => Ok(same.clone()),
            None => Policy::compile(object, self.blobs, self.ticketer).map(Arc::new),
        };
        match compiled {
            Ok(policy) => {
                self.next.policies.insert(name.clone(), policy);
            }
            Err(problems) => self.refuse(Kind::TlsPolicy, name, problems),
        }
    }

    /// Returns the policy of that name; `Ok(None)` if it was refused, which is already reported.
    fn find_policy(&self, name: &str) -> Result<Option<Arc<Policy>>, String> {
        match self.next.policies.get(name) {
            Some(policy) => Ok(Some(policy.clone())),
            None if self.plan.tls_policy(name).is_some() => Ok(None),
            None => Err(format!("there is no TLS policy `{name}`")),
        }
    }

    fn listener(&mut self, name: &Arc<str>, listener: &Listener, tls: &ListenerTls) {
        let policy = match self.find_policy(tls.policy.as_deref().unwrap_or(DEFAULT_POLICY)) {
            Ok(Some(policy)) => policy,
            Ok(None) => return,
            Err(message) => {
                return self.refuse(Kind::Listener, name, [("tls.policy".into(), message)]);
            }
        };
        let default: Option<Arc<str>> = tls.default_certificate.as_deref().map(Arc::from);
        let speaks = match listener.protocol {
            ListenerProtocol::Http => Speaks::Http,
            _ => Speaks::Any,
        };
        if let Some(foreign) = policy.protocols.foreign().filter(|_| speaks == Speaks::Http) {
            let message = format!(
                "its `alpn` has `{foreign}`, which clients of an HTTP listener do not speak; name a \
                 policy whose `alpn` has h2 and http/1.1 alone"
            );
            return self.refuse(Kind::Listener, name, [("tls.policy".into(), message)]);
        }
        let offer = match self.offer(&policy, speaks, default.as_slice(), None) {
            Ok(offer) => offer,
            Err(messages) => {
                let problem = |m| ("tls.default_certificate".to_owned(), m);
                return self.refuse(Kind::Listener, name, messages.into_iter().map(problem));
            }
        };
        let table = TableKey { policy: policy.digest, default, speaks };
        let names = self.table(&table, &policy);
        let selector = Selector {
            names,
            table,
            policy,
            default: offer,
            unknown: tls.unknown_sni,
            strict_sni: tls.strict_sni,
        };
        self.next.listeners.insert(name.clone(), Arc::new(selector));
    }

    fn table(&mut self, key: &TableKey, policy: &Arc<Policy>) -> Arc<Names> {
        if let Some(known) = self.next.tables.get(key) {
            return known.clone();
        }
        let mut names = Names::default();
        for host in self.plan.hosts() {
            self.host(&mut names, policy, key, host);
        }
        let names = Arc::new(names);
        self.next.tables.insert(key.clone(), names.clone());
        names
    }

    /// Enters one host under the listener's policy and the other things of the table's key.
    pub(crate) fn host(
        &mut self,
        names: &mut Names,
        listeners: &Arc<Policy>,
        key: &TableKey,
        (name, host): (&Arc<str>, &Host),
    ) {
        let policy = match host.tls_policy.as_deref().map(|p| self.find_policy(p)) {
            None => listeners.clone(),
            Some(Ok(Some(own))) => own,
            Some(Ok(None)) => return,
            Some(Err(message)) => {
                return self.refuse(Kind::Host, name, [("tls_policy".into(), message)]);
            }
        };
        let own: Vec<Arc<str>> = if host.certificates.is_empty() {
            key.default.iter().cloned().collect()
        } else {
            host.certificates.iter().map(|c| c.as_str().into()).collect()
        };
        let before = self.previous.and_then(|p| p.tables.get(key)?.get(name)).cloned();
        match self.offer(&policy, key.speaks, &own, before) {
            Ok(Some(offer)) => names.insert(name, offer),
            // Another host's certificate would answer for its name, under that host's policy.
            Ok(None) if policy.asks_client_certificate() && host.tls_policy.is_some() => {
                let message = "its policy asks clients for certificates, and it has none of its \
                               own where a listener has no default certificate; give it one";
                self.refuse(Kind::Host, name, [("certificates".into(), message.into())]);
            }
            Ok(None) => {}
            Err(messages) => {
                let problem = |m| ("certificates".to_owned(), m);
                self.refuse(Kind::Host, name, messages.into_iter().map(problem));
            }
        }
    }

    /// Returns the selection of these certificates under a policy, `before` if that is still the
    /// same; `None` without any certificate.
    fn offer(
        &mut self,
        policy: &Arc<Policy>,
        speaks: Speaks,
        names: &[Arc<str>],
        before: Option<Selection>,
    ) -> Result<Option<Selection>, Vec<String>> {
        let mut missing = Vec::new();
        let mut certificates = Vec::with_capacity(names.len());
        for name in names {
            match self.next.certificates.get(name) {
                Some(certified) => certificates.push(certified.clone()),
                None if self.plan.certificate(name).is_some() => {}
                None => missing.push(format!("there is no certificate `{name}`")),
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let key =
            (policy.digest, speaks, certificates.iter().map(|c| c.info.name.clone()).collect());
        if let Some(known) = self.offers.get(&key) {
            return Ok(Some(known.clone()));
        }
        let offer = before
            .filter(|b| b.is_of(policy, &certificates))
            .or_else(|| Selection::new(policy, speaks, &certificates));
        if let Some(offer) = &offer {
            self.offers.insert(key, offer.clone());
        }
        Ok(offer)
    }

    pub(crate) fn upstream(&mut self, name: &Arc<str>, upstream: &Upstream) {
        let Some(tls) = &upstream.tls else {
            return self.next.upstreams.remove(name);
        };
        let certificate = match &tls.client_certificate {
            None => None,
            Some(wanted) => match self.next.certificates.get(wanted) {
                Some(found) => Some(found.clone()),
                None if self.plan.certificate(wanted).is_some() => return,
                None => {
                    let message = format!("there is no certificate `{wanted}`");
                    let problem = ("tls.client_certificate".to_owned(), message);
                    return self.refuse(Kind::Upstream, name, [problem]);
                }
            },
        };
        let before = self.previous.and_then(|p| p.upstreams.get(name));
        let client = match before.filter(|c| c.is_of(tls, certificate.as_deref())) {
            Some(same) => Ok(same.clone()),
            None => ClientTls::compile(tls, certificate.as_deref(), self.blobs).map(Arc::new),
        };
        match client {
            Ok(client) => self.next.upstreams.insert(name.clone(), client),
            Err((path, message)) => {
                self.refuse(Kind::Upstream, name, [(format!("tls.{path}"), message)]);
            }
        }
    }
}
