//! What leaves the process beside traffic: the log, spans, and what limits across nodes are charged
//! with; each from a thread of its own.

use crate::counters::lock;
use crate::engine::Resolved;
use crate::report::EventLevel;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::worker::Records;
use hg_dial::Lookup;
use hg_limit_store::LimitStore;
use hg_log::AccessLog;
use hg_net::Address;
use hg_plan::{Kind, LIMITS, ObjectError, Plan, Settings, TRACES, TraceExport};
use hg_trace::{Exporter, News};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

/// Where workers send what they tell of requests.
pub(crate) struct Outlets {
    pub(crate) log: AccessLog,
    pub(crate) traces: Exporter,
    pub(crate) limits: LimitStore,
}

type Names = Arc<Mutex<HashMap<Arc<str>, Resolved>>>;

impl Outlets {
    /// Starts the threads; `names` is what the resolver has found.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn start(workers: usize, shared: &Arc<Shared>, names: &Names) -> io::Result<Self> {
        let limits = limits(shared, lookup(names));
        let shared = shared.clone();
        let tell = move |news| match news {
            News::Failing(why) => {
                let message = format!("spans do not reach the collector: {why}");
                shared.event(EventLevel::Warn, "traces.failing", message);
            }
            News::Working => {
                let message = "spans reach the collector again".into();
                shared.event(EventLevel::Info, "traces.working", message);
            }
        };
        Ok(Self {
            log: AccessLog::start(None, workers)?,
            traces: Exporter::start(workers, lookup(names), Box::new(tell))?,
            limits,
        })
    }

    /// Returns a worker's ends.
    pub(crate) fn of_worker(&self) -> Records {
        Records { log: self.log.writer(), traces: self.traces.writer() }
    }

    /// Takes the settings of what is served now.
    pub(crate) fn configure(&self, snapshot: &Snapshot) {
        let Snapshot { settings, tls, .. } = snapshot;
        self.log.configure(settings.access_log.as_ref());
        self.traces.configure(export(settings), tls.outlet(TRACES));
        self.limits.configure(settings.limit_store.as_ref(), tls.outlet(LIMITS));
    }
}

/// Returns the store of limits, which tells people how it is.
fn limits(shared: &Arc<Shared>, lookup: Lookup) -> LimitStore {
    use hg_limit_store::News;
    let (desk, clock, shared) = (shared.keep.desk().clone(), shared.clock, shared.clone());
    let tell = move |news| match news {
        News::Away(why) => {
            let message = format!("the limit store is away: {why}");
            shared.event(EventLevel::Warn, "limit_store.away", message);
        }
        News::Ready => {
            let message = "the limit store counts".into();
            shared.event(EventLevel::Info, "limit_store.ready", message);
        }
    };
    LimitStore::new(desk, move || clock.micros(), lookup, tell)
}

/// Returns the look-up of names for threads that connect themselves.
fn lookup(names: &Names) -> Lookup {
    let names = names.clone();
    Arc::new(move |name| {
        let names = lock(&names);
        let found = names.get(name)?;
        let addresses = found.addresses.iter().filter_map(|address| match address {
            Address::Inet(address) => Some(*address),
            _ => None,
        });
        let addresses: Vec<_> = addresses.collect();
        if addresses.is_empty() {
            return (!found.error.is_empty()).then(|| Err(found.error.clone()));
        }
        Some(Ok(addresses))
    })
}

fn export(settings: &Settings) -> Option<&TraceExport> {
    settings.tracing.as_ref()?.export.as_ref()
}

/// Returns the `host:port` of servers that the node itself sends to, where these are names.
pub(crate) fn names(settings: &Settings) -> impl Iterator<Item = String> {
    let collector = export(settings).and_then(|export| hg_trace::check(&export.endpoint).ok());
    let collector = collector.map(|endpoint| endpoint.address);
    let store = settings.limit_store.as_ref().map(|store| store.address.clone());
    collector.into_iter().chain(store).filter(|address| hg_dial::is_name(address))
}

/// Reports a collector that spans cannot go to as a mistake in the plan.
pub(crate) fn check(plan: &Plan) -> Result<(), Vec<ObjectError>> {
    let Some(export) = plan.settings("node").and_then(export) else { return Ok(()) };
    let wrong = |message: String| {
        let (kind, name) = (Kind::Settings, "node".into());
        vec![ObjectError { kind, name, path: "tracing.export.endpoint".into(), message }]
    };
    let endpoint = hg_trace::check(&export.endpoint).map_err(wrong)?;
    if endpoint.has_tls != export.tls.is_some() {
        return Err(wrong("the endpoint and its TLS do not agree".into()));
    }
    Ok(())
}
