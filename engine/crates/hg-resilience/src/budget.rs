//! The retry budget: how many retries and hedges the last ten seconds allow.
//!
//! It counts requests of the last seconds, as linkerd and Finagle do, and not requests in flight:
//! those shrink just when everything fails. A retry is withdrawn before its back-off, so that a
//! wave of retries does not come out at once. Each worker has its own, with its share of the floor.

use crate::seconds::Seconds;

/// The retries that a budget allows, in thousandths of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// Retries for each request.
    pub ratio_permille: u32,
    /// Retries for each second, whatever the requests.
    pub floor_permille: u32,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { ratio_permille: 200, floor_permille: 3_000 }
    }
}

impl BudgetPolicy {
    /// Returns the policy of one of so many workers, which share the floor.
    pub fn share(self, workers: u32) -> BudgetPolicy {
        Self { floor_permille: self.floor_permille.div_ceil(workers.max(1)), ..self }
    }
}

/// Seconds that count.
const SECONDS: usize = 10;
const RETRY: u64 = 1_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Second {
    requests: u32,
    retries: u32,
}

/// The budget of one upstream in one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    seconds: Seconds<Second, SECONDS>,
}

impl Budget {
    /// Counts a request; a retry of it is none.
    pub fn deposit(&mut self, now_ms: u64) {
        if let Some(second) = self.seconds.present(now_ms) {
            second.requests = second.requests.saturating_add(1);
        }
    }

    /// Takes a retry out; returns false, and takes nothing, if there is none left.
    #[must_use]
    pub fn withdraw(&mut self, policy: &BudgetPolicy, now_ms: u64) -> bool {
        if self.balance(policy, now_ms) == 0 {
            return false;
        }
        let Some(second) = self.seconds.present(now_ms) else {
            return false;
        };
        second.retries = second.retries.saturating_add(1);
        true
    }

    /// Returns how many retries are left now.
    pub fn balance(&mut self, policy: &BudgetPolicy, now_ms: u64) -> u64 {
        let (mut requests, mut retries) = (0u64, 0u64);
        for second in self.seconds.last(now_ms, SECONDS as u64) {
            requests += u64::from(second.requests);
            retries += u64::from(second.retries);
        }
        let earned = requests.saturating_mul(policy.ratio_permille.into());
        let floor = u64::from(policy.floor_permille) * SECONDS as u64;
        let spent = retries.saturating_mul(RETRY);
        earned.saturating_add(floor).saturating_sub(spent) / RETRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: BudgetPolicy = BudgetPolicy { ratio_permille: 200, floor_permille: 3_000 };

    fn drain(budget: &mut Budget, policy: &BudgetPolicy, now_ms: u64) -> u32 {
        (0..).take_while(|_| budget.withdraw(policy, now_ms)).count() as u32
    }

    #[test]
    fn the_floor_is_there_without_any_request() {
        let mut budget = Budget::default();
        assert_eq!(drain(&mut budget, &POLICY, 0), 30);
        assert_eq!(drain(&mut budget, &POLICY, 9_999), 0);
        assert_eq!(drain(&mut budget, &POLICY, 10_000), 30);
    }

    #[test]
    fn a_fifth_of_the_requests_of_the_last_ten_seconds_may_be_retried() {
        let none = BudgetPolicy { floor_permille: 0, ..POLICY };
        let mut budget = Budget::default();
        for _ in 0..4 {
            budget.deposit(500);
        }
        assert_eq!(budget.balance(&none, 500), 0, "four fifths of a retry");
        budget.deposit(1_500);
        assert_eq!(budget.balance(&none, 1_500), 1);
        assert_eq!(budget.balance(&none, 9_999), 1);
        assert_eq!(budget.balance(&none, 10_000), 0, "the first four expired");
    }

    #[test]
    fn workers_share_the_floor_and_lose_nothing_of_it() {
        for workers in 0..20 {
            let share = POLICY.share(workers).floor_permille;
            assert!(share * workers.max(1) >= 3_000 && share * workers.max(1) < 3_000 + 20);
        }
    }

    #[test]
    fn a_budget_of_zeros_allows_nothing() {
        let zero = BudgetPolicy { ratio_permille: 0, floor_permille: 0 };
        let mut budget = Budget::default();
        budget.deposit(0);
        assert!(!budget.withdraw(&zero, 0));
    }

    proptest! {
        #[test]
        fn a_budget_is_never_overdrawn_when_a_retry_is_taken(
            steps in prop::collection::vec((0u64..1_500, 0u32..20, 0u32..20), 1..60),
            ratio_permille in 0u32..1_500,
            floor_permille in 0u32..5_000,
        ) {
            let policy = BudgetPolicy { ratio_permille, floor_permille };
            let (mut budget, mut now_ms) = (Budget::default(), 0);
            let (mut requests, mut retries): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
            for (step, sent, wanted) in steps {
                now_ms += step;
                let now_s = now_ms / 1_000;
                for _ in 0..sent {
                    budget.deposit(now_ms);
                    requests.push(now_s);
                }
                for _ in 0..wanted {
                    let before = budget.balance(&policy, now_ms);
                    let taken = budget.withdraw(&policy, now_ms);
                    prop_assert_eq!(taken, before > 0);
                    retries.extend(taken.then_some(now_s));
                    let recent = |all: &[u64]| all.iter().filter(|s| **s + 10 > now_s).count() as u64;
                    let allowed = recent(&requests) * u64::from(ratio_permille)
                        + u64::from(floor_permille) * 10;
                    prop_assert!(!taken || recent(&retries) * 1_000 <= allowed);
                }
            }
        }
    }
}
