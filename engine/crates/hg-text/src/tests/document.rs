//! Documents as objects.

use crate::{Document, Format};

fn document(text: &str) -> Document {
    Document::read(text.as_bytes(), Format::Toml).expect(text)
}

const OLD: &str =
    "include = ['x']\n[routes.a]\nn = 1\n[routes.b]\nn = [1.0]\n[hosts]\n[log]\nx = 1\n";

#[test]
fn entries_are_the_names_below_each_section_in_order() {
    let document = document(OLD);
    let names: Vec<_> = document.entries().map(|e| (e.section, e.name)).collect();
    let expected = [("include", ""), ("routes", "a"), ("routes", "b"), ("hosts", ""), ("log", "x")];
    assert_eq!(names, expected);
    for entry in document.entries() {
        assert_eq!(document.entry(entry.section, entry.name), Some(entry.value));
    }
    assert_eq!(document.entry("routes", "c"), None);
    assert_eq!(document.entry("routes", ""), None);
    assert_eq!(document.entry("include", "c"), None);
}

#[test]
fn a_hash_changes_with_its_value_only() {
    let hashes = |text: &str| -> Vec<_> { document(text).hashes().map(|(_, h)| h).collect() };
    let old = hashes(OLD);
    let same = hashes(&OLD.replace("n = 1\n", "  n = 0x1 # one\n"));
    assert_eq!(old, same);
    let new = hashes(&OLD.replace("1.0", "1"));
    let changed: Vec<_> = (0..old.len()).filter(|&i| old[i] != new[i]).collect();
    assert_eq!(changed, [2]);
}

#[test]
fn hashes_are_the_same_on_every_machine_and_day() {
    let document = document("[a.b]\nc = ['d', 1, true]\n");
    let hash = document.hashes().map(|(_, h)| h).next().expect("one entry");
    // sha256 of `m` 1 `s` 1 `c` `l` 3 `s` 1 `d` `i` 1 `t`, numbers as 8 bytes, least significant
    // first.
    let expected = [218, 104, 3, 111, 48, 184, 222, 171, 176, 74, 80, 157, 48, 20, 31, 173];
    assert_eq!(hash, expected);
}

#[test]
fn changes_are_what_differs_then_what_is_gone() {
    let old = document(OLD);
    let new =
        document("include = ['y']\n[routes.b]\nn = [1.0]\n[routes.c]\n[hosts.h]\n[log]\nx = 1\n");
    let here = vec![("include", ""), ("routes", "c"), ("hosts", "h")];
    assert_eq!(new.changes(&old), (here, vec![("routes", "a"), ("hosts", "")]));
    assert_eq!(old.changes(&old), (vec![], vec![]));
}

#[test]
fn a_text_that_is_no_map_is_refused() {
    let error = Document::read(b"[1]", Format::Json).expect_err("a list");
    assert_eq!(error.message, "the text must be a map of sections");
}

#[test]
fn a_section_that_becomes_a_map_is_gone_as_a_whole() {
    let (list, map) = (document("a = [1]\n"), document("[a.b]\n"));
    assert_eq!(map.changes(&list), (vec![("a", "b")], vec![("a", "")]));
    assert_eq!(list.changes(&map), (vec![("a", "")], vec![("a", "b")]));
}
