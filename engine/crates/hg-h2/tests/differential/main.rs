//! The same bytes to a session of ours and to one of the `h2` crate, as servers: the same class of
//! outcome for the connection and for each stream, the same fields, the same bodies.
//!
//! Where the outcomes differ, a rule in `explain.rs` must say why; anything else fails. The number of
//! inputs is `DIFFERENTIAL` (3,000), the first seed `DIFFERENTIAL_SEED` (1).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs
)]

mod explain;
mod make;
mod ours;
mod theirs;

use std::collections::BTreeMap;

/// The crate drops the scheme of a request without `:authority`.
pub const DROPPED: &str = "?";

/// What became of one stream.
#[derive(Clone, Default, PartialEq)]
pub struct Stream {
    /// Method, scheme, authority, path, then the fields, sorted.
    pub head: Option<Vec<(String, Vec<u8>)>>,
    pub body: Vec<u8>,
    pub ended: bool,
    pub trailers: Option<Vec<(String, Vec<u8>)>>,
    /// It was reset by the peer.
    pub cut: bool,
    /// The session refused or reset it; the reason, if it tells.
    pub refused: Option<&'static str>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |fields: &Option<Vec<(String, Vec<u8>)>>| {
            let line = |(n, v): &(String, Vec<u8>)| format!("{n}={}", v.escape_ascii());
            fields.as_ref().map(|all| all.iter().map(line).collect::<Vec<_>>().join(" "))
        };
        let Stream { body, ended, cut, refused, .. } = self;
        let (head, trailers) = (text(&self.head), text(&self.trailers));
        write!(
            f,
            "{head:?} body {} {ended} trailers {trailers:?} cut {cut} refused {refused:?}",
            body.len()
        )
    }
}

/// What became of a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub streams: BTreeMap<u32, Stream>,
    /// The code of a GOAWAY that is an error, and our reason.
    pub closed: Option<(u32, &'static str)>,
    /// The peer sent GOAWAY.
    pub away: bool,
}

/// Brings fields into an order and form in which the two can be compared.
pub fn sorted(mut fields: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let crumbs: Vec<_> = fields.iter().filter(|f| f.0 == "cookie").map(|f| f.1.clone()).collect();
    fields.retain(|f| f.0 != "cookie" && f.0 != "host");
    if !crumbs.is_empty() {
        fields.push(("cookie".into(), crumbs.join(&b"; "[..])));
    }
    fields.sort();
    fields
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn a_session_and_the_h2_crate_agree() {
    let first = number("DIFFERENTIAL_SEED", 1);
    let mut explained: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut alive, mut wrong) = (0, Vec::new());
    for seed in first..first + number("DIFFERENTIAL", 3000) {
        let bytes = make::connection(seed);
        let (ours, theirs) = (ours::serve(&bytes), theirs::serve(&bytes));
        alive += u64::from(ours.closed.is_none());
        for (what, why) in explain::differences(&ours, &theirs, &bytes) {
            match why {
                Some(why) => *explained.entry(why).or_default() += 1,
                None => wrong.push(format!(
                    "seed {seed}: {what}\n  {}\n  {ours:?}\n  {theirs:?}",
                    bytes.escape_ascii()
                )),
            }
        }
    }
    println!("{alive} connections stayed open; explained differences: {explained:#?}");
    let first: Vec<_> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} differences: {}", wrong.len(), first.join("\n"));
    assert!(alive > 0);
}
