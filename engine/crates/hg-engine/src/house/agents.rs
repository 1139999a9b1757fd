//! The changes that the answers of agents cause.

use super::answer::Failure;
use crate::report::EventLevel;
use crate::shared::Shared;
use crate::snapshot::{EndpointEntry, UpstreamEntry};
use hg_plan::Kind;
use hg_resilience::{Agent, Event, Reason, Report};

/// The longest answer that is read.
pub(super) const ANSWER: usize = 4_096;

/// Takes in what the agent of an endpoint answered, or why it did not: then what it said last
/// stays, because only an agent undoes what it ordered, and checks tell of endpoints that are gone.
pub(super) fn hear(
    shared: &Shared,
    entry: &UpstreamEntry,
    at: usize,
    answer: &Result<Report, Failure>,
    now_ms: u64,
) {
    let Some(e) = entry.endpoints.get(at) else { return };
    let teller = Teller { shared, entry, e };
    match answer {
        Err(failure) => {
            if e.health.agent.missed(&failure.found) {
                let text = format!("does not answer: {}", failure.found);
                teller.tell(EventLevel::Warn, &text);
            }
        }
        Ok(report) => {
            let (said, returns) = e.health.agent.heard(report);
            let event = Event::Agent(said.agent());
            let start = entry.start_weight(at);
            let change = e.health.shared.apply(event, now_ms, start);
            if change.is_some() {
                e.health.streaks.reset();
                entry.health.epoch.advance();
                let level = match said.agent() {
                    Agent::Ready => EventLevel::Info,
                    Agent::Drain | Agent::Down | Agent::Maintenance => EventLevel::Warn,
                };
                teller.tell(level, &format!("said: {}", report.text));
            } else if returns {
                teller.tell(EventLevel::Info, &format!("answers again: {}", report.text));
            }
        }
    }
}

struct Teller<'a> {
    shared: &'a Shared,
    entry: &'a UpstreamEntry,
    e: &'a EndpointEntry,
}

impl Teller<'_> {
    fn tell(&self, level: EventLevel, what: &str) {
        let (address, name) = (&self.e.pool.address, &self.entry.name);
        let message = format!("the agent of endpoint {address} of upstream {name} {what}");
        let object = Some((Kind::Upstream, name.to_string()));
        self.shared.object_event(level, "endpoint.agent", object, message);
    }
}

/// Reads an answer as far as it is there: nothing while its line has no end.
pub(super) fn read(answer: &[u8], is_whole: bool) -> Option<Result<Report, Failure>> {
    let has_end = answer.iter().any(|b| matches!(b, b'\r' | b'\n'));
    let parsed = if has_end || is_whole {
        Report::parse(answer)
    } else if answer.len() >= ANSWER {
        Err(format!("its answer has no end of line in {ANSWER} bytes"))
    } else {
        return None;
    };
    Some(parsed.map_err(|found| Failure::new(Reason::CheckProtocol, found)))
}
