//! The outcomes of tries: one taxonomy for breaker, outliers, budget, latency, log and metrics.

/// The outcome of a try at one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer that is no failure of the endpoint; a 404 is one.
    Ok,
    /// An answer with 5xx other than those of [`Outcome::Gateway`].
    ServerError,
    /// An answer with 502, 503 or 504.
    Gateway,
    /// No connection, or no TLS handshake: the endpoint received nothing of the request.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection or stream broke before the end of the answer.
    Reset,
    /// The endpoint broke the protocol.
    Protocol,
    /// An answer with 429, or `RESOURCE_EXHAUSTED`: the endpoint wants less.
    Limited,
    /// The endpoint said that it processed nothing: `REFUSED_STREAM`, or GOAWAY below the stream.
    Refused,
    /// The client or the proxy gave up; says nothing about the endpoint.
    Cancelled,
}

/// The conclusion from an outcome about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It fails.
    Bad,
    /// It works but wants less: a failure in ratios and for a probe, and no part of a streak.
    Throttled,
    /// Nothing.
    Neutral,
}

impl Outcome {
    /// All outcomes, in the order of the enumeration.
    pub const ALL: [Outcome; 10] = [
        Outcome::Ok,
        Outcome::ServerError,
        Outcome::Gateway,
        Outcome::Connect,
        Outcome::Timeout,
        Outcome::Reset,
        Outcome::Protocol,
        Outcome::Limited,
        Outcome::Refused,
        Outcome::Cancelled,
    ];

    /// Returns the outcome of an answer with this HTTP status.
    pub fn of_status(status: u16) -> Outcome {
        match status {
            429 => Outcome::Limited,
            502..=504 => Outcome::Gateway,
            500.. => Outcome::ServerError,
            _ => Outcome::Ok,
        }
    }

    /// Returns the outcome of an answer with this `grpc-status`: UNAVAILABLE and DEADLINE_EXCEEDED
    /// are what 503 and 504 are in HTTP; UNKNOWN, INTERNAL and DATA_LOSS are server errors; what
    /// the call itself brought about (NOT_FOUND, UNIMPLEMENTED …) is no failure of the endpoint. A
    /// code that gRPC does not know counts as UNKNOWN, as its specification says.
    pub fn of_grpc(code: u32) -> Outcome {
        match code {
            8 => Outcome::Limited,
            4 | 14 => Outcome::Gateway,
            2 | 13 | 15 => Outcome::ServerError,
            0..=16 => Outcome::Ok,
            _ => Outcome::ServerError,
        }
    }

    /// Returns the name that log, metrics and config use.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ServerError => "5xx",
            Outcome::Gateway => "gateway",
            Outcome::Connect => "connect",
            Outcome::Timeout => "timeout",
            Outcome::Reset => "reset",
            Outcome::Protocol => "protocol",
            Outcome::Limited => "limited",
            Outcome::Refused => "refused",
            Outcome::Cancelled => "cancelled",
        }
    }

    /// Returns what the outcome says about the endpoint.
    pub fn verdict(self) -> Verdict {
        match self {
            Outcome::Ok => Verdict::Good,
            Outcome::ServerError | Outcome::Gateway => Verdict::Bad,
            Outcome::Connect | Outcome::Timeout | Outcome::Reset | Outcome::Protocol => {
                Verdict::Bad
            }
            Outcome::Limited => Verdict::Throttled,
            Outcome::Refused | Outcome::Cancelled => Verdict::Neutral,
        }
    }

    /// Reports whether the proxy saw the failure itself instead of reading it from an answer.
    pub fn is_local(self) -> bool {
        matches!(self, Outcome::Connect | Outcome::Timeout | Outcome::Reset | Outcome::Protocol)
    }

    /// Reports whether the endpoint certainly processed nothing, so that every method may be tried
    /// again (RFC 9113 §8.7).
    pub fn is_unprocessed(self) -> bool {
        matches!(self, Outcome::Connect | Outcome::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_at_the_edges_have_their_outcome() {
        for (status, outcome) in [
            (200, Outcome::Ok),
            (404, Outcome::Ok),
            (428, Outcome::Ok),
            (429, Outcome::Limited),
            (499, Outcome::Ok),
            (500, Outcome::ServerError),
            (501, Outcome::ServerError),
            (502, Outcome::Gateway),
            (504, Outcome::Gateway),
            (505, Outcome::ServerError),
            (599, Outcome::ServerError),
        ] {
            assert_eq!(Outcome::of_status(status), outcome, "{status}");
        }
    }

    #[test]
    fn only_what_the_endpoint_did_counts_among_grpc_codes() {
        let count = |outcome| (0..=16).filter(|c| Outcome::of_grpc(*c) == outcome).count();
        assert_eq!(count(Outcome::Gateway), 2);
        assert_eq!(count(Outcome::ServerError), 3);
        assert_eq!(count(Outcome::Limited), 1);
        assert_eq!(count(Outcome::Ok), 11);
        assert_eq!(Outcome::of_grpc(17), Outcome::ServerError);
    }

    #[test]
    fn refused_and_cancelled_never_count_against_an_endpoint() {
        for outcome in Outcome::ALL {
            let neutral = matches!(outcome, Outcome::Refused | Outcome::Cancelled);
            assert_eq!(outcome.verdict() == Verdict::Neutral, neutral, "{outcome:?}");
            assert!(!outcome.is_local() || outcome.verdict() == Verdict::Bad, "{outcome:?}");
        }
    }
}
