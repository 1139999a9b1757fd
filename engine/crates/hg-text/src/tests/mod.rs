//! Tests of what the three formats share; the files beside this one test each format's own rules.

mod alike;
mod document;
mod edit;
mod json;
mod places;
mod properties;
mod render;
mod toml;
mod yaml;

use crate::{Format, Seg, TextError, Value, Which, locate, parse};

/// Formats a value in a short notation that distinguishes `1` from `1.0` and `"1"`.
fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => format!("{x:?}"),
        Value::Str(s) => format!("{s:?}"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|i| show(&i.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let entries = map.entries().iter();
            let entries: Vec<_> =
                entries.map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn read(text: &str, format: Format) -> Result<String, TextError> {
    parse(text.as_bytes(), format).map(|value| show(&value))
}

/// Asserts the value that a text reads as.
fn reads(format: Format, text: &str, expected: &str) {
    assert_eq!(read(text, format).as_deref(), Ok(expected), "{text}");
}

/// Asserts that a text is refused with this `line:column: message`.
fn refused(format: Format, text: &str, expected: &str) {
    let error = read(text, format).expect_err(text);
    assert_eq!(error.to_string(), expected, "{text}");
}

fn path(steps: &[&str]) -> Vec<Seg> {
    let seg = |s: &&str| match s.parse() {
        Ok(index) => Seg::Index(index),
        Err(_) => Seg::Key((*s).to_owned()),
    };
    steps.iter().map(seg).collect()
}

/// Asserts that a path is found at `line:column` and covers this text.
fn located(format: Format, text: &str, steps: &[&str], which: Which, expected: (&str, &str)) {
    let span = locate(text.as_bytes(), format, &path(steps), which).expect("no such path");
    let at = format!("{}:{}", span.start.line, span.start.column);
    assert_eq!((at.as_str(), &text[span.bytes]), expected, "{steps:?} in {text}");
}

#[test]
fn a_key_given_twice_names_both_places_in_every_format() {
    let texts = [
        (Format::Toml, "a = 1\nb = 2\na = 3\n", (3, 1), (1, 1)),
        (Format::Yaml, "é: 0\na: 1\nb: 2\na: 3\n", (4, 1), (2, 1)),
        (Format::Json, "{\"é\": 0, \"a\": 1,\n \"a\": 3}", (2, 2), (1, 10)),
    ];
    for (format, text, second, first) in texts {
        let error = read(text, format).expect_err(text);
        let found = error.first.map(|p| (p.line, p.column));
        assert_eq!(((error.line, error.column), found), (second, Some(first)), "{text}");
        let message = format!(
            "`a` is given twice, first at line {}, column {}; remove one of the two",
            first.0, first.1
        );
        assert_eq!(error.message, message);
    }
}

#[test]
fn a_byte_order_mark_is_dropped_and_does_not_count() {
    reads(Format::Toml, "\u{feff}a = 1", "{a: 1}");
    reads(Format::Yaml, "\u{feff}a: 1", "{a: 1}");
    reads(Format::Json, "\u{feff}{\"a\": 1}", "{a: 1}");
    refused(Format::Json, "\u{feff}x", "1:1: `x` is not a value; write text in double quotes");
}

#[test]
fn bytes_that_are_not_utf8_are_placed_in_characters() {
    let error = parse(b"a = 'x'\n# \xc3\xa9 \xff", Format::Toml).expect_err("not UTF-8");
    assert_eq!(error.to_string(), "2:5: byte 0xff is not UTF-8; save the file as UTF-8");
}

#[test]
fn nesting_ends_at_the_limit_in_every_format() {
    for format in Format::ALL {
        let nest = |n: usize| match format {
            Format::Toml => format!("a = {}{}", "[".repeat(n - 1), "]".repeat(n - 1)),
            _ => format!("{}{}", "[".repeat(n), "]".repeat(n)),
        };
        assert!(read(&nest(64), format).is_ok(), "{format:?}");
        for levels in [65, 100_000] {
            let error = read(&nest(levels), format).expect_err("too deep");
            assert_eq!(
                error.message, "the value is nested deeper than 64 levels; write it flatter",
                "{format:?}"
            );
        }
    }
}

#[test]
fn a_text_over_the_size_limit_is_refused() {
    let long = vec![b' '; crate::MAX_BYTES + 1];
    let error = parse(&long, Format::Yaml).expect_err("too long");
    assert_eq!(error.message, "the text is longer than 64 MiB");
}

#[test]
fn a_path_that_is_not_there_has_no_place() {
    for steps in [&["b"][..], &["a", "b"], &["a", "0"], &["l", "3"], &["l", "x"]] {
        let text = b"a = 1\nl = [1]\n";
        assert_eq!(locate(text, Format::Toml, &path(steps), Which::Key), None, "{steps:?}");
    }
    assert_eq!(locate(b"a = ", Format::Toml, &path(&["a"]), Which::Key), None);
}

#[test]
fn format_words() {
    for format in Format::ALL {
        assert_eq!(Format::from_word(format.as_str()), Some(format));
    }
    assert_eq!(Format::from_word("yml"), Some(Format::Yaml));
    assert_eq!(Format::from_word("ini"), None);
}
