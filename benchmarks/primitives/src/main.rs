//! What one core does in a second of the decisions that requests need, beside the crates that are
//! best known for them: prints one line of JSON, by decision and by who makes it, in millions.
//!
//! All contenders of a decision get the same requests, in turns; of the turns the median counts.

mod limits;
mod routes;

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// Operations of a turn.
pub const TURN: usize = 500_000;
const TURNS: usize = 9;

/// One that makes a decision: does a turn's operations, and returns a sum that depends on all.
pub struct Contender<'a> {
    name: &'static str,
    turn: Box<dyn FnMut() -> u64 + 'a>,
}

impl<'a> Contender<'a> {
    /// `turn` does [`TURN`] operations and returns how many of them ended well.
    pub fn new(name: &'static str, turn: impl FnMut() -> u64 + 'a) -> Self {
        Self { name, turn: Box::new(turn) }
    }
}

/// Decisions by name: millions in a second by who makes them.
type Found = BTreeMap<&'static str, BTreeMap<&'static str, f64>>;

/// Has the contenders do a turn that is not counted and then nine each. It is an error if an
/// operation does not end well: all limits are wide enough, and all requests have a route.
pub fn compare(
    found: &mut Found,
    decision: &'static str,
    mut all: Vec<Contender<'_>>,
) -> Result<(), Box<dyn Error>> {
    let mut took: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for number in 0..=TURNS {
        for one in &mut all {
            let begun = Instant::now();
            let good = black_box((one.turn)());
            let seconds = begun.elapsed().as_secs_f64();
            if good != TURN as u64 {
                return Err(format!("{decision}, {}: {good} of {TURN}", one.name).into());
            }
            if number > 0 {
                took.entry(one.name).or_default().push(seconds);
            }
        }
    }
    for (name, mut times) in took {
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY);
        found.entry(decision).or_default().insert(name, TURN as f64 / median / 1e6);
    }
    Ok(())
}

/// Returns numbers below `below` in an order that no cache predicts.
pub fn scattered(n: usize, below: usize) -> usize {
    ((n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as usize % below
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut found = Found::new();
    limits::measure(&mut found)?;
    routes::measure(&mut found)?;
    let rows: Vec<String> = found
        .iter()
        .map(|(decision, by)| {
            let cells: Vec<_> = by.iter().map(|(name, m)| format!("\"{name}\":{m:.3}")).collect();
            format!("\"{decision}\":{{{}}}", cells.join(","))
        })
        .collect();
    println!("{{{}}}", rows.join(","));
    Ok(())
}
