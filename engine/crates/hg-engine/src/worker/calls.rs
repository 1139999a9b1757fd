//! Answers to calls of gRPC: their status comes in a head without a body, or in the trailers.

use super::Worker;
use super::exchange::{ExId, Exchange};
use super::retry::{Ended, NEVER_MS};
use hg_h2::grpc;
use hg_proto::ResponseHead;
use hg_resilience::{Outcome, Status};

/// The name of the line with a call's status.
const STATUS: &str = "grpc-status";
/// The line in which a server says how long to wait before a retry.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

impl Exchange {
    /// Returns what its answer, which came whole, says of the endpoint.
    pub(super) fn outcome(&self) -> Outcome {
        match self.answer_status() {
            Some(Status::Grpc(code)) => Outcome::of_grpc(code),
            Some(Status::Http(status)) => Outcome::of_status(status),
            // Clients take that for UNKNOWN.
            None => Outcome::ServerError,
        }
    }

    /// Returns the status of its answer; nothing if a call ended without one.
    fn answer_status(&self) -> Option<Status> {
        if !self.stream.is_grpc || self.status != 200 {
            return Some(Status::Http(self.status));
        }
        let of_trailers = || grpc::line(self.response.trailers(), STATUS).map(grpc::code);
        self.stream.grpc_status.or_else(of_trailers).map(Status::Grpc)
    }

    /// Reports whether what it gets from an endpoint is a stream of messages, whose head says
    /// nothing yet.
    pub(super) fn is_call(&self) -> bool {
        self.stream.is_grpc && self.is_multiplexed()
    }

    /// Takes in what the head of an answer says to a client of gRPC.
    pub(super) fn note_call(&mut self, head: &ResponseHead<'_, '_>) {
        if self.stream.is_grpc && head.status == 200 {
            let mut sent = head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(STATUS));
            self.stream.grpc_status = sent.next().map(|f| grpc::code(f.value));
        }
    }
}

/// Returns how a try ended that got this head.
pub(super) fn ended_by(e: &Exchange, head: &ResponseHead<'_, '_>) -> Ended {
    let Some(code) = e.stream.grpc_status else {
        let status = Some(Status::Http(head.status));
        return Ended { outcome: Outcome::of_status(head.status), status, retry_after_ms: None };
    };
    let mut sent = head.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(PUSHBACK));
    ended(code, sent.next().map(|f| f.value))
}

/// Returns how a call ended; a server says that it wants no retry with a wait that is no number.
fn ended(code: u32, pushback: Option<&[u8]>) -> Ended {
    let ms = pushback.map(|value| std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()));
    Ended {
        outcome: Outcome::of_grpc(code),
        status: Some(Status::Grpc(code)),
        retry_after_ms: ms.map(|ms| ms.unwrap_or(NEVER_MS)),
    }
}

impl Worker {
    /// Discards an answer whose trailers came before its client got any of it, if the route wants to
    /// try its status again. Reports whether it did.
    pub(super) fn discards_call(&mut self, x: ExId) -> bool {
        let Some(e) = self.exchanges.get(x).filter(|e| e.stream.is_grpc && !e.answered) else {
            return false;
        };
        let wants = e.retry().is_some_and(|terms| terms.policy.on.has_codes());
        let Some(Status::Grpc(code)) = e.answer_status().filter(|_| wants) else {
            return false;
        };
        let ended = ended(code, grpc::line(e.response.trailers(), PUSHBACK));
        let Some(after_ms) = self.retries(x, &ended) else {
            return false;
        };
        self.leave_stream(x, false);
        self.leave_endpoint(x, self.now_us, ended.outcome);
        self.back_off(x, after_ms);
        true
    }
}
