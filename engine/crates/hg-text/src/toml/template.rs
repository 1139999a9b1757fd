//! Reads tables that are alike by comparison instead of parsing.
//!
//! A large config repeats one kind of `[section.name]` table many times; only names and strings
//! differ. After a table was parsed, its bytes are kept as a [`Template`] in which the name and the
//! strings are open. Bytes that match the template have the same tokens except for the open ones, so
//! they are the same table with other texts.

use super::build::hash;
use super::record::{Event, What};
use super::{Header, read_piece};
use crate::value::{Entry, Item, Map, Mark, Origin, Value};
use std::ops::Range;
use toml_parser::Source;

/// How many templates are kept; the one that was used last is tried first.
const TEMPLATES: usize = 4;

/// How many tables must match a template to pay for making the next one.
const PRICE: u32 = 4;

/// How many templates are made while no table has matched one.
const UNPAID: u32 = 8;

/// How many texts a template may leave open. A table with more is unlikely to repeat, and comparing
/// it must not cost more than parsing it does.
const OPEN: usize = 32;

/// The longest table, in bytes, from which a template is made.
const LONGEST: usize = 16 * 1024;

/// The templates of one text. They can only make values without places.
pub(super) struct Templates<'t, M> {
    templates: Vec<Template<M>>,
    spent: u32,
    /// The open texts of one table; the allocation is reused.
    texts: Vec<&'t str>,
}

impl<'t, M: Mark> Templates<'t, M> {
    pub(super) fn new() -> Self {
        Self { templates: Vec::new(), spent: 0, texts: Vec::new() }
    }

    /// Whether making another template is still worth its cost.
    pub(super) fn may_learn(&self) -> bool {
        self.spent <= UNPAID * PRICE
    }

    /// Notes that a piece was parsed without making a template: a later one may pay again.
    pub(super) fn passed(&mut self) {
        self.spent = self.spent.saturating_sub(1);
    }

    /// Keeps the template of a table that was just parsed from these bytes, if one can be made.
    pub(super) fn learn(&mut self, table: &str, events: &[Event]) {
        if let Some(template) = Template::new(table, events) {
            self.spent += PRICE;
            self.templates.truncate(TEMPLATES - 1);
            self.templates.insert(0, template);
        }
    }

    /// Reads the table that begins at `at` if it matches a template and its name is new; returns
    /// where the table ends.
    pub(super) fn fill(
        &mut self,
        text: &'t str,
        at: usize,
        root: &mut Map<M>,
        headers: &mut Vec<Header>,
    ) -> Option<usize> {
        let rest = text.get(at..)?;
        let texts = &mut self.texts;
        let fits =
            |(which, template): (usize, &Template<M>)| Some((which, template.texts(rest, texts)?));
        let (which, len) = self.templates.iter().enumerate().find_map(fits)?;
        let template = self.templates.get(which)?;
        let name = *self.texts.first()?;
        let section = root.find(&template.section).and_then(|i| root.entry_mut(i))?;
        let Value::Map(tables) = &mut section.value else { return None };
        if tables.origin == Origin::Value || tables.find(name).is_some() {
            return None;
        }
        let mark = template.mark.clone();
        tables.push(Entry { key: name.into(), value: template.value(&self.texts), mark });
        // MAX_BYTES keeps every offset below 2^32.
        headers.push(Header { start: at as u32, object: hash(template.object, name) });
        self.spent = self.spent.saturating_sub(1);
        if let Some(used) = self.templates.get_mut(..=which) {
            used.rotate_right(1);
        }
        Some(at + len)
    }
}

/// A table with its name and its plain strings open.
struct Template<M> {
    section: Box<str>,
    /// The hash of the section; the hash of the name continues it.
    object: u64,
    /// The bytes before each open text; the first open text is the name.
    pieces: Vec<Box<str>>,
    /// The bytes after the last open text, up to the end of a line.
    end: Box<str>,
    table: Value<M>,
    /// For each string of `table`, in the order of [`Template::copy`]: the index of its open text.
    open: Vec<Option<usize>>,
    mark: M,
}

impl<M: Mark> Template<M> {
    fn new(table: &str, events: &[Event]) -> Option<Self> {
        let mark = M::nowhere()?;
        let [header, section, name, close, ..] = events else { return None };
        let kinds = [header.what, section.what, name.what, close.what];
        let is_table = kinds == [What::Header, What::Key, What::Key, What::HeaderEnd];
        if !is_table || table.len() > LONGEST || !table.ends_with('\n') {
            return None;
        }
        let (section, name) = (section.start()..section.end(), name.start()..name.end());
        if !is_bare(table.get(section.clone())?) || !is_bare(table.get(name.clone())?) {
            return None;
        }
        let mut places = vec![name];
        let scalars = events.iter().filter(|e| e.what == What::Scalar);
        let plain = scalars.filter_map(|e| plain_string(table, e.start()..e.end()));
        places.extend(plain.take(OPEN + 1));
        if places.len() > OPEN {
            return None;
        }
        let section: Box<str> = table.get(section)?.into();
        let mut pieces = Vec::with_capacity(places.len());
        let mut marked = String::with_capacity(table.len());
        let mut from = 0;
        for (at, place) in places.iter().enumerate() {
            let before = table.get(from..place.start)?;
            pieces.push(before.into());
            marked.push_str(before);
            marked.push_str(&marker(at));
            from = place.end;
        }
        let end: Box<str> = table.get(from..)?.into();
        marked.push_str(&end);
        let table = read_marked(&marked, &section)?;
        let mut open = Vec::new();
        strings(&table, &mut |text| open.push(marked_place(text, places.len())));
        let is_whole = open.iter().flatten().count() == places.len() - 1;
        let object = hash(0, &section);
        is_whole.then_some(Template { section, object, pieces, end, table, open, mark })
    }

    /// Returns the length of the table at the beginning of `rest` and fills `texts` with its open
    /// texts; `None` if it does not match, or if something other than a header follows.
    fn texts<'t>(&self, rest: &'t str, texts: &mut Vec<&'t str>) -> Option<usize> {
        let mut left = rest;
        texts.clear();
        for (at, before) in self.pieces.iter().enumerate() {
            left = left.strip_prefix(&**before)?;
            let admits = if at == 0 { is_bare_byte } else { is_plain_byte };
            let len = left.bytes().take_while(|b| admits(*b)).count();
            let (text, after) = left.split_at_checked(len)?;
            texts.push(text);
            left = after;
        }
        left = left.strip_prefix(&*self.end)?;
        let is_bounded = left.is_empty() || left.starts_with('[');
        let is_named = texts.first().is_some_and(|name| !name.is_empty());
        (is_bounded && is_named).then_some(rest.len() - left.len())
    }

    /// The table with these texts.
    fn value(&self, texts: &[&str]) -> Value<M> {
        let mut open = self.open.iter().map(|at| at.and_then(|at| texts.get(at).copied()));
        Self::copy(&self.table, &mut open)
    }

    fn copy<'t>(value: &Value<M>, open: &mut impl Iterator<Item = Option<&'t str>>) -> Value<M> {
        match value {
            Value::Str(text) => Value::Str(open.next().flatten().unwrap_or(text).into()),
            Value::List(items) => {
                let copy =
                    |i: &Item<M>| Item { value: Self::copy(&i.value, open), mark: i.mark.clone() };
                Value::List(items.iter().map(copy).collect())
            }
            Value::Map(map) => {
                let mut copied = Map::new(map.origin);
                for entry in map.entries() {
                    let (key, value) = (entry.key.clone(), Self::copy(&entry.value, open));
                    copied.push(Entry { key, value, mark: entry.mark.clone() });
                }
                Value::Map(copied)
            }
            other => other.clone(),
        }
    }
}

/// The placeholder of an open text while its position in the table is determined. It is also a
/// valid bare key.
fn marker(at: usize) -> String {
    format!("Template--open--{at}--")
}

/// Returns which of `count` open texts the marker stands for; 0 is the name.
fn marked_place(text: &str, count: usize) -> Option<usize> {
    let number = text.strip_prefix("Template--open--")?.strip_suffix("--")?;
    number.parse().ok().filter(|at| (1..count).contains(at))
}

/// Parses a text that holds one table and nothing else.
fn read_marked<M: Mark>(marked: &str, section: &str) -> Option<Value<M>> {
    let source = Source::new(marked);
    let tokens: Vec<_> = source.lex().collect();
    let mut root = Map::new(Origin::Header);
    read_piece(source, &tokens, &mut Vec::new(), &mut Vec::new(), &mut root).ok()?;
    let Value::Map(tables) = root.into_entries().pop().filter(|e| *e.key == *section)?.value else {
        return None;
    };
    let table = tables.into_entries().pop().filter(|e| *e.key == *marker(0))?;
    Some(table.value)
}

/// Every string of a value, in the order of [`Template::copy`].
fn strings<'v, M>(value: &'v Value<M>, visit: &mut impl FnMut(&'v str)) {
    match value {
        Value::Str(text) => visit(text),
        Value::List(items) => items.iter().for_each(|i| strings(&i.value, visit)),
        Value::Map(map) => map.entries().iter().for_each(|e| strings(&e.value, visit)),
        _ => {}
    }
}

/// The range between the quotes of a one-line basic string without escapes.
fn plain_string(table: &str, at: Range<usize>) -> Option<Range<usize>> {
    let inner = at.start + 1..at.end.checked_sub(1)?;
    let is_quoted = table.get(at.clone())?.starts_with('"') && table.get(at)?.ends_with('"');
    let is_plain = table.get(inner.clone())?.bytes().all(is_plain_byte);
    (is_quoted && is_plain).then_some(inner)
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_bare_byte)
}

/// Whether a bare key may contain the byte (TOML 1.0, "Keys").
fn is_bare_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Whether the byte needs no escape in a basic string (TOML 1.0, "String"). `hg_plan::Pattern` uses
/// the same set for JSON, but only by coincidence: each follows the grammar of its own format, and
/// neither crate depends on the other.
fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

#[cfg(test)]
mod tests {
    use super::super::read_all;
    use super::*;

    /// Whether the second table matches the template of the first.
    fn fits(first: &str, second: &str) -> bool {
        let source = Source::new(first);
        let tokens: Vec<_> = source.lex().collect();
        let (mut root, mut events, mut headers) = (Map::<()>::new(Origin::Header), vec![], vec![]);
        read_piece(source, &tokens, &mut events, &mut headers, &mut root).unwrap();
        let text = format!("{first}{second}[x]");
        let mut templates = Templates::new();
        templates.learn(first, &events);
        let end = templates.fill(&text, first.len(), &mut root, &mut headers);
        assert!(end.is_none_or(|end| end == first.len() + second.len()));
        end.is_some()
    }

    #[test]
    fn tables_fit_that_differ_in_their_name_and_in_plain_strings() {
        let first = "[s.a]\nk = \"x\" # so\nl = [{ m = \"y z\", n = 1 }]\no.p = \"\"\n\n";
        assert!(fits(
            first,
            &first.replace("s.a", "s.Other-1").replace('x', "").replace("y z", "#]")
        ));
        for (from, to) in [
            ("s.a", "s.\"b\""),
            ("s.a", "s.a"),
            ("s.a", "t.b"),
            ("x", "\\t"),
            ("x", "\" k = \""),
            ("x", "é"),
            ("# so", "# not"),
            ("n = 1", "n = 2"),
            ("\n\n", "\n"),
            ("\n\n", "\n\n "),
        ] {
            let second =
                first.replace("s.a", "s.b").replace("s.b", if from == "s.a" { to } else { "s.b" });
            assert!(!fits(first, &second.replace(from, to)), "{from} {to}");
        }
    }

    #[test]
    fn no_template_is_made_of_what_may_mean_more() {
        for first in [
            "[s]\nk = \"x\"\n",
            "[[s.a]]\nk = \"x\"\n",
            "[s.a.b]\nk = \"x\"\n",
            "[s.a]\nk = \"x\"",
            "[s.a]\nk = \"x\"\nl = 'Template--open--1--'\n",
        ] {
            assert!(!fits(first, &first.replace("s.a", "s.c")), "{first}");
        }
        assert!(fits("[s.a]\nk = 'Template--open--1--'\n", "[s.b]\nk = 'Template--open--1--'\n"));
    }

    #[test]
    fn no_template_is_made_of_a_table_that_is_large() {
        let table = |name: &str, strings: usize| {
            let strings: String = (0..strings).map(|i| format!("\"h{i}\", ")).collect();
            format!("[s.{name}]\nhosts = [{strings}]\n")
        };
        for (count, is_made) in [(OPEN - 1, true), (OPEN, false), (20_000, false)] {
            assert_eq!(fits(&table("a", count), &table("b", count)), is_made, "{count}");
        }
        let long = |name: &str| format!("[s.{name}]\nk = \"x\" #{}\n", "x".repeat(LONGEST));
        assert!(!fits(&long("a"), &long("b")));
    }

    #[test]
    fn tables_unlike_each_other_do_not_keep_later_ones_from_a_template() {
        let mut text: String = (0..20).map(|i| format!("[u.a{i}]\nk{i} = {i}\n")).collect();
        text.extend((0..10_000).map(|i| format!("[r.a{i}]\nhosts = [\"h{i}\"]\n")));
        let (mut root, mut headers) = (Map::<()>::new(Origin::Header), Vec::new());
        let mut templates = Templates::new();
        assert!(read_all(&text, &mut templates, &mut root, &mut headers).is_some());
        assert!(templates.templates.iter().any(|template| &*template.section == "r"));
        assert_eq!(templates.spent, 0);
        assert_eq!(headers.len(), 10_020);
    }
}
