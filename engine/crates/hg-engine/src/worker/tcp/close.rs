//! The end of a session: what both sides see, the counts, and the line in the access log.

use super::super::Worker;
use super::session::{Origin, Phase, Session, SessionId};
use crate::counters::Close;
use hg_log::{ConnectionRecord, ReachedRecord, SecuredRecord};
use hg_net::Fd;
use hg_resilience::Outcome;

impl Worker {
    /// Ends a session. Unless both sides have ended their halves, they see a reset: an end of
    /// stream would look as if everything had come. A TLS alert says more than a reset.
    pub(in super::super) fn close_session(&mut self, id: SessionId, why: Close) {
        self.settle_session(id, why);
        if self.tcp.get_mut(id).is_none() {
            return;
        }
        let mut s = self.tcp.sessions.remove(id.index);
        self.counters.tcp.sessions.closed();
        self.counters.connections.sub(1);
        s.origin.counters.connections.sub(1);
        self.shared.leave(&s.origin.seat.open, s.origin.peer.ip(), s.origin.seat.counted);
        s.client.out.release(&mut self.io.pool);
        match &mut s.phase {
            Phase::Relaying(up) => up.out.release(&mut self.io.pool),
            Phase::Dialing(dial) => dial.forget_attempts(&mut self.io.pool),
            _ => {}
        }
        if !why.is_whole() && !matches!(s.phase, Phase::Told { .. }) {
            hg_net::close_with_reset(s.client.fd);
            if let Phase::Relaying(up) = s.phase {
                hg_net::close_with_reset(up.fd);
            }
        }
        if self.accept_paused {
            self.resume_accepting();
        }
    }

    /// Counts and logs the end of a session, and gives back what it holds of its upstream; once.
    pub(super) fn settle_session(&mut self, id: SessionId, why: Close) {
        if self.tcp.get(id).is_none_or(|s| matches!(s.phase, Phase::Told { .. })) {
            return;
        }
        self.leave_queue(id);
        self.leave_target(id, Outcome::Cancelled);
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        s.halves.end_paces(self.now_us);
        self.counters.tcp.close(why);
        if self.records.log.is_on() {
            let total_us = self.now_us.saturating_sub(s.times.began_us);
            self.records.log.write_connection(&record(s, why, total_us));
        }
    }

    /// Closes a connection that no route takes.
    pub(super) fn refuse_session(&mut self, fd: Fd, origin: &Origin, why: Close) {
        self.counters.tcp.close(why);
        self.shared.leave(&origin.seat.open, origin.peer.ip(), origin.seat.counted);
        if self.records.log.is_on() {
            self.records.log.write_connection(&ConnectionRecord {
                time_us: hg_net::unix_micros(),
                client: origin.peer,
                listener: &origin.listener_name,
                route: "",
                tls: SecuredRecord::default(),
                to: ReachedRecord::default(),
                bytes_in: 0,
                bytes_out: 0,
                total_us: 0,
                reason: why.word(),
            });
        }
        hg_net::close_with_reset(fd);
    }
}

/// Returns the line of a session that has ended.
fn record(s: &Session, why: Close, total_us: u64) -> ConnectionRecord<'_> {
    let (bytes_in, bytes_out) = s.halves.bytes();
    ConnectionRecord {
        time_us: hg_net::unix_micros().saturating_sub(total_us),
        client: s.origin.peer,
        listener: &s.origin.listener_name,
        route: s.route.as_ref().map_or("", |route| &route.name),
        tls: SecuredRecord {
            version: s.client.tls_version().filter(|_| s.client.is_established()),
            sni: s.early.as_ref().and_then(|early| early.sni.as_deref()),
            alpn: s.client.alpn(),
            client: s.client.certificate_record(),
        },
        to: ReachedRecord {
            // By its name: the upstream may have left the plan meanwhile.
            upstream: s.target.upstream_name.as_deref().unwrap_or_default(),
            endpoint: s.target.endpoint.as_ref().map_or("", |e| &e.address),
            connect_us: Worker::connect_us(s),
            id: s.told_id.as_deref().unwrap_or(""),
        },
        bytes_in,
        bytes_out,
        total_us,
        reason: why.word(),
    }
}
