//! Objects that differ in a few values.

use crate::{Alike, Document, Format, Openings, Seg, Value};

fn document(text: &str) -> Document {
    Document::read(text.as_bytes(), Format::Toml).expect(text)
}

fn found<'d>(document: &'d Document, names: &[&str], least: usize) -> Vec<Alike<'d>> {
    let mut openings = Openings::default();
    for (opening, path) in ["hosts.!", "to", "match.*.path", "rank"].iter().enumerate() {
        openings.add(path, opening);
    }
    document.alike("r", names, &openings, least)
}

fn text(text: &str) -> Value {
    Value::Str(text.into())
}

#[test]
fn objects_that_differ_at_openings_only_are_alike() {
    let text_ = "[r.a]\nhosts = ['a.b']\nto = 'x'\nn = 1\n[r.b]\nhosts = ['c']\nto = 'y'\nn = 1\n\
                [r.c]\nhosts = ['c']\nto = 'y'\nn = 2\n";
    let document = document(text_);
    let groups = found(&document, &["a", "c", "b", "gone"], 1);
    let members: Vec<_> = groups.iter().map(|g| &g.members[..]).collect();
    assert_eq!(members, [&[0, 2][..], &[1]]);
    let [hosts, to] = &groups[0].differences[..] else { panic!("two places") };
    assert_eq!((hosts.opening, to.opening), (0, 1));
    assert_eq!(hosts.values, [&text("a.b"), &text("c")]);
    assert_eq!(to.values, [&text("x"), &text("y")]);
    assert!(groups[1].differences.is_empty());
    assert_eq!(found(&document, &["a", "b", "c"], 2).len(), 1);
}

#[test]
fn a_difference_says_where_it_is() {
    let document = document(
        "[r.a]\nmatch = [{ path = '/v' }, { path = '/x' }]\nhosts = ['*']\nto = 'same'\n\
         [r.b]\nmatch = [{ path = '/v' }, { path = '/y' }]\nhosts = ['*']\nto = 'same'\n",
    );
    let group = &found(&document, &["a", "b"], 1)[0];
    let [place] = &group.differences[..] else { panic!("one place") };
    let path = [Seg::Key("match".into()), Seg::Index(1), Seg::Key("path".into())];
    assert_eq!(place.path, path);
    assert_eq!(place.values, [&text("/x"), &text("/y")]);
}

#[test]
fn order_types_and_counts_are_not_alike() {
    for (one, other) in [
        ("to = 'x'\nn = 1", "n = 1\nto = 'x'"),
        ("to = 'x'", "to = true"),
        ("to = 'x'", "to = 1"),
        ("rank = 1", "rank = 1.0"),
        ("rank = 1.5", "rank = 2.5"),
        ("hosts = ['a']", "hosts = ['a', 'b']"),
        ("hosts = ['a', 'b']", "hosts = ['a', 'c']"),
        ("hosts = ['a']", "hosts = 'a'"),
        ("n = 1", "n = 1.0"),
        ("n = 'x'", "n = 'y'"),
        ("to = ['x']", "to = ['y']"),
    ] {
        let document = document(&format!("[r.a]\n{one}\n[r.b]\n{other}\n"));
        assert_eq!(found(&document, &["a", "b"], 1).len(), 2, "{one} / {other}");
    }
}

#[test]
fn any_text_and_any_whole_number_may_differ() {
    for (one, other) in [("to = 'x'", "to = ''"), ("rank = -2", "rank = 9000000")] {
        let document = document(&format!("[r.a]\n{one}\n[r.b]\n{other}\n"));
        assert_eq!(found(&document, &["a", "b"], 2).len(), 1, "{one} / {other}");
    }
}
