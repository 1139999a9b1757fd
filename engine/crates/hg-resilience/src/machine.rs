//! The changes of an endpoint's state: three tables and one step.
//!
//! Active checks, outlier detection and breaker each have a table of rows (from, kind of event,
//! to); an event that has no row for the present state changes nothing. Operator and agent set
//! their part directly. The parts change independently; [`State::standing`] joins them.

use crate::{Active, Admin, Agent, Circuit, FULL_WEIGHT, Outlier, Reason, Standing, State};

/// An event that concerns an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An operator ordered this.
    Operator(Admin),
    /// The endpoint's agent reported this.
    Agent(Agent),
    /// The config added checks.
    ChecksOn,
    /// The config removed the checks.
    ChecksOff,
    /// Enough checks passed.
    CheckPassed,
    /// Enough checks failed, and why.
    CheckFailed(Reason),
    /// Outlier detection ejects it, and why.
    Eject(Reason),
    /// It failed enough to be ejected and stays, and why.
    Spare(Reason),
    /// Its ejection is over.
    EjectionOver,
    /// A request that probes it was sent.
    ProbeTaken,
    /// The request that probed it succeeded.
    ProbePassed,
    /// The request that probed it failed.
    ProbeFailed,
    /// The request that probed it told nothing, or never came back.
    ProbeLost,
    /// The config switched outlier detection off.
    OutliersOff,
    /// Its breaker opened, and why.
    BreakerOpened(Reason),
    /// Its breaker lets a few requests through.
    BreakerHalfOpened,
    /// Its breaker closed.
    BreakerClosed,
    /// Slow start reached this weight.
    Warmed(u16),
}

/// An event without its cause: what the tables are keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of `Event`")]
pub enum Kind {
    Operator,
    Agent,
    ChecksOn,
    ChecksOff,
    CheckPassed,
    CheckFailed,
    Eject,
    Spare,
    EjectionOver,
    ProbeTaken,
    ProbePassed,
    ProbeFailed,
    ProbeLost,
    OutliersOff,
    BreakerOpened,
    BreakerHalfOpened,
    BreakerClosed,
    Warmed,
}

/// Active checks: from, event, to.
pub const ACTIVE_ROWS: &[(Active, Kind, Active)] = &[
    (Active::Unchecked, Kind::ChecksOn, Active::Unknown),
    (Active::Unknown, Kind::CheckPassed, Active::Up),
    (Active::Unknown, Kind::CheckFailed, Active::Down),
    (Active::Up, Kind::CheckFailed, Active::Down),
    (Active::Down, Kind::CheckPassed, Active::Up),
    (Active::Unknown, Kind::ChecksOff, Active::Unchecked),
    (Active::Up, Kind::ChecksOff, Active::Unchecked),
    (Active::Down, Kind::ChecksOff, Active::Unchecked),
];

/// Outlier detection: from, event, to. Checks that pass after they failed bring the probe forward:
/// the endpoint was probably restarted. They do not end an ejection, because an endpoint may pass
/// its checks and fail its requests.
pub const OUTLIER_ROWS: &[(Outlier, Kind, Outlier)] = &[
    (Outlier::In, Kind::Eject, Outlier::Ejected),
    (Outlier::In, Kind::Spare, Outlier::In),
    (Outlier::Ejected, Kind::EjectionOver, Outlier::ProbeDue),
    (Outlier::Ejected, Kind::CheckPassed, Outlier::ProbeDue),
    (Outlier::ProbeDue, Kind::ProbeTaken, Outlier::Probing),
    (Outlier::Probing, Kind::ProbePassed, Outlier::In),
    (Outlier::Probing, Kind::ProbeFailed, Outlier::Ejected),
    (Outlier::Probing, Kind::ProbeLost, Outlier::ProbeDue),
    (Outlier::Ejected, Kind::OutliersOff, Outlier::In),
    (Outlier::ProbeDue, Kind::OutliersOff, Outlier::In),
    (Outlier::Probing, Kind::OutliersOff, Outlier::In),
];

/// The breaker: from, event, to.
pub const CIRCUIT_ROWS: &[(Circuit, Kind, Circuit)] = &[
    (Circuit::Closed, Kind::BreakerOpened, Circuit::Open),
    (Circuit::Open, Kind::BreakerHalfOpened, Circuit::HalfOpen),
    (Circuit::HalfOpen, Kind::BreakerOpened, Circuit::Open),
    (Circuit::HalfOpen, Kind::BreakerClosed, Circuit::Closed),
    (Circuit::Open, Kind::BreakerClosed, Circuit::Closed),
];

impl Event {
    /// Returns the event without its cause.
    pub fn kind(self) -> Kind {
        match self {
            Event::Operator(_) => Kind::Operator,
            Event::Agent(_) => Kind::Agent,
            Event::ChecksOn => Kind::ChecksOn,
            Event::ChecksOff => Kind::ChecksOff,
            Event::CheckPassed => Kind::CheckPassed,
            Event::CheckFailed(_) => Kind::CheckFailed,
            Event::Eject(_) => Kind::Eject,
            Event::Spare(_) => Kind::Spare,
            Event::EjectionOver => Kind::EjectionOver,
            Event::ProbeTaken => Kind::ProbeTaken,
            Event::ProbePassed => Kind::ProbePassed,
            Event::ProbeFailed => Kind::ProbeFailed,
            Event::ProbeLost => Kind::ProbeLost,
            Event::OutliersOff => Kind::OutliersOff,
            Event::BreakerOpened(_) => Kind::BreakerOpened,
            Event::BreakerHalfOpened => Kind::BreakerHalfOpened,
            Event::BreakerClosed => Kind::BreakerClosed,
            Event::Warmed(_) => Kind::Warmed,
        }
    }

    /// Returns the reason that the event leaves behind; none for a step of slow start.
    pub fn reason(self) -> Option<Reason> {
        Some(match self {
            Event::Operator(Admin::Ready) => Reason::OperatorReady,
            Event::Operator(Admin::Drain) => Reason::OperatorDrain,
            Event::Operator(Admin::Maintenance) => Reason::OperatorMaintenance,
            Event::Agent(Agent::Ready) => Reason::AgentReady,
            Event::Agent(Agent::Drain) => Reason::AgentDrain,
            Event::Agent(Agent::Down) => Reason::AgentDown,
            Event::Agent(Agent::Maintenance) => Reason::AgentMaintenance,
            Event::ChecksOn => Reason::ChecksOn,
            Event::ChecksOff => Reason::ChecksOff,
            Event::CheckPassed => Reason::CheckPassed,
            Event::CheckFailed(why) | Event::Eject(why) => why,
            Event::Spare(why) | Event::BreakerOpened(why) => why,
            Event::EjectionOver => Reason::EjectionOver,
            Event::ProbeTaken => Reason::ProbeTaken,
            Event::ProbePassed => Reason::ProbePassed,
            Event::ProbeFailed => Reason::ProbeFailed,
            Event::ProbeLost => Reason::ProbeLost,
            Event::OutliersOff => Reason::OutliersOff,
            Event::BreakerHalfOpened => Reason::BreakerHalfOpened,
            Event::BreakerClosed => Reason::BreakerClosed,
            Event::Warmed(_) => return None,
        })
    }
}

impl State {
    /// Returns the state after an event, or nothing if the event changes nothing in this state.
    ///
    /// `start_weight` is what an endpoint begins with that becomes usable by this event. A time
    /// before the last change counts as the time of the last change.
    #[must_use]
    pub fn step(self, event: Event, now_ms: u64, start_weight: u16) -> Option<State> {
        let Some(reason) = event.reason() else {
            return self.warmed(event);
        };
        let mut next = self.moved(event)?;
        next.reason = reason;
        next.changed_ms = now_ms.clamp(self.changed_ms, State::LAST_MS.max(self.changed_ms));
        next.weight = match (self.standing(), next.standing()) {
            (Standing::Usable, Standing::Usable) => self.weight,
            (_, Standing::Usable) => start_weight.min(FULL_WEIGHT),
            _ => FULL_WEIGHT,
        };
        Some(next)
    }

    /// Returns the state with the parts changed that have a row for the event.
    fn moved(self, event: Event) -> Option<State> {
        let kind = event.kind();
        let active = row(ACTIVE_ROWS, self.active, kind);
        let outlier = row(OUTLIER_ROWS, self.outlier, kind);
        let circuit = row(CIRCUIT_ROWS, self.circuit, kind);
        let mut next = self;
        match event {
            Event::Operator(admin) if admin != self.operator => next.operator = admin,
            Event::Agent(agent) if agent != self.agent => next.agent = agent,
            // A verdict that is known already says nothing new about an ejection either.
            Event::CheckPassed if active.is_none() => return None,
            _ if active.is_some() || outlier.is_some() || circuit.is_some() => {}
            _ => return None,
        }
        next.active = active.unwrap_or(self.active);
        next.outlier = outlier.unwrap_or(self.outlier);
        next.circuit = circuit.unwrap_or(self.circuit);
        Some(next)
    }

    fn warmed(self, event: Event) -> Option<State> {
        let Event::Warmed(weight) = event else {
            return None;
        };
        let weight = weight.min(FULL_WEIGHT);
        let moves = self.standing() == Standing::Usable && weight > self.weight;
        moves.then_some(State { weight, ..self })
    }
}

fn row<S: Copy + PartialEq>(rows: &[(S, Kind, S)], from: S, kind: Kind) -> Option<S> {
    rows.iter().find(|(at, on, _)| *at == from && *on == kind).map(|(_, _, to)| *to)
}

#[cfg(test)]
mod tests;
