//! JSON (RFC 8259), strictly. This reader reports positions and duplicate keys, which is why it is
//! not a general crate's.

use crate::MAX_DEPTH;
use crate::fault::{Fault, shown};
use crate::value::{Item, Map, Mark, Origin, Value};
use std::ops::Range;

/// Reads a whole text; offsets are in bytes.
pub(crate) fn read<M: Mark>(text: &str) -> Result<Value<M>, Fault> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.space();
    let (value, _) = reader.value()?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("the end of the text")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes this byte and the white space after it, if the byte is next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
            self.space();
        }
        found
    }

    fn unexpected(&self, expected: &str) -> Fault {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(c) => {
                let c = shown(c.encode_utf8(&mut [0; 4]));
                Fault::new(self.at, format!("{c} does not belong here; write {expected}"))
            }
            None => Fault::new(self.at, format!("the text ends too early; write {expected}")),
        }
    }

    fn value<M: Mark>(&mut self) -> Result<(Value<M>, Range<usize>), Fault> {
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::map)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"') => Value::Str(self.string()?.into()),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok((value, start..self.at))
    }

    fn nested<T>(&mut self, read: fn(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::too_deep(self.at));
        }
        self.at += 1;
        self.space();
        let value = read(self)?;
        self.at += 1;
        self.depth -= 1;
        Ok(value)
    }

    fn map<M: Mark>(&mut self) -> Result<Value<M>, Fault> {
        let mut map = Map::new(Origin::Value);
        while self.peek() != Some(b'}') {
            if !map.entries().is_empty() && !self.take(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let key_start = self.at;
            let key = self.string()?;
            let key_at = key_start..self.at;
            self.space();
            if !self.take(b':') {
                return Err(self.unexpected("`:`"));
            }
            let (value, at) = self.value()?;
            map.insert(key.into(), value, M::new(key_at, at), key_start)?;
            self.space();
        }
        Ok(Value::Map(map))
    }

    fn list<M: Mark>(&mut self) -> Result<Value<M>, Fault> {
        let mut items = Vec::new();
        while self.peek() != Some(b']') {
            if !items.is_empty() && !self.take(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
            let (value, at) = self.value()?;
            items.push(Item { value, mark: M::new(at.clone(), at) });
            self.space();
        }
        Ok(Value::List(items))
    }

    fn word<M>(&mut self) -> Result<Value<M>, Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let value = match word {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "" => return Err(self.unexpected("a value")),
            _ => {
                let word = shown(word);
                return Err(Fault::new(
                    self.at,
                    format!("{word} is not a value; write text in double quotes"),
                ));
            }
        };
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number<M>(&mut self) -> Result<Value<M>, Fault> {
        let start = self.at;
        let mut whole = true;
        self.at += usize::from(self.peek() == Some(b'-'));
        let first = self.at;
        self.digits()?;
        if self.at > first + 1 && self.text.as_bytes().get(first) == Some(&b'0') {
            return Err(Fault::new(
                start,
                "a number begins with 0; write it without, or in quotes",
            ));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            whole = false;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let fault = |why| Fault::new(start, format!("{} {why}", shown(text)));
        if whole {
            return text
                .parse()
                .map(Value::Int)
                .map_err(|_| fault("does not fit into 64 bits; write a smaller number"));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(fault("is not a finite number; write a finite one")),
        }
    }

    /// Reads a string up to and including the closing quote.
    fn string(&mut self) -> Result<String, Fault> {
        let open = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20);
            let Some(plain) = plain else {
                return Err(Fault::new(open, "the text has no closing `\"`; write one at its end"));
            };
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => {
                    return Err(Fault::new(
                        self.at,
                        "the text has a control character; write it as \\u00XX",
                    ));
                }
            }
        }
    }

    /// Reads an escape (RFC 8259 section 7); a surrogate needs its other half.
    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(*c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.hex4(start)?;
                let code = match unit {
                    0xd800..=0xdbff if self.pair_follows() => {
                        self.at += 2;
                        let low = self.hex4(start)?;
                        0x10000 + ((unit - 0xd800) << 10) + low.wrapping_sub(0xdc00)
                    }
                    _ => unit,
                };
                char::from_u32(code).ok_or_else(|| {
                    Fault::new(start, "\\u has half of a surrogate pair; write both halves")
                })?
            }
            _ => return Err(Fault::new(start, "the escape is unknown; write a backslash as \\\\")),
        })
    }

    /// Reports whether the next escape is the second half of a surrogate pair.
    fn pair_follows(&self) -> bool {
        let next = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        matches!(next, [b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F'])
    }

    fn hex4(&mut self, start: usize) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        self.at += 4;
        match digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            true if !digits.is_empty() => Ok(u32::from_str_radix(digits, 16).unwrap_or_default()),
            _ => Err(Fault::new(start, "\\u has fewer than four hexadecimal digits; write four")),
        }
    }
}
