//! `Retry-After` (RFC 9110 §10.2.3).

use std::time::UNIX_EPOCH;

/// Returns the seconds that an answer asks to wait: a number, or the time to a date, 0 for one that
/// has passed. `None` for anything else.
pub fn retry_after(value: &[u8], now_unix_s: u64) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // One that does not fit is longer than anybody waits.
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(at.as_secs().saturating_sub(now_unix_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        let date: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, seconds) in [
            (&b"0"[..], Some(0)),
            (b"120", Some(120)),
            (b" 7\t", Some(7)),
            (b"99999999999999999999999", Some(u64::MAX)),
            (date, Some(37)),
            (b"Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"1.5", None),
            (b"soon", None),
            (b"\xff", None),
        ] {
            assert_eq!(retry_after(value, 784_111_740), seconds, "{value:?}");
        }
    }
}
