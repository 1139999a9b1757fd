//! The sentence that says why an endpoint gets traffic or not.
//!
//! It is made of the same functions that decide, so that it cannot say otherwise.

use crate::{Bar, Census, FULL_WEIGHT, Reason, Standing, State, Takes, View};
use std::fmt::{Display, Formatter, Result};

/// The reason why an endpoint gets traffic or not; displays as one sentence without a full stop.
#[derive(Clone, Copy, Debug)]
pub struct Why {
    /// The state of the endpoint.
    pub state: State,
    /// The facts that decide besides its own state.
    pub view: View,
    /// The numbers of its upstream's endpoints, by their standing.
    pub census: Census,
    /// The panic threshold.
    pub panic_below_percent: u8,
    /// The time at which its ejection ends, if that is known.
    pub until_ms: Option<u64>,
    /// The present time.
    pub now_ms: u64,
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.takes(f)?;
        let ago = Span(self.now_ms.saturating_sub(self.state.changed_ms));
        write!(f, "; last change {ago} ago: {}", self.state.reason.text())
    }
}

impl Why {
    fn takes(&self, f: &mut Formatter<'_>) -> Result {
        match self.state.takes(self.view) {
            Takes::Yes => self.takes_all(f),
            Takes::Probe => write!(f, "takes one request as a probe: its ejection ended"),
            Takes::Permitted => write!(f, "takes a few requests: its breaker is half open"),
            Takes::No => {
                write!(f, "takes no traffic: ")?;
                self.because(f)?;
                match (self.state.standing(), self.until_ms) {
                    (Standing::Out(Bar::Ejected | Bar::Breaker), Some(until_ms)) => {
                        let left = Span(until_ms.saturating_sub(self.now_ms));
                        write!(f, "; it is tried again in {left}")
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn takes_all(&self, f: &mut Formatter<'_>) -> Result {
        match self.state.standing() {
            Standing::Out(_) => {
                write!(f, "takes traffic although ")?;
                self.because(f)?;
                self.panic(f)
            }
            Standing::Unknown if self.view.panic => {
                write!(f, "takes traffic although no check has finished")?;
                self.panic(f)
            }
            Standing::Unknown => write!(
                f,
                "takes traffic although no check has finished: too few others are known to be good"
            ),
            _ if self.state.weight < FULL_WEIGHT => {
                let percent = self.state.weight / 10;
                write!(f, "takes {percent} % of its share of traffic: it starts slowly")
            }
            _ if self.is_spared() => write!(f, "takes traffic although it looked bad"),
            _ => write!(f, "takes traffic: nothing is known against it"),
        }
    }

    fn is_spared(&self) -> bool {
        matches!(self.state.reason, Reason::SparedLimit | Reason::SparedDryRun)
    }

    fn panic(&self, f: &mut Formatter<'_>) -> Result {
        let (usable, judged) = (self.census.usable, self.census.judged());
        let below = self.panic_below_percent;
        write!(f, ": panic, {usable} of {judged} endpoints are usable, the threshold is {below} %")
    }

    fn because(&self, f: &mut Formatter<'_>) -> Result {
        let who =
            if self.state.operator == self.state.admin() { "the operator" } else { "its agent" };
        match self.state.standing() {
            Standing::Out(Bar::Maintenance) => write!(f, "{who} set maintenance"),
            Standing::Out(Bar::Reported) => write!(f, "its agent reports that it is down"),
            Standing::Out(Bar::Drain) => write!(f, "{who} drains it"),
            Standing::Out(Bar::Breaker) => write!(f, "its breaker is open"),
            Standing::Out(Bar::Down) => write!(f, "its checks fail"),
            Standing::Out(Bar::Ejected) => write!(f, "it is ejected"),
            Standing::Out(Bar::Probing) => write!(f, "one request probes it"),
            Standing::Unknown => {
                write!(f, "no check has finished, and enough others are known to be good")
            }
            Standing::Usable | Standing::Probe | Standing::Trial => Ok(()),
        }
    }
}

/// A time as a person says it: in its largest unit, rounded down.
struct Span(u64);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            ms @ 0..1_000 => write!(f, "{ms} ms"),
            ms @ 1_000..120_000 => write!(f, "{} s", ms / 1_000),
            ms @ 120_000..7_200_000 => write!(f, "{} min", ms / 60_000),
            ms => write!(f, "{} h", ms / 3_600_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::every_state;
    use crate::{Active, Agent, Circuit, Outlier};

    const CENSUS: Census =
        Census { usable: 1, unknown: 0, unhealthy: 3, broken: 0, ordered_out: 0 };

    fn why(state: State, panic: bool) -> String {
        let view = View { panic, known_good: true };
        let now_ms = state.changed_ms + 12_000;
        let until_ms = Some(now_ms + 18_500);
        Why { state, view, census: CENSUS, panic_below_percent: 30, until_ms, now_ms }.to_string()
    }

    fn state(reason: Reason) -> State {
        State { reason, ..State::added(false, 1_000, FULL_WEIGHT) }
    }

    #[test]
    fn sentences_say_what_happens_why_and_since_when() {
        let ejected = State { outlier: Outlier::Ejected, ..state(Reason::Consecutive5xx) };
        let down = State { active: Active::Down, ..state(Reason::CheckTimeout) };
        let open = State { circuit: Circuit::Open, ..state(Reason::BreakerFailures) };
        let cold = State { weight: 350, ..state(Reason::ProbePassed) };
        for (state, panic, text) in [
            (
                ejected,
                false,
                "takes no traffic: it is ejected; it is tried again in 18 s; \
                last change 12 s ago: it answered with 5xx too many times in a row",
            ),
            (
                down,
                true,
                "takes traffic although its checks fail: panic, 1 of 4 endpoints are \
                usable, the threshold is 30 %; last change 12 s ago: its checks got no answer in \
                time",
            ),
            (
                open,
                true,
                "takes no traffic: its breaker is open; it is tried again in 18 s; last \
                change 12 s ago: its breaker opened after too many failures in a row",
            ),
            (
                cold,
                false,
                "takes 35 % of its share of traffic: it starts slowly; last change 12 s \
                ago: the request that probed it succeeded",
            ),
            (
                state(Reason::SparedLimit),
                false,
                "takes traffic although it looked bad; last change \
                12 s ago: it failed too often, but no more endpoints may be ejected",
            ),
        ] {
            assert_eq!(why(state, panic), text);
        }
    }

    #[test]
    fn sentences_say_what_an_agent_wants() {
        let drain = State { agent: Agent::Drain, ..state(Reason::AgentDrain) };
        let reported = State { agent: Agent::Down, ..state(Reason::AgentDown) };
        let told = "takes no traffic: its agent drains it; last change 12 s ago: its agent asked \
                    to drain it";
        assert_eq!(why(drain, true), told);
        let told = "takes no traffic: its agent reports that it is down; last change 12 s ago: \
                    its agent reported that it is down";
        assert_eq!(why(reported, true), told);
    }

    #[test]
    fn the_sentence_of_every_state_says_what_the_decision_is() {
        for state in every_state() {
            for panic in [false, true] {
                let text = why(state, panic);
                let takes = state.takes(View { panic, known_good: true });
                assert_eq!(takes == Takes::No, text.starts_with("takes no traffic: "), "{text}");
                assert!(!text.contains(": ;") && !text.contains("although ;"), "{text}");
                assert!(text.ends_with(state.reason.text()), "{text}");
            }
        }
    }

    #[test]
    fn spans_have_one_unit() {
        let spans = [0, 999, 1_000, 119_999, 120_000, 7_199_999, 7_200_000];
        let texts = spans.map(|ms| Span(ms).to_string());
        assert_eq!(texts, ["0 ms", "999 ms", "1 s", "119 s", "2 min", "119 min", "2 h"]);
    }
}
