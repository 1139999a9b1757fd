//! Builds tables from events, by TOML 1.0's rules about which tables may be continued.

use super::record::{Event, What};
use super::{FirstFault, Header};
use crate::MAX_DEPTH;
use crate::fault::{Fault, shown};
use crate::value::{Entry, Item, Map, Mark, Origin, Value};
use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::ops::Range;
use toml_parser::Source;
use toml_parser::decoder::ScalarKind;

/// Reads the events of one piece.
pub(super) struct Build<'e, 't> {
    source: Source<'t>,
    events: std::slice::Iter<'e, Event>,
    headers: &'e mut Vec<Header>,
    /// The depth of the value under construction; the root is 1.
    depth: usize,
}

/// One part of a header or of a dotted key.
struct Part<'t> {
    name: Cow<'t, str>,
    at: Range<usize>,
}

impl<'e, 't> Build<'e, 't> {
    pub(super) fn new(
        source: Source<'t>,
        events: &'e [Event],
        headers: &'e mut Vec<Header>,
    ) -> Self {
        let events = events.iter();
        Build { source, events, headers, depth: 1 }
    }

    /// Adds everything to the root table.
    pub(super) fn document<M: Mark>(mut self, root: &mut Map<M>) -> Result<(), Fault> {
        self.table_lines(root)?;
        while let Some(event) = self.events.next() {
            let table = match event.what {
                What::Header | What::ArrayHeader => self.header(event, root)?,
                _ => {
                    return Err(Fault::new(
                        event.start(),
                        "this does not belong here; write `key = value` or a `[header]`",
                    ));
                }
            };
            self.table_lines(table)?;
        }
        Ok(())
    }

    /// Reads `key = value` lines up to the next header.
    fn table_lines<M: Mark>(&mut self, table: &mut Map<M>) -> Result<(), Fault> {
        while self.peek() == Some(What::Key) {
            self.key_value(table)?;
        }
        Ok(())
    }

    fn peek(&self) -> Option<What> {
        self.events.as_slice().first().map(|e| e.what)
    }

    fn next(&mut self) -> Result<&'e Event, Fault> {
        let end = self.source.input().len();
        self.events
            .next()
            .ok_or_else(|| Fault::new(end, "the text ends too early; write the rest of it"))
    }

    /// Opens the table of a header.
    fn header<'m, M: Mark>(
        &mut self,
        open: &Event,
        root: &'m mut Map<M>,
    ) -> Result<&'m mut Map<M>, Fault> {
        let mut part = self.part()?;
        let mut table = root;
        self.depth = 2;
        let mut object = hash(0, &part.name);
        while self.peek() == Some(What::Key) {
            table = descend(table, &part)?;
            part = self.part()?;
            if self.depth == 2 {
                object = hash(object, &part.name);
            }
            self.deeper(part.at.start)?;
        }
        // MAX_BYTES keeps every offset below 2^32.
        self.headers.push(Header { start: open.start() as u32, object });
        let close = self.next()?;
        match open.what {
            What::ArrayHeader => {
                self.deeper(part.at.start)?;
                append_table(table, part, open.start()..close.end())
            }
            _ => open_table(table, part, open.start()..close.end()),
        }
    }

    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Fault::too_deep(at)) } else { Ok(()) }
    }

    fn part(&mut self) -> Result<Part<'t>, Fault> {
        let event = self.next()?;
        let (mut name, mut faults) = (Cow::Borrowed(""), FirstFault::default());
        event.raw(self.source).decode_key(&mut name, &mut faults);
        faults.check()?;
        Ok(Part { name, at: event.start()..event.end() })
    }

    fn key_value<M: Mark>(&mut self, table: &mut Map<M>) -> Result<(), Fault> {
        let outer = self.depth;
        let mut part = self.part()?;
        let mut table = table;
        while self.peek() == Some(What::Key) {
            self.deeper(part.at.start)?;
            table = descend_dotted(table, &part)?;
            part = self.part()?;
        }
        let (value, at) = self.value()?;
        self.depth = outer;
        let mark = M::new(part.at.clone(), at);
        table.insert(part.name.into(), value, mark, part.at.start)
    }

    fn value<M: Mark>(&mut self) -> Result<(Value<M>, Range<usize>), Fault> {
        let event = self.next()?;
        match event.what {
            What::Scalar => Ok((self.scalar(event)?, event.start()..event.end())),
            What::ListBegin => self.list(event),
            What::TableBegin => self.inline_table(event),
            _ => Err(Fault::new(event.start(), "there is no value here; write one")),
        }
    }

    fn list<M: Mark>(&mut self, open: &Event) -> Result<(Value<M>, Range<usize>), Fault> {
        self.deeper(open.start())?;
        let mut items = Vec::new();
        while self.peek() != Some(What::ListEnd) {
            let (value, at) = self.value()?;
            items.push(Item { value, mark: M::new(at.clone(), at) });
        }
        self.depth -= 1;
        let close = self.next()?;
        Ok((Value::List(items), open.start()..close.end()))
    }

    fn inline_table<M: Mark>(&mut self, open: &Event) -> Result<(Value<M>, Range<usize>), Fault> {
        self.deeper(open.start())?;
        let mut map = Map::new(Origin::Value);
        while self.peek() != Some(What::TableEnd) {
            self.key_value(&mut map)?;
        }
        self.depth -= 1;
        let close = self.next()?;
        Ok((Value::Map(map), open.start()..close.end()))
    }

    fn scalar<M>(&self, event: &Event) -> Result<Value<M>, Fault> {
        let raw = event.raw(self.source);
        if raw.is_empty() {
            return Err(Fault::new(event.start(), "the key has no value; write one after `=`"));
        }
        let (mut text, mut faults) = (Cow::Borrowed(""), FirstFault::default());
        let kind = raw.decode_scalar(&mut text, &mut faults);
        faults.check()?;
        let fault = |message: String| Fault::new(event.start(), message);
        match kind {
            ScalarKind::String => Ok(Value::Str(text.into())),
            ScalarKind::Boolean(value) => Ok(Value::Bool(value)),
            ScalarKind::DateTime => {
                Err(fault("a date is not a value here; write it in quotes".into()))
            }
            ScalarKind::Integer(radix) => {
                i64::from_str_radix(&text, radix.value()).map(Value::Int).map_err(|_| {
                    fault(format!(
                        "{} does not fit into 64 bits; write a smaller number",
                        shown(raw.as_str())
                    ))
                })
            }
            ScalarKind::Float => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Float(number)),
                _ => Err(fault(format!(
                    "{} is not a finite number; write a finite one",
                    shown(raw.as_str())
                ))),
            },
        }
    }
}

/// Extends a hash of names.
pub(super) fn hash(before: u64, name: &str) -> u64 {
    FixedState::with_seed(before).hash_one(name)
}

/// Returns the table under an inner part of a header; the last one of an array of tables.
fn descend<'m, M: Mark>(table: &'m mut Map<M>, part: &Part<'_>) -> Result<&'m mut Map<M>, Fault> {
    let at = find_or_make(table, part, Origin::Implied);
    let not_a_table = || not_a_table(part);
    let entry = table.entry_mut(at).ok_or_else(not_a_table)?;
    match &mut entry.value {
        Value::Map(map) if map.origin != Origin::Value => Ok(map),
        Value::List(items) => match items.last_mut().map(|item| &mut item.value) {
            Some(Value::Map(map)) if map.origin == Origin::Header => Ok(map),
            _ => Err(not_a_table()),
        },
        _ => Err(not_a_table()),
    }
}

/// Returns the table under an inner part of a dotted key: only a table that dotted keys made may be
/// continued.
fn descend_dotted<'m, M: Mark>(
    table: &'m mut Map<M>,
    part: &Part<'_>,
) -> Result<&'m mut Map<M>, Fault> {
    let at = find_or_make(table, part, Origin::Dotted);
    let not_a_table = || not_a_table(part);
    let entry = table.entry_mut(at).ok_or_else(not_a_table)?;
    match &mut entry.value {
        Value::Map(map) if map.origin == Origin::Dotted => Ok(map),
        Value::Map(_) => Err(Fault::duplicate(&part.name, part.at.start, entry.mark.key_start())),
        _ => Err(not_a_table()),
    }
}

fn not_a_table(part: &Part<'_>) -> Fault {
    let name = shown(&part.name);
    Fault::new(
        part.at.start,
        format!("{name} is already a complete value; write all its keys in one place"),
    )
}

fn find_or_make<M: Mark>(table: &mut Map<M>, part: &Part<'_>, origin: Origin) -> usize {
    table.find(&part.name).unwrap_or_else(|| {
        table.push(Entry {
            key: (&*part.name).into(),
            value: Value::Map(Map::new(origin)),
            mark: M::new(part.at.clone(), part.at.clone()),
        })
    })
}

/// Opens the table of a `[header]`'s last part: a new one, or one that others only implied so far.
fn open_table<'m, M: Mark>(
    table: &'m mut Map<M>,
    part: Part<'_>,
    header: Range<usize>,
) -> Result<&'m mut Map<M>, Fault> {
    let at = find_or_make(table, &part, Origin::Implied);
    let entry = table.entry_mut(at).ok_or_else(|| not_a_table(&part))?;
    match &mut entry.value {
        Value::Map(map) if map.origin == Origin::Implied => {
            map.origin = Origin::Header;
            entry.mark = M::new(part.at, header);
            Ok(map)
        }
        _ => Err(Fault::duplicate(&part.name, part.at.start, entry.mark.key_start())),
    }
}

/// Appends the table of a `[[header]]`'s last part.
fn append_table<'m, M: Mark>(
    table: &'m mut Map<M>,
    part: Part<'_>,
    header: Range<usize>,
) -> Result<&'m mut Map<M>, Fault> {
    let known = table.find(&part.name);
    let at = known.unwrap_or_else(|| {
        table.push(Entry {
            key: (&*part.name).into(),
            value: Value::List(Vec::new()),
            mark: M::new(part.at.clone(), header.clone()),
        })
    });
    let entry = table.entry_mut(at).ok_or_else(|| not_a_table(&part))?;
    let duplicate = Fault::duplicate(&part.name, part.at.start, entry.mark.key_start());
    let Value::List(items) = &mut entry.value else {
        return Err(duplicate);
    };
    match items.last().map(|item| &item.value) {
        Some(Value::Map(map)) if map.origin == Origin::Header => {}
        None if known.is_none() => {}
        _ => return Err(duplicate),
    }
    items.push(Item { value: Value::Map(Map::new(Origin::Header)), mark: M::new(part.at, header) });
    match items.last_mut().map(|item| &mut item.value) {
        Some(Value::Map(map)) => Ok(map),
        _ => Err(duplicate),
    }
}
