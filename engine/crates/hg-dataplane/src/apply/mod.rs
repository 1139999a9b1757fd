//! From an `Apply` stream to a plan that every worker serves, or to the reasons why not.
//!
//! [`ApplyMachine`] assembles a transaction (pure), [`Applier`] carries it out, and [`ApplyThread`]
//! runs it on a thread of its own, so that compiling never holds up the control link.

mod applier;
mod machine;
mod references;
mod thread;

pub use applier::{Applier, Outcome};
pub use machine::{ApplyMachine, Fault, Step};
pub use thread::ApplyThread;
