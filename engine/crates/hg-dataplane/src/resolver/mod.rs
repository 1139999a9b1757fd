//! Looks up names in the background, by their TTL, and keeps the last good answer; nothing that
//! serves ever waits for it.

mod lookup;
mod schedule;

pub use lookup::{Asking, DnsLookup, Lookup};
pub use schedule::{Answer, HostReport, Schedule};

use crate::engine_port::EngineApi;
use crate::events::EventHub;
use hg_engine::EventLevel;
use hg_plan::{Plan, Resolver as Settings};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Most lookups at once.
const AT_ONCE: usize = 64;

/// Looks up names and passes the answers to the engine. Cheap to clone, because the clones share
/// their state.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    schedule: Mutex<Schedule>,
    /// Signals that something may be due.
    wake: Notify,
    start: Instant,
    engine: Arc<dyn EngineApi>,
    events: Arc<EventHub>,
    lookup: Arc<dyn Lookup>,
}

type Done = (String, Result<Answer, String>);

impl Resolver {
    /// Makes a resolver that asks `lookup` and passes answers to `engine`.
    pub fn new(engine: Arc<dyn EngineApi>, events: Arc<EventHub>, lookup: Arc<dyn Lookup>) -> Self {
        let (schedule, wake, start) = (Mutex::default(), Notify::new(), Instant::now());
        Self { shared: Arc::new(Shared { schedule, wake, start, engine, events, lookup }) }
    }

    /// Takes the names of a plan that is now served. Call it for every plan, in order, because the
    /// engine forgets a name that a plan does not have.
    pub fn want(&self, plan: &Plan) {
        let mut all = plan.all_settings();
        let settings = all.next().map_or_else(Settings::default, |(_, s)| s.resolver.clone());
        self.want_names(&self.shared.engine.names(), settings);
    }

    fn want_names(&self, names: &[String], settings: Settings) {
        let known = self.schedule().want(names, settings, self.shared.start.elapsed());
        for (name, port, addresses) in known {
            self.shared.engine.set_addresses(&name, Ok(with_port(&addresses, port)));
        }
        self.shared.wake.notify_one();
    }

    /// Returns the state of every host, by name.
    pub fn reports(&self) -> Vec<HostReport> {
        self.schedule().reports(self.shared.start.elapsed())
    }

    /// Keeps the wanted names resolved; never ends.
    pub async fn run(self) {
        let start = self.shared.start;
        let mut under_way: JoinSet<Done> = JoinSet::new();
        loop {
            self.ask_due(&mut under_way);
            let next = self.schedule().next_due().filter(|_| under_way.len() < AT_ONCE);
            tokio::select! {
                () = self.shared.wake.notified() => {}
                Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                    if let Ok((host, result)) = done {
                        self.answered(&host, result);
                    }
                }
                () = sleep_until(start + next.unwrap_or_default()), if next.is_some() => {}
            }
        }
    }

    fn ask_due(&self, under_way: &mut JoinSet<Done>) {
        let free = AT_ONCE.saturating_sub(under_way.len());
        let mut schedule = self.schedule();
        let due = schedule.take_due(self.shared.start.elapsed(), free);
        let settings = schedule.settings().clone();
        drop(schedule);
        let limit = Duration::from_millis(settings.timeout_ms.max(1));
        for host in due {
            let asking = self.shared.lookup.ask(&host, &settings);
            under_way.spawn(ask(host, asking, limit));
        }
    }

    fn answered(&self, host: &str, result: Result<Answer, String>) {
        let Shared { engine, events, start, .. } = &*self.shared;
        let now = start.elapsed();
        let result = result.and_then(|answer| match &answer.lack {
            Some(lack) if self.schedule().loses_addresses(host, lack) => Err(lack.why.clone()),
            _ => Ok(answer),
        });
        let told = self.schedule().answered(host, result.as_ref().map_err(|_| ()), now, dice());
        let Some(told) = told else { return };
        match result {
            Ok(answer) => {
                for (name, port) in told.names.iter().filter(|_| told.is_changed) {
                    engine.set_addresses(name, Ok(with_port(&answer.addresses, *port)));
                }
            }
            Err(error) => {
                for (name, _) in &told.names {
                    engine.set_addresses(name, Err(error.clone()));
                }
                if told.is_first_failure {
                    let kept =
                        if told.has_addresses { "; the last good addresses are kept" } else { "" };
                    let text = format!("{host}: {error}{kept}");
                    events.emit(EventLevel::Warn, "resolver.failed", None, text);
                }
            }
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.shared.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(host: String, asking: Asking, limit: Duration) -> Done {
    let result = match timeout(limit, asking).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
    };
    (host, result)
}

fn with_port(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    addresses.iter().map(|address| SocketAddr::new(*address, port)).collect()
}

/// Returns a number in 0..1, good enough to spread lookups out.
fn dice() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
