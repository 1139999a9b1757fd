//! One pattern for a whole text that no router holds: the syntax and the automaton are those of
//! conditions on values.

use crate::automaton::{Automaton, Caches};
use crate::pattern;

/// A pattern that is compared with a whole text.
pub struct WholePattern(Automaton);

impl WholePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Says what is wrong with it, and what to write instead.
    pub fn new(text: &str) -> Result<Self, String> {
        let parsed = pattern::parse(text)?;
        Automaton::new(std::slice::from_ref(&parsed)).map(Self)
    }

    /// Reports whether it matches all of a text. A large pattern builds its states anew in each
    /// call: this is for texts that come seldom.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text, &mut Caches::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_matches_whole_texts_of_any_bytes() {
        let pattern = WholePattern::new(r"\+PONG\r\n").unwrap();
        assert!(pattern.is_match(b"+PONG\r\n"));
        assert!(!pattern.is_match(b"+PONG\r\n+PONG\r\n") && !pattern.is_match(b"+PONG"));
        assert!(WholePattern::new(r"(?s)\x00.*").unwrap().is_match(b"\0\xff\n"));
        assert!(WholePattern::new("(").is_err());
    }

    #[test]
    fn a_large_pattern_matches_as_a_small_one_does() {
        let pattern = WholePattern::new("(?:[ab]*a[ab]{300})?x{2}").unwrap();
        assert!(pattern.is_match(b"xx"));
        assert!(pattern.is_match(format!("a{}xx", "b".repeat(300)).as_bytes()));
        assert!(!pattern.is_match(format!("a{}xx", "b".repeat(299)).as_bytes()));
    }
}
