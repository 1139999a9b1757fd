//! Sessions that end with a TLS alert of ours: the client must be able to read it. Bytes that nobody
//! has read would turn the close into a reset, which may overtake the alert, so that what the client
//! still sends is discarded for a while, as for HTTP (RFC 9112 §9.6).

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::conn::Read;
use super::super::finish::{LINGER_BYTES, LINGER_MS};
use super::session::{Phase, SessionId};
use crate::counters::Close;

/// Bytes discarded at once.
const DISCARD_READ: usize = 16 * 1024;

impl Worker {
    /// Ends a session whose client was told by an alert: it is counted and logged now, and closed once
    /// its client has ended, or has had its time.
    pub(super) fn linger_session(&mut self, id: SessionId, why: Close) {
        self.settle_session(id, why);
        let until = deadline_after(self.now_us, LINGER_MS);
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let told = Phase::Told { until, left: LINGER_BYTES as usize };
        if let Phase::Relaying(mut up) = std::mem::replace(&mut s.phase, told) {
            up.out.release(&mut self.io.pool);
            hg_net::close_with_reset(up.fd);
        }
        s.early = None;
        // What comes from now on has no meaning.
        s.client.tls = None;
        s.client.readable = true;
        self.arm_session(id);
        self.hear_out(id);
    }

    /// Discards what a client has sent after it was told, and ends the session at its end.
    pub(super) fn hear_out(&mut self, id: SessionId) {
        if let Some(s) = self.tcp.get(id).filter(|s| s.client.out.is_empty()) {
            hg_net::shutdown_write(&s.client.fd);
        }
        while let Some(s) = self.tcp.get_mut(id).filter(|s| s.client.readable) {
            let Phase::Told { left, .. } = &mut s.phase else {
                return;
            };
            let mut buffer = self.io.take_for(&s.client);
            let read = s.client.read(&mut self.io, &mut buffer, DISCARD_READ);
            self.io.give_back(false, buffer);
            let is_over = match read {
                Ok(Read::Data(range)) => {
                    *left = left.saturating_sub(range.len());
                    *left == 0
                }
                Ok(Read::Blocked) => false,
                Ok(Read::End) | Err(_) => true,
            };
            if is_over {
                // It was counted before, so that the reason is not told again.
                return self.close_session(id, Close::ClientEnd);
            }
        }
    }
}
