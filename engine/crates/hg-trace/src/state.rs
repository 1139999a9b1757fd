//! The header `tracestate` (W3C Trace Context, Level 2, §3.3): what other systems keep with a trace.
//! It is passed on as it came, or not at all.

/// Most entries of a list, as the standard has it.
const MEMBERS: usize = 32;
/// Most bytes of all lines together. The standard wants at least 512.
const BYTES: usize = 4096;
/// Most bytes of a key and of a value.
const PART_BYTES: usize = 256;

/// Reports whether these lines are a list that may be passed on.
pub fn is_state<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let (mut members, mut bytes) = (0usize, 0usize);
    for line in lines {
        bytes += line.len();
        if bytes > BYTES {
            return false;
        }
        for member in line.split(|b| *b == b',').map(trimmed).filter(|m| !m.is_empty()) {
            members += 1;
            if members > MEMBERS || !is_member(member) {
                return false;
            }
        }
    }
    true
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_blank = |b: &u8| *b == b' ' || *b == b'\t';
    let start = text.iter().position(|b| !is_blank(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_blank(b)).map_or(start, |at| at + 1);
    text.get(start..end).unwrap_or_default()
}

fn is_member(member: &[u8]) -> bool {
    let Some(at) = member.iter().position(|b| *b == b'=') else {
        return false;
    };
    let (key, value) = member.split_at(at);
    is_key(key) && value.get(1..).is_some_and(is_value)
}

fn is_key(key: &[u8]) -> bool {
    let is_first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_other = |b: &u8| is_first(b) || b"_-*/@".contains(b);
    key.len() <= PART_BYTES && key.first().is_some_and(is_first) && key.iter().all(is_other)
}

/// A value was trimmed: it ends with no blank.
fn is_value(value: &[u8]) -> bool {
    let is_allowed = |b: &u8| matches!(b, 0x20..=0x7e) && *b != b',' && *b != b'=';
    (1..=PART_BYTES).contains(&value.len()) && value.iter().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::is_state;

    fn is(lines: &[&str]) -> bool {
        is_state(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn lists_that_pass() {
        assert!(is(&[]));
        assert!(is(&[""]));
        assert!(is(&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"]));
        assert!(is(&["a=1", "b=2"]), "several lines are one list");
        assert!(is(&["a=1 , \tb=2,,"]), "blanks and empty entries");
        assert!(is(&["fw529a3039@dt=FfFf: x", "0a_-*/=~!"]));
    }

    #[test]
    fn lists_that_do_not() {
        for list in ["a", "=1", "a=", "A=1", "a b=1", "a=1=2", "a=\u{e9}", "_a=1", "a=1;\u{1}"] {
            assert!(!is(&[list]), "{list:?}");
        }
        let many: Vec<String> = (0..33).map(|i| format!("k{i}=1")).collect();
        assert!(!is(&[&many.join(",")]), "too many entries");
        assert!(!is(&[&format!("a={}", "x".repeat(257))]), "a long value");
        assert!(!is(&[&format!("{}=1", "x".repeat(257))]), "a long key");
        let line = format!("a={}", "x".repeat(250));
        assert!(!is(&vec![&*line; 17]), "too many bytes");
    }
}
