//! The questions that are asked of an endpoint, again and again.

use super::attempt::Terms;
use super::plain::Plain;
use crate::agents::targets;
use crate::health::EndpointHealth;
use crate::snapshot::{EndpointEntry, UpstreamEntry};
use hg_plan::{AgentCheck, HealthCheck};
use hg_resilience::{Active, CheckPolicy};

/// The question that is asked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// A question about its health.
    Check(Box<HealthCheck>),
    /// A question to its agent.
    Agent(AgentCheck),
}

impl Asked {
    /// Returns how often it is asked.
    pub(super) fn policy(&self) -> CheckPolicy {
        match self {
            Asked::Check(check) => CheckPolicy {
                interval_ms: check.interval_ms,
                fast_ms: check.fast_interval_ms,
                max_down_ms: check.max_interval_ms,
                healthy: check.healthy,
                unhealthy: check.unhealthy,
                ..CheckPolicy::default()
            },
            Asked::Agent(agent) => {
                let interval_ms = agent.interval_ms;
                CheckPolicy { interval_ms, fast_ms: interval_ms, ..CheckPolicy::default() }
            }
        }
    }

    /// Returns what earlier checks concluded of an endpoint.
    pub(super) fn known(&self, health: &EndpointHealth) -> Option<bool> {
        match (self, health.shared.load().active) {
            (Asked::Check(_), Active::Up) => Some(true),
            (Asked::Check(_), Active::Down) => Some(false),
            _ => None,
        }
    }

    /// Returns how long an answer may take.
    pub(super) fn timeout_ms(&self) -> u64 {
        match self {
            Asked::Check(check) => check.timeout_ms,
            Asked::Agent(agent) => agent.timeout_ms,
        }
    }

    /// Returns what is needed to ask.
    pub(super) fn terms(&self, entry: &UpstreamEntry, e: &EndpointEntry) -> Terms {
        let (check, agent) = match self {
            Asked::Check(check) => (Some(check), None),
            Asked::Agent(agent) => (None, Some(agent)),
        };
        let plain = check.and_then(|check| check.bytes.as_ref());
        Terms {
            http: check.and_then(|check| check.http.clone()),
            grpc: check.and_then(|check| check.grpc.clone()),
            plain: plain.map(|bytes| Plain::new(bytes).into()),
            agent: agent.map(|agent| agent.send.as_str().into()),
            protocol: entry.plan.protocol,
            // Agents have ports of their own.
            proxy: entry.plan.pool.proxy_protocol.filter(|_| agent.is_none()),
            address: e.address.clone(),
            targets: match agent {
                Some(agent) => targets(&e.targets, agent.port).into(),
                None => e.targets.clone(),
            },
            // Agents speak in clear.
            tls: if agent.is_some() { None } else { entry.tls.clone() },
            limits: entry.limits,
        }
    }
}
