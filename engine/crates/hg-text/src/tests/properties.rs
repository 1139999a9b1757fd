//! Properties of any text and any tree.

use super::render::{key, quoted, render, reordered, scalar, tree};
use crate::position::Lines;
use crate::{Document, Format, Seg, Spans, Value, Which, parse};
use proptest::prelude::*;

/// The tokens of the formats' syntaxes, between bars; a bar itself is `BAR`.
const TOKENS: &str = "a|b|=|:|: |- |\n|\n  |\n    |[|]|[[|]]|{|}|,|.|\"|'|'''|\"\"\"|\\|\\u|d800|#|\
    &x |*x|!!str |!|BAR|>|BAR2-|?|? |1|-|0x|1e9|true|null|~|é|\u{feff}|\t|\r|\r\n|\0|%TAG ! x\n|\
    ---|...|<<|@|`|1979-05-27";

fn syntax() -> impl Strategy<Value = String> {
    let tokens: Vec<_> = TOKENS.split('|').map(|t| t.replace("BAR", "|")).collect();
    let token = prop::sample::select(tokens);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

/// Every path of a tree with its value.
fn walk(value: &Value, at: &mut Vec<Seg>, visit: &mut dyn FnMut(&[Seg], &Value)) {
    let mut step = |seg, value| {
        at.push(seg);
        visit(at, value);
        walk(value, at, visit);
        at.pop();
    };
    match value {
        Value::Map(map) => {
            map.entries().iter().for_each(|e| step(Seg::Key(e.key.to_string()), &e.value));
        }
        Value::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| step(Seg::Index(i), &item.value));
        }
        _ => {}
    }
}

fn check_places(tree: &Value, text: &str, format: Format) {
    let spans = Spans::of(text.as_bytes(), format).expect(text);
    let lines = Lines::new(text);
    walk(tree, &mut Vec::new(), &mut |path, value| {
        let found = |which| {
            let span = spans.locate(path, which).expect("a path of the tree");
            assert_eq!(span.start, lines.position(text, span.bytes.start));
            text[span.bytes].to_owned()
        };
        if let Some(Seg::Key(name)) = path.last() {
            assert_eq!(found(Which::Key), key(name, format), "{path:?} in {text}");
        }
        if let Some(expected) = scalar(value) {
            assert_eq!(found(Which::Value), expected, "{path:?} in {text}");
        }
    });
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
        for format in Format::ALL {
            let _ = parse(&bytes, format);
            let _ = Document::read(&bytes, format);
        }
    }

    #[test]
    fn no_syntax_makes_a_reader_panic_and_both_passes_agree(text in syntax()) {
        for format in Format::ALL {
            let fast = parse(text.as_bytes(), format);
            let placed = Spans::of(text.as_bytes(), format);
            prop_assert_eq!(fast.as_ref().err(), placed.as_ref().err());
            if let Ok(tree) = fast {
                walk(&tree, &mut Vec::new(), &mut |path, _| {
                    let spans = placed.as_ref().expect("read before");
                    assert!(spans.locate(path, Which::Key).is_some(), "{path:?}");
                });
            }
        }
    }

    #[test]
    fn a_text_cut_anywhere_makes_no_reader_panic(tree in tree(), cut: prop::sample::Index) {
        for format in Format::ALL {
            let text = render(&tree, format);
            let _ = parse(&text.as_bytes()[..cut.index(text.len() + 1)], format);
        }
    }

    #[test]
    fn every_format_reads_the_same_tree_back(tree in tree()) {
        let toml = parse(render(&tree, Format::Toml).as_bytes(), Format::Toml);
        prop_assert_eq!(toml, Ok(reordered(&tree)));
        for format in [Format::Yaml, Format::Json] {
            prop_assert_eq!(parse(render(&tree, format).as_bytes(), format), Ok(tree.clone()));
        }
    }

    #[test]
    fn every_place_is_the_text_of_its_key_and_value(tree in tree()) {
        for format in Format::ALL {
            check_places(&tree, &render(&tree, format), format);
        }
    }

    #[test]
    fn json_strings_and_numbers_are_read_as_serde_json_reads_them(text in "[-0-9.eE+]{1,8}|\"[ -~é\\\\u0-9a-f]{0,12}\"") {
        let ours = parse(text.as_bytes(), Format::Json).ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
        let same = match (&ours, &theirs) {
            // `-0` is a float to serde_json.
            (Some(Value::Int(a)), Some(b)) => b.as_i64().or(b.as_f64().map(|b| b as i64)) == Some(*a),
            // serde_json rounds numbers differently, in the last bits.
            (Some(Value::Float(a)), Some(b)) => b.as_f64().is_some_and(|b| (a - b).abs() <= a.abs() * 1e-14),
            (Some(Value::Str(a)), Some(b)) => b.as_str() == Some(a),
            (None, Some(b)) => b.is_number() && b.as_i64().is_none(),
            (None, None) => true,
            _ => false,
        };
        prop_assert!(same, "{:?} {:?}", ours, theirs);
    }

    #[test]
    fn quoting_in_messages_never_breaks_a_line(text: String) {
        let shown = crate::fault::shown(&text);
        prop_assert!(!shown.contains('\n') && shown.chars().count() < 800);
        prop_assert!(quoted(&text).len() >= 2);
    }
}
