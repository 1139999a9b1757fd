//! Time as text, rendered once a second.

use std::io::Write as _;

/// The text of the last second written; each worker has its own.
#[derive(Clone, Debug)]
pub struct TimeCache {
    second: u64,
    /// `2026-11-20T08:59:02`
    rfc3339: Vec<u8>,
    /// `20/Nov/2026:08:59:02 +0000`
    common: Vec<u8>,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Default for TimeCache {
    fn default() -> Self {
        let mut cache = Self { second: 0, rfc3339: Vec::new(), common: Vec::new() };
        cache.compute(0);
        cache
    }
}

impl TimeCache {
    /// Makes an empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends RFC 3339 in UTC with microseconds, `2026-11-20T08:59:02.000123Z`; `time_us` counts
    /// from 1970-01-01.
    pub fn push_rfc3339(&mut self, time_us: u64, out: &mut Vec<u8>) {
        self.refresh(time_us / 1_000_000);
        out.extend_from_slice(&self.rfc3339);
        let mut digits = *b".000000Z";
        let mut micros = time_us % 1_000_000;
        for digit in digits.iter_mut().skip(1).take(6).rev() {
            *digit += (micros % 10) as u8;
            micros /= 10;
        }
        out.extend_from_slice(&digits);
    }

    /// Appends the time of the common log format, `20/Nov/2026:08:59:02 +0000`.
    pub fn push_common(&mut self, time_us: u64, out: &mut Vec<u8>) {
        self.refresh(time_us / 1_000_000);
        out.extend_from_slice(&self.common);
    }

    fn refresh(&mut self, second: u64) {
        if second != self.second {
            self.compute(second);
        }
    }

    fn compute(&mut self, second: u64) {
        self.second = second;
        let (year, month, day) = civil(second / 86_400);
        let (h, m, s) = (second / 3600 % 24, second / 60 % 60, second % 60);
        let name = MONTHS.get(month as usize - 1).copied().unwrap_or("Jan");
        self.rfc3339.clear();
        self.common.clear();
        // Writing to a vector does not fail.
        let _ = write!(self.rfc3339, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}");
        let _ = write!(self.common, "{day:02}/{name}/{year:04}:{h:02}:{m:02}:{s:02} +0000");
    }
}

/// Returns year, month (1–12) and day of a day counted from 1970-01-01, in the proleptic Gregorian
/// calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(time_us: u64) -> String {
        let mut out = Vec::new();
        TimeCache::new().push_rfc3339(time_us, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_times() {
        for (second, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_767_225_599, "2025-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(rfc3339(second * 1_000_000 + 42), format!("{text}.000042Z"));
        }
    }

    #[test]
    fn a_cache_follows_the_time_both_ways() {
        let mut cache = TimeCache::new();
        let mut out = Vec::new();
        for time_us in [1_999_999, 2_000_000, 1_000_000] {
            cache.push_rfc3339(time_us, &mut out);
            cache.push_common(time_us, &mut out);
            out.push(b'\n');
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1970-01-01T00:00:01.999999Z01/Jan/1970:00:00:01 +0000\n\
             1970-01-01T00:00:02.000000Z01/Jan/1970:00:00:02 +0000\n\
             1970-01-01T00:00:01.000000Z01/Jan/1970:00:00:01 +0000\n"
        );
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(0);
        for day in 1..60_000 {
            let next = civil(day);
            assert!(next > last && (1..=12).contains(&next.1) && (1..=31).contains(&next.2));
            assert!(next.2 == last.2 + 1 || next.2 == 1);
            last = next;
        }
    }
}
