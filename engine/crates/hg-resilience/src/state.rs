//! The state of one endpoint, and the word that holds it.

use crate::Reason;

/// The weight of an endpoint that takes its full share, in thousandths.
pub const FULL_WEIGHT: u16 = 1_000;

/// The order of an operator or agent for an endpoint; a later variant is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Admin {
    /// It may take traffic.
    Ready,
    /// No new requests, except those of sessions that belong to it.
    Drain,
    /// No request at all.
    Maintenance,
}

/// The report of an endpoint's agent; a later variant is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    /// It may take traffic.
    Ready,
    /// No new requests, except those of sessions that belong to it.
    Drain,
    /// It does not work.
    Down,
    /// No request at all.
    Maintenance,
}

impl Agent {
    /// Returns the order that it amounts to; a report that it is down is none.
    pub fn admin(self) -> Admin {
        match self {
            Agent::Ready | Agent::Down => Admin::Ready,
            Agent::Drain => Admin::Drain,
            Agent::Maintenance => Admin::Maintenance,
        }
    }
}

/// The verdict of active checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Active {
    /// No check is configured.
    Unchecked,
    /// No check has finished yet.
    Unknown,
    /// The checks pass.
    Up,
    /// The checks fail.
    Down,
}

/// The verdict of outlier detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outlier {
    /// Nothing against it.
    In,
    /// Takes no traffic for a while.
    Ejected,
    /// The next request probes it.
    ProbeDue,
    /// One request probes it now.
    Probing,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Circuit {
    /// Lets everything through.
    Closed,
    /// Lets nothing through.
    Open,
    /// Lets a few requests through to learn from them.
    HalfOpen,
}

/// Everything that is known about an endpoint; 64 bits as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The operator's order.
    pub operator: Admin,
    /// The report of the endpoint's agent; only the agent undoes it.
    pub agent: Agent,
    /// The verdict of active checks.
    pub active: Active,
    /// The verdict of outlier detection.
    pub outlier: Outlier,
    /// The state of the endpoint's breaker.
    pub circuit: Circuit,
    /// Share of its traffic while it starts slowly, in thousandths; at most [`FULL_WEIGHT`].
    pub weight: u16,
    /// The reason why it last changed; a step of slow start is not a change.
    pub reason: Reason,
    /// The time at which it last changed; at most [`State::LAST_MS`].
    pub changed_ms: u64,
}

const AGENT: u32 = 2;
const ACTIVE: u32 = 4;
const OUTLIER: u32 = 6;
const CIRCUIT: u32 = 8;
const WEIGHT: u32 = 10;
const REASON: u32 = 20;
const CHANGED: u32 = 26;

impl State {
    /// The last time that a word can hold: 8.7 years after the clock's start.
    pub const LAST_MS: u64 = (1 << (64 - CHANGED)) - 1;

    /// Makes the state of an endpoint that was just added, with this share of traffic to start
    /// with.
    pub fn added(checked: bool, now_ms: u64, start_weight: u16) -> State {
        State {
            operator: Admin::Ready,
            agent: Agent::Ready,
            active: if checked { Active::Unknown } else { Active::Unchecked },
            outlier: Outlier::In,
            circuit: Circuit::Closed,
            weight: start_weight.min(FULL_WEIGHT),
            reason: Reason::Added,
            changed_ms: now_ms.min(State::LAST_MS),
        }
    }

    /// Returns the stronger of what operator and agent want.
    pub fn admin(self) -> Admin {
        self.operator.max(self.agent.admin())
    }

    /// Returns the state as a word.
    pub fn to_word(self) -> u64 {
        self.operator as u64
            | (self.agent as u64) << AGENT
            | (self.active as u64) << ACTIVE
            | (self.outlier as u64) << OUTLIER
            | (self.circuit as u64) << CIRCUIT
            | u64::from(self.weight.min(FULL_WEIGHT)) << WEIGHT
            | (self.reason as u64) << REASON
            | self.changed_ms.min(State::LAST_MS) << CHANGED
    }

    /// Returns the state that a word of [`State::to_word`] holds.
    pub fn from_word(word: u64) -> State {
        let reason = (word >> REASON & 0x3f) as usize;
        State {
            operator: admin(word),
            agent: match word >> AGENT & 3 {
                0 => Agent::Ready,
                1 => Agent::Drain,
                2 => Agent::Down,
                _ => Agent::Maintenance,
            },
            active: match word >> ACTIVE & 3 {
                0 => Active::Unchecked,
                1 => Active::Unknown,
                2 => Active::Up,
                _ => Active::Down,
            },
            outlier: match word >> OUTLIER & 3 {
                0 => Outlier::In,
                1 => Outlier::Ejected,
                2 => Outlier::ProbeDue,
                _ => Outlier::Probing,
            },
            circuit: circuit(word >> CIRCUIT),
            weight: (word >> WEIGHT & 0x3ff) as u16,
            reason: Reason::ALL.get(reason).copied().unwrap_or(Reason::Added),
            changed_ms: word >> CHANGED,
        }
    }
}

fn admin(bits: u64) -> Admin {
    match bits & 3 {
        0 => Admin::Ready,
        1 => Admin::Drain,
        _ => Admin::Maintenance,
    }
}

/// Reads a circuit from the two lowest bits.
pub(crate) fn circuit(bits: u64) -> Circuit {
    match bits & 3 {
        0 => Circuit::Closed,
        1 => Circuit::Open,
        _ => Circuit::HalfOpen,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const ADMINS: [Admin; 3] = [Admin::Ready, Admin::Drain, Admin::Maintenance];
    const AGENTS: [Agent; 4] = [Agent::Ready, Agent::Drain, Agent::Down, Agent::Maintenance];
    const ACTIVES: [Active; 4] = [Active::Unchecked, Active::Unknown, Active::Up, Active::Down];
    const OUTLIERS: [Outlier; 4] =
        [Outlier::In, Outlier::Ejected, Outlier::ProbeDue, Outlier::Probing];
    const CIRCUITS: [Circuit; 3] = [Circuit::Closed, Circuit::Open, Circuit::HalfOpen];

    /// Returns every state: 576, all changed at 1,000 ms.
    pub(crate) fn every_state() -> Vec<State> {
        let mut all = Vec::new();
        for (operator, agent) in ADMINS.iter().flat_map(|o| AGENTS.map(|a| (*o, a))) {
            for (active, outlier) in ACTIVES.iter().flat_map(|a| OUTLIERS.map(|o| (*a, o))) {
                for circuit in CIRCUITS {
                    let base = State::added(true, 1_000, FULL_WEIGHT);
                    all.push(State { operator, agent, active, outlier, circuit, ..base });
                }
            }
        }
        all
    }

    #[test]
    fn every_state_survives_its_word() {
        for (i, state) in every_state().into_iter().enumerate() {
            let reason = Reason::ALL[i % Reason::ALL.len()];
            let weight = (i * 7 % 1_001) as u16;
            for changed_ms in [0, 1, State::LAST_MS] {
                let state = State { reason, weight, changed_ms, ..state };
                assert_eq!(State::from_word(state.to_word()), state);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_held_at_the_most() {
        let state = State { changed_ms: u64::MAX, weight: u16::MAX, ..every_state()[0] };
        let read = State::from_word(state.to_word());
        assert_eq!((read.changed_ms, read.weight), (State::LAST_MS, FULL_WEIGHT));
        assert_eq!(State::added(false, u64::MAX, 0).changed_ms, State::LAST_MS);
    }
}
