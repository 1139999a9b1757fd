//! Converts our types to those of `plan.proto`. Pure.

use crate::apply::{Fault, Outcome};
use crate::proto;
use hg_engine::{
    EndpointReport, EngineStatus, LimitStoreStats, ListenerReport, UpstreamReport, WorkerReport,
};
use hg_plan::Digest;

/// Makes the answer to an `Apply`, while the plan with digest `held` is served.
pub fn reply(outcome: Outcome, held: Digest) -> proto::ApplyReply {
    use proto::apply_reply::Outcome as Word;
    let mut reply = proto::ApplyReply { held_digest: held.hex(), ..Default::default() };
    let word = match outcome {
        Outcome::Applied(applied) => {
            reply.compile_us = applied.compile_us;
            reply.swap_us = applied.swap_us;
            Word::Applied
        }
        Outcome::Refused(faults) => {
            reply.errors = faults.into_iter().map(error).collect();
            Word::Refused
        }
        Outcome::BaseMismatch => Word::BaseMismatch,
        Outcome::BlobsMissing(names) => {
            reply.missing_blobs = names;
            Word::BlobsMissing
        }
    };
    reply.set_outcome(word);
    reply
}

fn error(fault: Fault) -> proto::ObjectError {
    let Fault { kind, name, path, message, is_passing: passing } = fault;
    proto::ObjectError { kind, name, path, message, passing }
}

/// Makes the answer to a `Status`, with endpoints only on request, because they are many.
pub fn status(status: EngineStatus, with_endpoints: bool) -> proto::StatusReply {
    let upstreams = if with_endpoints { status.upstreams } else { Vec::new() };
    let (overload, overload_cause) = status.overload.worst();
    proto::StatusReply {
        overload: overload.into(),
        overload_cause: overload_cause.into(),
        traces: export(status.traces_fail),
        access_log: export(status.log_records_fail),
        access_log_failure: status.log_failure,
        limit_store: limit_store(&status.limit_store),
        plan_digest: status.plan_digest,
        generation: status.generation,
        uptime_s: status.uptime.as_secs_f64(),
        draining: status.draining,
        workers: status.workers.iter().map(worker).collect(),
        listeners: status.listeners.into_iter().map(listener).collect(),
        upstreams: upstreams.into_iter().map(upstream).collect(),
    }
}

/// Returns how an export does.
fn export(fails: bool) -> String {
    if fails { "failing".into() } else { String::new() }
}

fn limit_store(store: &LimitStoreStats) -> Option<proto::LimitStoreStatus> {
    store.is_configured.then(|| proto::LimitStoreStatus {
        ready: store.is_ready,
        away_since_s: store.away_since_s,
        why: store.why.clone(),
    })
}

fn worker(worker: &WorkerReport) -> proto::WorkerStatus {
    proto::WorkerStatus {
        index: u32::try_from(worker.index).unwrap_or(u32::MAX),
        connections: worker.connections,
        requests: worker.requests,
        restarts: worker.restarts,
    }
}

fn listener(listener: ListenerReport) -> proto::ListenerStatus {
    proto::ListenerStatus {
        name: listener.name.to_string(),
        addresses: listener.addresses,
        connections: listener.connections,
    }
}

fn upstream(upstream: UpstreamReport) -> proto::UpstreamStatus {
    proto::UpstreamStatus {
        name: upstream.name.to_string(),
        endpoints: upstream.endpoints.into_iter().map(endpoint).collect(),
        panic: upstream.panic,
    }
}

fn endpoint(endpoint: EndpointReport) -> proto::EndpointStatus {
    let health = endpoint.health;
    proto::EndpointStatus {
        address: endpoint.address,
        resolved: endpoint.resolved,
        state: health.state.into(),
        active: endpoint.active,
        idle: endpoint.idle,
        requests: endpoint.requests,
        failures: endpoint.failures,
        error: endpoint.last_error,
        takes: health.takes,
        reason: health.reason.into(),
        changed_unix_ms: health.changed_unix_ms,
        why: health.why,
        checks_passed: health.checks_passed,
        checks_failed: health.checks_failed,
        negotiated: endpoint.negotiated.now.into(),
        agent_percent: health.agent.map_or(100, |agent| agent.percent.into()),
    }
}
