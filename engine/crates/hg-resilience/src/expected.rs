//! The condition on the answer to a check that sends bytes, and the verdict on an answer as it
//! comes.

use hg_plan::{BytesCheck, Expect};
use hg_route::WholePattern;

/// The most bytes of a connection's answer that are looked at.
const MOST: usize = 16 * 1024;
/// The most bytes of an answer that are told.
const TOLD: usize = 48;

/// The condition on an answer.
pub struct Expected {
    condition: Condition,
    /// True if an answer that does not pass is reported: it may repeat what was sent.
    tells: bool,
}

enum Condition {
    Any,
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Contains(Vec<u8>),
    Regex(WholePattern),
    /// No answer passes, because the pattern is none.
    Never(String),
}

/// The result of comparing an answer with a condition.
enum Seen {
    Fits,
    /// More bytes may make it fit.
    TooShort,
    Differs,
}

impl Expected {
    /// Compiles the condition of a check; without one any answer passes. Where the pattern is broken no answer
    /// passes, and the verdict says so; [`WholePattern::new`] tells it sooner.
    pub fn new(check: &BytesCheck) -> Self {
        let condition = match &check.expect {
            None => Condition::Any,
            Some(Expect::Exact(bytes)) => Condition::Exact(bytes.0.clone()),
            Some(Expect::Prefix(bytes)) => Condition::Prefix(bytes.0.clone()),
            Some(Expect::Contains(bytes)) => Condition::Contains(bytes.0.clone()),
            Some(Expect::Regex(text)) => match WholePattern::new(text) {
                Ok(pattern) => Condition::Regex(pattern),
                Err(why) => Condition::Never(why),
            },
        };
        Self { condition, tells: !check.is_secret }
    }

    /// Judges an answer as far as it has come; `None` = it may still become one that passes.
    /// `is_whole`: nothing follows, because it is a datagram or the connection has ended.
    ///
    /// On a connection the first bytes that fit pass: nobody knows where an answer ends. After
    /// 16 KiB nothing more is looked at.
    ///
    /// # Errors
    /// Says, as a clause, what the answer is instead.
    pub fn judge(&self, answer: &[u8], is_whole: bool) -> Option<Result<(), String>> {
        match self.compare(answer, is_whole) {
            Seen::Fits => Some(Ok(())),
            Seen::TooShort if !is_whole && answer.len() < MOST => None,
            Seen::TooShort | Seen::Differs => Some(Err(self.told(answer))),
        }
    }

    fn compare(&self, answer: &[u8], is_whole: bool) -> Seen {
        let fits = match &self.condition {
            Condition::Any => is_whole || !answer.is_empty(),
            Condition::Exact(text) => answer == text,
            Condition::Prefix(text) => answer.starts_with(text),
            Condition::Contains(text) => contains(answer, text),
            Condition::Regex(pattern) => pattern.is_match(answer),
            Condition::Never(_) => false,
        };
        let begins_otherwise = match &self.condition {
            Condition::Exact(text) | Condition::Prefix(text) => !text.starts_with(answer),
            Condition::Never(_) => true,
            _ => false,
        };
        match (fits, begins_otherwise) {
            (true, _) => Seen::Fits,
            (false, true) => Seen::Differs,
            (false, false) => Seen::TooShort,
        }
    }

    /// Says what an answer is that does not pass.
    fn told(&self, answer: &[u8]) -> String {
        if let Condition::Never(why) = &self.condition {
            return format!("no answer can pass: {why}");
        }
        if !self.tells {
            return format!("the answer of {} bytes is another one", answer.len());
        }
        let Some(head) = answer.get(..TOLD).filter(|head| head.len() < answer.len()) else {
            return format!("the answer is \"{}\"", answer.escape_ascii());
        };
        format!("the answer of {} bytes begins with \"{}\"", answer.len(), head.escape_ascii())
    }
}

fn contains(answer: &[u8], text: &[u8]) -> bool {
    text.is_empty() || answer.windows(text.len()).any(|at| at == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hg_plan::Bytes;
    use proptest::prelude::*;

    fn bytes(text: &str) -> Bytes {
        Bytes(text.as_bytes().to_vec())
    }

    fn expected(expect: Option<Expect>) -> Expected {
        Expected::new(&BytesCheck { expect, ..BytesCheck::default() })
    }

    fn all() -> [Option<Expect>; 5] {
        [
            None,
            Some(Expect::Exact(bytes("+PONG\r\n"))),
            Some(Expect::Prefix(bytes("+PONG"))),
            Some(Expect::Contains(bytes("PONG"))),
            Some(Expect::Regex(r"\+PO[A-Z]G\r\n".into())),
        ]
    }

    /// Returns whether each condition passes an answer, or waits for more of it.
    fn verdicts(answer: &str, is_whole: bool) -> [Option<bool>; 5] {
        let judge = |expect: Option<Expect>| {
            let verdict = expected(expect).judge(answer.as_bytes(), is_whole);
            verdict.map(|verdict| verdict.is_ok())
        };
        all().map(judge)
    }

    #[test]
    fn an_answer_passes_as_soon_as_it_fits_and_fails_as_soon_as_it_cannot() {
        let (yes, no, wait) = (Some(true), Some(false), None);
        for (answer, is_whole, expected) in [
            ("+PONG\r\n", false, [yes; 5]),
            ("+PONG\r\n", true, [yes; 5]),
            ("+PON", false, [yes, wait, wait, wait, wait]),
            ("+PON", true, [yes, no, no, no, no]),
            ("+PONG\r\n+", false, [yes, no, yes, yes, wait]),
            ("-ERR", false, [yes, no, no, wait, wait]),
            ("-ERR", true, [yes, no, no, no, no]),
            ("", false, [wait; 5]),
            // An empty datagram is an answer.
            ("", true, [yes, no, no, no, no]),
        ] {
            assert_eq!(verdicts(answer, is_whole), expected, "{answer:?} {is_whole}");
        }
    }

    #[test]
    fn an_endless_answer_ends() {
        assert_eq!(verdicts(&"x".repeat(MOST - 1), false)[3], None);
        assert_eq!(verdicts(&"x".repeat(MOST), false)[3], Some(false));
    }

    #[test]
    fn it_tells_the_beginning_of_an_answer_in_printable_characters() {
        let told = |answer: &[u8]| {
            let expected = expected(Some(Expect::Prefix(bytes("+"))));
            expected.judge(answer, true).unwrap().unwrap_err()
        };
        assert_eq!(told(b"-ERR \"x\"\r\n\0"), r#"the answer is "-ERR \"x\"\r\n\x00""#);
        let long = format!("the answer of 100 bytes begins with \"{}\"", "x".repeat(48));
        assert_eq!(told(&[b'x'; 100]), long);
    }

    #[test]
    fn an_answer_to_a_secret_is_not_told() {
        let expect = Some(Expect::Prefix(bytes("+")));
        let check = BytesCheck { is_secret: true, expect, ..BytesCheck::default() };
        let verdict = Expected::new(&check).judge(b"-ERR s3cret", true);
        assert_eq!(verdict, Some(Err("the answer of 11 bytes is another one".into())));
    }

    #[test]
    fn a_broken_pattern_passes_nothing() {
        let expected = expected(Some(Expect::Regex("(".into())));
        let verdict = expected.judge(b"(", false).unwrap().unwrap_err();
        assert!(verdict.starts_with("no answer can pass: "), "{verdict}");
    }

    proptest! {
        /// An answer that waits for more may still pass, and one that has failed never would.
        #[test]
        fn no_verdict_is_too_early(answer in "[+PONG]{0,8}", cut in 0usize..8) {
            let start: String = answer.chars().take(cut).collect();
            for (early, whole) in verdicts(&start, false).iter().zip(verdicts(&answer, true)) {
                prop_assert!(*early != Some(false) || whole == Some(false));
            }
        }
    }
}
