//! Compiles when a route tries a request again.

use hg_plan::{Kind, ObjectError, Retry, RetryMethods, Route};
use hg_proto::Method;
use hg_resilience::{Backoff, BudgetPolicy, HedgePolicy, RetryOn, RetryPolicy};
use std::sync::Arc;

/// The conditions under which a route tries a request again.
#[derive(Debug)]
pub(crate) struct RetryTerms {
    /// The part of the plan that this was compiled from.
    pub(super) plan: Retry,
    pub(crate) policy: RetryPolicy,
    /// For all workers together.
    pub(crate) budget: BudgetPolicy,
    /// The policy by which a second try begins beside a first one that takes long.
    pub(crate) hedge: Option<HedgePolicy>,
    /// Methods that may be repeated, one bit each by [`Method::index`].
    methods: u16,
}

impl RetryTerms {
    /// Reports whether a request may be sent again although the endpoint may have processed it.
    pub(crate) fn repeats(&self, method: &Method<'_>) -> bool {
        self.methods >> method.index() & 1 == 1
    }
}

/// Every method with a number of its own.
const METHODS: [Method<'static>; 7] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Options,
    Method::Patch,
];

/// Compiles what the route says about retries; adds what is wrong to `errors`.
pub(super) fn compile(
    name: &Arc<str>,
    route: &Route,
    errors: &mut Vec<ObjectError>,
) -> Option<Box<RetryTerms>> {
    let plan = route.retry.as_ref()?;
    let mut wrong = |path: String, message: String| {
        errors.push(ObjectError { kind: Kind::Route, name: name.clone(), path, message });
    };
    let mut on = RetryOn::default();
    for (i, condition) in plan.on.iter().enumerate() {
        if !on.add(condition) {
            let allowed = "write a status from 400 to 599 or a word of the reference";
            let message = format!("`{condition}` is no reason to try again; {allowed}");
            wrong(format!("retry.on[{i}]"), message);
        }
    }
    let methods = methods(&plan.methods, &mut wrong);
    let backoff = Backoff {
        base_ms: plan.backoff.base_ms,
        factor_percent: plan.backoff.factor_percent,
        max_ms: plan.backoff.max_ms,
        jitter: plan.backoff.jitter,
    };
    Some(Box::new(RetryTerms {
        plan: plan.clone(),
        policy: RetryPolicy { retries: plan.retries, on, backoff },
        budget: BudgetPolicy {
            ratio_permille: plan.budget.percent.saturating_mul(10),
            floor_permille: plan.budget.per_second.saturating_mul(1_000),
        },
        hedge: plan.hedge.as_ref().map(|hedge| match hedge.after_ms {
            0 => HedgePolicy::P95,
            ms => HedgePolicy::After(ms),
        }),
        methods,
    }))
}

/// Returns the methods that may be repeated, one bit each.
fn methods(plan: &RetryMethods, wrong: &mut impl FnMut(String, String)) -> u16 {
    let bit = |m: &Method<'_>| 1 << m.index();
    match plan {
        RetryMethods::All => u16::MAX,
        RetryMethods::Idempotent => {
            METHODS.iter().filter(|m| m.is_idempotent()).fold(0, |all, m| all | bit(m))
        }
        RetryMethods::Only(names) => {
            let mut bits = 0;
            for (i, name) in names.iter().enumerate() {
                match METHODS.iter().find(|m| m.as_str() == name) {
                    Some(method) => bits |= bit(method),
                    None => wrong(
                        format!("retry.methods.only[{i}]"),
                        format!("`{name}` is not one of the methods that can be repeated"),
                    ),
                }
            }
            bits
        }
    }
}
