//! The static table of HPACK (RFC 7541, appendix A) and the look-up of names in it.

use crate::common::Common;
use crate::octets::{self, Classes};
use crate::text::{Mark, Pseudo, is_plain};
use hg_proto::{Known, name_slot};

/// Entries 1 to 61, in order; equal names stand together.
pub(crate) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The names that the proxy acts upon.
const KNOWN: [(&str, Known); 29] = [
    ("accept", Known::Accept),
    ("accept-encoding", Known::AcceptEncoding),
    ("age", Known::Age),
    ("allow", Known::Allow),
    ("authorization", Known::Authorization),
    ("cache-control", Known::CacheControl),
    ("content-encoding", Known::ContentEncoding),
    ("content-length", Known::ContentLength),
    ("content-range", Known::ContentRange),
    ("content-type", Known::ContentType),
    ("cookie", Known::Cookie),
    ("date", Known::Date),
    ("expect", Known::Expect),
    ("expires", Known::Expires),
    ("host", Known::Host),
    ("location", Known::Location),
    ("max-forwards", Known::MaxForwards),
    ("proxy-authenticate", Known::ProxyAuthenticate),
    ("proxy-authorization", Known::ProxyAuthorization),
    ("range", Known::Range),
    ("referer", Known::Referer),
    ("retry-after", Known::RetryAfter),
    ("server", Known::Server),
    ("set-cookie", Known::SetCookie),
    ("transfer-encoding", Known::TransferEncoding),
    ("user-agent", Known::UserAgent),
    ("vary", Known::Vary),
    ("via", Known::Via),
    ("www-authenticate", Known::WwwAuthenticate),
];

/// The mark of each entry.
pub(crate) static MARKS: [Mark; 61] = {
    let mark = Mark {
        known: Known::Other,
        pseudo: Pseudo::No,
        name: true,
        value: Classes::of(b""),
        usual: true,
        common: Common::NONE,
        plain: false,
    };
    let mut marks = [mark; 61];
    let mut i = 0;
    while i < STATIC.len() {
        let name = STATIC[i].0;
        marks[i].common = Common::of_static(i);
        marks[i].pseudo = Pseudo::of(name.as_bytes());
        let mut k = 0;
        while k < KNOWN.len() {
            if is_equal(name.as_bytes(), KNOWN[k].0.as_bytes()) {
                marks[i].known = KNOWN[k].1;
            }
            k += 1;
        }
        marks[i].value = Classes::of(STATIC[i].1.as_bytes());
        marks[i].plain = is_plain(marks[i].known, marks[i].pseudo);
        i += 1;
    }
    marks
};

/// Slots of the index by name, as many as [`name_slot`] gives.
const SLOTS: usize = 256;

/// The first index of each name, by its slot, with linear probing; 0 is empty.
static BY_NAME: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut i = 0;
    while i < STATIC.len() {
        let name = STATIC[i].0.as_bytes();
        if i == 0 || !is_equal(name, STATIC[i - 1].0.as_bytes()) {
            let mut at = name_slot(name);
            while slots[at] != 0 {
                at = (at + 1) % SLOTS;
            }
            slots[at] = i as u8 + 1;
        }
        i += 1;
    }
    slots
};

pub(crate) const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Hashes a name or a value, eight octets at a time; not against an attacker, who can only lose
/// compression by it.
#[inline]
pub(crate) const fn hash(bytes: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (mut hash, mut rest) = (bytes.len() as u64, bytes);
    while let Some((eight, more)) = rest.split_first_chunk::<8>() {
        hash = (hash ^ u64::from_le_bytes(*eight)).wrapping_mul(FACTOR);
        hash ^= hash >> 32;
        rest = more;
    }
    // The last eight again, which is shorter than a loop over those that are left.
    let tail = match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(eight), ..) => u64::from_le_bytes(*eight),
        (_, Some(a), Some(b)) => {
            u32::from_le_bytes(*a) as u64 | (u32::from_le_bytes(*b) as u64) << 32
        }
        _ => match bytes {
            [a, b, c] => u32::from_le_bytes([*a, *b, *c, 0]) as u64,
            [a, .., b] | [a @ b] => u32::from_le_bytes([*a, *b, 0, 0]) as u64,
            [] => 0,
        },
    };
    ((hash ^ tail).wrapping_mul(FACTOR) >> 32) as u32
}

/// Returns the entry with this index (1 to 61).
#[inline]
pub(crate) fn get(index: usize) -> Option<(&'static str, &'static str)> {
    STATIC.get(index.checked_sub(1)?).copied()
}

/// Returns the first index of a name.
#[inline]
pub(crate) fn find_name(name: &[u8]) -> Option<usize> {
    let mut at = name_slot(name);
    loop {
        let index = usize::from(*BY_NAME.get(at)?);
        let (known, _) = get(index)?;
        if octets::same(known.as_bytes(), name) {
            return Some(index);
        }
        at = (at + 1) % SLOTS;
    }
}

/// The number of entries with a value that begin at each entry and have its name.
static VALUES: [u8; 61] = {
    let mut values = [0; 61];
    let mut i = STATIC.len();
    while i > 0 {
        i -= 1;
        if !STATIC[i].1.is_empty() {
            let more = i + 1 < STATIC.len()
                && is_equal(STATIC[i].0.as_bytes(), STATIC[i + 1].0.as_bytes());
            values[i] = 1 + if more { values[i + 1] } else { 0 };
        }
    }
    values
};

/// Returns the index of the entry with this value among those with the name of entry `first`.
#[inline(always)]
pub(crate) fn find_value(first: usize, value: &[u8]) -> Option<usize> {
    let start = first.checked_sub(1)?;
    let same = STATIC.get(start..start + usize::from(*VALUES.get(start)?))?;
    let at = same.iter().position(|(_, v)| octets::same(v.as_bytes(), value))?;
    Some(first + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found() {
        for (at, (name, value)) in STATIC.iter().enumerate() {
            let mark = MARKS[at];
            let named = crate::decode::named_of(name.as_bytes());
            let whole = named.with_value(Classes::of(value.as_bytes()));
            assert_eq!(mark, Mark { common: mark.common, ..whole });
            assert_eq!(mark.common.name(), Some(*name));
            assert_eq!(mark.pseudo == Pseudo::No, !name.starts_with(':'));
            let first = find_name(name.as_bytes()).unwrap();
            assert_eq!(get(first).unwrap().0, *name);
            if !value.is_empty() {
                assert_eq!(find_value(first, value.as_bytes()), Some(at + 1));
            }
        }
        assert_eq!(find_name(b"x-custom"), None);
        assert_eq!(find_value(2, b"PUT"), None);
        assert_eq!((get(0), get(62)), (None, None));
    }
}
