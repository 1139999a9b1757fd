//! The meaning of a collector's answer (OTLP 1.x, "OTLP/HTTP Response"), and when to try again.

use hg_dial::{Failure, Reason};
use std::time::Duration;

/// The fate of the items of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken, but so many.
    Taken { rejected: u64 },
    /// Not now; after so many seconds at the earliest.
    Again { why: Failure, after_s: u64 },
    /// Never.
    Refused { why: Failure },
}

/// The first wait before an export is tried again, the longest, and the longest that a collector may
/// ask for: by then its items are given up.
const BASE_MS: u64 = 500;
const MOST_MS: u64 = 15_000;
const MOST_ASKED_MS: u64 = 60_000;

/// Returns what an answer with this status means.
pub(crate) fn verdict(status: u16, retry_after_s: Option<u64>, body: &[u8]) -> Verdict {
    let why = Failure::new(Reason::Answer, format!("it answers {status}"));
    match status {
        200..=299 => Verdict::Taken { rejected: rejected(body).unwrap_or(0) },
        429 | 502 | 503 | 504 => Verdict::Again { why, after_s: retry_after_s.unwrap_or(0) },
        _ => Verdict::Refused { why },
    }
}

/// Returns how long to wait before the next try: twice as long each time, and up to a half less by
/// chance, so that many nodes do not come back at once.
pub(crate) fn wait(tries: u32, after_s: u64, random: u64) -> Duration {
    let whole = BASE_MS.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(MOST_MS);
    let ms = whole - random % (whole / 2 + 1);
    Duration::from_millis(ms.max(after_s.saturating_mul(1_000).min(MOST_ASKED_MS)))
}

/// Reads `partial_success.rejected_spans` of an `ExportTraceServiceResponse`, or
/// `rejected_log_records` of an `ExportLogsServiceResponse`, which are the same fields.
fn rejected(body: &[u8]) -> Option<u64> {
    let partial = fields(body).find(|(field, _)| *field == 1)?.1;
    let Value::Bytes(partial) = partial else { return None };
    match fields(partial).find(|(field, _)| *field == 1)?.1 {
        Value::Number(rejected) => Some(rejected),
        Value::Bytes(_) => None,
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Iterates over the fields of a message up to the first that cannot be read.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            2 => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                let (value, after) = rest.split_at_checked(len)?;
                rest = after;
                Value::Bytes(value)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn says(status: u16) -> Failure {
        Failure::new(Reason::Answer, format!("it answers {status}"))
    }

    #[test]
    fn what_statuses_mean() {
        assert_eq!(verdict(200, None, b""), Verdict::Taken { rejected: 0 });
        assert_eq!(verdict(202, None, b"\x0a\x02\x08\x07"), Verdict::Taken { rejected: 7 });
        for status in [429, 502, 503, 504] {
            let wanted = Verdict::Again { why: says(status), after_s: 3 };
            assert_eq!(verdict(status, Some(3), b""), wanted);
        }
        for status in [301, 400, 401, 404, 413, 500, 501] {
            let wanted = Verdict::Refused { why: says(status) };
            assert_eq!(
                verdict(status, Some(3), b""),
                wanted,
                "the standard has none of them tried again"
            );
        }
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let ms = |tries, after_s, random| wait(tries, after_s, random).as_millis();
        assert_eq!((ms(1, 0, 0), ms(2, 0, 0), ms(3, 0, 0)), (500, 1_000, 2_000));
        assert_eq!((ms(40, 0, 0), ms(0, 0, 0)), (15_000, 500));
        assert_eq!(ms(1, 2, 0), 2_000, "what it asks for");
        assert_eq!(ms(1, 30, 0), 30_000, "even if that is longer than any wait of its own");
        assert_eq!(ms(1, 1 << 60, 0), 60_000, "within the bound");
        assert!((250..=500).contains(&ms(1, 0, u64::MAX)));
    }

    proptest! {
        #[test]
        fn no_answer_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = verdict(200, None, &body);
        }
    }
}
