//! YAML's own rules.

use super::{located, read, reads, refused};
use crate::Format::Yaml;
use crate::Which::{Key, Value};

#[test]
fn every_kind_of_value_is_read() {
    reads(Yaml, "", "{}");
    reads(Yaml, "# only a comment\n", "{}");
    reads(Yaml, "---\n...\n", "null");
    reads(Yaml, "a:\nb: ~\nc: null\nd: 'null'", r#"{a: null, b: null, c: null, d: "null"}"#);
    reads(Yaml, "a: true\nb: False\nc: yes\nd: on", r#"{a: true, b: false, c: "yes", d: "on"}"#);
    reads(Yaml, "[1, -2, +3, 0x1f, 0o17, 012]", "[1, -2, 3, 31, 15, 12]");
    reads(Yaml, "[1.5, .5, 1., 1e3, -1.0E-2]", "[1.5, 0.5, 1.0, 1000.0, -0.01]");
    reads(
        Yaml,
        "[12:30, 1_000, 30s, 1.2.3, -x, ., 0x, 1e, e1]",
        r#"["12:30", "1_000", "30s", "1.2.3", "-x", ".", "0x", "1e", "e1"]"#,
    );
    reads(Yaml, "a: |\n  x\n  y\nb: >\n  x\n  y\n", r#"{a: "x\ny\n", b: "x y\n"}"#);
    reads(Yaml, "- a: 1\n  b: 2\n- - x\n", r#"[{a: 1, b: 2}, ["x"]]"#);
    reads(Yaml, "404: a\ntrue: b\n1.0: c\n", r#"{404: "a", true: "b", 1.0: "c"}"#);
    reads(Yaml, "'*.example.com': 1", "{*.example.com: 1}");
}

#[test]
fn tags_of_the_core_schema_are_taken_and_no_others() {
    reads(
        Yaml,
        "[!!str 1, !!int '1', !!float 1, !!null '', !!bool 'true']",
        r#"["1", 1, 1.0, null, true]"#,
    );
    reads(Yaml, "!!map {a: !!seq []}", "{a: []}");
    refused(Yaml, "a: !!int x", "1:4: `x` is not a `!!int`; remove the tag, or write such a value");
    refused(Yaml, "a: !secret x", "1:4: the tag `!secret` is not supported; remove it");
    refused(
        Yaml,
        "a: !!python/object x",
        "1:4: the tag `tag:yaml.org,2002:python/object` is not supported; remove it",
    );
    refused(
        Yaml,
        "!!set {a: 1}",
        "1:1: the tag `tag:yaml.org,2002:set` is not supported; remove it",
    );
}

#[test]
fn aliases_are_copies_within_bounds() {
    reads(Yaml, "a: &x [1]\nb: *x\nc: &y s\nd: *y", r#"{a: [1], b: [1], c: "s", d: "s"}"#);
    refused(Yaml, "a: &x [*x]", "1:8: the alias is inside its own anchor; write the value out");
    let star =
        "`*` begins an alias, and no anchor has that name; quote a text that begins with `*`";
    refused(Yaml, "hosts: *.x", &format!("1:8: {star}"));
    refused(Yaml, "hosts: [*.x]", &format!("1:9: {star}"));
    let star = "`*` begins an alias and `&` an anchor; quote a text that begins with them";
    refused(Yaml, "hosts: *", &format!("1:8: {star}"));
    let tab = "the indentation has a tab; indent with spaces";
    refused(Yaml, "a:\n\tb: 1\n", &format!("2:2: {tab}"));
    refused(
        Yaml,
        "a: 1\n<<: {b: 1}",
        "2:1: merge keys (`<<`) are not supported; write the keys out",
    );
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    let error = read(&bomb, Yaml).expect_err("a bomb");
    assert_eq!(error.message, "aliases add more than 100000 values; write fewer");
}

#[test]
fn mistakes_are_told_in_plain_words() {
    refused(
        Yaml,
        "a: 1\n---\nb: 2\n",
        "2:1: a second document begins here; write each into a file of its own",
    );
    refused(Yaml, "? [a]\n: 1\n", "1:3: a list or a map is not a key; write a text");
    refused(Yaml, "a: .nan", "1:4: `.nan` is not a finite number; write a finite one");
    refused(Yaml, "a: -.inf", "1:4: `-.inf` is not a finite number; write a finite one");
    refused(
        Yaml,
        "a: 99999999999999999999",
        "1:4: `99999999999999999999` does not fit into 64 bits; write a smaller number",
    );
    refused(Yaml, ": 1", "1:1: there is no key before `:`; write one");
    refused(
        Yaml,
        "a: b: c",
        "1:5: `:` does not belong here; quote the text, or mend the indentation",
    );
    assert!(read("a: [1", Yaml).is_err());
    assert!(read("a: \"x", Yaml).is_err());
    assert!(read("a: 1\n b: 2", Yaml).is_err());
    assert!(read("a:\n\t- b", Yaml).is_err());
}

#[test]
fn places_of_keys_and_values() {
    let text = "x: é\nroutes:\n  'ü b':\n    - path: /ü\n      n: [1, 2]\n  c: |\n    t\n";
    located(Yaml, text, &["x"], Key, ("1:1", "x"));
    located(Yaml, text, &["x"], Value, ("1:4", "é"));
    located(Yaml, text, &["routes"], Key, ("2:1", "routes"));
    located(Yaml, text, &["routes", "ü b"], Key, ("3:3", "'ü b'"));
    let inner = ["routes", "ü b", "0"];
    located(Yaml, text, &inner, Value, ("4:7", "path: /ü\n      n: [1, 2]"));
    located(Yaml, text, &[&inner[..], &["path"]].concat(), Key, ("4:7", "path"));
    located(Yaml, text, &[&inner[..], &["path"]].concat(), Value, ("4:13", "/ü"));
    located(Yaml, text, &[&inner[..], &["n"]].concat(), Value, ("5:10", "[1, 2]"));
    located(Yaml, text, &[&inner[..], &["n", "1"]].concat(), Value, ("5:14", "2"));
}
