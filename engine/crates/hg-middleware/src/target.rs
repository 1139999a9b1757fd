//! Paths and queries that middlewares make: always normalised, never with new dot segments, never
//! with a byte that could end a line.

use crate::template::Template;
use crate::view::RequestView;
use hg_proto::Reject;
use hg_proto::host::HostPort;
use hg_route::path::normalise;

/// The rewritten path is invalid.
pub(crate) const BAD_PATH: Reject = Reject {
    status: 400,
    reason: "http_request_error",
    code: "rewrite-path",
    detail: "the rewritten path is not valid",
};

/// The rewritten host is invalid.
pub(crate) const BAD_HOST: Reject = Reject {
    status: 400,
    reason: "http_request_error",
    code: "rewrite-host",
    detail: "the rewritten host is not valid",
};

/// Parses a host with or without port.
pub(crate) fn parse_host(raw: &[u8]) -> Option<HostPort<'_>> {
    hg_proto::host::parse(raw)
}

/// Normalises `raw` into `into`.
///
/// # Errors
/// [`BAD_PATH`] for what [`normalise`] refuses, and for dot segments: the request's path had none
/// left, so the rewrite made them.
pub(crate) fn settle(raw: &[u8], into: &mut String) -> Result<(), Reject> {
    let raw = std::str::from_utf8(raw).map_err(|_| BAD_PATH)?;
    let raw = if raw.is_empty() { "/" } else { raw };
    if has_dot_segment(raw) {
        return Err(BAD_PATH);
    }
    let is_normal = {
        let normal = normalise(raw, into).map_err(|_| BAD_PATH)?;
        std::ptr::eq(normal, raw)
    };
    if is_normal {
        into.clear();
        into.push_str(raw);
    }
    Ok(())
}

/// Reports whether a segment is `.` or `..`, in any spelling.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let mut rest = segment.as_bytes();
        let mut dots = 0;
        while let Some(after) = dot(rest) {
            rest = after;
            dots += 1;
        }
        rest.is_empty() && (1..=2).contains(&dots)
    })
}

/// Returns what follows a dot or an encoded dot.
fn dot(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Puts `prefix` in place of the first `matched` bytes of `path`. `prefix` has no trailing slash.
pub(crate) fn replace_prefix(path: &str, matched: usize, prefix: &str, out: &mut Vec<u8>) {
    let rest = path.get(matched..).unwrap_or("");
    out.extend_from_slice(prefix.as_bytes());
    if !rest.is_empty() && !rest.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(rest.as_bytes());
    if out.is_empty() {
        out.push(b'/');
    }
}

/// Compiles a configured prefix: normalised, without trailing slash (so `/` is empty).
///
/// # Errors
/// Returns what is wrong with it.
pub(crate) fn compile_prefix(text: &str) -> Result<Box<str>, String> {
    let normal = literal_path(text)?;
    Ok(normal.trim_end_matches('/').into())
}

/// Compiles a template of a path. Normalises a text without variables.
///
/// # Errors
/// Returns what is wrong with it.
pub(crate) fn compile_path(text: &str) -> Result<Template, String> {
    let template = Template::compile(text)?;
    if let Some(literal) = template.as_literal() {
        let normal = literal_path(literal)?;
        return Template::compile(&normal.replace('$', "$$"));
    }
    if template.leading_text().is_some_and(|t| !t.starts_with('/')) {
        return Err(format!(
            "`{text}` does not begin with a slash; write a path such as `/new${{path}}`"
        ));
    }
    check_text(text, template.texts())?;
    Ok(template)
}

/// Refuses what a path must not contain, in the texts of a template.
///
/// # Errors
/// Returns what is wrong with it.
pub(crate) fn check_text<'a>(
    whole: &str,
    texts: impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    match texts.flat_map(str::chars).find(|c| "?#\\".contains(*c) || *c <= ' ' || !c.is_ascii()) {
        Some(c) => {
            Err(format!("`{whole}` has {c:?}; write a path without query, which is kept unchanged"))
        }
        None => Ok(()),
    }
}

fn literal_path(text: &str) -> Result<String, String> {
    let mut normal = String::new();
    if text.is_empty() {
        return Err("the path is empty; write one that begins with a slash".into());
    }
    check_text(text, std::iter::once(text))?;
    if has_dot_segment(text) {
        return Err(format!("`{text}` has dot segments; write the path without them"));
    }
    normalise(text, &mut String::new())
        .map(|path| normal.push_str(path))
        .map_err(|e| format!("`{text}`: {e}"))?;
    Ok(normal)
}

/// Renders a template as (a part of) a path; percent-encodes what a path must not contain.
pub(crate) fn render_path(template: &Template, view: &RequestView<'_>, out: &mut Vec<u8>) {
    template.render_with(view, out, |out, from| encode(out, from, is_path_byte));
}

/// Appends a query; percent-encodes what a header value or a URI must not contain.
pub(crate) fn push_query(query: &str, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(query.as_bytes());
    encode(out, from, |byte, _| (0x21..0x7f).contains(&byte) && !b"\"<>\\^`{|}#".contains(&byte));
}

/// Accepts RFC 3986 `pchar` or a slash; a percent sign only if it begins an escape.
fn is_path_byte(byte: u8, after: &[u8]) -> bool {
    match byte {
        b'%' => matches!(after, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()),
        _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte),
    }
}

/// Percent-encodes, from `from` on, each byte that is not allowed; the predicate also gets the
/// bytes after it. Allocates only if there is such a byte.
fn encode(out: &mut Vec<u8>, from: usize, allowed: impl Fn(u8, &[u8]) -> bool) {
    let is_allowed = |out: &[u8], at: usize| {
        let after = out.get(at + 1..).unwrap_or_default();
        out.get(at).is_some_and(|byte| allowed(*byte, after))
    };
    let bad = (from..out.len()).filter(|at| !is_allowed(out, *at)).count();
    if bad == 0 {
        return;
    }
    let value = out.split_off(from);
    out.reserve(value.len() + 2 * bad);
    for at in 0..value.len() {
        let Some(byte) = value.get(at) else { continue };
        if is_allowed(&value, at) {
            out.push(*byte);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push(b'%');
            out.extend([byte >> 4, byte & 15].iter().filter_map(|n| HEX.get(usize::from(*n))));
        }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
