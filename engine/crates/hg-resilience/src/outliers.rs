//! Outliers by numbers: endpoints that fail too much in themselves, or far more than the others.

use crate::{Counts, Reason};

/// The conditions under which the sweep finds an outlier. Streaks have a separate policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierPolicy {
    /// Endpoints with enough requests that a comparison needs.
    pub success_rate_endpoints: u32,
    /// Requests that make an endpoint part of the comparison.
    pub success_rate_requests: u32,
    /// Standard deviations below the mean that make an outlier, in thousandths; 0 is off.
    pub success_rate_deviation: u32,
    /// The part of failures that makes an outlier, whatever the others do; 0 is off.
    pub failure_percent: u8,
    /// Requests that this needs.
    pub failure_requests: u32,
}

impl Default for OutlierPolicy {
    fn default() -> Self {
        Self {
            success_rate_endpoints: 5,
            success_rate_requests: 100,
            success_rate_deviation: 1_900,
            failure_percent: 50,
            failure_requests: 20,
        }
    }
}

impl OutlierPolicy {
    /// Reports whether it finds anything.
    pub fn is_on(&self) -> bool {
        self.failure_percent > 0 || self.success_rate_deviation > 0
    }

    /// Returns whether an endpoint with these counts fails too much, whatever the others do.
    fn fails(&self, counts: Counts) -> bool {
        self.failure_percent > 0
            && counts.total() >= self.failure_requests.max(1)
            && counts.reaches(counts.failed, self.failure_percent)
    }

    /// Returns the success rate that takes part in the comparison.
    fn compared(&self, counts: Counts) -> Option<f64> {
        let enough = counts.total() >= self.success_rate_requests.max(1);
        counts.success_rate().filter(|_| enough)
    }

    /// Returns the success rate below which an endpoint is an outlier; `None` if too few endpoints
    /// have enough requests.
    fn bar<'a>(&self, all: impl Iterator<Item = &'a Counts> + Clone) -> Option<f64> {
        let rates = all.filter_map(|counts| self.compared(*counts));
        let count = rates.clone().count();
        if self.success_rate_deviation == 0 || count < self.success_rate_endpoints.max(2) as usize {
            return None;
        }
        let mean = rates.clone().sum::<f64>() / count as f64;
        let variance = rates.map(|rate| (rate - mean).powi(2)).sum::<f64>() / count as f64;
        Some(mean - variance.sqrt() * f64::from(self.success_rate_deviation) / 1_000.0)
    }
}

/// Calls `found` with index and reason of each outlier. `all` has the counts of the endpoints, and
/// none of those that are ejected now. Costs three passes and no allocation.
pub fn sweep(all: &[Counts], policy: &OutlierPolicy, mut found: impl FnMut(usize, Reason)) {
    let bar = policy.bar(all.iter());
    for (index, counts) in all.iter().enumerate() {
        if policy.fails(*counts) {
            found(index, Reason::FailurePercentage);
        } else if let (Some(bar), Some(rate)) = (bar, policy.compared(*counts))
            && rate < bar
        {
            found(index, Reason::SuccessRate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(good: u32, failed: u32) -> Counts {
        Counts { good, failed, slow: 0 }
    }

    fn found(all: &[Counts], policy: &OutlierPolicy) -> Vec<(usize, Reason)> {
        let mut list = Vec::new();
        sweep(all, policy, |index, reason| list.push((index, reason)));
        list
    }

    #[test]
    fn a_single_endpoint_with_enough_failures_is_found() {
        let policy = OutlierPolicy::default();
        let alone = |good, failed| found(&[counts(good, failed)], &policy);
        assert_eq!(alone(10, 10), [(0, Reason::FailurePercentage)]);
        assert_eq!(alone(11, 10), [], "below half");
        assert_eq!(alone(0, 19), [], "too few requests");
        assert_eq!(alone(0, 20), [(0, Reason::FailurePercentage)]);
        assert_eq!(alone(0, 0), []);
        let off = OutlierPolicy { failure_percent: 0, ..policy };
        assert_eq!(found(&[counts(0, 99)], &off), []);
    }

    #[test]
    fn the_one_far_below_the_others_is_found() {
        let policy = OutlierPolicy::default();
        let mut all = [counts(1_000, 0); 10];
        all[3] = counts(800, 200);
        assert_eq!(found(&all, &policy), [(3, Reason::SuccessRate)]);
        assert_eq!(found(&[counts(990, 10); 10], &policy), [], "all are the same");
        let off = OutlierPolicy { success_rate_deviation: 0, ..policy };
        assert_eq!(found(&all, &off), []);
    }

    #[test]
    fn a_comparison_needs_enough_endpoints_with_enough_requests() {
        let policy = OutlierPolicy { success_rate_deviation: 1_000, ..OutlierPolicy::default() };
        let mut all = [counts(100, 0); 5];
        all[0] = counts(60, 40);
        assert_eq!(found(&all, &policy), [(0, Reason::SuccessRate)]);
        assert_eq!(found(&all[..4], &policy), [], "four endpoints");
        all[4] = counts(99, 0);
        assert_eq!(found(&all, &policy), [], "four with 100 requests");
    }
}
