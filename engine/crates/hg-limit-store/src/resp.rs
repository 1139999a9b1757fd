//! The subset of RESP2 (redis.io/docs/latest/develop/reference/protocol-spec) that is spoken here:
//! commands of bulk strings, and answers that are a status, an error, an integer or a short text.
//! Strict: anything else is no answer. Pure.

/// Most bytes of a line; Redis's own errors are shorter.
const LINE: usize = 1024;
/// Most bytes of a text: a digest has 40.
const TEXT: usize = 64;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Text(Vec<u8>),
}

/// The reason why bytes are no answer, for a person.
pub(crate) type Lie = &'static str;

/// Appends a command.
pub(crate) fn command(parts: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads one answer; returns it with its length, or nothing before it is whole.
///
/// # Errors
/// If no answer that is understood begins like this, as soon as that is certain.
pub(crate) fn reply(input: &[u8]) -> Result<Option<(Reply, usize)>, Lie> {
    let Some((kind, rest)) = input.split_first() else { return Ok(None) };
    if !b"+-:$".contains(kind) {
        return Err("its answer is of a type that was not asked for");
    }
    let Some(line) = line(rest)? else { return Ok(None) };
    let after = line.len() + 3;
    let reply = match kind {
        b'+' => Reply::Status(text(line)?),
        b'-' => Reply::Error(text(line)?),
        b':' => Reply::Integer(integer(line)?),
        _ => return bulk(line, input.get(after..).unwrap_or_default(), after),
    };
    Ok(Some((reply, after)))
}

/// Returns a line without its end.
fn line(rest: &[u8]) -> Result<Option<&[u8]>, Lie> {
    let head = rest.get(..LINE + 2).unwrap_or(rest);
    match head.iter().position(|byte| *byte == b'\r') {
        Some(at) => match head.get(at + 1) {
            Some(b'\n') => Ok(head.get(..at)),
            Some(_) => Err("a line of its answer has a bare carriage return"),
            None if rest.len() > head.len() => Err("a line of its answer is too long"),
            None => Ok(None),
        },
        None if head.contains(&b'\n') => Err("a line of its answer has a bare line feed"),
        None if head.len() > LINE => Err("a line of its answer is too long"),
        None => Ok(None),
    }
}

fn text(line: &[u8]) -> Result<String, Lie> {
    if line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(String::from_utf8_lossy(line).into_owned());
    }
    Err("a line of its answer is no text")
}

fn integer(line: &[u8]) -> Result<i64, Lie> {
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("a number in its answer is none");
    }
    let text = std::str::from_utf8(line).ok();
    text.and_then(|text| text.parse().ok()).ok_or("a number in its answer is too large")
}

fn bulk(line: &[u8], rest: &[u8], before: usize) -> Result<Option<(Reply, usize)>, Lie> {
    let length = integer(line)?;
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= TEXT) else {
        return Err("a text in its answer is missing or too long");
    };
    let (Some(body), Some(end)) = (rest.get(..length), rest.get(length..length + 2)) else {
        return Ok(None);
    };
    if end != b"\r\n" {
        return Err("a text in its answer has another length than it says");
    }
    Ok(Some((Reply::Text(body.to_vec()), before + length + 2)))
}

#[cfg(test)]
#[path = "resp_tests.rs"]
mod tests;
