//! The data that leaves the process beside traffic: the log, spans, and the charges to limits
//! across nodes; each from a separate thread.

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
use hg_otlp::{Exporter, News, Signal};
use hg_plan::{Kind, LIMITS, LOGS, ObjectError, OtlpExport, Plan, Settings, TRACES};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

/// The destinations of what workers tell of requests.
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
        let exporter = |signal: Signal| {
            let tell = told(signal, shared);
            Exporter::start(signal, workers, lookup(names), Box::new(tell))
        };
        Ok(Self {
            log: AccessLog::start(None, workers, exporter(Signal::Logs)?, told_of_log(shared))?,
            traces: exporter(Signal::Traces)?,
            limits: limits(shared, lookup(names)),
        })
    }

    /// Returns a worker's ends.
    pub(crate) fn of_worker(&self) -> Records {
        Records { log: self.log.writer(), traces: self.traces.writer() }
    }

    /// Takes the settings of what is served now.
    pub(crate) fn configure(&self, snapshot: &Snapshot) {
        let Snapshot { settings, tls, .. } = snapshot;
        self.log.exporter().configure(export(settings, Signal::Logs), tls.outlet(LOGS));
        self.log.configure(settings.access_log.as_ref());
        self.traces.configure(export(settings, Signal::Traces), tls.outlet(TRACES));
        self.limits.configure(settings.limit_store.as_ref(), tls.outlet(LIMITS));
    }

    /// Has the last lines be written, and the last spans and log records be sent, once no worker makes
    /// any.
    pub(crate) fn stop(&self) {
        self.log.stop();
        self.exporters().for_each(Exporter::stop);
    }

    /// Reports whether they were, or had their time.
    pub(crate) fn are_over(&self) -> bool {
        self.log.is_over() && self.exporters().all(Exporter::is_over)
    }

    fn exporters(&self) -> impl Iterator<Item = &Exporter> {
        [&self.traces, self.log.exporter()].into_iter()
    }
}

/// Returns what tells people how a collector is.
fn told(signal: Signal, shared: &Arc<Shared>) -> impl Fn(News) + Send + use<> {
    let shared = shared.clone();
    let (items, failing, working) = match signal {
        Signal::Traces => ("spans", "traces.failing", "traces.working"),
        Signal::Logs => ("log records", "access_log.failing", "access_log.working"),
    };
    move |news| match news {
        News::Failing(why) => {
            let message = format!("{items} do not reach the collector: {why}");
            shared.event(EventLevel::Warn, failing, message);
        }
        News::Working => {
            let message = format!("{items} reach the collector again");
            shared.event(EventLevel::Info, working, message);
        }
    }
}

/// Returns what tells people how the sink of the access log is.
fn told_of_log(shared: &Arc<Shared>) -> Box<dyn Fn(News) + Send> {
    let shared = shared.clone();
    Box::new(move |news| match news {
        News::Failing(why) => {
            let message = format!("the access log fails: {why}");
            shared.event(EventLevel::Warn, "access_log.failing", message);
        }
        News::Working => {
            let message = "the access log is complete again".into();
            shared.event(EventLevel::Info, "access_log.working", message);
        }
    })
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

/// Returns where the items of a signal go.
fn export(settings: &Settings, signal: Signal) -> Option<&OtlpExport> {
    match signal {
        Signal::Traces => settings.tracing.as_ref()?.export.as_ref(),
        Signal::Logs => settings.access_log.as_ref()?.otlp.as_ref(),
    }
}

const SIGNALS: [(Signal, &str); 2] = [(Signal::Traces, TRACES), (Signal::Logs, LOGS)];

/// Returns the `host:port` of servers that the node itself sends to, where these are names.
pub(crate) fn names(settings: &Settings) -> impl Iterator<Item = String> {
    let collectors = SIGNALS.into_iter().filter_map(|(signal, _)| {
        let endpoint = &export(settings, signal)?.endpoint;
        Some(hg_otlp::check(endpoint, signal).ok()?.address)
    });
    let store = settings.limit_store.as_ref().map(|store| store.address.clone());
    collectors.chain(store).filter(|address| hg_dial::is_name(address))
}

/// Reports an access log that cannot be laid out and collectors that nothing can be sent to as
/// mistakes in the plan.
pub(crate) fn check(plan: &Plan) -> Result<(), Vec<ObjectError>> {
    let Some(settings) = plan.settings("node") else { return Ok(()) };
    let log = settings.access_log.as_ref().and_then(|log| AccessLog::check(log).err());
    let collectors = SIGNALS.into_iter().filter_map(|(signal, path)| {
        let message = check_export(export(settings, signal)?, signal).err()?;
        Some(fault(format!("{path}.endpoint"), message))
    });
    let log = log.map(|message| fault("access_log".into(), message));
    let wrong: Vec<_> = log.into_iter().chain(collectors).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn fault(path: String, message: String) -> ObjectError {
    ObjectError { kind: Kind::Settings, name: "node".into(), path, message }
}

fn check_export(export: &OtlpExport, signal: Signal) -> Result<(), String> {
    if hg_otlp::check(&export.endpoint, signal)?.has_tls != export.tls.is_some() {
        return Err("the endpoint and its TLS do not agree".into());
    }
    Ok(())
}
