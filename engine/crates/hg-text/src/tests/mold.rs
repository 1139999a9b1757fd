//! Tables that are alike are read as every other table is.

use crate::Format::Toml;
use crate::value::{Entry, Item, Place};
use crate::{Value, parse, toml};
use proptest::prelude::*;

/// The value a text has when no table is read by comparison: molds have no places to give.
fn plainly(text: &str) -> Option<Value> {
    toml::read::<Place>(text).ok().as_ref().map(without_places)
}

fn without_places(value: &Value<Place>) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(truth) => Value::Bool(*truth),
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        Value::Str(text) => Value::Str(text.clone()),
        Value::List(items) => Value::List(
            items.iter().map(|i| Item { value: without_places(&i.value), mark: () }).collect(),
        ),
        Value::Map(map) => {
            let mut plain = crate::Map::new(map.origin);
            for e in map.entries() {
                let (key, value) = (e.key.clone(), without_places(&e.value));
                plain.push(Entry { key, value, mark: () });
            }
            Value::Map(plain)
        }
    }
}

/// As both ways read it, with the headers' places and objects.
fn check(text: &str) {
    let quick = parse(text.as_bytes(), Toml).ok();
    assert_eq!(quick, plainly(text), "{text}");
    let (mut by_molds, mut placed) = (Vec::new(), Vec::new());
    if quick.is_some() {
        toml::read_with_headers::<()>(text, &mut by_molds).unwrap();
        toml::read_with_headers::<Place>(text, &mut placed).unwrap();
    }
    assert_eq!(by_molds, placed, "{text}");
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
