//! YAML 1.2: `saphyr-parser` reads the syntax; tags, aliases and the core schema are ours.

use crate::fault::{Fault, shown, too_deep};
use crate::value::{Item, Map, Mark, Origin, Value};
use crate::{MAX_ALIASED_VALUES, MAX_DEPTH};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// Reads a whole text; offsets are in characters.
pub(crate) fn read<M: Mark>(text: &str) -> Result<Value<M>, Fault> {
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { parser, anchors: HashMap::new(), expanded: 0, depth: 0 };
    reader.stream()
}

struct Reader<'t, M> {
    parser: Parser<'t, StrInput<'t>>,
    /// The value of each anchor, by the parser's number for it.
    anchors: HashMap<usize, Value<M>>,
    /// Values kept for anchors and added by aliases so far.
    expanded: usize,
    depth: usize,
}

/// A list or map and the place after its last value or bracket.
type Nested<M> = Result<(Value<M>, usize), Fault>;
type OptionalTag<'t> = Option<Cow<'t, Tag>>;

impl<'t, M: Mark> Reader<'t, M> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(e)) => Err(Fault::new(e.marker().index(), plain_words(e.info()))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// Reads one document, or none, which is an empty map.
    fn stream(&mut self) -> Result<Value<M>, Fault> {
        let mut value = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if value.is_some() => {
                    return Err(Fault::new(
                        span.start.index(),
                        "a second document begins here; write each into a file of its own",
                    ));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    value = Some(self.value(event, span)?.0);
                }
                _ => {}
            }
        }
        Ok(value.unwrap_or_else(|| Value::Map(Map::new(Origin::Value))))
    }

    fn value(&mut self, event: Event<'t>, span: Span) -> Result<(Value<M>, Range<usize>), Fault> {
        let start = span.start.index();
        let (value, anchor, end) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, &tag, start)?, anchor, span.end.index())
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(&tag, "seq", start)?;
                let (value, end) = self.nested(start, Self::list)?;
                (value, anchor, end)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(&tag, "map", start)?;
                let (value, end) = self.nested(start, Self::map)?;
                (value, anchor, end)
            }
            Event::Alias(anchor) => (self.alias(anchor, start)?, 0, span.end.index()),
            _ => return Err(Fault::new(start, "there is no value here; write one")),
        };
        if anchor > 0 {
            self.spend(&value, start)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok((value, start..end.max(start)))
    }

    fn alias(&mut self, anchor: usize, at: usize) -> Result<Value<M>, Fault> {
        let Some(value) = self.anchors.get(&anchor).cloned() else {
            return Err(Fault::new(at, "the alias is inside its own anchor; write the value out"));
        };
        self.spend(&value, at)?;
        Ok(value)
    }

    fn spend(&mut self, value: &Value<M>, at: usize) -> Result<(), Fault> {
        self.expanded += value.count();
        if self.expanded > MAX_ALIASED_VALUES {
            let message = format!("aliases add more than {MAX_ALIASED_VALUES} values; write fewer");
            return Err(Fault::new(at, message));
        }
        Ok(())
    }

    fn nested(&mut self, at: usize, read: fn(&mut Self) -> Nested<M>) -> Nested<M> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::too_deep(at));
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Nested<M> {
        let (mut items, mut end) = (Vec::new(), 0);
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok((Value::List(items), end.max(flow_end(span))));
            }
            let (value, at) = self.value(event, span)?;
            end = at.end;
            items.push(Item { value, mark: M::new(at.clone(), at) });
        }
    }

    fn map(&mut self) -> Nested<M> {
        let (mut map, mut end) = (Map::new(Origin::Value), 0);
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok((Value::Map(map), end.max(flow_end(span))));
            }
            let key_at = span.start.index()..span.end.index();
            let key = key(event, key_at.start)?;
            let (event, span) = self.next()?;
            let (value, at) = self.value(event, span)?;
            end = at.end.max(key_at.end);
            let start = key_at.start;
            map.insert(key.into(), value, M::new(key_at, at), start)?;
        }
    }
}

/// Returns the place after a closing bracket. A block ends without a bracket, with an empty span
/// somewhere after it.
fn flow_end(span: Span) -> usize {
    if span.is_empty() { 0 } else { span.end.index() }
}

/// Reads a key as its text, in whatever style it is written.
fn key<'t>(event: Event<'t>, at: usize) -> Result<Cow<'t, str>, Fault> {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<" => {
            Err(Fault::new(at, "merge keys (`<<`) are not supported; write the keys out"))
        }
        Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty() => {
            Err(Fault::new(at, "there is no key before `:`; write one"))
        }
        Event::Scalar(text, _, _, tag) => {
            check_tag(&tag, "str", at)?;
            Ok(text)
        }
        Event::Alias(_) => Err(Fault::new(at, "an alias is not a key; write the key out")),
        _ => Err(Fault::new(at, "a list or a map is not a key; write a text")),
    }
}

/// Accepts only the tag that says what the value is anyway.
fn check_tag(tag: &OptionalTag<'_>, usual: &str, at: usize) -> Result<(), Fault> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == usual => Ok(()),
        Some(tag) => Err(wrong_tag(tag, at)),
    }
}

fn wrong_tag(tag: &Tag, at: usize) -> Fault {
    let name = shown(&format!("{}{}", tag.handle, tag.suffix));
    Fault::new(at, format!("the tag {name} is not supported; remove it"))
}

/// Reads a scalar by its style and tag.
fn scalar<M>(
    text: &str,
    style: ScalarStyle,
    tag: &OptionalTag<'_>,
    at: usize,
) -> Result<Value<M>, Fault> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(text, at),
            _ => Ok(Value::Str(text.into())),
        };
    };
    if !tag.is_yaml_core_schema() {
        return Err(wrong_tag(tag, at));
    }
    if tag.suffix == "str" {
        return Ok(Value::Str(text.into()));
    }
    let value = plain(text, at)?;
    match (tag.suffix.as_str(), &value) {
        ("null", Value::Null)
        | ("bool", Value::Bool(_))
        | ("int", Value::Int(_))
        | ("float", Value::Float(_)) => Ok(value),
        ("float", Value::Int(n)) => Ok(Value::Float(*n as f64)),
        ("null" | "bool" | "int" | "float", _) => Err(Fault::new(
            at,
            format!(
                "{} is not a `!!{}`; remove the tag, or write such a value",
                shown(text),
                tag.suffix
            ),
        )),
        _ => Err(wrong_tag(tag, at)),
    }
}

/// Reads a plain scalar by the core schema (YAML 1.2.2 section 10.3.2).
fn plain<M>(text: &str, at: usize) -> Result<Value<M>, Fault> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let first = text.bytes().next().unwrap_or_default();
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') {
        return Ok(Value::Str(text.into()));
    }
    let fault = |why| Fault::new(at, format!("{} {why}", shown(text)));
    if let Some((digits, radix)) = integer(text) {
        let number = i64::from_str_radix(digits, radix);
        return number
            .map(Value::Int)
            .map_err(|_| fault("does not fit into 64 bits; write a smaller number"));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(fault("is not a finite number; write a finite one"));
    }
    if !is_float(unsigned) {
        return Ok(Value::Str(text.into()));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        _ => Err(fault("is not a finite number; write a finite one")),
    }
}

/// Returns the digits (with sign) and the radix of a whole number.
fn integer(text: &str) -> Option<(&str, u32)> {
    let all =
        |digits: &str, ok: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(ok);
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, u8::is_ascii_hexdigit).then_some((digits, 16));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |b| matches!(b, b'0'..=b'7')).then_some((digits, 8));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    all(unsigned, u8::is_ascii_digit).then_some((text, 10))
}

/// Matches `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let some_digits = |t: &str| !t.is_empty() && digits(t);
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => some_digits(fraction),
        Some((whole, fraction)) => some_digits(whole) && digits(fraction),
        None => some_digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(|e| some_digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

/// Returns the parser's message in plain words.
fn plain_words(info: &str) -> String {
    match info {
        "simple key expected ':'" | "simple key expected" => "there is no `:` after the key; write one".into(),
        "mapping values are not allowed in this context" => {
            "`:` does not belong here; quote the text, or mend the indentation".into()
        }
        "while parsing a block mapping, did not find expected key" => {
            "there is no key here; write one, or mend the indentation".into()
        }
        "while parsing node, found unknown anchor" => {
            "`*` begins an alias, and no anchor has that name; quote a text that begins with `*`"
                .into()
        }
        "while scanning an anchor or alias, did not find expected alphabetic or numeric character" => {
            "`*` begins an alias and `&` an anchor; quote a text that begins with them".into()
        }
        "while parsing a flow mapping, did not find expected ',' or '}'" => {
            "the `{` is not closed here; write `,` or `}`, or quote a text that has brackets or braces".into()
        }
        "while parsing a flow sequence, expected ',' or ']'" => {
            "the `[` is not closed here; write `,` or `]`, or quote a text that has brackets or braces".into()
        }
        "tab cannot be used as indentation"
        | "tabs disallowed in this context"
        | "tabs disallowed within this context (block indentation)" => {
            "the indentation has a tab; indent with spaces".into()
        }
        "while scanning a quoted scalar, found unexpected end of stream" => {
            "the quoted text has no end; write the closing quote".into()
        }
        "while parsing a quoted scalar, found unknown escape character" => {
            "the escape is unknown; write a backslash as `\\\\`, or use single quotes".into()
        }
        "recursion limit exceeded" => too_deep(),
        other => match other.split_once(", ") {
            Some((context, what)) if context.starts_with("while ") => what.to_owned(),
            _ => other.to_owned(),
        },
    }
}
