//! Bodies that pass only so quickly (`bandwidth`): how much of one may pass now, and how it goes on
//! once more may. Meanwhile nothing of it is read: what is on its way stays with its sender, behind
//! the windows of sockets and streams.

use super::Worker;
use super::accept::deadline_after;
use super::exchange::{ExId, Exchange, Relay, Stage};
use hg_middleware::Pace;
use hg_net::{Clock, Ticks};

impl Relay {
    /// Returns how many bytes may pass now; 0 = none before the time that its pace says.
    #[inline]
    pub(super) fn allowed(&mut self, now_us: u64) -> usize {
        let came = self.came();
        match &mut self.pace {
            None => usize::MAX,
            Some(pace) => as_size(pace.allow(came, now_us)),
        }
    }

    /// Returns how many bytes of an answer may be read with its head.
    #[inline]
    pub(super) fn first_read(&self) -> usize {
        self.pace.as_ref().map_or(usize::MAX, |pace| as_size(pace.first_read()))
    }

    /// Takes the pace away, for a relay whose count of bytes begins anew.
    pub(super) fn carried_pace(&mut self) -> Option<Box<Pace>> {
        let mut pace = self.pace.take();
        if let Some(pace) = &mut pace {
            pace.restart(self.bytes);
        }
        pace
    }

    fn end_pace(&mut self, now_us: u64) {
        if let Some(mut pace) = self.pace.take() {
            pace.end(self.bytes, now_us);
        }
    }
}

fn as_size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Exchange {
    /// Accounts for what has passed of an exchange that has ended.
    pub(super) fn end_paces(&mut self, now_us: u64) {
        self.request.end_pace(now_us);
        self.response.end_pace(now_us);
    }

    /// Returns when a body may go on that may not pass now.
    fn resumes_at(&self) -> Ticks {
        let until = |relay: &Relay| relay.pace.as_ref().map_or(0, |pace| pace.until_us());
        let (up, down) = (until(&self.request), until(&self.response));
        Clock::after(up.max(down), 0)
    }
}

impl Worker {
    /// Sets the time at which a request's body goes on that may not pass now.
    #[cold]
    pub(super) fn hold_back_upload(&mut self, x: ExId) {
        // The client is not slow: we do not read.
        self.hold_body(x, true);
        self.hold_back(x);
    }

    /// Sets the time at which a body goes on that may not pass now.
    #[cold]
    pub(super) fn hold_back(&mut self, x: ExId) {
        let now = self.now;
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let at = e.resumes_at();
        if e.due.resume == Ticks::MAX {
            // What we hold back ourselves takes nothing of the time that others have.
            let more = at.saturating_sub(now);
            e.due.request = e.due.request.saturating_add(more);
            e.due.one_try = e.due.one_try.saturating_add(more);
        }
        e.due.resume = e.due.resume.min(at);
        self.rearm(x);
    }

    /// Goes on with bodies that may pass again. Reports whether the deadline was theirs alone.
    pub(super) fn face_resume(&mut self, x: ExId) -> bool {
        let (now, now_us) = (self.now, self.now_us);
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.due.resume < Ticks::MAX) else {
            return false;
        };
        if e.due.resume > now {
            if e.due.idle <= now {
                // Nobody is silent as long as we do not listen.
                let idle_ms = e.route().map_or(0, |r| r.terms.timeouts.stream_idle_ms);
                let wait = deadline_after(now_us, idle_ms).saturating_sub(now);
                e.due.idle = e.due.resume.saturating_add(wait);
            }
            let is_tunnel = e.stage == Stage::Tunnel;
            if is_tunnel {
                self.rearm(x);
            }
            return is_tunnel;
        }
        e.due.resume = Ticks::MAX;
        let is_collected = e.stage == Stage::Collecting;
        self.progress(x);
        if is_collected {
            self.hold_body(x, false);
        }
        self.proceed_exchange(x);
        true
    }
}

#[cfg(test)]
mod tests;
