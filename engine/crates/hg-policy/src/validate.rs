//! Checks the options of a policy.

use crate::balancers::AnyOptions;
use hg_plan::{Balance, Endpoint};

/// A problem of an upstream's policy: (path of keys in the upstream, what is wrong and what is
/// allowed).
pub type Problem = (String, String);

/// Returns everything that is wrong with a policy on its own; empty if it is valid.
pub fn validate(policy: &Balance) -> Vec<Problem> {
    AnyOptions::read(policy).map_or_else(|problem| vec![problem], |options| options.problems())
}

/// Returns for how many endpoints a policy has a place; `usize::MAX` if for any number, and for
/// options that [`validate`] refuses.
pub fn most_endpoints(policy: &Balance) -> usize {
    let places = AnyOptions::read(policy).ok().and_then(|options| options.places());
    places.map_or(usize::MAX, |(_, most)| most as usize)
}

/// Reads a policy and checks as [`validate`] does, and also that there is a place for each endpoint.
pub(crate) fn read_for(
    policy: &Balance,
    endpoints: &[Endpoint],
) -> Result<AnyOptions, Vec<Problem>> {
    let options = AnyOptions::read(policy).map_err(|problem| vec![problem])?;
    let mut problems = options.problems();
    if problems.is_empty()
        && let Some((path, most)) = options.places()
        && (most as usize) < endpoints.len()
    {
        let count = endpoints.len();
        let message =
            format!("{most} is less than the number of endpoints; write more than {count}");
        problems.push((path, message));
    }
    if problems.is_empty() { Ok(options) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NAMES;
    use crate::testing::policy;

    #[test]
    fn an_unknown_policy_is_told_those_that_there_are() {
        let problems = validate(&policy(r#""fastest""#));
        let [(path, message)] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!(path, "balance");
        assert!(message.starts_with("there is no balance policy `fastest`; write round_robin, "));
        assert!(NAMES.iter().all(|name| message.contains(name)), "{message}");
    }

    #[test]
    fn options_that_a_policy_does_not_have_are_refused_with_their_place() {
        for (json, path, said) in [
            (r#"{"p2c":{"key":"path"}}"#, "balance.p2c", "unknown field `key`"),
            (r#""maglev""#, "balance.maglev", "missing field `key`"),
            (r#"{"ring_hash":{"key":1}}"#, "balance.ring_hash", "invalid type"),
            (r#"{"maglev":{"key":"ip"}}"#, "balance.maglev.key", "`ip` is not a key"),
        ] {
            let problems = validate(&policy(json));
            assert_eq!(problems.len(), 1, "{json}");
            assert_eq!(problems[0].0, path);
            assert!(problems[0].1.starts_with(said), "{problems:?}");
        }
    }

    #[test]
    fn only_a_table_has_a_last_place() {
        assert_eq!(most_endpoints(&policy(r#"{"maglev":{"key":"path","table_size":251}}"#)), 251);
        assert_eq!(most_endpoints(&policy(r#""random""#)), usize::MAX);
    }
}
