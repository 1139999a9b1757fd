//! Claims of a verified token, for the variables and keys of the steps after it.

use crate::presumed;
use hg_plan::{Action, Middleware};
use std::sync::Arc;

/// The claims of a token that its chain names, each as one line. Clones share them.
#[derive(Clone, Debug)]
pub struct Claims {
    names: Arc<[Box<str>]>,
    /// Those of the names are the last ones.
    values: Arc<[Option<Box<str>>]>,
}

impl Claims {
    /// Makes them of their names, and of values of which the last ones are theirs.
    pub(crate) fn new(names: &Arc<[Box<str>]>, values: &Arc<[Option<Box<str>>]>) -> Self {
        Self { names: names.clone(), values: values.clone() }
    }

    /// Makes those of no token: words that say which claim stands in their place.
    pub(crate) fn presumed(names: &Arc<[Box<str>]>) -> Self {
        let values: Arc<[_]> = names.iter().map(|name| Some(presumed::of_claim(name))).collect();
        Self::new(names, &values)
    }

    /// Returns the names of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Returns a claim; empty if the token does not have it.
    pub fn get(&self, name: &str) -> &str {
        let own = self.values.iter().rev().zip(self.names.iter().rev());
        let found = own.into_iter().find(|(_, known)| ***known == *name);
        found.and_then(|(value, _)| value.as_deref()).unwrap_or_default()
    }
}

/// The claims of tokens that are kept for a chain, each once: first those that its steps name, then
/// those that the log alone says.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptClaims {
    pub(crate) names: Arc<[Box<str>]>,
    /// The number of those that steps name.
    pub(crate) needed: usize,
}

/// Collects the claims that a chain names, in variables (`${jwt:NAME}`) and keys (`jwt:NAME`).
#[derive(Default)]
pub(crate) struct Wanted(Vec<Box<str>>);

impl Wanted {
    /// Adds those of a middleware. What only looks like a variable is extracted in vain.
    pub(crate) fn of(&mut self, middleware: &Middleware) {
        self.read(middleware.text(), "{jwt:", '}');
        self.read(middleware.text(), "\"jwt:", '"');
    }

    /// Adds those of a route's own answer.
    pub(crate) fn of_action(&mut self, action: &Action) {
        let mut read = |text: &str| self.read(text, "{jwt:", '}');
        match action {
            Action::Respond(answer) => {
                read(&answer.body);
                answer.headers.values().for_each(|value| read(value));
            }
            Action::Redirect(to) => {
                [&to.host, &to.path, &to.prefix].into_iter().flatten().for_each(|text| read(text));
            }
            Action::Upstream(_) | Action::Split(_) | Action::NotImported(_) => {}
        }
    }

    fn read(&mut self, text: &str, open: &str, close: char) {
        for rest in text.split(open).skip(1) {
            if let Some((name, _)) = rest.split_once(close) {
                self.0.push(name.into());
            }
        }
    }

    /// Returns each once, and after them those that the log says.
    pub(crate) fn and(mut self, logged: &[Box<str>]) -> KeptClaims {
        self.0.sort_unstable();
        self.0.dedup();
        let needed = self.0.len();
        for name in logged {
            if !self.0.contains(name) {
                self.0.push(name.clone());
            }
        }
        KeptClaims { names: self.0.into(), needed }
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
