//! Orders of operators for single endpoints: `drain`, `maintenance` and `ready`, without a reload.

use crate::counters::lock;
use crate::engine::Engine;
use crate::report::EventLevel;
use hg_plan::Kind;
use hg_resilience::{Admin, Event};
use std::sync::Arc;

impl Engine {
    /// Reports why an endpoint cannot be given an order.
    ///
    /// # Errors
    /// If the plan that is served has no such upstream or endpoint.
    pub fn find_endpoint(&self, upstream: &str, address: &str) -> Result<(), String> {
        let serving = lock(&self.inner.serving).clone();
        let mut upstreams = serving.upstreams.iter().flatten();
        let Some(entry) = upstreams.find(|u| &*u.name == upstream) else {
            return Err(format!("there is no upstream `{upstream}`"));
        };
        if entry.endpoints.iter().any(|e| &*e.address == address) {
            return Ok(());
        }
        Err(format!("the upstream `{upstream}` has no endpoint `{address}`"))
    }

    /// Returns upstream and address of every endpoint that has an order other than `ready`.
    pub fn ordered(&self) -> Vec<(String, String)> {
        lock(&self.inner.builder).ordered()
    }

    /// Orders an endpoint to be ready, to drain or to be in maintenance, at once on all workers;
    /// all addresses of a name follow. The order stays with upstream and address, also while the
    /// plan does not have them.
    pub fn order(&self, upstream: &str, address: &str, order: Admin) {
        let mut builder = lock(&self.inner.builder);
        let (upstream, address): (Arc<str>, Arc<str>) = (upstream.into(), address.into());
        builder.order(&upstream, &address, order);
        let now_ms = self.inner.shared.clock.micros() / 1_000;
        let current = builder.current().clone();
        let mut upstreams = current.upstreams.iter().flatten();
        let Some(entry) = upstreams.find(|u| u.name == upstream) else { return };
        let mut changed = false;
        let those = entry.endpoints.iter().enumerate().filter(|(_, e)| e.address == address);
        for (at, e) in those {
            let (event, start) = (Event::Operator(order), entry.start_weight(at));
            changed |= e.health.shared.apply(event, now_ms, start).is_some();
        }
        if !changed {
            return;
        }
        entry.health.epoch.advance();
        let word = match order {
            Admin::Ready => "ready",
            Admin::Drain => "drain",
            Admin::Maintenance => "maintenance",
        };
        let message =
            format!("an operator set endpoint {address} of upstream {upstream} to {word}");
        let object = Some((Kind::Upstream, upstream.to_string()));
        self.inner.shared.object_event(EventLevel::Info, "endpoint.order", object, message);
    }
}
