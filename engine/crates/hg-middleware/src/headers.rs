//! Header edits, composed for a whole chain at compile time.

use crate::by_status::Statuses;
use crate::template::Template;
use crate::variables::is_token;
use crate::view::RequestView;
use hg_plan::HeaderEdits;

/// The changes of a chain to the header lines of one direction: lines whose name it [`drops`], and
/// lines it [`append`]s. An empty program costs one comparison per line.
///
/// [`drops`]: HeaderProgram::drops
/// [`append`]: HeaderProgram::append
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderProgram {
    /// Bit `n` is set when a dropped name is `n` bytes long; bit 63 for all from 63 on.
    lengths: u64,
    drops: Box<[Box<str>]>,
    /// Beginnings of dropped names; their bits are set for every length that they can have.
    prefixes: Box<[Box<str>]>,
    lines: Box<[Line]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// Whole lines, as sent.
    Bytes(Box<[u8]>),
    /// `name: ` and the value.
    Rendered(Box<[u8]>, Template),
    /// `name: `, and so many seconds from the answer to the date that is the value.
    Moment(Box<[u8]>, u32),
}

impl HeaderProgram {
    /// Reports whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.lengths == 0 && self.lines.is_empty()
    }

    /// Reports whether its lines need nothing of a request.
    pub fn is_literal(&self) -> bool {
        !self.lines.iter().any(|line| matches!(line, Line::Rendered(..)))
    }

    /// Reports whether a line of that name, in any case, must not be sent on. Ask for lines that
    /// the proxy makes itself (`x-forwarded-for`, `date`), too: what a chain sets or removes wins.
    #[inline]
    pub fn drops(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name) != 0
            && (self.drops.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name))
                || self.prefixes.iter().any(|p| begins(p, name, <[u8]>::eq_ignore_ascii_case)))
    }

    /// Reports the same for a request's line, and for every name that a backend may read as a
    /// dropped one because it does not tell characters other than letters and digits apart:
    /// `x_user` as `x-user`, and `x-user` as `x_user`.
    #[inline]
    pub fn drops_spelling(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name) != 0
            && (self.drops.iter().any(|n| is_spelling(n.as_bytes(), name))
                || self.prefixes.iter().any(|p| begins(p, name, is_spelling)))
    }

    /// Returns the names of the lines that it drops, and `x-*` for all whose names begin so.
    pub fn dropped(&self) -> impl Iterator<Item = String> {
        let begun = self.prefixes.iter().map(|prefix| format!("{prefix}*"));
        self.drops.iter().map(ToString::to_string).chain(begun)
    }

    /// Appends the program's lines, each `name: value\r
    /// `. Control characters in values (including CR and LF) become spaces; a line whose value has
    /// variables and is empty is left out.
    ///
    /// `unix_us` returns the microseconds since the Unix epoch, and is called for dates alone. 0 says
    /// that the time of the answer is not known; a line with a date is then left out.
    pub fn append(&self, view: &RequestView<'_>, unix_us: fn() -> u64, out: &mut Vec<u8>) {
        for line in &self.lines {
            match line {
                Line::Bytes(bytes) => out.extend_from_slice(bytes),
                Line::Rendered(name, template) => {
                    let start = out.len();
                    out.extend_from_slice(name);
                    let value = out.len();
                    template.render_with(view, out, |out, from| blank_controls(out, from));
                    if out.len() == value {
                        out.truncate(start);
                    } else {
                        out.extend_from_slice(b"\r\n");
                    }
                }
                Line::Moment(name, after_s) => append_moment(name, unix_us(), *after_s, out),
            }
        }
    }

    /// Applies the program to lines already rendered, in the form of [`crate::Answer`].
    pub(crate) fn apply(&self, view: &RequestView<'_>, unix_us: fn() -> u64, lines: &mut Vec<u8>) {
        if self.lengths != 0 {
            self.filter(lines);
        }
        self.append(view, unix_us, lines);
    }

    /// Appends those of lines already rendered that it does not drop.
    pub(crate) fn sift(&self, lines: &[u8], out: &mut Vec<u8>) {
        for line in lines.split_inclusive(|b| *b == b'\n') {
            let name = line.split(|b| *b == b':').next().unwrap_or_default();
            if !self.drops(name) {
                out.extend_from_slice(line);
            }
        }
    }

    fn filter(&self, lines: &mut Vec<u8>) {
        let (mut read, mut kept) = (0, 0);
        while let Some(length) = lines.get(read..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = read + length + 1;
            let line = lines.get(read..end).unwrap_or_default();
            let name = memchr::memchr(b':', line).and_then(|colon| line.get(..colon));
            if !name.is_some_and(|name| self.drops(name)) {
                lines.copy_within(read..end, kept);
                kept += length + 1;
            }
            read = end;
        }
        lines.truncate(kept);
    }
}

/// Compares names in any case; of characters other than letters and digits, any matches any.
pub(crate) fn is_spelling(name: &[u8], other: &[u8]) -> bool {
    let same = |(a, b): (&u8, &u8)| {
        a.eq_ignore_ascii_case(b) || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric())
    };
    name.len() == other.len() && name.iter().zip(other).all(same)
}

fn begins(prefix: &str, name: &[u8], same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    name.get(..prefix.len()).is_some_and(|start| same(prefix.as_bytes(), start))
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

fn append_moment(name: &[u8], now_us: u64, after_s: u32, out: &mut Vec<u8>) {
    if now_us != 0 {
        let date = hg_proto::write::date(now_us / 1_000_000 + u64::from(after_s));
        for part in [name, &date, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

/// Replaces what a header value must not contain (RFC 9110 §5.5) with spaces, from `from` on.
fn blank_controls(out: &mut [u8], from: usize) {
    for byte in out.iter_mut().skip(from) {
        if is_forbidden(*byte) {
            *byte = b' ';
        }
    }
}

/// Appends a line; control characters in the value become spaces.
pub(crate) fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let from = out.len();
    out.extend_from_slice(value);
    blank_controls(out, from);
    out.extend_from_slice(b"\r\n");
}

fn is_forbidden(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// The direction of the edited message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// The value of a line.
#[derive(Clone, Debug)]
enum Content {
    Text(Template),
    /// A date, so many seconds after the answer.
    Moment(u32),
}

/// One middleware's edits, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    remove: Vec<Box<str>>,
    remove_prefixes: Vec<Box<str>>,
    set: Vec<(Box<str>, Content)>,
    add: Vec<(Box<str>, Content)>,
    /// The statuses of the answers that it edits; absent = those of all.
    statuses: Option<Statuses>,
}

impl Edits {
    /// Checks and compiles edits; appends what is wrong to `problems` under `at`.
    pub(crate) fn compile(
        edits: &HeaderEdits,
        direction: Direction,
        at: &str,
        problems: &mut Vec<(String, String)>,
    ) -> Self {
        let mut compiled = Self::default();
        for (index, name) in edits.remove.iter().enumerate() {
            match check_name(name, direction) {
                Ok(name) => compiled.remove.push(name),
                Err(message) => problems.push((format!("{at}.remove[{index}]"), message)),
            }
        }
        for (map, key, into) in
            [(&edits.set, "set", &mut compiled.set), (&edits.add, "add", &mut compiled.add)]
        {
            for (name, value) in map {
                let line = check_name(name, direction)
                    .and_then(|name| Ok((name, Content::Text(check_value(value)?))));
                match line {
                    Ok(line) => into.push(line),
                    Err(message) => problems.push((format!("{at}.{key}.{name}"), message)),
                }
            }
        }
        compiled
    }

    /// Leaves answers with other statuses as they are.
    pub(crate) fn limit_to(&mut self, statuses: Statuses) {
        self.statuses = Some(statuses);
    }

    /// Returns of which answers the edits are; `None` = of all.
    pub(crate) fn statuses(&self) -> Option<&Statuses> {
        self.statuses.as_ref()
    }

    /// Sets a line, as `respond.headers` does.
    pub(crate) fn set(&mut self, name: &str, value: Template) {
        self.set.push((name.into(), Content::Text(value)));
    }

    /// Sets a line to a date, so many seconds after the answer.
    pub(crate) fn set_moment(&mut self, name: &str, after_s: u32) {
        self.set.push((name.into(), Content::Moment(after_s)));
    }

    /// Adds a line to those that are there.
    pub(crate) fn add(&mut self, name: &str, value: Template) {
        self.add.push((name.into(), Content::Text(value)));
    }

    /// Removes the lines of that name.
    pub(crate) fn remove(&mut self, name: &str) {
        self.remove.push(name.into());
    }

    /// Removes the lines whose name begins so, in lower case.
    pub(crate) fn remove_prefix(&mut self, prefix: &str) {
        self.remove_prefixes.push(prefix.into());
    }

    /// Reports whether a line of that name is set.
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.set.iter().any(|(n, _)| &**n == name)
    }
}

/// Composes the edits of several middlewares, given in the order in which they apply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Composition {
    drops: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
    lines: Vec<(Box<str>, Content)>,
}

impl Composition {
    /// Adds one middleware's edits: remove, then set, then add.
    pub(crate) fn then(&mut self, edits: &Edits) {
        for name in &edits.remove {
            self.drop_name(name);
        }
        for prefix in &edits.remove_prefixes {
            self.lines.retain(|(n, _)| !n.starts_with(&**prefix));
            self.prefixes.push(prefix.clone());
        }
        for (name, value) in &edits.set {
            self.drop_name(name);
            self.lines.push((name.clone(), value.clone()));
        }
        self.lines.extend(edits.add.iter().cloned());
    }

    fn drop_name(&mut self, name: &str) {
        self.lines.retain(|(n, _)| &**n != name);
        if !self.drops.iter().any(|n| &**n == name) {
            self.drops.push(name.into());
        }
    }

    /// Returns the program without its lines; nothing if it drops none.
    pub(crate) fn dropping(&self) -> Option<Box<HeaderProgram>> {
        let program = HeaderProgram { lines: Box::default(), ..self.program() };
        (!program.is_empty()).then(|| Box::new(program))
    }

    /// Returns the program; adjacent lines without variables become one run of bytes.
    pub(crate) fn program(&self) -> HeaderProgram {
        let mut lines: Vec<Line> = Vec::new();
        let mut bytes = Vec::new();
        for (name, content) in &self.lines {
            let start = || format!("{name}: ").into_bytes().into();
            let line = match content {
                Content::Text(value) => match value.as_literal() {
                    Some(text) => {
                        bytes.extend_from_slice(format!("{name}: {text}\r\n").as_bytes());
                        continue;
                    }
                    None => Line::Rendered(start(), value.clone()),
                },
                Content::Moment(after_s) => Line::Moment(start(), *after_s),
            };
            if !bytes.is_empty() {
                lines.push(Line::Bytes(std::mem::take(&mut bytes).into()));
            }
            lines.push(line);
        }
        if !bytes.is_empty() {
            lines.push(Line::Bytes(bytes.into()));
        }
        let named = self.drops.iter().fold(0, |bits, n| bits | length_bit(n.as_bytes()));
        let begun = |bits, p: &str| bits | (u64::MAX << p.len().min(63));
        HeaderProgram {
            lengths: self.prefixes.iter().fold(named, |bits, p| begun(bits, p)),
            drops: self.drops.clone().into(),
            prefixes: self.prefixes.clone().into(),
            lines: lines.into(),
        }
    }
}

/// Names that only the proxy may write (RFC 9110 §7.6.1, RFC 9112 §6).
const REFUSED: [(&str, &str); 9] = [
    ("connection", "belongs to one connection"),
    ("keep-alive", "belongs to one connection"),
    ("proxy-connection", "belongs to one connection"),
    ("te", "belongs to one connection"),
    ("trailer", "is part of a message's framing"),
    ("transfer-encoding", "is part of a message's framing"),
    ("upgrade", "belongs to one connection"),
    ("content-length", "is part of a message's framing"),
    ("expect", "belongs to one connection"),
];

fn check_name(name: &str, direction: Direction) -> Result<Box<str>, String> {
    if !is_token(name) {
        return Err(format!(
            "`{name}` is not a header name; write letters, digits and !#$%&'*+-.^_`|~"
        ));
    }
    let name = name.to_ascii_lowercase();
    if direction == Direction::Request && name == "host" {
        return Err(
            "`host` is not edited as a header; write rewrite.host, or the upstream's host_header"
                .into(),
        );
    }
    match REFUSED.iter().find(|(refused, _)| *refused == name) {
        Some((_, why)) => Err(format!("`{name}` {why}; leave it out, the proxy sets it")),
        None => Ok(name.into()),
    }
}

fn check_value(value: &str) -> Result<Template, String> {
    let template = Template::compile(value)?;
    let forbidden = template.texts().flat_map(str::bytes).find(|b| is_forbidden(*b));
    match forbidden {
        Some(b) => Err(format!(
            "the value has the control character 0x{b:02X}; write one line of visible text"
        )),
        None => Ok(template),
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
