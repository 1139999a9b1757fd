//! `Accept-Encoding` (RFC 9110 §12.5.3): what a client takes, and which coding it gets.

use crate::coding::Coding;

/// Members of the list that are read; what follows them is left out. Browsers send four.
pub const MOST_MEMBERS: usize = 64;

/// A weight in thousandths (RFC 9110 §12.4.2), 0 to 1000.
type Weight = u16;

const FULL: Weight = 1000;

/// The codings that a client accepts, by its `Accept-Encoding` lines.
///
/// A member that is not well-formed counts as one that refuses its coding, and of two members of
/// the same coding the lower weight counts: a client gets a coding only if it asked for it beyond
/// doubt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    codings: [Option<Weight>; Coding::ALL.len()],
    identity: Option<Weight>,
    any: Option<Weight>,
    members: usize,
}

impl Accept {
    /// Makes what a request without the field says: nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the value of one line.
    pub fn line(&mut self, value: &[u8]) {
        for member in value.split(|b| *b == b',') {
            let member = member.trim_ascii();
            if member.is_empty() {
                continue;
            }
            if self.members == MOST_MEMBERS {
                return;
            }
            self.members += 1;
            self.member(member);
        }
    }

    fn member(&mut self, member: &[u8]) {
        let mut parts = member.splitn(2, |b| *b == b';');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let weight = parts.next().map_or(FULL, |text| weight(text).unwrap_or(0));
        let known = Coding::of_token(name).and_then(|c| self.codings.get_mut(c.index()));
        let place = match known {
            Some(place) => place,
            None if name == b"*" => &mut self.any,
            None if name.eq_ignore_ascii_case(b"identity") => &mut self.identity,
            None => return,
        };
        *place = Some(place.map_or(weight, |before| before.min(weight)));
    }

    /// Returns the weight of a coding; 0 = not taken.
    fn weight(&self, coding: Coding) -> Weight {
        let named = self.codings.get(coding.index()).copied().flatten();
        named.or(self.any).unwrap_or(0)
    }

    /// Returns the coding that an answer gets, from those offered in the order of our preference:
    /// the first of the highest weight. `None`: the answer stays as it is, because the client takes
    /// none of them, or prefers `identity`, or said nothing.
    pub fn choose(&self, offered: &[Coding]) -> Option<Coding> {
        let mut best: Option<(Coding, Weight)> = None;
        for coding in offered {
            let weight = self.weight(*coding);
            if weight > best.map_or(0, |(_, best)| best) {
                best = Some((*coding, weight));
            }
        }
        let (coding, weight) = best?;
        (weight >= self.identity.unwrap_or(0)).then_some(coding)
    }

    /// Reports whether the client takes an answer without any coding: unless it refuses that by
    /// name, or by `*` without naming it.
    pub fn takes_identity(&self) -> bool {
        self.identity.or(self.any.filter(|any| *any == 0)) != Some(0)
    }
}

/// Reads `q=0.5`, with optional white space around it; `None` if it is anything else.
fn weight(text: &[u8]) -> Option<Weight> {
    let (name, value) = text.trim_ascii().split_first_chunk::<2>()?;
    if !name.eq_ignore_ascii_case(b"q=") {
        return None;
    }
    let (whole, rest) = value.split_first()?;
    let digits = match rest.split_first() {
        None => &[][..],
        Some((b'.', digits)) if digits.len() <= 3 => digits,
        Some(_) => return None,
    };
    let mut thousandths: Weight = 0;
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths = thousandths * 10 + Weight::from(digit - b'0');
    }
    match (whole, thousandths) {
        (b'0', n) => Some(n),
        (b'1', 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
