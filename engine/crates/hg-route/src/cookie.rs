//! Cookies of a request.

use crate::query::Headers;

/// Returns the value of the first cookie of that name (case-sensitive) in one `Cookie` header line
/// (RFC 6265 §4.2.1), without surrounding white space or double quotes; `None` if it is missing.
/// Ignores pieces that are not `name=value`. Reads the line once and allocates nothing.
pub fn cookie_value<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    cookie_values(header, name).next()
}

/// Yields the values of all cookies of that name in one line, as [`cookie_value`] reads the first.
pub fn cookie_values<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    header.split(|b| *b == b';').filter_map(move |piece| {
        let equals = piece.iter().position(|b| *b == b'=')?;
        let (found, value) = piece.split_at(equals);
        if found.trim_ascii() != name.as_bytes() {
            return None;
        }
        let value = value.get(1..)?.trim_ascii();
        Some(value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// Puts the value of a cookie (see [`cookie_value`]) into `value`; returns `false` if there is none.
///
/// Of several cookies of one name the first one counts, on whichever `Cookie` line it is. Clients
/// send those with the longest path first (RFC 6265 §5.4), so this is the most specific one. Envoy,
/// HAProxy (`req.cook`) and Go's `Request.Cookie` take the first one as well.
pub(crate) fn read_cookie(headers: &dyn Headers, name: &str, value: &mut Vec<u8>) -> bool {
    value.clear();
    let mut is_there = false;
    headers.each("cookie", &mut |line| {
        if is_there {
            return;
        }
        if let Some(found) = cookie_value(line, name) {
            is_there = true;
            value.extend_from_slice(found);
        }
    });
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let line = b"asession=1; session=two;x; sess=3 ; q=\"quoted\"; session=later; e=";
        assert_eq!(cookie_value(line, "session"), Some(&b"two"[..]));
        assert_eq!(cookie_value(line, "sess"), Some(&b"3"[..]));
        assert_eq!(cookie_value(line, "q"), Some(&b"quoted"[..]));
        assert_eq!(cookie_value(line, "e"), Some(&b""[..]));
        assert_eq!(cookie_value(line, "Session"), None);
        assert_eq!(cookie_value(line, "x"), None);
        assert_eq!(cookie_value(b"", "x"), None);
        assert_eq!(cookie_value(b"a=b=c", "a"), Some(&b"b=c"[..]));
        let all: Vec<&[u8]> = cookie_values(line, "session").collect();
        assert_eq!(all, [&b"two"[..], b"later"]);
    }

    #[test]
    fn one_quote_is_part_of_the_value() {
        assert_eq!(cookie_value(b"a=\"", "a"), Some(&b"\""[..]));
        assert_eq!(cookie_value(b"a=\"\"", "a"), Some(&b""[..]));
        assert_eq!(cookie_value(b"a=\"x; b=y\"", "a"), Some(&b"\"x"[..]));
    }

    #[test]
    fn the_first_cookie_of_a_name_on_any_line_counts() {
        let lines =
            [("Cookie", "a=1; b"), ("x-a", "c=0"), ("cookie", "b=2; a=3"), ("cookie", "b=4")];
        let mut value = Vec::new();
        assert!(read_cookie(&lines[..].to_vec(), "a", &mut value));
        assert_eq!(value, b"1");
        assert!(read_cookie(&lines[..].to_vec(), "b", &mut value));
        assert_eq!(value, b"2");
        assert!(!read_cookie(&lines[..].to_vec(), "c", &mut value));
        assert!(value.is_empty());
    }
}
