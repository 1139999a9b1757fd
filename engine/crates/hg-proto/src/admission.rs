//! Decides which of a client's header lines are accepted; the others are dropped before anything
//! reads them.

use crate::fields::Tag;
use crate::known::Known;

/// The rule for which of a client's header lines are accepted. The default accepts the fewest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Accepts lines that say who the client is, because the peer is trusted.
    pub claims: bool,
    /// Accepts names with `_` in them.
    pub underscores: bool,
}

impl Admission {
    /// For a trusted peer, with `_` in names.
    pub const MOST: Admission = Admission { claims: true, underscores: true };

    /// Reports whether a line with this name, a token, is accepted.
    pub fn takes(self, name: &[u8]) -> bool {
        self.withholds(Known::of(name), name).is_none()
    }

    /// Returns why a line is dropped, if it is.
    #[inline]
    fn withholds(self, known: Known, name: &[u8]) -> Option<Why> {
        if known.is_client_claim() && !self.claims {
            return Some(Why::Claim);
        }
        if known != Known::Other && !known.is_family() || name.iter().all(|b| is_usual(*b)) {
            return None;
        }
        self.withholds_unusual(known, name)
    }

    /// Decides about a name with other characters than letters, digits and hyphens.
    #[cold]
    fn withholds_unusual(self, known: Known, name: &[u8]) -> Option<Why> {
        if known == Known::Other && Known::folded(name) != Known::Other {
            return Some(Why::Lookalike);
        }
        (name.contains(&b'_') && !self.underscores).then_some(Why::Underscore)
    }
}

fn is_usual(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

enum Why {
    Claim,
    Lookalike,
    Underscore,
}

/// The number of lines of a head that were dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Lines that say who the client is, from a peer that is not trusted.
    pub claims: u16,
    /// Lines that a backend which reads every character but letters and digits as `_` would mistake
    /// for one that the proxy acts upon. The proxy always drops them, whoever sends them.
    pub lookalikes: u16,
    /// Lines with a `_` in their name.
    pub underscores: u16,
}

impl Withheld {
    /// Reports whether every line was accepted.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Counts a line if it is dropped; returns whether it is accepted.
    #[inline]
    pub(crate) fn note(&mut self, admission: Admission, known: Known, name: &[u8]) -> bool {
        match admission.withholds(known, name) {
            None => return true,
            Some(Why::Claim) => self.claims += 1,
            Some(Why::Lookalike) => self.lookalikes += 1,
            Some(Why::Underscore) => self.underscores += 1,
        }
        false
    }
}

/// Moves the accepted lines to the front, in order; returns their number.
#[cold]
pub(crate) fn sift(
    admission: Admission,
    headers: &mut [httparse::Header<'_>],
    tags: &mut [Tag],
) -> usize {
    let mut taken = 0;
    for at in 0..headers.len() {
        let (Some(header), Some(tag)) = (headers.get(at), tags.get(at)) else {
            break;
        };
        if admission.withholds(tag.known, header.name.as_bytes()).is_none() {
            headers.swap(taken, at);
            tags.swap(taken, at);
            taken += 1;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeaderSlots, Limits, Parse, parse_request};

    /// Returns the names of the accepted lines after `host`, and what was dropped.
    fn taken(names: &[&str], admission: Admission) -> (Vec<String>, Withheld) {
        let lines: String = names.iter().map(|n| format!("{n}: 1\r\n")).collect();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut slots = HeaderSlots::new();
        match parse_request(text.as_bytes(), &mut slots, &Limits::default(), admission) {
            Ok(Parse::Complete(head)) => {
                (head.fields.iter().skip(1).map(|f| f.name.into()).collect(), head.withheld)
            }
            other => panic!("{other:?}"),
        }
    }

    const CLAIMS: [&str; 24] = [
        "X-Real-IP",
        "x-forwarded-for",
        "X-Forwarded",
        "X-Forwarded-Anything",
        "X-Original-Forwarded-For",
        "Forwarded",
        "Forwarded-For",
        "Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "CF-Connecting-IPv6",
        "Fastly-Client-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Envoy-External-Address",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Client-Cert",
        "X-Client-Certificate",
        "X-SSL-Client-Verify",
        "SSL-Client-Subject-DN",
        "X-Amzn-Mtls-Clientcert-Leaf",
        "X-ARR-ClientCert",
        "X-TLS-Client-Cert",
    ];

    #[test]
    fn claims_are_taken_from_trusted_peers_only() {
        let (names, withheld) = taken(&CLAIMS, Admission::default());
        assert_eq!(names, [""; 0]);
        assert_eq!(withheld, Withheld { claims: 24, ..Withheld::default() });
        let trusted = Admission { claims: true, underscores: false };
        let (names, withheld) = taken(&CLAIMS, trusted);
        assert_eq!(names, CLAIMS);
        assert!(withheld.is_none());
    }

    #[test]
    fn every_spelling_that_folds_onto_a_claim_is_withheld_from_everybody() {
        let mut spellings = Vec::new();
        for name in CLAIMS {
            for other in ["_", ".", "!", "|", "~"] {
                if name.contains('-') {
                    spellings.push(name.replace('-', other));
                    spellings.push(name.replacen('-', other, 1));
                }
            }
        }
        for name in ["Content_Length", "Transfer.Encoding", "X_Request_Id", "x-request_id"] {
            spellings.push(name.into());
        }
        let names: Vec<&str> = spellings.iter().map(String::as_str).collect();
        for some in names.chunks(90) {
            for claims in [false, true] {
                let (names, withheld) = taken(some, Admission { claims, underscores: true });
                // `X-Forwarded_Foo` begins like a claim and counts as one.
                let count = withheld.claims + withheld.lookalikes;
                let left = names.iter().filter(|n| !Known::of(n.as_bytes()).is_client_claim());
                assert_eq!(left.count(), 0, "{names:?}");
                assert_eq!(usize::from(count) + names.len(), some.len());
                assert!(claims || names.is_empty());
            }
        }
    }

    #[test]
    fn underscores_are_kept_on_request_and_order_stays() {
        let names = ["A", "x_y", "B", "X-Real-IP", "c.d", "E"];
        let (left, withheld) = taken(&names, Admission::default());
        assert_eq!(left, ["A", "B", "c.d", "E"]);
        assert_eq!(withheld, Withheld { claims: 1, lookalikes: 0, underscores: 1 });
        let (left, _) = taken(&names, Admission { claims: false, underscores: true });
        assert_eq!(left, ["A", "x_y", "B", "c.d", "E"]);
    }

    #[test]
    fn a_long_name_is_judged_by_its_beginning() {
        let name = format!("X_Forwarded_{}", "a".repeat(200));
        let (left, withheld) = taken(&[&name], Admission::MOST);
        assert!(left.is_empty());
        assert_eq!(withheld.lookalikes, 1);
    }
}
