//! The meaning of a state for traffic, alone and among the other endpoints of an upstream.

use crate::{Active, Admin, Agent, Circuit, Outlier, State};

/// The meaning of an endpoint's state for traffic, before the other endpoints are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It deserves traffic.
    Usable,
    /// No check has finished yet.
    Unknown,
    /// It takes one request as a probe.
    Probe,
    /// Its breaker is half open: it takes what the breaker permits.
    Trial,
    /// It takes none.
    Out(Bar),
}

/// The reason that keeps an endpoint from traffic; the strongest one where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bar {
    /// Operator or agent ordered maintenance.
    Maintenance,
    /// Its agent reported that it is down.
    Reported,
    /// Operator or agent ordered a drain.
    Drain,
    /// Its breaker is open.
    Breaker,
    /// Its checks fail.
    Down,
    /// It is ejected.
    Ejected,
    /// One request probes it, and the others wait for its result.
    Probing,
}

impl Bar {
    /// Reports whether panic overrides it. Panic distrusts what was concluded about health; it
    /// never overrides an order or what an agent reported, nor a breaker, which is there to stop
    /// traffic to what fails.
    pub fn yields_to_panic(self) -> bool {
        matches!(self, Bar::Down | Bar::Ejected | Bar::Probing)
    }
}

/// The facts that decide about an endpoint besides its own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Too few endpoints are usable; [`Panic`](crate::Panic) says so.
    pub panic: bool,
    /// Enough endpoints of the upstream are usable to spare those that no check has judged yet;
    /// [`Census::is_known_good`] says so.
    pub known_good: bool,
}

/// The decision whether an endpoint takes a new request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Takes {
    /// It does.
    Yes,
    /// It takes the one request that claims the probe ([`Shared::claim_probe`]).
    ///
    /// [`Shared::claim_probe`]: crate::Shared::claim_probe
    Probe,
    /// It takes what its breaker permits.
    Permitted,
    /// It does not.
    No,
}

impl State {
    /// Returns what the state means for traffic.
    pub fn standing(self) -> Standing {
        match (self.admin(), self.circuit, self.active, self.outlier) {
            (Admin::Maintenance, ..) => Standing::Out(Bar::Maintenance),
            _ if self.agent == Agent::Down => Standing::Out(Bar::Reported),
            (Admin::Drain, ..) => Standing::Out(Bar::Drain),
            (_, Circuit::Open, ..) => Standing::Out(Bar::Breaker),
            (_, _, Active::Down, _) => Standing::Out(Bar::Down),
            (.., Outlier::Ejected) => Standing::Out(Bar::Ejected),
            (.., Outlier::Probing) => Standing::Out(Bar::Probing),
            (.., Outlier::ProbeDue) => Standing::Probe,
            (_, Circuit::HalfOpen, ..) => Standing::Trial,
            (_, _, Active::Unknown, _) => Standing::Unknown,
            _ => Standing::Usable,
        }
    }

    /// Returns whether the endpoint takes a new request. An endpoint that no check has judged yet
    /// takes some only as long as too few others are known to be good.
    pub fn takes(self, view: View) -> Takes {
        match self.standing() {
            Standing::Usable => Takes::Yes,
            Standing::Probe => Takes::Probe,
            Standing::Trial => Takes::Permitted,
            Standing::Unknown if view.panic || !view.known_good => Takes::Yes,
            Standing::Out(bar) if view.panic && bar.yields_to_panic() => match self.circuit {
                Circuit::HalfOpen => Takes::Permitted,
                Circuit::Closed | Circuit::Open => Takes::Yes,
            },
            Standing::Unknown | Standing::Out(_) => Takes::No,
        }
    }

    /// Reports whether the endpoint keeps a UDP flow that it has: while it drains it does, and while
    /// it is probed, because that flow may be the probe.
    pub fn keeps_flow(self, view: View) -> bool {
        if self.admin() == Admin::Maintenance || self.agent == Agent::Down {
            return false;
        }
        match (State { operator: Admin::Ready, agent: Agent::Ready, ..self }).standing() {
            Standing::Out(Bar::Probing) => true,
            Standing::Out(bar) => view.panic && bar.yields_to_panic(),
            _ => true,
        }
    }
}

/// The numbers of an upstream's endpoints, by their standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Usable ones.
    pub usable: u32,
    /// Ones without a finished check.
    pub unknown: u32,
    /// Ones whose checks fail, that are ejected, or that wait for a probe or its result.
    pub unhealthy: u32,
    /// Ones whose breaker is open or half open.
    pub broken: u32,
    /// Ones that operator or agent took out.
    pub ordered_out: u32,
}

impl Census {
    /// Counts the endpoints.
    pub fn of(states: impl IntoIterator<Item = State>) -> Census {
        let mut census = Census::default();
        for state in states {
            let count = match state.standing() {
                Standing::Usable => &mut census.usable,
                Standing::Unknown => &mut census.unknown,
                Standing::Trial | Standing::Out(Bar::Breaker) => &mut census.broken,
                Standing::Out(Bar::Maintenance | Bar::Reported | Bar::Drain) => {
                    &mut census.ordered_out
                }
                Standing::Probe | Standing::Out(Bar::Down | Bar::Ejected | Bar::Probing) => {
                    &mut census.unhealthy
                }
            };
            *count += 1;
        }
        census
    }

    /// Reports whether the usable endpoints can do without those that no check has judged yet: they
    /// are at least as many. When a process starts, nothing is known, and the first endpoint to
    /// pass its check must not take the traffic of all.
    pub fn is_known_good(self) -> bool {
        self.usable > 0 && self.usable >= self.unknown
    }

    /// Returns how many endpoints were judged by their health: those that the panic threshold is
    /// a share of.
    pub fn judged(self) -> u32 {
        self.usable + self.unhealthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::every_state;

    const VIEWS: [View; 4] = [
        View { panic: false, known_good: false },
        View { panic: false, known_good: true },
        View { panic: true, known_good: false },
        View { panic: true, known_good: true },
    ];

    #[test]
    fn an_order_an_agent_or_an_open_breaker_stops_traffic_even_in_panic() {
        for state in every_state() {
            for view in VIEWS {
                let takes = state.takes(view);
                let ordered = state.admin() != Admin::Ready || state.agent == Agent::Down;
                if ordered || state.circuit == Circuit::Open {
                    assert_eq!(takes, Takes::No, "{state:?} {view:?}");
                } else if view.panic {
                    assert_ne!(takes, Takes::No, "{state:?} {view:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_passes_a_half_open_breaker_without_a_permit_but_a_probe() {
        for state in every_state().into_iter().filter(|s| s.circuit == Circuit::HalfOpen) {
            assert!(VIEWS.iter().all(|v| state.takes(*v) != Takes::Yes), "{state:?}");
        }
    }

    #[test]
    fn panic_only_ever_adds_endpoints() {
        for state in every_state() {
            for known_good in [false, true] {
                let calm = state.takes(View { panic: false, known_good });
                let panic = state.takes(View { panic: true, known_good });
                assert!(calm == panic || calm == Takes::No, "{state:?}");
            }
        }
    }

    #[test]
    fn an_unknown_endpoint_waits_only_while_enough_others_are_known_to_be_good() {
        let state = State::added(true, 0, 1_000);
        assert_eq!(VIEWS.map(|v| state.takes(v)), [Takes::Yes, Takes::No, Takes::Yes, Takes::Yes]);
        let census = |usable, unknown| Census { usable, unknown, ..Census::default() };
        let known = [(0, 0), (0, 3), (1, 2), (2, 2), (3, 1)].map(|(u, n)| census(u, n));
        assert_eq!(known.map(Census::is_known_good), [false, false, false, true, true]);
    }

    #[test]
    fn a_draining_endpoint_keeps_its_flows_and_one_in_maintenance_does_not() {
        let calm = View { panic: false, known_good: true };
        let panic = View { panic: true, known_good: true };
        let up = State { active: Active::Up, ..State::added(true, 0, 1_000) };
        let drains = State { operator: Admin::Drain, ..up };
        assert!(up.keeps_flow(calm) && drains.keeps_flow(calm));
        assert_eq!(drains.takes(calm), Takes::No);
        assert!(!State { agent: Agent::Maintenance, ..drains }.keeps_flow(panic));
        assert!(!State { agent: Agent::Down, ..drains }.keeps_flow(panic));
        let down = State { active: Active::Down, ..drains };
        assert!(!down.keeps_flow(calm) && down.keeps_flow(panic));
        assert!(State { outlier: Outlier::Probing, ..up }.keeps_flow(calm));
    }

    #[test]
    fn whoever_takes_newcomers_keeps_its_flows() {
        for state in every_state() {
            for view in VIEWS.into_iter().filter(|view| state.takes(*view) != Takes::No) {
                assert!(state.keeps_flow(view), "{state:?} {view:?}");
            }
        }
    }

    #[test]
    fn every_endpoint_is_counted_once() {
        let all = every_state();
        let census = Census::of(all.iter().copied());
        let sum = census.judged() + census.unknown + census.broken + census.ordered_out;
        assert_eq!(sum as usize, all.len());
        assert_eq!(census.ordered_out, 11 * 48);
    }
}
