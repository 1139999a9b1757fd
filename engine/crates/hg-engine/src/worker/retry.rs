//! Tries after the first: a request whose try failed goes out again, if its route wants that, the
//! client still waits, nothing of an answer went out, and the upstream's budget allows it.

use super::Worker;
use super::accept::deadline_after;
use super::answer::own;
use super::calls;
use super::claim::Claim;
use super::exchange::{ExId, Exchange, Relay, Stage, pair};
use super::hedge::Side;
use super::upstreams::{EndpointState, GONE, NoPick, UpstreamState, Upstreams};
use crate::counters::{Denied, Retry};
use crate::shared::Shared;
use crate::snapshot::RetryTerms;
use hg_net::{Clock, Ticks};
use hg_policy::{Random, Tried, WyRand};
use hg_proto::{BodyReader, Known, Reject, RespFraming, ResponseHead};
use hg_resilience::{Attempt, Budget, Decision, Outcome, Status, Stop};
use std::rc::Rc;

/// Most bytes of a request's body that are kept to be sent again.
pub(super) const REPLAY_BYTES: u64 = 64 * 1024;

/// The wait of an endpoint that wants no further try.
pub(super) const NEVER_MS: u64 = u64::MAX;

/// The tries of one request.
#[derive(Default)]
pub(crate) struct Tries {
    /// True if it was sent once more because its idle connection had ended.
    pub(crate) stale: bool,
    /// Connections on which it was sent.
    pub(crate) sent: u32,
    /// Tries after the first.
    pub(super) repeats: u32,
    /// The other try that is under way, if there are two.
    pub(super) side: Option<Box<Side>>,
    /// True if the one at hand is the one that began later.
    pub(super) is_hedge: bool,
    /// True if the next one may go to an endpoint that was tried, if no other is usable.
    may_return: bool,
}

/// The retry budgets of a worker's upstreams, by slot; the id shows whose budget it is.
#[derive(Default)]
pub(crate) struct Budgets(Vec<(u64, Budget)>);

impl Budgets {
    /// Returns the budget of an upstream; a new one if another upstream had the slot.
    pub(crate) fn of(&mut self, slot: usize, id: u64) -> Option<&mut Budget> {
        if self.0.len() <= slot {
            self.0.resize_with(slot.checked_add(1)?, Default::default);
        }
        let (owner, budget) = self.0.get_mut(slot)?;
        if *owner != id {
            (*owner, *budget) = (id, Budget::default());
        }
        Some(budget)
    }
}

/// The end of a try that may be followed by another.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) status: Option<Status>,
    pub(super) retry_after_ms: Option<u64>,
}

/// Returns how a try ended that this refusal would be the answer to; nothing if it was none, or if
/// its end is not the endpoint's doing.
fn ended(e: &Exchange, reject: &Reject) -> Option<Outcome> {
    let code = reject.code;
    let is = |all: &[Reject]| all.iter().any(|one| one.code == code);
    let in_time = [own::TRY_TIMEOUT, own::FIRST_BYTE_TIMEOUT, own::STREAM_IDLE];
    let connecting = [own::CONNECT_REFUSED, own::CONNECT_TIMEOUT];
    let tls = [own::TLS_FAILED, own::TLS_CERTIFICATE, own::NO_HTTP2];
    match e.stage {
        Stage::Connecting if is(&connecting) || is(&tls) || is(&in_time) => Some(Outcome::Connect),
        // A client that has not sent everything may be what took so long.
        Stage::Waiting if is(&in_time) => e.request.done.then_some(Outcome::Timeout),
        Stage::Waiting if is(&[own::LOST]) => Some(Outcome::Reset),
        Stage::Waiting if is(&[own::REFUSED]) => Some(Outcome::Refused),
        Stage::Waiting | Stage::Answering if reject.status == 502 => Some(Outcome::Protocol),
        _ => None,
    }
}

fn reason(ended: &Ended) -> Retry {
    match ended.outcome {
        _ if ended.status.is_some() => Retry::Status,
        Outcome::Connect => Retry::ConnectFailure,
        Outcome::Timeout => Retry::Timeout,
        Outcome::Refused => Retry::RefusedStream,
        _ => Retry::Reset,
    }
}

impl Exchange {
    /// Returns when its route tries a request again.
    pub(super) fn retry(&self) -> Option<&RetryTerms> {
        self.route()?.terms.retry.as_deref()
    }

    /// Counts that it is sent; the first time it adds to the budget of its upstream.
    pub(super) fn count_sending(&mut self, upstreams: &mut Upstreams, now_us: u64) {
        self.tries.sent = self.tries.sent.saturating_add(1);
        if self.tries.sent == 1
            && self.retry().is_some()
            && let Some(budget) = upstreams.budget(self.upstream, self.upstream_id)
        {
            budget.deposit(now_us / 1_000);
        }
    }

    /// Picks an endpoint: one that was not tried for this request, else, after a try that failed,
    /// another than the last one, else any.
    pub(super) fn pick(
        &mut self,
        u: &mut UpstreamState,
        (now_us, rng): (u64, &mut WyRand),
        shared: &Shared,
    ) -> Result<(Rc<EndpointState>, Claim), NoPick> {
        let picked = u.pick(&self.tried, self.wanted, (now_us, rng), shared);
        if !self.tries.may_return || picked.is_ok() {
            return picked;
        }
        self.tries.may_return = false;
        self.tried = Tried::new();
        if self.mark_tried() {
            let picked = u.pick(&self.tried, self.wanted, (now_us, rng), shared);
            if picked.is_ok() {
                return picked;
            }
            self.tried = Tried::new();
        }
        u.pick(&self.tried, self.wanted, (now_us, rng), shared)
    }

    /// Notes that the endpoint of the last try was tried; reports whether there was room for it.
    pub(super) fn mark_tried(&mut self) -> bool {
        let slot = self.endpoint.as_ref().map(|p| p.slot.get());
        // One that left the upstream needs no mark.
        slot.is_none_or(|slot| slot == GONE || self.tried.insert(slot))
    }

    /// Reports whether what comes of its body is kept to be sent again.
    pub(super) fn keeps_body(&self) -> bool {
        let fits = match self.request.reader {
            BodyReader::Length { left } if self.request.decoded.is_none() => {
                self.request.bytes.saturating_add(left) <= REPLAY_BYTES
            }
            _ => self.request.bytes <= REPLAY_BYTES,
        };
        self.replayable && fits && self.retry().is_some()
    }

    /// Takes in a part of the body that goes out: it is kept, or the request can no longer be sent
    /// again.
    pub(super) fn keep_for_retry(&mut self, part: &[u8]) {
        self.replayable = self.keeps_body();
        if self.replayable {
            self.head.extend_from_slice(part);
        }
    }

    /// Returns the time that is left for it. Without a limit of its own, a wait in which nothing
    /// moves is limited all the same.
    fn left_ms(&self, now: Ticks) -> u64 {
        let until = self.due.request.saturating_sub(now).saturating_mul(Clock::TICK_MS);
        let idle_ms = self.route().map_or(0, |r| r.terms.timeouts.stream_idle_ms);
        if idle_ms == 0 { until } else { until.min(idle_ms) }
    }
}

impl Worker {
    /// Begins another try instead of a refusal, if the route wants that. Reports whether it did.
    pub(super) fn tries_again(&mut self, x: ExId, reject: &Reject) -> bool {
        let Some(e) = self.exchanges.get(x) else {
            return false;
        };
        let Some(outcome) = e.retry().and_then(|_| ended(e, reject)) else {
            return false;
        };
        if self.lose(x, outcome, reject.detail) {
            self.rearm(x);
            return true;
        }
        let ended = Ended { outcome, status: None, retry_after_ms: None };
        let Some(after_ms) = self.retries(x, &ended) else {
            return false;
        };
        self.detach(x, Some(outcome), reject.detail);
        self.back_off(x, after_ms);
        true
    }

    /// Discards an answer whose status the route wants to try again. Reports whether it did.
    pub(super) fn discards(&mut self, x: ExId, head: &ResponseHead<'_, '_>, bytes: &[u8]) -> bool {
        let Some(e) = self.exchanges.get(x).filter(|e| e.retry().is_some()) else {
            return false;
        };
        let mut ended = calls::ended_by(e, head);
        let asked = head.fields.get(Known::RetryAfter);
        let now_s = || hg_net::unix_micros() / 1_000_000;
        let asked_s = asked.and_then(|value| hg_proto::retry_after(value, now_s()));
        let asked_ms = asked_s.map(|s| s.saturating_mul(1_000));
        ended.retry_after_ms = ended.retry_after_ms.or(asked_ms);
        if self.loses_to_other(x, &ended) {
            return true;
        }
        let Some(after_ms) = self.retries(x, &ended) else {
            return false;
        };
        if let Some(e) = self.exchanges.get_mut(x) {
            e.note_discarded(head.status);
        }
        self.let_go(x, head, bytes);
        self.leave_endpoint(x, self.now_us, ended.outcome);
        self.back_off(x, after_ms);
        true
    }

    /// Gives up a try whose answer the route does not want while another is under way. Reports
    /// whether it did.
    fn loses_to_other(&mut self, x: ExId, ended: &Ended) -> bool {
        let wanted = |e: &Exchange| {
            let terms = e.retry();
            terms.is_none_or(|terms| !terms.policy.on.covers(ended.outcome, ended.status))
        };
        if self.exchanges.get(x).is_none_or(wanted) || !self.lose(x, ended.outcome, "") {
            return false;
        }
        self.rearm(x);
        true
    }

    /// Counts that a request is sent once more. Copies of requests count by what came of them alone.
    pub(super) fn count_retry(&mut self, x: ExId, why: Retry) {
        let Some(e) = self.exchanges.get(x).filter(|e| !e.is_mirrored()) else {
            return;
        };
        self.counters.retry(why);
        if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) {
            u.counters.retries.add(1);
        }
    }

    /// Decides about another try and takes it out of the budget; returns how long to wait before.
    pub(super) fn retries(&mut self, x: ExId, ended: &Ended) -> Option<u64> {
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let terms = e.retry().filter(|_| ended.retry_after_ms != Some(NEVER_MS))?;
        let attempt = Attempt {
            outcome: ended.outcome,
            status: ended.status,
            tries: e.tries.repeats.saturating_add(1),
            repeatable: terms.repeats(&e.method),
            replayable: e.replayable,
            answered: e.answered,
            awaited: c.awaits_answer(),
            left_ms: e.left_ms(self.now),
            retry_after_ms: ended.retry_after_ms,
        };
        let (budget, now_ms) = (terms.budget.share(self.shared.workers), self.now_us / 1_000);
        let of_upstream = self.upstreams.budget(e.upstream, e.upstream_id)?;
        let withdraw = || of_upstream.withdraw(&budget, now_ms);
        match terms.policy.decide(&attempt, self.rng.next_u64(), withdraw) {
            Decision::Retry { after_ms } => {
                self.counters.retry(reason(ended));
                if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) {
                    u.counters.retries.add(1);
                }
                Some(after_ms)
            }
            Decision::Stop(stop) => {
                if let Some(why) = denied(stop) {
                    self.counters.deny_retry(why);
                }
                None
            }
        }
    }

    /// Gives up the connection of a try whose answer is discarded: into its pool if the answer came
    /// whole. Over HTTP/1 `bytes` begin with the head.
    pub(super) fn let_go(&mut self, x: ExId, head: &ResponseHead<'_, '_>, bytes: &[u8]) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.is_multiplexed() {
            return self.leave_stream(x, false);
        }
        let Some(ui) = e.up.take() else { return };
        let body = bytes.get(head.head_len..).unwrap_or_default();
        let has_ended = is_whole(head.framing, body) && e.request.done;
        let keep_ms =
            head.keep_alive_timeout_s.map_or(u64::MAX, |s| u64::from(s).saturating_sub(1) * 1000);
        let pool = e.entry().map(|u| (u.plan.pool.idle_timeout_ms, u.plan.pool.max_idle));
        match pool.filter(|_| has_ended && head.keep_alive) {
            Some((idle_ms, most)) => self.put_idle(ui, idle_ms.min(keep_ms), most as usize),
            None if has_ended => self.drop_up(ui),
            None => self.abandon_up(ui),
        }
    }

    /// Waits before the next try; nothing of the last one is left.
    pub(super) fn back_off(&mut self, x: ExId, after_ms: u64) {
        let now_us = self.now_us;
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.tries.repeats += 1;
        e.tries.stale = false;
        e.response = Relay { pace: e.response.carried_pace(), ..Relay::default() };
        e.interim = (0, 0);
        e.status = 0;
        e.times.first_byte_us = 0;
        e.stream.grpc_status = None;
        e.link.keep_ms = None;
        e.stage = Stage::Backoff;
        e.due.one_try = Ticks::MAX;
        e.due.again = Clock::after(now_us, after_ms);
        self.progress(x);
    }

    /// Tries once more after a back-off, unless the client has gone meanwhile.
    pub(super) fn try_again(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if !c.awaits_answer() {
            return self.client_gone(x);
        }
        e.due.again = Ticks::MAX;
        self.choose_again(x);
    }

    /// Picks an endpoint for a request that has left its last one: another, if one is usable.
    pub(crate) fn choose_again(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let connect_ms = e.entry().map_or(0, |u| u.plan.connect_timeout_ms);
        e.stage = Stage::Connecting;
        e.due.connect = deadline_after(self.now_us, connect_ms);
        // Where there is no room, any endpoint may be the next.
        if !e.mark_tried() {
            e.tried = Tried::new();
        }
        e.tries.may_return = true;
        self.dispatch(x);
    }
}

/// Returns the reason under which a decision against a retry counts; what is not worth one is none.
fn denied(stop: Stop) -> Option<Denied> {
    match stop {
        Stop::NotCovered | Stop::Answered => None,
        Stop::NotAwaited => Some(Denied::Client),
        Stop::NotReplayable => Some(Denied::Body),
        Stop::NotRepeatable => Some(Denied::Method),
        Stop::Spent => Some(Denied::Spent),
        Stop::NoTime => Some(Denied::Time),
        Stop::NoBudget => Some(Denied::Budget),
    }
}

/// Reports whether these bytes are the whole body of an answer.
fn is_whole(framing: RespFraming, body: &[u8]) -> bool {
    let mut reader = BodyReader::from(framing);
    if reader.is_done() {
        return body.is_empty();
    }
    let mut body = body.to_vec();
    let len = body.len();
    reader.feed(&mut body).is_ok_and(|fed| fed.done && fed.consumed == len)
}

#[cfg(test)]
mod tests;
