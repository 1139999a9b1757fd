//! Latency histograms: the counts of one worker, and their sum over all workers.
//!
//! A new plan may change the bounds. Whatever was counted before moves to the buckets of the new
//! bounds, as [`Histogram::add`] says, so that counts and sums never fall.

use crate::counters::{Counter, lock};
use hg_plan::{Kind, ObjectError, Plan};
use std::array::from_fn;
use std::iter;
use std::sync::Mutex;

/// Most bounds of a histogram. A search takes as many comparisons among 32 as among 17.
const MOST_BOUNDS: usize = 32;

/// Latencies counted in buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Upper bounds of the buckets in microseconds, ascending; a value equal to a bound falls into
    /// its bucket.
    pub bounds_us: Vec<u64>,
    /// Values per bucket (not cumulative); one more bucket holds everything above the last bound.
    pub counts: Vec<u64>,
    /// Sum of all values, microseconds.
    pub sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Histogram {
    /// Returns an empty one with these bounds, which ascend.
    pub fn new(bounds_us: &[u64]) -> Self {
        Self { bounds_us: bounds_us.to_vec(), counts: vec![0; bounds_us.len() + 1], sum_us: 0 }
    }

    /// Counts one value.
    pub fn record(&mut self, value_us: u64) {
        self.add(value_us, 1);
        self.sum_us = self.sum_us.saturating_add(value_us);
    }

    /// Adds values of which `most_us` is the bound, without their sum: they count in the smallest
    /// bucket that is sure to hold them.
    pub fn add(&mut self, most_us: u64, count: u64) {
        let bucket = self.bounds_us.partition_point(|bound| *bound < most_us);
        if let Some(total) = self.counts.get_mut(bucket) {
            *total += count;
        }
    }

    /// Returns its values in the buckets of other bounds. Where a bound is one of both, as many
    /// values are at most that long as before.
    #[must_use]
    pub fn in_buckets(&self, bounds_us: &[u64]) -> Self {
        let mut moved = Self::new(bounds_us);
        for (bound, count) in self.bounds_us.iter().chain([&u64::MAX]).zip(&self.counts) {
            moved.add(*bound, *count);
        }
        moved.sum_us = self.sum_us;
        moved
    }

    /// Returns how many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// A latency histogram with one writer.
#[derive(Debug)]
pub(crate) struct HistogramCounter {
    /// Ascending, then `u64::MAX` up to the end.
    bounds: [Counter; MOST_BOUNDS],
    /// By bound; the one after the last bound is for everything above.
    counts: [Counter; MOST_BOUNDS + 1],
    sum_us: Counter,
    /// Held while bounds change, and while somebody reads; never while a value is counted.
    changing: Mutex<()>,
}

impl Default for HistogramCounter {
    fn default() -> Self {
        let bounds: [Counter; MOST_BOUNDS] = from_fn(|_| Counter::default());
        bounds.iter().for_each(|bound| bound.set(u64::MAX));
        let counts = from_fn(|_| Counter::default());
        Self { bounds, counts, sum_us: Counter::default(), changing: Mutex::default() }
    }
}

impl HistogramCounter {
    /// Counts one value; without a lock or an allocation.
    pub(crate) fn record(&self, us: u64) {
        if let Some(c) = self.counts.get(self.bounds.partition_point(|b| b.get() < us)) {
            c.add(1);
        }
        self.sum_us.add(us);
    }

    /// Returns an empty one with the same bounds.
    pub(crate) fn alike(&self) -> Self {
        let alike = Self::default();
        for (bound, mine) in alike.bounds.iter().zip(&self.bounds) {
            bound.set(mine.get());
        }
        alike
    }

    /// Counts by these bounds from now on; reports whether they are others than before. Only the
    /// writer calls it.
    pub(crate) fn set_bounds(&self, bounds_us: &[u64]) -> bool {
        let bounds = || bounds_us.iter().copied().chain(iter::repeat(u64::MAX)).take(MOST_BOUNDS);
        if self.bounds.iter().map(Counter::get).eq(bounds()) {
            return false;
        }
        let mut moved = Histogram::new(bounds_us);
        self.add_to(&mut moved);
        let _changing = lock(&self.changing);
        for (slot, bound) in self.bounds.iter().zip(bounds()) {
            slot.set(bound);
        }
        let counts = moved.counts.into_iter().chain(iter::repeat(0));
        for (slot, count) in self.counts.iter().zip(counts) {
            slot.set(count);
        }
        true
    }

    /// Adds its values to a sum, which may have other bounds while a plan is swapped in.
    pub(crate) fn add_to(&self, total: &mut Histogram) {
        let _changing = lock(&self.changing);
        let bounds = self.bounds.iter().map(Counter::get).chain([u64::MAX]);
        for (bound, count) in bounds.zip(&self.counts) {
            total.add(bound, count.get());
        }
        total.sum_us += self.sum_us.get();
    }
}

/// Reports bounds that no histogram can have as mistakes in the plan.
pub(crate) fn check(plan: &Plan) -> Result<(), Vec<ObjectError>> {
    let Some(settings) = plan.settings("node") else { return Ok(()) };
    let bounds = &settings.latency_bounds_us;
    let is_rising = bounds.iter().zip(bounds.iter().skip(1)).all(|(a, b)| a < b);
    if (1..=MOST_BOUNDS).contains(&bounds.len()) && is_rising {
        return Ok(());
    }
    Err(vec![ObjectError {
        kind: Kind::Settings,
        name: "node".into(),
        path: "latency_buckets".into(),
        message: format!("these are not 1 to {MOST_BOUNDS} ascending bounds"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use hg_plan::Change;

    fn counter(bounds_us: &[u64], values_us: &[u64]) -> HistogramCounter {
        let counter = HistogramCounter::default();
        counter.set_bounds(bounds_us);
        values_us.iter().for_each(|us| counter.record(*us));
        counter
    }

    fn sum(counters: &[HistogramCounter], bounds_us: &[u64]) -> Histogram {
        let mut total = Histogram::new(bounds_us);
        counters.iter().for_each(|counter| counter.add_to(&mut total));
        total
    }

    #[test]
    fn a_value_equal_to_a_bound_falls_into_its_bucket() {
        let total = sum(&[counter(&[10, 20], &[10, 11, 20, 21, u64::from(u32::MAX)])], &[10, 20]);
        assert_eq!(total.counts, [1, 2, 2]);
        assert_eq!(total.sum_us, 62 + u64::from(u32::MAX));
    }

    #[test]
    fn as_many_bounds_as_there_may_be_have_a_bucket_each() {
        let bounds: Vec<u64> = (1..).map(|n| n * 100).take(MOST_BOUNDS).collect();
        let values: Vec<u64> = bounds.iter().copied().chain([u64::from(u32::MAX)]).collect();
        let total = sum(&[counter(&bounds, &values)], &bounds);
        assert_eq!(total.counts, vec![1; MOST_BOUNDS + 1]);
    }

    #[test]
    fn other_bounds_keep_what_was_counted_and_what_both_have_stays_exact() {
        let one = counter(&[10, 20, 40], &[5, 15, 30, 35, 90]);
        one.set_bounds(&[20, 30, 100]);
        // 30 is below neither 20 nor, for sure, 30; 90 may have been more than 100.
        assert_eq!(sum(&[one], &[20, 30, 100]).counts, [2, 0, 2, 1]);
    }

    #[test]
    fn counts_and_sums_never_fall_when_bounds_change() {
        let one = counter(&[10, 20], &[5, 15, 25]);
        for bounds in [&[1][..], &[10, 20, 30, 40, 50], &[7, 12]] {
            one.set_bounds(bounds);
            let mut total = Histogram::new(bounds);
            one.add_to(&mut total);
            assert_eq!((total.count(), total.sum_us), (3, 45));
        }
    }

    #[test]
    fn after_a_change_values_fall_into_the_new_buckets() {
        let one = counter(&[10, 20], &[]);
        one.set_bounds(&[100]);
        [15, 100, 101].iter().for_each(|us| one.record(*us));
        assert_eq!(sum(&[one], &[100]).counts, [2, 1]);
    }

    #[test]
    fn a_worker_with_the_bounds_of_the_last_plan_is_part_of_the_sum() {
        let workers = [counter(&[10, 20], &[5, 15]), counter(&[15], &[5, 15, 16])];
        assert_eq!(sum(&workers, &[15]).counts, [3, 2]);
    }

    #[test]
    fn a_plan_with_bounds_that_do_not_ascend_is_refused() {
        for (bounds, is_well) in [("[1]", true), ("[1,2]", true), ("[2,2]", false), ("[]", false)] {
            let bytes = Some(format!(r#"{{"latency_bounds_us":{bounds}}}"#).into_bytes());
            let mut plan = Plan::default();
            plan.apply(&[Change { kind: Kind::Settings, name: "node".into(), bytes }]).unwrap();
            assert_eq!(check(&plan).is_ok(), is_well, "{bounds}");
        }
    }
}
