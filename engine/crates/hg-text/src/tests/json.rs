//! JSON's own rules.

use super::{located, read, reads, refused};
use crate::Format::Json;
use crate::Which::{Key, Value};

#[test]
fn every_kind_of_value_is_read() {
    reads(Json, " null ", "null");
    reads(Json, "[true, false, 0, -1, 1.5, 1e2, -0.0]", "[true, false, 0, -1, 1.5, 100.0, -0.0]");
    reads(Json, r#"{"a": {}, "b": [], "": ""}"#, r#"{a: {}, b: [], : ""}"#);
    reads(Json, r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, r#""\"\\/\u{8}\u{c}\n\r\té😀""#);
}

#[test]
fn mistakes_are_told_in_plain_words() {
    refused(Json, "", "1:1: the text ends too early; write a value");
    refused(Json, "{", "1:2: the text ends too early; write a key in double quotes");
    refused(Json, "{a: 1}", "1:2: `a` does not belong here; write a key in double quotes");
    refused(Json, r#"{"a" 1}"#, "1:6: `1` does not belong here; write `:`");
    refused(Json, r#"{"a": 1 "b": 2}"#, "1:9: `\\\"` does not belong here; write `,` or `}`");
    refused(Json, r#"{"a": 1,}"#, "1:9: `}` does not belong here; write a key in double quotes");
    refused(Json, "[1,\n]", "2:1: `]` does not belong here; write a value");
    refused(Json, "[1] 2", "1:5: `2` does not belong here; write the end of the text");
    refused(Json, "[yes]", "1:2: `yes` is not a value; write text in double quotes");
}

#[test]
fn mistakes_in_numbers_and_strings() {
    refused(Json, "[01]", "1:2: a number begins with 0; write it without, or in quotes");
    refused(Json, "[1.]", "1:4: `]` does not belong here; write a digit");
    refused(Json, "[1e999]", "1:2: `1e999` is not a finite number; write a finite one");
    refused(
        Json,
        "9223372036854775808",
        "1:1: `9223372036854775808` does not fit into 64 bits; write a smaller number",
    );
    refused(Json, "\"é\n\"", "1:3: the text has a control character; write it as \\u00XX");
    refused(Json, "[\"abc", "1:2: the text has no closing `\"`; write one at its end");
    refused(Json, r#""\x""#, "1:2: the escape is unknown; write a backslash as \\\\");
    refused(Json, r#""\u12é""#, "1:2: \\u has fewer than four hexadecimal digits; write four");
    for half in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800\ud800""#] {
        refused(Json, half, "1:2: \\u has half of a surrogate pair; write both halves");
    }
    assert!(read("\"\\", Json).is_err());
    assert!(read("\"\\u", Json).is_err());
}

#[test]
fn places_of_keys_and_values() {
    let text = "{\"é\": 1,\n  \"routes\": {\"ü\": [{\"a\": \"b\"}]}}";
    located(Json, text, &["é"], Key, ("1:2", "\"é\""));
    located(Json, text, &["é"], Value, ("1:7", "1"));
    located(Json, text, &["routes", "ü"], Key, ("2:14", "\"ü\""));
    located(Json, text, &["routes", "ü", "0"], Value, ("2:20", "{\"a\": \"b\"}"));
    located(Json, text, &["routes", "ü", "0", "a"], Value, ("2:26", "\"b\""));
}
