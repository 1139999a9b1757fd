//! The end of a flow: the counts, and the line in the access log.

use super::super::Worker;
use super::Flow;
use crate::counters::Ended;
use hg_log::{Datagrams, FlowRecord};
use hg_relay::flows::FlowId;
use hg_resilience::Outcome;

impl Worker {
    /// Ends a flow. Its client is not told: UDP knows no end.
    pub(super) fn end_flow(&mut self, id: FlowId, why: Ended) {
        let Some(mut flow) = self.forget_flow(id) else {
            return;
        };
        if let Some((aim, _)) = flow.aim.take() {
            // Whether the endpoint should have answered is not known.
            self.leave_aim(aim, Outcome::Cancelled);
        }
        self.counters.udp.end(why);
        if self.records.log.is_on() {
            self.log_flow(&flow, why);
        }
    }

    /// Takes a flow out of the table and of the counts of those that are open.
    pub(super) fn forget_flow(&mut self, id: FlowId) -> Option<Flow> {
        let (_, flow) = self.udp.flows.remove(id)?;
        self.counters.udp.flows.closed();
        self.shared.flows.ended();
        flow.source.counters.connections.sub(1);
        Some(flow)
    }

    fn log_flow(&mut self, flow: &Flow, why: Ended) {
        let total_us = self.now_us.saturating_sub(flow.began_us);
        let traffic = &flow.traffic;
        self.records.log.write_flow(&FlowRecord {
            time_us: hg_net::unix_micros().saturating_sub(total_us),
            client: flow.source.client,
            listener: &flow.source.listener_name,
            route: &flow.route.name,
            upstream: &flow.route.then.upstream_name,
            endpoint: &flow.endpoint,
            received: Datagrams { count: traffic.datagrams_in, bytes: traffic.bytes_in },
            sent: Datagrams { count: traffic.datagrams_out, bytes: traffic.bytes_out },
            total_us,
            reason: why.word(),
            sni: flow.sni.as_deref(),
            id: &flow.told_id,
        });
    }

    /// Ends all flows of a kind.
    pub(super) fn end_flows(&mut self, why: Ended, which: impl Fn(&Flow) -> bool) {
        let flows = &self.udp.flows;
        let all: Vec<FlowId> =
            flows.ids().filter(|id| flows.get(*id).is_some_and(&which)).collect();
        for id in all {
            self.end_flow(id, why);
        }
    }
}
