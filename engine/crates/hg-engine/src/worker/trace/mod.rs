//! The place of a request in a trace (W3C Trace Context): decided when its head is there, and told
//! to endpoints in the header `traceparent`. What is recorded of it becomes spans at its end.

mod recording;
mod spans;

use super::Worker;
use super::exchange::ExId;
use crate::snapshot::TracingTerms;
use hg_policy::Random as _;
use hg_proto::{Fields, Known, RequestHead};
use hg_trace::{Context, RANDOM, SAMPLED, is_state};
use recording::Recording;

/// A request's place in a trace; in none where tracing is off.
#[derive(Default)]
pub(crate) struct Trace {
    /// With the span that stands for the request.
    pub(crate) context: Option<Context>,
    /// True if the client's list for other systems goes on.
    keeps_state: bool,
    /// The record for its spans; nothing if its trace is not recorded, or spans go nowhere.
    recording: Option<Box<Recording>>,
}

impl Trace {
    /// Returns what is recorded of it, to read.
    fn recording(&self) -> Option<(Context, &Recording)> {
        Some((self.context?, self.recording.as_deref()?))
    }

    /// Returns what is recorded of it, to add to.
    fn recorded(&mut self) -> Option<(Context, &mut Recording)> {
        Some((self.context?, self.recording.as_deref_mut()?))
    }

    /// Reports whether anything of it becomes a span.
    pub(super) fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Notes that a middleware waits no longer.
    pub(super) fn end_wait(&mut self, now_us: u64) {
        if let Some(recording) = &mut self.recording {
            recording.end_wait(now_us);
        }
    }

    /// Returns what the endpoint of a subrequest is told.
    pub(super) fn told_aside(&self) -> Option<Context> {
        let waiting = self.recording.as_ref().and_then(|recording| recording.waiting());
        let context = self.context?;
        Some(Context { span_id: waiting.unwrap_or(context.span_id), ..context })
    }

    /// Returns what an endpoint is told in place of the client's lines; nothing where those pass.
    pub(super) fn told(&self) -> Option<Told> {
        Some(Told { context: self.context?, keeps_state: self.keeps_state })
    }

    /// Returns the ids for the log.
    pub(super) fn record(&self) -> Option<hg_log::TraceRecord> {
        let Context { trace_id, span_id, flags } = self.context?;
        Some(hg_log::TraceRecord { trace_id, span_id, flags })
    }
}

/// The data of a trace that an endpoint gets.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) context: Context,
    keeps_state: bool,
}

impl Told {
    /// Reports whether a line of the client is not passed on.
    pub(crate) fn drops(&self, known: Known, name: &str) -> bool {
        match known {
            Known::Traceparent => true,
            Known::Other => !self.keeps_state && is_state_name(name),
            _ => false,
        }
    }
}

fn is_state_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("tracestate")
}

impl Worker {
    /// Finds the place of a request in its client's trace, or begins one.
    pub(super) fn begin_trace(
        &mut self,
        x: ExId,
        terms: TracingTerms,
        head: &RequestHead<'_, '_>,
        trusted: bool,
    ) {
        let parent = parent(&head.fields).filter(|_| trusted || terms.believes_all);
        let span_id = self.rng.next_u64().max(1);
        let (context, keeps_state) = match parent {
            Some(parent) => {
                let lines = head.fields.iter().filter(|f| is_state_name(f.name));
                (Context { span_id, ..parent }, is_state(lines.map(|f| f.value)))
            }
            None => {
                let random = [self.rng.next_u64(), self.rng.next_u64()];
                let mut context = Context::begin(random, span_id);
                if terms.sampling.takes(context.trace_id) {
                    context.flags |= SAMPLED;
                }
                debug_assert!(context.flags & RANDOM != 0);
                (context, false)
            }
        };
        let recording = (terms.exports && context.is_sampled()).then(|| {
            let parent = parent.map_or(0, |parent| parent.span_id);
            Box::new(Recording { parent, ..Recording::default() })
        });
        if let Some(e) = self.exchanges.get_mut(x) {
            e.log.trace = Trace { context: Some(context), keeps_state, recording };
        }
    }

    /// Notes that a middleware of this kind begins to wait.
    pub(super) fn begin_wait(&mut self, x: ExId, kind: &'static str) {
        let now_us = self.now_us;
        if let Some(e) = self.exchanges.get_mut(x)
            && let Some((_, recording)) = e.log.trace.recorded()
        {
            recording.begin_wait(self.rng.next_u64().max(1), now_us, kind);
        }
    }
}

/// Returns where a client's request is in a trace; nowhere if it says so twice.
fn parent(fields: &Fields<'_, '_>) -> Option<Context> {
    let mut lines = fields.each(Known::Traceparent);
    let context = Context::parse(lines.next()?)?;
    lines.next().is_none().then_some(context)
}
