//! The meaning of a refusal for the endpoint, and of an answer for the connection after it.

use super::*;

#[test]
fn a_refusal_says_of_the_endpoint_what_the_endpoint_did() {
    for (reject, expected) in [
        (own::REFUSED, Outcome::Refused),
        (own::PROTOCOL, Outcome::Protocol),
        (own::FIRST_BYTE_TIMEOUT, Outcome::Timeout),
        (own::LOST, Outcome::Reset),
        (own::RESPONSE_TRUNCATED, Outcome::Reset),
    ] {
        let of = |e: Option<&Exchange>| outcome_of(&reject, e);
        let mut e = Exchange::default();
        assert_eq!((of(None), of(Some(&e))), (expected, expected), "{}", reject.code);
        // The client still has to send, or to take what was answered.
        let slow = if expected == Outcome::Timeout { Outcome::Cancelled } else { expected };
        e.request.done = false;
        assert_eq!(of(Some(&e)), slow, "{}", reject.code);
        (e.request.done, e.answered) = (true, true);
        assert_eq!(of(Some(&e)), slow, "{}", reject.code);
    }
}

#[test]
fn an_answer_says_what_becomes_of_the_connection_where_its_version_does_not() {
    for (keep, version, expected) in [
        (false, Version::H10, Persistence::Close),
        (false, Version::H11, Persistence::Close),
        (true, Version::H10, Persistence::KeepAlive),
        (true, Version::H11, Persistence::Implied),
        (true, Version::H2, Persistence::Implied),
    ] {
        assert_eq!(persistence(keep, version), expected, "{keep} {version:?}");
    }
}
