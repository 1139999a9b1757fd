//! What became of a connection and its streams, in a form in which the two can be compared.

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
    let mut crumbs: Vec<_> =
        fields.iter().filter(|f| f.0 == "cookie").map(|f| f.1.clone()).collect();
    fields.retain(|f| f.0 != "cookie" && f.0 != "host");
    if !crumbs.is_empty() {
        // We join no empty one, as it would leave a blank at the end.
        crumbs.retain(|crumb| !crumb.is_empty());
        fields.push(("cookie".into(), crumbs.join(&b"; "[..])));
    }
    fields.sort();
    fields
}
