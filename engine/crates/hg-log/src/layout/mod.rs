//! Lines that the config lays out: chosen fields as JSON, or a text with variables.

mod key;
mod requests;
mod streams;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use key::Key;
pub(crate) use value::{Value, Values};

use crate::clock::TimeCache;
use hg_plan::AccessLog;

/// The layout of the lines of one configuration, where it is none of the fixed formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A JSON object of these fields, in this order; one without a value is left out.
    Fields(Box<[Field]>),
    /// Text and variables, one after the other.
    Template(Box<[Piece]>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<[u8]>),
    Variable(Field),
}

/// The value that a field or a variable stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Key(Key),
    /// A header of the request, by its name in lower case.
    Header(Box<str>),
    /// A claim of the token that let the request in.
    Claim(Box<str>),
}

/// The text before the name of a header.
const HEADER: &str = "header:";
/// The text before the name of a claim.
const CLAIM: &str = "jwt:";
/// Most headers, and most claims, that lines of one configuration have: the values of all of them are
/// kept for as long as the request takes.
pub(crate) const MAX_NAMED: usize = 16;

impl Field {
    fn parse(name: &str) -> Result<Self, String> {
        match (name.strip_prefix(HEADER), name.strip_prefix(CLAIM)) {
            (Some(header), _) if is_header(header) => Ok(Self::Header(header.into())),
            (_, Some(claim)) if is_claim(claim) => Ok(Self::Claim(claim.into())),
            _ => Key::parse(name)
                .map(Self::Key)
                .ok_or_else(|| format!("the access log has no field {name}")),
        }
    }

    /// Returns what a record has of it.
    pub(crate) fn of<'a>(&self, record: &'a impl Values) -> Value<'a> {
        match self {
            Self::Key(key) => record.value(*key),
            Self::Header(name) => record.header(name),
            Self::Claim(name) => record.claim(name),
        }
    }

    /// Appends its name, which needs no escapes.
    fn push_name(&self, out: &mut Vec<u8>) {
        let (lead, name) = match self {
            Self::Key(key) => ("", key.name()),
            Self::Header(name) => (HEADER, &**name),
            Self::Claim(name) => (CLAIM, &**name),
        };
        out.extend_from_slice(lead.as_bytes());
        out.extend_from_slice(name.as_bytes());
    }
}

/// Reports whether a text is the name of a header in lower case (a token of RFC 9110 §5.6.2) of up to
/// 64 bytes.
fn is_header(name: &str) -> bool {
    let is_of_token =
        |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9') || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(is_of_token)
}

/// Reports whether a text is the name of a claim as variables have it: up to 256 visible characters
/// of ASCII without quotes, backslashes and braces, so that it needs no escapes in JSON.
fn is_claim(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_graphic() && !b"\"\\{}".contains(&b);
    (1..=256).contains(&name.len()) && name.bytes().all(is_plain)
}

impl Layout {
    /// Returns the layout of a configuration; `None` if it has a fixed format.
    ///
    /// # Errors
    /// Names the field or variable that there is not.
    pub(crate) fn of(plan: &AccessLog) -> Result<Option<Self>, String> {
        let layout = match &plan.template {
            Some(template) => Self::Template(pieces(template)?),
            None if plan.fields.is_empty() => return Ok(None),
            None => {
                let fields = plan.fields.iter().map(|name| Field::parse(name));
                Self::Fields(fields.collect::<Result<_, _>>()?)
            }
        };
        let (mut headers, mut claims) = (0, 0);
        for field in &layout.fields() {
            match field {
                Field::Key(_) => {}
                Field::Header(_) => headers += 1,
                Field::Claim(_) => claims += 1,
            }
        }
        for (count, what) in [(headers, "headers"), (claims, "claims")] {
            if count > MAX_NAMED {
                return Err(format!("the access log has more than {MAX_NAMED} {what}"));
            }
        }
        Ok(Some(layout))
    }

    /// Returns the fields that its lines have, each once.
    pub(crate) fn fields(&self) -> Box<[Field]> {
        let mut found = Vec::new();
        let mut add = |field: &Field| {
            if !found.contains(field) {
                found.push(field.clone());
            }
        };
        match self {
            Self::Fields(fields) => fields.iter().for_each(&mut add),
            Self::Template(pieces) => {
                for piece in pieces {
                    if let Piece::Variable(field) = piece {
                        add(field);
                    }
                }
            }
        }
        found.into()
    }

    /// Appends the line of a record, and a line feed. Allocates only to grow `out`.
    pub(crate) fn push(&self, record: &impl Values, time: &mut TimeCache, out: &mut Vec<u8>) {
        match self {
            Self::Fields(fields) => {
                out.push(b'{');
                let mut between: &[u8] = b"\"";
                for field in fields {
                    let value = field.of(record);
                    if value.is_known() {
                        out.extend_from_slice(between);
                        field.push_name(out);
                        out.extend_from_slice(b"\":");
                        value.push_json(time, out);
                        between = b",\"";
                    }
                }
                out.extend_from_slice(b"}\n");
            }
            Self::Template(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Variable(field) => field.of(record).push_plain(time, out),
                    }
                }
                out.push(b'\n');
            }
        }
    }
}

/// Parses `${name}` and `$$`.
fn pieces(template: &str) -> Result<Box<[Piece]>, String> {
    let mut found = Vec::new();
    let mut text = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('$') {
            text.push(b'$');
            rest = after;
            continue;
        }
        let variable = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (name, after) = variable.ok_or("a dollar sign has no variable after it")?;
        found.push(Piece::Text(std::mem::take(&mut text).into()));
        found.push(Piece::Variable(Field::parse(name)?));
        rest = after;
    }
    text.extend_from_slice(rest.as_bytes());
    found.push(Piece::Text(text.into()));
    Ok(found.into())
}
