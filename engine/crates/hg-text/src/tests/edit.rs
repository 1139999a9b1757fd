//! Texts reread after an edit.

use super::render::{render, tree};
use crate::{Document, Format};
use proptest::prelude::*;

fn document(text: &str) -> Document {
    Document::read(text.as_bytes(), Format::Toml).expect(text)
}

/// Rereads and compares with reading the whole; reports whether the rest was shared.
fn reread(old: &str, new: &str) -> bool {
    let document = document(old);
    let whole = Document::read(new.as_bytes(), Format::Toml);
    let reread = document.reread(old.as_bytes(), new.as_bytes());
    assert_eq!(reread, whole, "{old:?} to {new:?}");
    let Ok(reread) = reread else { return false };
    let whole = whole.expect("read before");
    assert_eq!(reread.headers(), whole.headers(), "{old:?} to {new:?}");
    assert_eq!(reread.changes(&document), whole.changes(&document), "{old:?} to {new:?}");
    assert_eq!(document.changes(&reread), document.changes(&whole), "{old:?} to {new:?}");
    assert!(reread.hashes().eq(whole.hashes()));
    reread.edited_count() > 0
}

const OLD: &str =
    "x = 1\n[r.a]\nn = 1\n[r.b]\nn = 2\nm = 2\n[r.b.c]\nk = 3\n[[r.d]]\n[[r.d]]\n[s]\n[r.e]\n";

#[test]
fn an_edit_within_tables_shares_the_rest() {
    for (from, to) in [
        ("n = 1", "n = [1, 2]"),
        ("n = 1", "n = '''\n[r.b]\n'''"),
        ("n = 2\nm = 2", "m = 3"),
        ("k = 3", "k = 4 # [r.b]"),
        ("[r.b.c]\nk = 3\n", "c.k = 3\n"),
        ("n = 1\n", ""),
        ("[r.e]\n", "[r.e]\nn = 9"),
        ("[r.a]", "[ r . a ]"),
        ("[[r.d]]\n[s]", "[[r.d]]\nn = 1\n[[r.d]]\n[s]"),
    ] {
        assert!(reread(OLD, &OLD.replace(from, to)), "{from} to {to}");
    }
}

#[test]
fn any_other_edit_reads_the_whole() {
    for (from, to) in [
        ("x = 1", "x = 2"),
        ("[r.a]", "[r.f]"),
        ("[r.a]\nn = 1\n", ""),
        ("[r.e]", "[r.e]\n[r.f]"),
        ("[s]\n", "[s]\nn = 1\n"),
        ("n = 1", "n = \"\"\""),
        ("n = 1\n", "n = 1 #"),
        ("n = 1", "n = [1,"),
        ("n = 1", "n = "),
        ("x = 1\n", "x = 1\nr.a.m = 1\n"),
    ] {
        assert!(!reread(OLD, &OLD.replacen(from, to, 1)), "{from} to {to}");
    }
    let section = "[r]\na.n = 1\n[r.a.b]\nk = 1\n";
    assert!(!reread(section, &section.replace("k = 1", "k = 2")));
    assert!(!reread("[r.a]\nn = 1\n", "\u{feff}[r.a]\nn = [2"));
}

#[test]
fn edits_of_edits_are_told_apart() {
    let first = document(OLD);
    let texts = [OLD.to_owned(), OLD.replace("n = 1", "n = 7"), OLD.replace("n = 2", "n = 8")];
    let second = first.reread(texts[0].as_bytes(), texts[1].as_bytes()).expect("an edit");
    let third = second.reread(texts[1].as_bytes(), texts[2].as_bytes()).expect("an edit");
    assert_eq!(third.edited_count(), 2);
    assert_eq!(second.changes(&first).0, [("r", "a")]);
    assert_eq!(third.changes(&second).0, [("r", "a"), ("r", "b")]);
    assert_eq!(third.changes(&first).0, [("r", "b")]);
    assert_eq!(first.changes(&third), (vec![("r", "b")], vec![]));
}

#[test]
fn the_other_formats_are_read_whole() {
    let (old, new) = (b"{\"r\": {\"a\": 1}}", b"{\"r\": {\"a\": 2}}");
    let document = Document::read(old, Format::Json).expect("json");
    let reread = document.reread(old, new).expect("json");
    assert_eq!(reread.changes(&document).0, [("r", "a")]);
    assert_eq!(reread.edited_count(), 0);
}

const TAIL: &str = "[r.a]\nn = 1\n[r.b]\nx = \"\"\"\n[r.q]\n\"\"\"\n[[r.c]]\nn = [\n1]\n[[r.c]]\n\
                    [r.d.e]\nn = 2\n  [r.g] # [\n";
const PUT: [&str; 24] = [
    "",
    "\n",
    "n = 5\n",
    "[r.a]\n",
    "[r.e]\n",
    "[[r.c]]\n",
    "[r]\n",
    "r = 1\n",
    "r.a.x = 1\n",
    "'",
    "\"",
    "\"\"\"",
    "'''",
    "[",
    "]",
    "#",
    "=",
    "{",
    "}",
    ".",
    "x",
    "d",
    "[q.a]\n",
    "\r\n",
];

proptest! {
    #[test]
    fn rereading_is_reading(
        tree in tree(),
        back in 0usize..120,
        cut in 0usize..30,
        put in prop::sample::select(&PUT[..]),
    ) {
        let old = render(&tree, Format::Toml) + TAIL;
        if Document::read(old.as_bytes(), Format::Toml).is_ok() {
            let boundary = |i: usize| (i..=old.len()).find(|&i| old.is_char_boundary(i));
            let start = boundary(old.len().saturating_sub(back)).unwrap_or(0);
            let end = boundary((start + cut).min(old.len())).unwrap_or(start);
            reread(&old, &format!("{}{put}{}", &old[..start], &old[end..]));
        }
    }
}
