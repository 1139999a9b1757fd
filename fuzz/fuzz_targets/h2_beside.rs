//! A session beside one of the `h2` crate: what libFuzzer chooses becomes a connection that is often
//! right and sometimes not, and both must make the same of it, but for the reasons in `explain.rs`.
#![no_main]

#[path = "../../engine/crates/hg-h2/tests/differential/explain.rs"]
mod explain;
#[path = "../../engine/crates/hg-h2/tests/differential/make.rs"]
mod make;
#[path = "../../engine/crates/hg-h2/tests/differential/ours.rs"]
mod ours;
#[path = "../../engine/crates/hg-h2/tests/differential/outcome.rs"]
mod outcome;
#[path = "../../engine/crates/hg-h2/tests/differential/theirs.rs"]
mod theirs;

use outcome::{DROPPED, Outcome, Stream, sorted};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes = make::connection(make::Rng::of_bytes(data));
    let (ours, theirs) = (ours::serve(&bytes), theirs::serve(&bytes));
    for (what, why) in explain::differences(&ours, &theirs, &bytes) {
        assert!(why.is_some(), "{what}\n  {}\n  {ours:?}\n  {theirs:?}", bytes.escape_ascii());
    }
});
