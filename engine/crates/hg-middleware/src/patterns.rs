//! Expressions that match a whole text or nothing, within a bound of memory.

use regex_automata::meta::Regex;

/// Most bytes that a compiled expression may take.
const PATTERN_BYTES: usize = 1024 * 1024;

/// Compiles an expression, anchored on both sides.
///
/// # Errors
/// Returns what is wrong with it.
pub(crate) fn whole(pattern: &str) -> Result<Regex, String> {
    // Build the pattern alone first, so that the anchors cannot complete an unbalanced pattern.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

fn build(pattern: &str) -> Result<Regex, String> {
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(PATTERN_BYTES)))
        .build(pattern)
        .map_err(|e| {
            let cause = e.syntax_error().map_or_else(|| e.to_string(), |s| s.to_string());
            format!("`{pattern}`: {cause}")
        })
}
