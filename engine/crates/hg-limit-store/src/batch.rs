//! Reports of one turn, as one charge for each key.

use crate::session::Charge;
use hg_limit::{Common, Desk, Report};
use std::collections::HashMap;
use std::sync::Arc;

/// Most charges, and most reports, of one turn.
const CHARGES: usize = 512;
const REPORTS: usize = 16_384;

/// Charges that are made together.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) charges: Vec<Charge>,
    /// Of each charge, what it charges.
    reports: Vec<Vec<Report>>,
}

impl Batch {
    /// Takes what workers have left, as far as a turn goes.
    pub(crate) fn gather(desk: &Desk) -> Self {
        let (mut it, mut places) = (Self::default(), HashMap::new());
        for _ in 0..REPORTS {
            if it.reports.len() >= CHARGES {
                break;
            }
            let Some(report) = desk.take() else { break };
            let whose = Arc::as_ptr(report.limit());
            let place = *places.entry((whose, report.common().0)).or_insert(it.reports.len());
            match it.reports.get_mut(place) {
                Some(reports) => reports.push(report),
                None => it.reports.push(vec![report]),
            }
        }
        let nodes = desk.nodes();
        it.charges = it.reports.iter().filter_map(|reports| charge(reports, nodes)).collect();
        it
    }

    /// Returns how many reports there are.
    pub(crate) fn len(&self) -> usize {
        self.reports.iter().map(Vec::len).sum()
    }

    /// Takes over what the store answered to each charge, in their order.
    pub(crate) fn told(self, now_us: u64, ahead_us: &[u64]) {
        for (reports, ahead) in self.reports.into_iter().zip(ahead_us) {
            let limit: Option<Arc<Common>> = reports.first().map(|one| one.limit().clone());
            if let Some(limit) = limit {
                limit.told(reports, now_us, *ahead);
            }
        }
    }
}

fn charge(reports: &[Report], nodes: u32) -> Option<Charge> {
    let last = reports.last()?;
    let limit = last.limit();
    let cost = reports.iter().fold(0u32, |sum, one| sum.saturating_add(one.cost()));
    Some(Charge {
        name: limit.name(),
        key: last.common().0,
        charge_us: limit.rate().earns_us(cost),
        most_us: limit.most_ahead_us((last.cost(), last.burst()), nodes),
    })
}
