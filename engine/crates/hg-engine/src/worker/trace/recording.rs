//! The record of a request while it is under way: its tries at endpoints, and the times in which
//! middlewares waited. They become spans when it has ended.

use crate::worker::exchange::Exchange;
use hg_resilience::Outcome;
use std::sync::Arc;

/// Most tries and waits of one request that are recorded.
const MOST: usize = 64;

/// The record of a request.
#[derive(Default)]
pub(crate) struct Recording {
    /// The client's span; 0 = the trace begins here.
    pub(crate) parent: u64,
    pub(crate) parts: Vec<Part>,
}

/// One try, or one wait.
pub(crate) struct Part {
    pub(crate) span_id: u64,
    pub(crate) began_us: u64,
    /// 0 = it has not ended.
    pub(crate) ended_us: u64,
    pub(crate) what: What,
}

/// The kind of a part of a request.
pub(crate) enum What {
    /// A middleware of this kind waited.
    Wait(&'static str),
    Try(Try),
}

/// A try at an endpoint.
pub(crate) struct Try {
    pub(crate) endpoint: Arc<str>,
    /// The number of tries that came before it.
    pub(crate) repeats: u32,
    /// 0 = no answer came.
    pub(crate) status: u16,
    pub(crate) is_reused: bool,
    pub(crate) outcome: Option<Outcome>,
}

impl Recording {
    fn add(&mut self, span_id: u64, began_us: u64, what: What) -> bool {
        let has_room = self.parts.len() < MOST;
        if has_room {
            self.parts.push(Part { span_id, began_us, ended_us: 0, what });
        }
        has_room
    }

    /// Notes that a middleware begins to wait.
    pub(crate) fn begin_wait(&mut self, span_id: u64, now_us: u64, kind: &'static str) {
        self.add(span_id, now_us, What::Wait(kind));
    }

    /// Notes the end of a wait.
    pub(crate) fn end_wait(&mut self, now_us: u64) {
        let is_open = |p: &&mut Part| p.ended_us == 0 && matches!(p.what, What::Wait(_));
        if let Some(part) = self.parts.iter_mut().rfind(is_open) {
            part.ended_us = now_us;
        }
    }

    /// Returns the span of the wait that goes on.
    pub(crate) fn waiting(&self) -> Option<u64> {
        let is_open = |p: &&Part| p.ended_us == 0 && matches!(p.what, What::Wait(_));
        self.parts.iter().rfind(is_open).map(|part| part.span_id)
    }

    /// Returns the try at an endpoint that began then and has not ended; two may be under way.
    fn open_try(&mut self, began_us: u64, endpoint: &str) -> Option<(&mut u64, &mut Try)> {
        self.parts.iter_mut().rev().find_map(|part| match &mut part.what {
            What::Try(one)
                if part.ended_us == 0
                    && part.began_us == began_us
                    && *one.endpoint == *endpoint =>
            {
                Some((&mut part.ended_us, one))
            }
            _ => None,
        })
    }
}

impl Exchange {
    /// Notes that a try begins, and makes its span the parent of what the endpoint does.
    pub(crate) fn begin_try(&mut self, span_id: u64) {
        let Some((context, recording)) = self.log.trace.recorded() else {
            return;
        };
        let endpoint = self.endpoint.as_ref().map_or_else(Arc::default, |e| e.address.clone());
        let repeats = recording.parts.iter().filter(|p| matches!(p.what, What::Try(_))).count();
        let repeats = u32::try_from(repeats).unwrap_or(u32::MAX);
        let (status, is_reused, outcome) = (0, false, None);
        let what = What::Try(Try { endpoint, repeats, status, is_reused, outcome });
        if recording.add(span_id, self.times.began_us, what) {
            context.replace_span(&mut self.head, span_id);
        }
    }

    /// Notes the status of an answer that the client does not get.
    pub(crate) fn note_discarded(&mut self, status: u16) {
        let began_us = self.times.began_us;
        if let Some((_, recording)) = self.log.trace.recorded()
            && let Some(endpoint) = &self.endpoint
            && let Some((_, one)) = recording.open_try(began_us, &endpoint.address)
        {
            one.status = status;
        }
    }

    /// Notes how the try at hand ended.
    pub(crate) fn end_try(&mut self, now_us: u64, outcome: Outcome) {
        let (times, status, is_reused) = (self.times, self.status, self.on_reused);
        if let Some((_, recording)) = self.log.trace.recorded()
            && let Some(endpoint) = &self.endpoint
            && let Some((ended_us, one)) = recording.open_try(times.began_us, &endpoint.address)
        {
            *ended_us = now_us.max(1);
            (one.outcome, one.is_reused) = (Some(outcome), is_reused);
            if one.status == 0 && times.first_byte_us > 0 {
                one.status = status;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn with_tries(tries: &[(u64, &str)]) -> Recording {
        let mut recording = Recording::default();
        for (began_us, endpoint) in tries {
            let (repeats, status, is_reused, outcome) = (0, 0, false, None);
            let one = Try { endpoint: (*endpoint).into(), repeats, status, is_reused, outcome };
            assert!(recording.add(7, *began_us, What::Try(one)));
        }
        recording
    }

    /// Ends the try that began then at an endpoint. Returns where it stands among the parts.
    fn end(recording: &mut Recording, began_us: u64, endpoint: &str) -> Option<usize> {
        let before: Vec<u64> = recording.parts.iter().map(|part| part.ended_us).collect();
        *recording.open_try(began_us, endpoint)?.0 = 99;
        recording.parts.iter().zip(before).position(|(part, before)| part.ended_us != before)
    }

    #[test]
    fn of_two_tries_under_way_the_one_that_ended_is_found() {
        let mut recording = with_tries(&[(5, "a"), (6, "a"), (5, "b")]);
        assert_eq!(end(&mut recording, 5, "a"), Some(0));
        assert_eq!(end(&mut recording, 5, "a"), None, "it has ended");
        assert_eq!(end(&mut recording, 6, "b"), None, "no try began there then");
        assert_eq!(end(&mut recording, 6, "a"), Some(1));
        assert_eq!(end(&mut recording, 5, "b"), Some(2));
    }

    #[test]
    fn the_last_wait_is_the_one_that_goes_on() {
        let mut recording = with_tries(&[(5, "a")]);
        assert_eq!(recording.waiting(), None);
        recording.begin_wait(8, 10, "fault");
        assert_eq!(recording.waiting(), Some(8));
        recording.end_wait(20);
        assert_eq!(recording.waiting(), None);
        recording.begin_wait(9, 30, "forward_auth");
        assert_eq!(recording.waiting(), Some(9));
        recording.end_wait(40);
        recording.end_wait(50);
        let ended: Vec<u64> = recording.parts.iter().map(|part| part.ended_us).collect();
        assert_eq!(ended, [0, 20, 40]);
    }

    #[test]
    fn what_is_recorded_of_a_request_is_bounded() {
        let mut recording = with_tries(&[(5, "a")].repeat(MOST));
        recording.begin_wait(8, 10, "fault");
        assert_eq!((recording.parts.len(), recording.waiting()), (MOST, None));
    }
}
