//! Builds only what a change touches, on a copy of the previous context.

use crate::build::Build;
use crate::context::TlsContext;
use crate::selector::Selector;
use hg_plan::{Kind, ObjectKey};
use std::collections::HashSet;
use std::sync::Arc;

impl Build<'_> {
    /// Reports whether a change of this object can matter here.
    pub fn concerns_tls(&self, key: &ObjectKey) -> bool {
        match key.kind {
            Kind::Host | Kind::Certificate | Kind::TlsPolicy => true,
            Kind::Listener => self.concerns_all(key),
            Kind::Upstream => {
                let before = self.previous.is_some_and(|p| p.upstream(&key.name).is_some());
                before || self.plan.upstream(&key.name).is_some_and(|u| u.tls.is_some())
            }
            Kind::Settings => self.has_outlets(),
            Kind::Route | Kind::Middleware | Kind::TcpRoute | Kind::UdpRoute => false,
        }
    }

    /// Reports whether a change can matter to every host: one of a policy, of a listener with TLS
    /// before or after, or of some listener's default certificate.
    pub fn concerns_all(&self, key: &ObjectKey) -> bool {
        let before = |names: fn(&TlsContext, &str) -> bool| {
            self.previous.is_none_or(|p| names(p, &key.name))
        };
        match key.kind {
            Kind::TlsPolicy => true,
            Kind::Listener => {
                before(|p, name| p.listener(name).is_some())
                    || self.plan.listener(&key.name).is_some_and(|l| l.tls.is_some())
            }
            Kind::Certificate => {
                before(|p, name| p.tables.keys().any(|key| key.default.as_deref() == Some(name)))
            }
            _ => false,
        }
    }

    /// Compiles what these hosts, certificates and upstreams touch, on a copy of the previous
    /// context.
    pub fn only(&mut self, changed: &[ObjectKey]) {
        let plan = self.plan;
        self.next = self.previous.cloned().unwrap_or_default();
        let of = |kind| changed.iter().filter(move |k| k.kind == kind).map(|k| &k.name);
        for name in of(Kind::Certificate) {
            match plan.certificate(name) {
                Some(object) => self.certificate(name, object),
                None => self.next.certificates.remove(name),
            }
        }
        let certificates: HashSet<&str> = of(Kind::Certificate).map(|n| &**n).collect();
        let mut hosts: HashSet<&Arc<str>> = of(Kind::Host).collect();
        let mut upstreams: HashSet<&Arc<str>> = of(Kind::Upstream).collect();
        if !certificates.is_empty() {
            let touched =
                |names: &[String]| names.iter().any(|n| certificates.contains(n.as_str()));
            hosts.extend(plan.hosts().filter(|(_, h)| touched(&h.certificates)).map(|(n, _)| n));
            upstreams.extend(plan.upstreams().filter_map(|(n, u)| {
                let wanted = u.tls.as_ref()?.client_certificate.as_deref()?;
                certificates.contains(wanted).then_some(n)
            }));
        }
        self.hosts(&hosts);
        for name in upstreams {
            match plan.upstream(name) {
                Some(upstream) => self.upstream(name, upstream),
                None => self.next.upstreams.remove(name),
            }
        }
        if of(Kind::Settings).next().is_some() {
            self.outlets();
        }
    }

    /// Puts these hosts into every table again.
    fn hosts(&mut self, hosts: &HashSet<&Arc<str>>) {
        if hosts.is_empty() {
            return;
        }
        for (key, table) in std::mem::take(&mut self.next.tables) {
            let Some(policy) =
                self.next.policies.values().find(|p| p.digest == key.policy).cloned()
            else {
                continue;
            };
            let mut names = (*table).clone();
            for name in hosts {
                names.remove(name);
                if let Some(host) = self.plan.host(name) {
                    self.host(&mut names, &policy, &key, (name, host));
                }
            }
            self.next.tables.insert(key, Arc::new(names));
        }
        for selector in self.next.listeners.values_mut() {
            if let Some(names) = self.next.tables.get(&selector.table) {
                *selector = Arc::new(Selector { names: names.clone(), ..(**selector).clone() });
            }
        }
    }
}
