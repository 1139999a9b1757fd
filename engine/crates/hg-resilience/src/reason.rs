//! The reason why the state of an endpoint last changed.

/// Makes the enumeration, its list and its texts from one table.
macro_rules! reasons {
    ($($name:ident, $key:literal, $text:literal;)*) => {
        /// The reason why the state of an endpoint last changed; each text is a clause about the
        /// endpoint ("it").
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// All reasons, in the order of the enumeration.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// Returns the name that events, metrics and the admin API use.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $key,)* }
            }

            /// Returns the clause that says it to a person.
            pub fn text(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    Added, "added", "the config added it";
    ChecksOn, "checks-on", "the config added a health check";
    ChecksOff, "checks-off", "the config removed its health check";
    CheckPassed, "check-passed", "its checks passed";
    CheckConnect, "check-connect", "its checks could not connect";
    CheckNoRoute, "check-no-route", "its checks found no route to it";
    CheckTls, "check-tls", "the TLS handshake of its checks failed";
    CheckTimeout, "check-timeout", "its checks got no answer in time";
    CheckLost, "check-lost", "the connection of its checks broke";
    CheckStatus, "check-status", "its checks got an unexpected status";
    CheckBody, "check-body", "its checks got an unexpected body";
    CheckAnswer, "check-answer", "its checks got an unexpected answer";
    CheckUnreachable, "check-unreachable", "ICMP told its checks that nothing listens there";
    CheckProtocol, "check-protocol", "its checks got an answer that breaks the protocol";
    Consecutive5xx, "consecutive-5xx", "it answered with 5xx too many times in a row";
    ConsecutiveGateway, "consecutive-gateway", "it answered with 502, 503 or 504 too many times in a row";
    ConsecutiveLocal, "consecutive-local", "too many requests in a row got no answer from it";
    SuccessRate, "success-rate", "its success rate was far below that of the other endpoints";
    FailurePercentage, "failure-percentage", "too large a part of its answers failed";
    SparedLimit, "spared-limit", "it failed too often, but no more endpoints may be ejected";
    SparedDryRun, "spared-dry-run", "it failed too often, but outlier detection does not enforce this";
    EjectionOver, "ejection-over", "its ejection ended";
    ProbeTaken, "probe-taken", "one request probes it";
    ProbePassed, "probe-passed", "the request that probed it succeeded";
    ProbeFailed, "probe-failed", "the request that probed it failed";
    ProbeLost, "probe-lost", "the request that probed it ended without a verdict";
    OutliersOff, "outliers-off", "the config switched outlier detection off";
    BreakerFailures, "breaker-failures", "its breaker opened after too many failures in a row";
    BreakerRatio, "breaker-ratio", "its breaker opened because too large a part of its answers failed";
    BreakerLatency, "breaker-latency", "its breaker opened because too many of its answers were slow";
    BreakerProbe, "breaker-probe", "its breaker opened again because a request failed while it was half open";
    BreakerHalfOpened, "breaker-half-opened", "its breaker is half open and lets a few requests through";
    BreakerClosed, "breaker-closed", "its breaker closed";
    OperatorReady, "operator-ready", "an operator set it to ready";
    OperatorDrain, "operator-drain", "an operator set it to drain";
    OperatorMaintenance, "operator-maintenance", "an operator set it to maintenance";
    AgentReady, "agent-ready", "its agent reported that it is ready";
    AgentDrain, "agent-drain", "its agent asked to drain it";
    AgentDown, "agent-down", "its agent reported that it is down";
    AgentMaintenance, "agent-maintenance", "its agent asked for maintenance";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn reasons_fit_into_six_bits_and_have_names_of_their_own() {
        assert!(Reason::ALL.len() <= 64);
        let names: HashSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        let texts: HashSet<_> = Reason::ALL.iter().map(|r| r.text()).collect();
        assert_eq!((names.len(), texts.len()), (Reason::ALL.len(), Reason::ALL.len()));
        assert!(Reason::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
    }
}
