//! The report of an endpoint's agent: the line protocol of HAProxy's `agent-check`.
//!
//! An answer is one line of words, in any order. Each word changes one thing, and what no word
//! speaks of stays as it was: an agent that only reports its load never changes anything else.

use crate::{Admin, Agent};

/// The largest weight, in percent.
const MAX_PERCENT: u16 = 1_000;

/// The most characters of an answer that are told.
const MAX_TEXT: usize = 200;

/// The changes that one answer of an agent makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The order that it gives.
    pub admin: Option<Admin>,
    /// True if the endpoint works.
    pub is_up: Option<bool>,
    /// The part of its weight that it takes, in percent.
    pub percent: Option<u16>,
    /// Its words, without a line's end.
    pub text: String,
}

impl Report {
    /// Reads an answer up to the end of its first line. Words that other programs know are passed
    /// over.
    ///
    /// # Errors
    /// Says, as a clause, why the answer is none.
    pub fn parse(answer: &[u8]) -> Result<Self, String> {
        let line = answer.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
        let text: String = String::from_utf8_lossy(line)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let text = text.trim();
        let told: String = text.chars().take(MAX_TEXT).collect();
        let mut report = Self { text: told.trim_end().to_owned(), ..Self::default() };
        // A description may follow, and its words mean nothing.
        let words = text.split_once('#').map_or(text, |(words, _)| words);
        let mut known = false;
        for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            known |= report.take(word)?;
        }
        match (known, report.text.as_str()) {
            (true, _) => Ok(report),
            (false, "") => Err("its answer is empty".into()),
            (false, told) => Err(format!("its answer `{told}` has no word of an agent")),
        }
    }

    /// Takes one word; reports whether it is one of an agent.
    fn take(&mut self, word: &str) -> Result<bool, String> {
        if let Some(digits) = word.strip_suffix('%') {
            let percent = digits.parse().ok().filter(|percent| *percent <= MAX_PERCENT);
            self.percent = Some(percent.ok_or_else(|| {
                let word: String = word.chars().take(MAX_TEXT).collect();
                format!("its answer has the weight `{word}`, which is not 0 to {MAX_PERCENT} %")
            })?);
            return Ok(true);
        }
        match word.to_ascii_lowercase().as_str() {
            "up" => self.is_up = Some(true),
            "down" | "fail" | "failed" | "stopped" => self.is_up = Some(false),
            "ready" => self.admin = Some(Admin::Ready),
            "drain" => self.admin = Some(Admin::Drain),
            "maint" => self.admin = Some(Admin::Maintenance),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// All that an agent has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    admin: Admin,
    is_up: bool,
    percent: u16,
}

impl Default for Said {
    fn default() -> Self {
        Self { admin: Admin::Ready, is_up: true, percent: 100 }
    }
}

impl Said {
    /// Takes in an answer.
    #[must_use]
    pub fn and(self, report: &Report) -> Self {
        Self {
            admin: report.admin.unwrap_or(self.admin),
            is_up: report.is_up.unwrap_or(self.is_up),
            percent: report.percent.unwrap_or(self.percent),
        }
    }

    /// Returns what it says together; a weight of nothing is a drain.
    pub fn agent(self) -> Agent {
        match (self.admin, self.is_up) {
            (Admin::Maintenance, _) => Agent::Maintenance,
            (_, false) => Agent::Down,
            (Admin::Drain, true) => Agent::Drain,
            (Admin::Ready, true) if self.percent == 0 => Agent::Drain,
            (Admin::Ready, true) => Agent::Ready,
        }
    }

    /// Returns the part of the weight that the endpoint takes, in percent.
    pub fn percent(self) -> u16 {
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what answers say together, and the weight.
    fn said(answers: &[&str]) -> (Agent, u16) {
        let all = answers.iter().fold(Said::default(), |said, answer| {
            said.and(&Report::parse(answer.as_bytes()).unwrap())
        });
        (all.agent(), all.percent())
    }

    #[test]
    fn every_word_changes_its_own_part_and_leaves_the_others() {
        for (answers, agent, percent) in [
            (&["ready\n"][..], Agent::Ready, 100),
            (&["drain\n"], Agent::Drain, 100),
            (&["maint"], Agent::Maintenance, 100),
            (&["down\r\n"], Agent::Down, 100),
            (&["FAIL#disk is full\n"], Agent::Down, 100),
            (&["stopped # on purpose, up again soon\n"], Agent::Down, 100),
            (&["75%\n"], Agent::Ready, 75),
            (&["0%"], Agent::Drain, 0),
            (&["0%", "100%"], Agent::Ready, 100),
            (&["up 50% ready\nrest"], Agent::Ready, 50),
            (&["drain,\tdown,20%"], Agent::Down, 20),
            (&["down", "30%"], Agent::Down, 30),
            (&["down", "ready"], Agent::Down, 100),
            (&["down", "up"], Agent::Ready, 100),
            (&["drain", "up"], Agent::Drain, 100),
            (&["maint", "down", "ready"], Agent::Down, 100),
            (&["maxconn:30 90%"], Agent::Ready, 90),
        ] {
            assert_eq!(said(answers), (agent, percent), "{answers:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let told = |answer: &[u8]| Report::parse(answer).unwrap_err();
        assert_eq!(told(b""), "its answer is empty");
        assert_eq!(told(b"\nup"), "its answer is empty");
        assert_eq!(told(b"SSH-2.0 x\n"), "its answer `SSH-2.0 x` has no word of an agent");
        assert_eq!(told(b"#up"), "its answer `#up` has no word of an agent");
        for weight in ["1001%", "-1%", "%", "99999999999%", "half%"] {
            let text = told(format!("up {weight}").as_bytes());
            let wanted = format!("its answer has the weight `{weight}`, which is not 0 to 1000 %");
            assert_eq!(text, wanted);
        }
        let long = Report::parse(format!("up #{}\u{1}", "x".repeat(900)).as_bytes()).unwrap();
        assert_eq!(long.text.len(), 200);
        let late = Report::parse(format!("{} down", "x".repeat(900)).as_bytes()).unwrap();
        assert_eq!((late.is_up, late.text.len()), (Some(false), 200), "all words count");
    }
}
