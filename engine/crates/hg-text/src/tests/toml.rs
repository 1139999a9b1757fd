//! TOML's own rules.

use super::{located, reads, refused};
use crate::Format::Toml;
use crate::Which::{Key, Value};

#[test]
fn every_kind_of_value_is_read() {
    reads(Toml, "", "{}");
    reads(Toml, "# only a comment", "{}");
    reads(Toml, "a = 'x'\nb = \"\\t\\u00e9\"\n", r#"{a: "x", b: "\té"}"#);
    reads(Toml, "a = \"\"\"\nx\n  y\\\n  z\"\"\"", r#"{a: "x\n  yz"}"#);
    reads(Toml, "a = '''\nx\\'''", r#"{a: "x\\"}"#);
    reads(Toml, "a = 1_000\nb = -9", "{a: 1000, b: -9}");
    reads(Toml, "a = 0x1f\nb = 0o17\nc = 0b11\nd = +7", "{a: 31, b: 15, c: 3, d: 7}");
    reads(Toml, "a = 1.0\nb = 1e3\nc = -0.5", "{a: 1.0, b: 1000.0, c: -0.5}");
    reads(Toml, "a = [1, [true, false], {b = 'c'},]", r#"{a: [1, [true, false], {b: "c"}]}"#);
    reads(Toml, "\"a b\".'c.d'.e = 1", "{a b: {c.d: {e: 1}}}");
}

#[test]
fn tables_are_put_together_by_their_headers() {
    reads(Toml, "[a.b]\nx = 1\n[a]\ny = 2\n", "{a: {b: {x: 1}, y: 2}}");
    reads(Toml, "[[a]]\nx = 1\n[[a]]\n[a.b]\ny = 2\n", "{a: [{x: 1}, {b: {y: 2}}]}");
    reads(Toml, "[a]\nb.c = 1\nb.d = 2\n[a.b.e]\nf = 3\n", "{a: {b: {c: 1, d: 2, e: {f: 3}}}}");
    reads(Toml, "[[a.b]]\n[a]\nc = 1\n", "{a: {b: [{}], c: 1}}");
}

#[test]
fn a_table_is_defined_once() {
    let twice = "`a` is given twice, first at line 1, column";
    refused(Toml, "[a]\n[a]\n", &format!("2:2: {twice} 2; remove one of the two"));
    refused(Toml, "a.b = 1\n[a]\n", &format!("2:2: {twice} 1; remove one of the two"));
    refused(Toml, "a = {}\n[a]\n", &format!("2:2: {twice} 1; remove one of the two"));
    refused(Toml, "[a]\n[[a]]\n", &format!("2:3: {twice} 2; remove one of the two"));
    refused(Toml, "a = []\n[[a]]\n", &format!("2:3: {twice} 1; remove one of the two"));
    refused(Toml, "[[a]]\n[a]\n", &format!("2:2: {twice} 3; remove one of the two"));
    refused(
        Toml,
        "[a.b.c]\nz = 9\n[a]\nb.c.t = 1\n",
        "4:1: `b` is given twice, first at line 1, column 4; remove one of the two",
    );
    let complete = "is already a complete value; write all its keys in one place";
    refused(Toml, "a = {}\n[a.b]\n", &format!("2:2: `a` {complete}"));
    refused(Toml, "a = [{}]\n[a.b]\n", &format!("2:2: `a` {complete}"));
    refused(Toml, "a = 1\na.b = 2\n", &format!("2:1: `a` {complete}"));
    refused(
        Toml,
        "t = {a = {}, a.b = 1}\n",
        "1:14: `a` is given twice, first at line 1, column 6; remove one of the two",
    );
}

#[test]
fn a_text_of_many_pieces_reads_as_one() {
    let mut text = String::new();
    let mut expected = Vec::new();
    for i in 0..5_000 {
        text.push_str(&format!("[t.n{i}]\nx = [\n  [{i}],\n  [2]\n]\n"));
        expected.push(format!("n{i}: {{x: [[{i}], [2]]}}"));
    }
    reads(Toml, &text, &format!("{{t: {{{}}}}}", expected.join(", ")));
    text.push_str("[t.n17]\n");
    refused(
        Toml,
        &text,
        "25001:4: `n17` is given twice, first at line 86, column 4; remove one of the two",
    );
}

#[test]
fn mistakes_are_told_in_plain_words() {
    refused(Toml, "a = ", "1:5: the key has no value; write one after `=`");
    refused(Toml, "a = x", "1:5: the text has no quotes; write it in double quotes");
    refused(Toml, "a = 1979-05-27", "1:5: a date is not a value here; write it in quotes");
    refused(
        Toml,
        "a = 99999999999999999999",
        "1:5: `99999999999999999999` does not fit into 64 bits; write a smaller number",
    );
    refused(
        Toml,
        "a = 127.0.0.1",
        "1:10: the number is invalid; write digits, or quotes around a text",
    );
    refused(Toml, "a = nan", "1:5: `nan` is not a finite number; write a finite one");
    refused(Toml, "a = -inf", "1:5: `-inf` is not a finite number; write a finite one");
    refused(
        Toml,
        "é = 1",
        "1:1: the key has a character that needs quotes; write the key in double quotes",
    );
    refused(Toml, "a = 'x", "1:7: the text has no closing `'`; write one at its end");
    refused(Toml, "[a\nb = 1", "1:3: the header is not closed; write `]` after its name");
    refused(
        Toml,
        "a = 1 b = 2",
        "1:9: something follows a complete value; write the next key on a line of its own",
    );
    refused(
        Toml,
        "a = 1\n# \u{1}\n",
        "2:3: the comment has a control character; write printable text only",
    );
}

#[test]
fn places_of_keys_and_values() {
    let text = "x = 'é'\n[routes.\"a b\"]\nmatch = [{ path = \"/ü\", n = [1, 2] }]\n";
    located(Toml, text, &["x"], Key, ("1:1", "x"));
    located(Toml, text, &["x"], Value, ("1:5", "'é'"));
    located(Toml, text, &["routes"], Key, ("2:2", "routes"));
    located(Toml, text, &["routes", "a b"], Key, ("2:9", "\"a b\""));
    located(Toml, text, &["routes", "a b"], Value, ("2:1", "[routes.\"a b\"]"));
    let inner = ["routes", "a b", "match", "0"];
    located(Toml, text, &inner[..3], Value, ("3:9", "[{ path = \"/ü\", n = [1, 2] }]"));
    located(Toml, text, &inner, Key, ("3:10", "{ path = \"/ü\", n = [1, 2] }"));
    located(Toml, text, &[&inner[..], &["path"]].concat(), Value, ("3:19", "\"/ü\""));
    located(Toml, text, &[&inner[..], &["n", "1"]].concat(), Value, ("3:33", "2"));
}
