//! The remains of a worker that has left: nothing, or there is a leak. For the simulator.

use super::Worker;
use super::up::UpPhase;

impl Worker {
    /// Names what should be gone.
    #[allow(dead_code, reason = "the simulator, which compiles these sources too, calls it")]
    pub(crate) fn left_over(&self) -> Vec<String> {
        let busy = self.ups.iter().filter(|(_, up)| up.phase != UpPhase::Idle).count();
        let counts = [
            ("clients", self.clients.len()),
            ("listeners", self.listeners.len()),
            ("exchanges", self.exchanges.ids(|_| true).len()),
            ("connections to endpoints in use", busy),
            ("TCP sessions", self.tcp.sessions.len()),
            ("UDP flows", self.udp.len()),
            ("waiting upstreams", self.upstreams.waiting.len()),
            ("hedged exchanges", self.upstreams.hedged),
            ("bytes that peers have not taken", self.io.pool.kept),
            ("bytes of collected bodies", self.io.pool.collected),
            ("bytes of pending answers", self.io.pool.pending),
            ("bytes of pending uploads", self.io.pool.uploads),
        ];
        let left = counts.into_iter().filter(|(_, n)| *n > 0);
        left.map(|(what, n)| format!("{n} {what}")).collect()
    }
}
