//! Resilience: which endpoints deserve traffic, and why; and what may be tried again.
//!
//! Owns the state of an endpoint and what changes it, when its checks are due and what their results
//! mean, what the ends of requests say of it, its breaker, the panic threshold, and the decision to
//! try a request again with its back-off and budget. Never reads a clock, never draws randomness of
//! its own and never does I/O: callers pass in milliseconds or microseconds of one monotonic clock
//! and 64 random bits where a decision needs them. A clock that runs backwards counts as one that
//! stands.
//!
//! Workers share one atomic word per endpoint ([`Shared`]), which is written on changes
//! alone, and [`Streaks`] and [`Breaker`], which are written while something fails; a request that
//! succeeds only reads. [`Check`], [`Ejection`], [`Window`] and [`Panic`] belong to the thread that
//! watches the endpoints, [`Budget`] and [`Quantile`] to a worker.

mod agent;
mod backoff;
mod breaker;
mod budget;
mod checks;
mod ejection;
mod enforcement;
mod expected;
mod explain;
mod gradient;
mod hedge;
mod machine;
mod outcome;
mod outliers;
mod pace;
mod panic;
mod random;
mod reason;
mod retry;
mod seconds;
mod shared;
mod shedding;
mod slow_start;
mod standing;
mod state;
mod streaks;
mod trip;
mod window;

pub use agent::{Report, Said};
pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerPolicy, Permit, Turn};
pub use budget::{Budget, BudgetPolicy};
pub use checks::{Check, CheckPolicy};
pub use ejection::{Ejection, EjectionPolicy};
pub use enforcement::{Bench, EnforcePolicy};
pub use expected::Expected;
pub use explain::Why;
pub use gradient::{Gradient, GradientPolicy};
pub use hedge::{Hedge, HedgePolicy, Quantile};
pub use machine::{ACTIVE_ROWS, CIRCUIT_ROWS, Event, Kind, OUTLIER_ROWS};
pub use outcome::{Outcome, Verdict};
pub use outliers::{OutlierPolicy, sweep};
pub use pace::{Pace, PacePolicy};
pub use panic::{Panic, PanicPolicy};
pub use reason::Reason;
pub use retry::{Attempt, Decision, RetryOn, RetryPolicy, Status, Stop};
pub use shared::{Change, Epoch, Shared};
pub use shedding::{Importance, Level, Marks, Overload, Shedder, SheddingPolicy};
pub use slow_start::SlowStart;
pub use standing::{Bar, Census, Standing, Takes, View};
pub use state::{Active, Admin, Agent, Circuit, FULL_WEIGHT, Outlier, State};
pub use streaks::{StreakPolicy, Streaks};
pub use trip::Trip;
pub use window::{Counts, Window};
