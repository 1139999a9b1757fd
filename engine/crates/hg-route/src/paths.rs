//! Exact paths and prefixes of one host: a hash of the text before each slash. Only depths at which
//! there are prefixes are looked up, so ten thousand prefixes of one depth cost one look-up.

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher as _, Hasher as _};

/// The last bit of the set of depths stands for this many segments and more.
const DEEPEST: usize = 63;

/// Paths of fewer bytes have a bit for each byte.
const SHORT: usize = 64;

/// Some rules; see [`crate::index::Index::list`].
#[derive(Clone, Copy, Default)]
pub(crate) struct List {
    /// The rule itself if there is one, else where they begin in the list of all.
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// The rules of one path.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spot {
    start: u32,
    len: u32,
    /// Rules with exactly this path.
    pub(crate) exact: List,
    /// Rules with this path as a prefix.
    pub(crate) prefix: List,
}

impl Spot {
    /// Makes the entry of a path with these rules.
    pub(crate) fn new(exact: List, prefix: List) -> Self {
        Self { exact, prefix, ..Self::default() }
    }
}

/// Paths, each with its rules.
#[derive(Default)]
pub(crate) struct Paths {
    table: HashTable<Spot>,
    /// All paths, one after the other.
    text: Box<[u8]>,
    /// True if some are exact paths.
    has_exact: bool,
    /// Bit n: there are prefixes of n segments.
    depths: u64,
    /// Bytes of the longest prefix.
    longest: usize,
}

/// The places where segments of a path end and a prefix may end: bytes before the slash.
pub(crate) type Ends = Vec<u32>;

impl Paths {
    /// Indexes distinct paths.
    pub(crate) fn new<'p>(paths: impl Iterator<Item = (&'p str, Spot)>) -> Self {
        let mut made = Self::default();
        let mut spots = Vec::new();
        let mut text = Vec::new();
        for (path, spot) in paths {
            spots.push(Spot { start: text.len() as u32, len: path.len() as u32, ..spot });
            text.extend_from_slice(path.as_bytes());
            made.has_exact |= spot.exact.len > 0;
            if spot.prefix.len > 0 {
                made.depths |= 1 << depth(path).min(DEEPEST);
                made.longest = made.longest.max(path.len());
            }
        }
        let hash_of = |spot: &Spot| hash(path_of(spot, &text));
        let mut table = HashTable::with_capacity(spots.len());
        for spot in spots {
            table.insert_unique(hash_of(&spot), spot, hash_of);
        }
        Self { table, text: text.into(), ..made }
    }

    /// Returns the entry of a path.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Spot> {
        self.table.find(hash(path), |spot| path_of(spot, &self.text) == path)
    }

    /// Returns the rules with exactly this path; empty if there are none.
    pub(crate) fn exact(&self, path: &str) -> Option<&List> {
        if !self.has_exact {
            return None;
        }
        self.get(path.as_bytes()).map(|spot| &spot.exact)
    }

    /// Returns every known prefix of a path, the longest first, with its length in bytes.
    pub(crate) fn prefixes<'p>(
        &'p self,
        path: &'p str,
        ends: &'p mut Ends,
    ) -> impl Iterator<Item = (usize, &'p Spot)> {
        ends.clear();
        if self.depths != 0 {
            self.find_ends(path, ends);
        }
        ends.iter().rev().filter_map(|&end| {
            let end = end as usize;
            Some((end, self.get(path.as_bytes().get(..end)?)?))
        })
    }

    /// Finds the ends of segments at which a prefix might end.
    fn find_ends(&self, path: &str, ends: &mut Ends) {
        let bytes = path.as_bytes();
        if self.longest < SHORT {
            let reach = bytes.len().min(self.longest + 1);
            let mut marks = slashes(bytes.get(..reach).unwrap_or_default()) & !1;
            if bytes.len() <= self.longest && !path.ends_with('/') {
                marks |= 1 << bytes.len();
            }
            self.choose_ends(marks, ends);
        } else {
            self.find_far_ends(path, ends);
        }
    }

    /// Takes those ends at whose depth there are prefixes. Bit n of `marks`: a segment ends before
    /// byte n. The steps depend on the depths alone, so that a processor predicts them.
    fn choose_ends(&self, mut marks: u64, ends: &mut Ends) {
        let (mut depths, mut passed) = (self.depths & !1, 0);
        while depths != 0 {
            let depth = depths.trailing_zeros();
            for _ in passed + 1..depth {
                marks = without_lowest(marks);
            }
            if marks == 0 {
                return;
            }
            ends.push(marks.trailing_zeros());
            marks = without_lowest(marks);
            depths = without_lowest(depths);
            passed = depth;
        }
    }

    /// Does the same where prefixes are longer.
    fn find_far_ends(&self, path: &str, ends: &mut Ends) {
        let last =
            if self.depths >> DEEPEST == 0 { self.depths.ilog2() as usize } else { usize::MAX };
        let mut segments = 0;
        let mut ended = |end: usize, ends: &mut Ends| {
            segments += 1;
            if self.depths & 1 << segments.min(DEEPEST) != 0 {
                ends.push(end as u32);
            }
            segments < last
        };
        let reach = path.len().min(self.longest + 1);
        for (byte, end) in path.as_bytes().get(1..reach).unwrap_or_default().iter().zip(1..) {
            if *byte == b'/' && !ended(end, ends) {
                return;
            }
        }
        if !path.ends_with('/') && path.len() <= self.longest {
            ended(path.len(), ends);
        }
    }
}

/// Returns bit n for each slash at byte n; of at most [`SHORT`] bytes. Eight bytes at a time, as in
/// "Bit Twiddling Hacks" (S. E. Anderson), "determine if a word has a byte equal to n", in the form
/// that is exact for each byte.
fn slashes(bytes: &[u8]) -> u64 {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().rev().fold(0, |marks, &byte| marks << 1 | u64::from(byte == b'/'));
    };
    let (words, _) = bytes.as_chunks();
    let first = words
        .iter()
        .zip((0..).step_by(8))
        .fold(0, |marks, (word, at): (_, u32)| marks | slashes_of_word(word) << at);
    // The last eight bytes once more, instead of those that fill no word.
    first | slashes_of_word(last) << (bytes.len() - 8)
}

fn slashes_of_word(word: &[u8; 8]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7F; 8]);
    let word = u64::from_le_bytes(*word) ^ u64::from_ne_bytes([b'/'; 8]);
    // The highest bit of each byte that was a slash.
    let found = !(((word & LOW) + LOW) | word | LOW);
    // Brings bit 8n to bit 56 + n; no two products meet, so nothing is carried.
    (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

fn without_lowest(bits: u64) -> u64 {
    bits & bits.wrapping_sub(1)
}

fn path_of<'t>(spot: &Spot, text: &'t [u8]) -> &'t [u8] {
    text.get(spot.start as usize..(spot.start + spot.len) as usize).unwrap_or_default()
}

fn depth(path: &str) -> usize {
    memchr::memchr_iter(b'/', path.as_bytes()).count()
}

/// Returns the hash of a path or a host.
pub(crate) fn hash(text: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    // The length is part of the hash already.
    hasher.write(text);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefixes(paths: &Paths, path: &str) -> Vec<String> {
        let mut ends = Vec::new();
        paths
            .prefixes(path, &mut ends)
            .map(|(len, _)| path.get(..len).unwrap_or_default().to_owned())
            .collect()
    }

    fn known(keys: &[&str]) -> Paths {
        let spot = Spot::new(List::default(), List { start: 0, len: 1 });
        Paths::new(keys.iter().map(|k| (*k, spot)))
    }

    #[test]
    fn prefixes_end_where_segments_do() {
        let paths = known(&["/a", "/a/b", "/a/b/c/d"]);
        assert_eq!(prefixes(&paths, "/a/b/c/d"), ["/a/b/c/d", "/a/b", "/a"]);
        assert_eq!(prefixes(&paths, "/a/b/"), ["/a/b", "/a"]);
        assert_eq!(prefixes(&paths, "/ab"), [""; 0]);
        assert_eq!(prefixes(&paths, "/"), [""; 0]);
        assert_eq!(prefixes(&Paths::default(), "/a"), [""; 0]);
    }

    #[test]
    fn a_path_of_ten_thousand_segments_is_looked_at_no_further_than_prefixes_reach() {
        let deep = "/x".repeat(100);
        let paths = known(&["/a", &deep]);
        let mut ends = Vec::new();
        assert_eq!(paths.prefixes(&"/x".repeat(10_000), &mut ends).count(), 1);
        // Depth 1, and 63 to 100, which share a bit.
        assert_eq!(ends.len(), 39);
    }

    proptest! {
        #[test]
        fn every_known_prefix_is_reported_longest_first(
            keys in prop::collection::btree_set("(/[ab]{1,2}){1,4}", 0..12),
            long in prop::option::of("(/[ab]{1,9}){9,12}"),
            path in "(/[ab]{1,2}){1,6}/?|(/[ab]{1,9}){1,12}/?",
        ) {
            let keys: Vec<&str> = keys.iter().chain(&long).map(String::as_str).collect();
            let fits = |k: &&&str| path.strip_prefix(**k).is_some_and(|r| r.is_empty() || r.starts_with('/'));
            let mut expected: Vec<&str> = keys.iter().filter(fits).copied().collect();
            expected.sort_by_key(|k| std::cmp::Reverse(k.len()));
            prop_assert_eq!(prefixes(&known(&keys), &path), expected);
        }

        #[test]
        fn slashes_are_found_at_every_place(text in "[/a0\\x00\\x7f\u{ff}.]{0,64}") {
            let bytes = text.as_bytes().get(..64).unwrap_or(text.as_bytes());
            let expected = bytes.iter().zip(0..).filter(|(b, _)| **b == b'/');
            let expected = expected.fold(0, |marks, (_, at)| marks | 1 << at);
            prop_assert_eq!(slashes(bytes), expected);
        }
    }
}
