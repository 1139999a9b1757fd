//! The data about a flow's client that endpoints get: a header in front of each datagram, since any
//! of them may be lost, and none may be the first.

use super::super::Worker;
use hg_relay::flows::FlowId;
use hg_relay::proxy_protocol::{Extras, Transport, write_v2};

impl Worker {
    /// Writes the header of a flow anew, once it has an endpoint; one that was told keeps its id.
    pub(super) fn tell_flow(&mut self, id: FlowId) {
        let Some(flow) = self.udp.flows.get(id) else {
            return;
        };
        let tells = flow.aim.as_ref().is_some_and(|(aim, _)| aim.tells);
        if !tells && flow.header.is_empty() {
            return;
        }
        let made = (tells && flow.told_id.is_empty()).then(|| self.random_id());
        let Some(flow) = self.udp.flows.get_mut(id) else {
            return;
        };
        if let Some(id) = made {
            flow.told_id = String::from_utf8_lossy(&id).into();
        }
        let mut out = Vec::new();
        if tells {
            let extras = Extras {
                authority: flow.sni.as_deref(),
                unique_id: Some(flow.told_id.as_bytes()),
                ..Extras::default()
            };
            let (source, destination) = (flow.source.client, flow.source.destination);
            write_v2(Transport::Datagram, source, destination, &extras, &mut out);
        }
        flow.header = out.into();
    }
}
