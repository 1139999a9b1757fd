//! Compares `docs/reference/variables.md`, which is generated from the Python side's list, with the
//! code.

#![allow(clippy::unwrap_used)] // clippy spares test functions only

use hg_middleware::VARIABLES;
use std::path::Path;

#[test]
fn the_page_lists_the_variables_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/variables.md");
    let page = std::fs::read_to_string(path).unwrap();
    let rows: Vec<_> = page.lines().filter(|l| l.starts_with("| `${")).collect();
    let expected: Vec<_> =
        VARIABLES.iter().map(|(name, meaning)| format!("| `${{{name}}}` | {meaning} |")).collect();
    assert_eq!(rows, expected);
}
