//! Objects that differ in a few texts.

use crate::{Alike, Document, Format, Openings, Plain};

fn document(text: &str) -> Document {
    Document::read(text.as_bytes(), Format::Toml).expect(text)
}

fn openings() -> Openings {
    let mut openings = Openings::default();
    openings.add("hosts.!", Plain::Host);
    openings.add("to", Plain::Word);
    openings.add("match.*.path", Plain::Path);
    openings
}

fn found<'d>(document: &'d Document, names: &[&str], least: usize) -> Vec<Alike<'d>> {
    document.alike("r", names, &openings(), least)
}

#[test]
fn objects_that_differ_at_openings_only_are_alike() {
    let text = "[r.a]\nhosts = ['a.b']\nto = 'x'\nn = 1\n[r.b]\nhosts = ['c']\nto = 'y'\nn = 1\n\
                [r.c]\nhosts = ['c']\nto = 'y'\nn = 2\n";
    let document = document(text);
    let groups = found(&document, &["a", "c", "b", "gone"], 1);
    let members: Vec<_> = groups.iter().map(|g| &g.members[..]).collect();
    assert_eq!(members, [&[0, 2][..], &[1]]);
    assert_eq!(groups[0].texts, ["a.b", "x", "c", "y"]);
    assert!(groups[1].texts.is_empty());
    assert_eq!(groups[0].markers().len(), 2);
    assert!(groups[1].markers().is_empty());
    assert_eq!(found(&document, &["a", "b", "c"], 2).len(), 1);
}

#[test]
fn a_pattern_is_the_object_with_markers() {
    let document = document(
        "[r.a]\nmatch = [{ path = '/v' }, { path = '/W-1/x' }]\nhosts = ['*']\nto = 'same'\n\
         [r.b]\nmatch = [{ path = '/w' }, { path = '/y' }]\nhosts = ['*']\nto = 'same'\n",
    );
    let group = &found(&document, &["a", "b"], 1)[0];
    assert_eq!(group.texts, ["/v", "/W-1/x", "/w", "/y"]);
    let [first, second] = &group.markers()[..] else { panic!("two openings") };
    let text = format!(
        "[r.a]\nmatch = [{{ path = '{first}' }}, {{ path = '{second}' }}]\nhosts = ['*']\n\
         to = 'same'"
    );
    let expected = Document::read(text.as_bytes(), Format::Toml).expect(&text);
    assert_eq!(Some(&group.pattern(&openings())), expected.entry("r", "a"));
    assert!(Plain::Path.admits(first));
}

#[test]
fn numbers_differ_at_openings_for_numbers_alone() {
    let text = "[r.a]\nrank = 2\n[r.b]\nrank = 999_999\n[r.c]\nrank = 1\n[r.d]\nrank = 1000000\n\
                [r.e]\nrank = '3'\n[r.f]\nrank = -2\n[r.g]\nto = 2\n[r.h]\nto = 3\n";
    let document = document(text);
    let mut openings = openings();
    openings.add("rank", Plain::Number);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let groups = document.alike("r", &names, &openings, 1);
    assert_eq!(groups.len(), 7);
    let [marker] = &groups[0].markers()[..] else { panic!("one opening") };
    assert_eq!(groups[0].texts, ["2", "999999"]);
    let expected = Document::read(format!("[r.a]\nrank = {marker}").as_bytes(), Format::Toml);
    assert_eq!(Some(&groups[0].pattern(&openings)), expected.unwrap().entry("r", "a"));
}

#[test]
fn order_types_and_counts_are_not_alike() {
    for (one, other) in [
        ("to = 'x'\nn = 1", "n = 1\nto = 'x'"),
        ("to = 'x'", "to = true"),
        ("to = 'x'", "to = 'x y'"),
        ("hosts = ['a']", "hosts = ['a', 'b']"),
        ("hosts = ['a', 'b']", "hosts = ['a', 'c']"),
        ("hosts = ['a']", "hosts = 'a'"),
        ("n = 1", "n = 1.0"),
        ("to = ['x']", "to = ['y']"),
    ] {
        let document = document(&format!("[r.a]\n{one}\n[r.b]\n{other}\n"));
        assert_eq!(found(&document, &["a", "b"], 1).len(), 2, "{one} / {other}");
    }
}

#[test]
fn a_name_that_is_no_word_is_like_no_other() {
    let document = document("[r.a]\nn = 1\n[r.'b c']\nn = 1\n[r.'']\nn = 1\n");
    assert_eq!(found(&document, &["a", "b c", ""], 1)[0].members, [0]);
}

#[test]
fn what_plain_texts_are_made_of() {
    let long = "a".repeat(64);
    let hosts = ["a", "a.b-c.d_1", "_x", "10.0.0.1"];
    let no_hosts = ["", "A", "a.", ".a", "a..b", "-a", "a-", "*", "*.a", "a b", "ä", &*long];
    assert!(hosts.iter().all(|h| Plain::Host.admits(h)));
    assert!(!no_hosts.iter().any(|h| Plain::Host.admits(h)));
    assert!(!Plain::Host.admits(&"a.".repeat(127).replace("a.", "ab.")));
    let no_paths = ["", "/", "a", "/a/", "//a", "/a.b", "/%41", "/a?b", "/ä"];
    assert!(["/a", "/A_b-1/2"].iter().all(|p| Plain::Path.admits(p)));
    assert!(!no_paths.iter().any(|p| Plain::Path.admits(p)));
    assert!(["a", "A.b_c-1"].iter().all(|w| Plain::Word.admits(w)));
    assert!(!["", "a b", "$", "\"", "ä", &"a".repeat(201)].iter().any(|w| Plain::Word.admits(w)));
    assert_eq!(
        ["host", "path", "word", "number"].map(|n| Plain::from_name(n).is_some()),
        [true; 4]
    );
    assert_eq!(Plain::from_name("text"), None);
}

#[test]
fn markers_are_made_like_what_they_stand_for() {
    let document = document(
        "[r.a]\nhosts = ['a']\nto = 'b'\nmatch = [{ path = '/c' }]\n\
         [r.b]\nhosts = ['b']\nto = 'c'\nmatch = [{ path = '/d' }]\n",
    );
    let group = &found(&document, &["a", "b"], 1)[0];
    let plain = [Plain::Host, Plain::Word, Plain::Path];
    let markers = group.markers();
    assert_eq!(markers.len(), plain.len());
    assert!(plain.iter().zip(markers).all(|(plain, marker)| plain.admits(&marker)));
}
