//! A TCP session: a client's connection, the route that took it, and its connection to an endpoint.

use super::super::accept::deadline_after;
use super::super::claim::Claim;
use super::super::client::Seat;
use super::super::conn::Conn;
use super::super::exchange::TryTimes;
use super::super::timers::Entry;
use super::super::upstreams::EndpointState;
use super::acceptance::Acceptance;
use super::dial::Dial;
use super::early::Early;
use super::halves::Halves;
use crate::counters::{ListenerCounters, UpstreamCounters};
use crate::snapshot::{Branch, TcpEntry};
use hg_net::{Clock, Ticks};
use hg_plan::ProxyVersion;
use hg_policy::Random;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

/// Names one session; finds nothing after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId {
    pub(crate) index: usize,
    pub(crate) generation: u32,
}

/// The phase of a session.
pub(crate) enum Phase {
    /// Reads a PROXY header, which tells whose connection it is, until then.
    Header { until: Ticks },
    /// Reads the client's hello, by which its route is found, until then.
    Hello { until: Ticks },
    /// Shakes hands with a client whose TLS ends here, until then.
    Handshake { until: Ticks },
    /// Has ended: a TLS alert tells its client why, which may still send so many bytes until then.
    Told { until: Ticks, left: usize },
    /// Waits for a place at its upstream, until then.
    Queued { until: Ticks, at: Arc<UpstreamCounters> },
    /// Connects to an endpoint.
    Dialing(Box<Dial>),
    /// Passes bytes to and from this connection to an endpoint.
    Relaying(Conn),
}

/// The destination of a session, and what it holds there.
pub(crate) struct Target {
    /// Slot and id of the upstream; the id is 0 before the first pick.
    pub(crate) upstream: (usize, u64),
    /// Its name, once there is a route.
    pub(crate) upstream_name: Option<Arc<str>>,
    /// The endpoint in use, or tried last.
    pub(crate) endpoint: Option<Rc<EndpointState>>,
    /// True if the endpoint counts the session.
    pub(crate) is_counted: bool,
    pub(crate) claim: Claim,
    /// The version in which the endpoint is told of the client. Chosen with the endpoint: where the
    /// upstream changes or leaves meanwhile, the client's first bytes must not pass for a header.
    pub(crate) tells: Option<ProxyVersion>,
    pub(crate) acceptance: Acceptance,
    pub(crate) times: TryTimes,
}

impl Default for Target {
    /// Returns no upstream.
    fn default() -> Self {
        Self {
            upstream: (usize::MAX, 0),
            upstream_name: None,
            endpoint: None,
            is_counted: false,
            claim: Claim::default(),
            tells: None,
            acceptance: Acceptance::default(),
            times: TryTimes::default(),
        }
    }
}

impl Target {
    /// Returns the upstream of a client's connection that a route took; no endpoint is chosen yet.
    pub(crate) fn of(route: &TcpEntry, client: IpAddr, rng: &mut dyn Random) -> Self {
        match route.then.branches.choose(client, rng) {
            Some(Branch { slot, name }) => {
                let upstream_name = Some(name.clone());
                Self { upstream: (*slot, 0), upstream_name, ..Self::default() }
            }
            None => Self::default(),
        }
    }
}

/// The source of a session, and what it takes there.
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) listener: u16,
    pub(crate) listener_name: Arc<str>,
    pub(crate) counters: Arc<ListenerCounters>,
    pub(crate) seat: Seat,
}

/// The times that end a session, or wake it.
pub(crate) struct Times {
    pub(crate) began_us: u64,
    /// The time at which a byte last passed.
    pub(crate) active_at: Ticks,
    /// It ends then whatever passes: its lifetime.
    pub(crate) ends_at: Ticks,
    /// It ends then because its route has left the plan.
    pub(crate) drained_at: Ticks,
    /// Tick of its earliest entry in the wheel.
    pub(crate) timer: Entry,
}

impl Times {
    /// Ends the session when its route says.
    pub(crate) fn lives(&mut self, route: &TcpEntry) {
        self.ends_at = deadline_after(self.began_us, route.then.timeouts.lifetime_ms);
    }
}

pub(crate) struct Session {
    /// Generation of its tokens at the client's side.
    pub(crate) generation: u32,
    /// Generation of the tokens of the connection to the endpoint that is in use.
    pub(crate) up_generation: u32,
    pub(crate) client: Conn,
    pub(crate) origin: Origin,
    /// `None` while its header or its hello has not come.
    pub(crate) route: Option<TcpEntry>,
    /// The input that was read of the client to find the route, where its listener asks for that.
    pub(crate) early: Option<Box<Early>>,
    /// The id by which the endpoint was told of it.
    pub(crate) told_id: Option<Box<str>>,
    pub(crate) phase: Phase,
    pub(crate) target: Target,
    pub(crate) halves: Halves,
    pub(crate) times: Times,
    /// True if it continues in the next turn.
    pub(crate) queued: bool,
}

impl Session {
    /// Returns when nothing has passed for too long.
    pub(crate) fn idle_at(&self) -> Ticks {
        let Some(route) = &self.route else {
            return Ticks::MAX;
        };
        // Nobody is silent as long as we do not listen.
        if self.halves.resumes_at().is_some() {
            return Ticks::MAX;
        }
        let timeouts = &route.then.timeouts;
        let ms = if self.halves.is_half_open() { timeouts.half_open_ms } else { timeouts.idle_ms };
        match ms {
            0 => Ticks::MAX,
            ms => self.times.active_at.saturating_add(ms.div_ceil(Clock::TICK_MS)),
        }
    }

    /// Returns when something is due, whatever it is.
    pub(crate) fn due(&self) -> Ticks {
        let of_phase = match &self.phase {
            Phase::Header { until }
            | Phase::Hello { until }
            | Phase::Handshake { until }
            | Phase::Told { until, .. }
            | Phase::Queued { until, .. } => *until,
            Phase::Dialing(dial) => dial.due(),
            Phase::Relaying(_) => {
                let resumes_at = self.halves.resumes_at().unwrap_or(Ticks::MAX);
                resumes_at.min(self.idle_at()).min(self.target.acceptance.due())
            }
        };
        of_phase.min(self.times.ends_at).min(self.times.drained_at)
    }
}
