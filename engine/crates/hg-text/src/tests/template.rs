//! Reading a table by template gives the same result as parsing it.

use crate::Format::Toml;
use crate::value::Place;
use crate::{Spans, Value, parse, toml};
use proptest::prelude::*;

/// Reads the text both ways and compares the results, headers included. Templates cannot give
/// places, so a read with places makes none.
fn check(text: &str) {
    let (quick, placed) = (parse(text.as_bytes(), Toml), Spans::of(text.as_bytes(), Toml));
    assert_eq!(quick.as_ref().err(), placed.as_ref().err(), "{text}");
    let (Ok(quick), Ok(placed)) = (quick, placed) else { return };
    assert!(placed.are_of(&quick), "{quick:?} of {text}");
    let (mut by_templates, mut plainly) = (Vec::new(), Vec::new());
    toml::read_with_headers::<()>(text, &mut by_templates).unwrap();
    toml::read_with_headers::<Place>(text, &mut plainly).unwrap();
    assert_eq!(by_templates, plainly, "{text}");
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

fn route(name: &str, host: &str, rest: &str) -> String {
    format!(
        "[routes.{name}]\nhosts = [\"{host}\"]\nmatch.path.prefix = \"/{name}\"\n\
         timeouts = {{ request = \"{host}\", n = 1 }}\nmatch.method = \"GET\"\n{rest}\n"
    )
}

#[test]
fn texts_and_names_come_where_they_belong() {
    let text: String =
        (0..50).map(|i| route(&format!("r{i}"), &format!("h{i}.example"), "")).collect();
    check(&text);
    let read = parse(text.as_bytes(), Toml).unwrap();
    let Value::Map(root) = &read else { panic!() };
    let Value::Map(routes) = &root.get("routes").unwrap().value else { panic!() };
    assert_eq!(routes.entries().len(), 50);
    let Value::Map(last) = &routes.get("r49").unwrap().value else { panic!() };
    let Value::List(hosts) = &last.get("hosts").unwrap().value else { panic!() };
    assert_eq!(hosts[0].value, Value::Str("h49.example".into()));
}

#[test]
fn what_is_not_quite_alike_is_read_by_itself() {
    let like: String = (0..12).map(|i| route(&format!("r{i}"), "h", "")).collect();
    for odd in [
        route("odd", "h\\u0041", ""),
        route("odd", "", ""),
        route("odd", "h\", \"i", ""),
        route("odd", "é", ""),
        route("odd", "h", "# more\n"),
        route("odd", "h", "[routes.odd.sub]\nx = 1"),
        route("odd", "h", "n = 1"),
        route("\"odd\"", "h", ""),
        route("odd.sub", "h", ""),
        route("odd", "h", "").replace('\n', "\r\n"),
        route("odd", "h", "").replace("n = 1", "n = 2"),
        route("odd", "h", "").replace("\"h\"", "'h'"),
        route("odd", "h", "").replace("\"h\"", "\"\"\"h\"\"\""),
        route("odd", "h", "  [routes.indented]"),
        route("r3", "h", ""),
        route("odd", "h", "[routes]"),
        route("odd", "h", "[[routes.r3.more]]\nx = 2"),
        route("odd", "h", "hosts = 3"),
        "[routes.odd]\nhosts = [\"h\"]".to_owned(),
        "[routes.odd]\nlines = [\n[\"routes.r90\"]\n]\n".to_owned(),
    ] {
        check(&format!("{like}{odd}"));
        check(&format!("{like}{odd}{like}"));
        check(&format!("{odd}{}", like.replace("[routes.r", "[routes.x")));
        check(&format!("[routes.r5.sub]\nx = 1\n{like}{odd}"));
        check(&format!("routes = 1\n{like}{odd}"));
        check(&format!("x = 1\n\n{like}{odd}{}", like.replace("[routes.", "[hosts.")));
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
