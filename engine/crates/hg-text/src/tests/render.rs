//! Random trees, and a tree as text in each format.

use crate::value::Origin;
use crate::{Entry, Format, Item, Map, Value};
use proptest::prelude::*;

/// A random map of at most four levels.
pub(super) fn tree() -> impl Strategy<Value = Value> {
    let float = (-1_000_000i32..1_000_000).prop_map(|n| Value::Float(f64::from(n) / 64.0));
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        float,
        any::<String>().prop_map(|s| Value::Str(s.into())),
        "[a-z0-9 .:#'é-]{0,8}".prop_map(|s| Value::Str(s.into())),
    ];
    let any = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(list), map(inner)]
    });
    map(any)
}

fn list(values: Vec<Value>) -> Value {
    Value::List(values.into_iter().map(|value| Item { value, mark: () }).collect())
}

fn map(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let key = prop_oneof!["[a-z_-]{1,6}", "[a-z0-9 .é\"\\\\]{0,5}", any::<String>()];
    prop::collection::vec((key, values), 0..20).prop_map(|pairs| {
        let mut map = Map::new(Origin::Value);
        for (key, value) in pairs {
            if map.find(&key).is_none() {
                map.push(Entry { key: key.into(), value, mark: () });
            }
        }
        Value::Map(map)
    })
}

/// A string in double quotes, with the escapes that all three formats share.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            _ => out.push(c),
        }
    }
    out + "\""
}

/// Renders a key: bare if that is possible.
pub(super) fn key(text: &str, format: Format) -> String {
    let bare = text.bytes().all(|b| b.is_ascii_lowercase()) && !text.is_empty();
    if bare && format != Format::Json { text.to_owned() } else { quoted(text) }
}

/// Renders a scalar, the same in every format.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(b) => Some(b.to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::Float(x) => Some(format!("{x:?}")),
        Value::Str(s) => Some(quoted(s)),
        _ => None,
    }
}

/// Renders the tree in a format, with tables, blocks and inline forms mixed.
pub(super) fn render(tree: &Value, format: Format) -> String {
    let mut out = String::new();
    match (format, tree) {
        (Format::Toml, Value::Map(map)) => toml_table(map, "", &mut out),
        (Format::Yaml, tree) => yaml_block(tree, 0, &mut out),
        _ => inline(tree, format, &mut out),
    }
    out
}

fn inline(value: &Value, format: Format, out: &mut String) {
    let (open, between) = match format {
        Format::Toml => ("{ ", " = "),
        Format::Yaml => ("{", ": "),
        Format::Json => ("{\n", " : "),
    };
    match value {
        Value::Map(map) => {
            out.push_str(open);
            for (i, entry) in map.entries().iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(&(key(&entry.key, format) + between));
                inline(&entry.value, format, out);
            }
            out.push('}');
        }
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                inline(&item.value, format, out);
            }
            out.push(']');
        }
        scalar_value => out.push_str(&scalar(scalar_value).unwrap_or_else(|| "null".into())),
    }
}

/// Reports whether a value goes under a header, as some of the values that could do; these come
/// last, as they must.
fn under_header(entry: &Entry) -> bool {
    match &entry.value {
        Value::Map(_) => entry.key.len() % 3 != 0,
        Value::List(items) => {
            !items.is_empty() && items.iter().all(|i| matches!(i.value, Value::Map(_)))
        }
        _ => false,
    }
}

fn toml_table(map: &Map, path: &str, out: &mut String) {
    for entry in map.entries().iter().filter(|e| !under_header(e)) {
        out.push_str(&format!("{} = ", key(&entry.key, Format::Toml)));
        inline(&entry.value, Format::Toml, out);
        out.push_str(" # é\n");
    }
    for entry in map.entries().iter().filter(|e| under_header(e)) {
        let name = key(&entry.key, Format::Toml);
        let path = if path.is_empty() { name } else { format!("{path} . {name}") };
        match &entry.value {
            Value::Map(map) => {
                out.push_str(&format!("[{path}]\n"));
                toml_table(map, &path, out);
            }
            Value::List(items) => {
                for item in items {
                    out.push_str(&format!("[[ {path} ]]\r\n"));
                    if let Value::Map(map) = &item.value {
                        toml_table(map, &path, out);
                    }
                }
            }
            _ => {}
        }
    }
}

fn yaml_block(value: &Value, indent: usize, out: &mut String) {
    let begin = |out: &mut String| {
        out.push('\n');
        out.push_str(&" ".repeat(indent));
    };
    match value {
        Value::Map(map) if !map.entries().is_empty() => {
            for entry in map.entries() {
                begin(out);
                out.push_str(&format!("{}: ", key(&entry.key, Format::Yaml)));
                yaml_block(&entry.value, indent + 2, out);
            }
        }
        Value::List(items) if !items.is_empty() && items.len() % 3 != 0 => {
            for item in items {
                begin(out);
                out.push_str("- ");
                yaml_block(&item.value, indent + 1, out);
            }
        }
        other => inline(other, Format::Yaml, out),
    }
}

/// Returns the tree as TOML reorders it: what goes under headers comes after the rest.
pub(super) fn reordered(value: &Value) -> Value {
    let Value::Map(map) = value else {
        return value.clone();
    };
    let (last, first): (Vec<_>, Vec<_>) = map.entries().iter().partition(|e| under_header(e));
    let mut sorted = Map::new(Origin::Value);
    for entry in first {
        sorted.push(entry.clone());
    }
    for entry in last {
        let value = match &entry.value {
            Value::List(items) => list(items.iter().map(|i| reordered(&i.value)).collect()),
            value => reordered(value),
        };
        sorted.push(Entry { key: entry.key.clone(), value, mark: () });
    }
    Value::Map(sorted)
}
