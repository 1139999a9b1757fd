//! Reading a text for its values and reading it for its places give the same.

use crate::Format::Toml;
use crate::{Spans, parse};
use proptest::prelude::*;

fn check(text: &str) {
    let (values, places) = (parse(text.as_bytes(), Toml), Spans::of(text.as_bytes(), Toml));
    assert_eq!(values.as_ref().err(), places.as_ref().err(), "{text}");
    let (Ok(values), Ok(places)) = (values, places) else { return };
    assert!(places.are_of(&values), "{values:?} of {text}");
}

#[test]
fn a_value_is_told_from_every_other() {
    let values =
        ["1", "2", "1.0", "true", "\"1\"", "[]", "[1]", "[1, 2]", "{}", "{ a = 1 }", "{ b = 1 }"];
    let text = |value: &str| format!("[s.a]\nk = {value}\n");
    for one in values {
        let placed = Spans::of(text(one).as_bytes(), Toml).unwrap();
        for other in values {
            let value = parse(text(other).as_bytes(), Toml).unwrap();
            assert_eq!(placed.are_of(&value), one == other, "{one} {other}");
        }
    }
}

fn piece() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    let text = prop::sample::select(vec!["x", "", "/y z", "\\n", "\\", "\"", "é", "#", "]\n[a.b]"]);
    let plain = prop::sample::select(vec!["x", "yy", "z.example", "/", "a b"]);
    let table = (name.clone(), plain.clone(), plain)
        .prop_map(|(n, t, u)| format!("[s.{n}]\nk = \"{t}\"\nl = [\"{u}\"]\n"));
    let odd = (name, text).prop_map(|(n, t)| format!("[s.{n}]\nk = \"{t}\"\nl = [\"x\"]\n"));
    let other = prop::sample::select(vec![
        "\n",
        "[t]\n",
        "[[s.a]]\n",
        "[s.a.b]\n",
        "# x\n",
        "m = 1\n",
        "[s]\n",
        "s = 1\n",
    ]);
    prop_oneof![6 => table, 1 => odd, 1 => other.prop_map(str::to_owned)]
}

proptest! {
    #[test]
    fn both_ways_read_the_same(pieces in prop::collection::vec(piece(), 0..12)) {
        check(&pieces.concat());
    }
}
