//! The choice of datagrams that leave in one send that the kernel divides again (udp(7),
//! `UDP_SEGMENT`): those of one flow that follow each other and have one size, of which the last
//! may be smaller. Decisions only.

use std::io;

/// Datagrams in one send: as many as every kernel that divides takes.
const MOST: usize = 64;
/// Bytes in one send: as many as the largest datagram of IPv4 has.
const MOST_BYTES: usize = 65_507;
/// Datagrams that go alone after a refusal before the next try: a way that refuses costs one call in
/// so many datagrams, and one that changed is found.
const ALONE: u32 = 1_024;

/// The state of joining: whether datagrams are joined, and which are not for now.
#[derive(Debug)]
pub(super) struct Joins {
    is_on: bool,
    /// The largest datagram that is joined with others.
    largest: usize,
    /// Larger ones that still go alone.
    alone: u32,
}

impl Joins {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on, largest: MOST_BYTES, alone: 0 }
    }

    /// Returns how many datagrams of a flow leave in one send, of those with these sizes: at least the
    /// first one.
    pub(super) fn count(&mut self, mut sizes: impl Iterator<Item = usize>) -> usize {
        let first = sizes.next().filter(|_| self.is_on);
        let Some(first) = first else {
            return 1;
        };
        if first > self.largest {
            self.alone = self.alone.saturating_sub(1);
            if self.alone == 0 {
                self.largest = MOST_BYTES;
            }
            return 1;
        }
        let (mut count, mut bytes, mut last) = (1, first, first);
        for size in sizes {
            // One without bytes cannot be told from none, and only the last one may be smaller.
            let fits = 0 < size && size <= first && last == first && bytes + size <= MOST_BYTES;
            if !fits || count == MOST {
                break;
            }
            (count, bytes, last) = (count + 1, bytes + size, size);
        }
        count
    }

    /// Notes that the kernel refused a send of datagrams of this size, if the error means that it did
    /// because there were several; they are to be sent alone then.
    pub(super) fn is_refusal(&mut self, size: usize, error: &io::Error) -> bool {
        self.largest = match error.raw_os_error() {
            // It is larger than what the way takes unfragmented.
            Some(libc::EINVAL | libc::EMSGSIZE) => self.largest.min(size.saturating_sub(1)),
            // Nobody on the way could do the checksums.
            Some(libc::EIO) => 0,
            _ => return false,
        };
        self.alone = ALONE;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(sizes: &[usize]) -> usize {
        Joins::new(true).count(sizes.iter().copied())
    }

    #[test]
    fn equal_ones_and_a_smaller_one_at_the_end_are_joined() {
        for (sizes, expected) in [
            (&[9][..], 1),
            (&[9, 9, 9], 3),
            (&[9, 9, 4], 3),
            (&[9, 4, 4], 2),
            (&[9, 4, 9], 2),
            (&[9, 10], 1),
            (&[9, 0, 9], 1),
            (&[0, 0], 1),
            (&[0, 9], 1),
            (&[40_000, 25_507, 1], 2),
            (&[40_000, 25_508], 1),
            (&[65_507, 1], 1),
            (&[1_200; 80], 54),
            (&[1; 80], 64),
        ] {
            assert_eq!(count(sizes), expected, "{sizes:?}");
        }
        assert_eq!(Joins::new(false).count([9, 9].into_iter()), 1);
    }

    #[test]
    fn what_the_kernel_refused_goes_alone_for_a_while() {
        let mut joins = Joins::new(true);
        let error = io::Error::from_raw_os_error;
        assert!(!joins.is_refusal(1_400, &error(libc::ECONNREFUSED)));
        assert_eq!(joins.count([1_400, 1_400].into_iter()), 2);
        assert!(joins.is_refusal(1_400, &error(libc::EINVAL)));
        for _ in 0..ALONE {
            assert_eq!(joins.count([1_399, 1_399].into_iter()), 2);
            assert_eq!(joins.count([1_400, 1_400].into_iter()), 1);
        }
        assert_eq!(joins.count([1_400, 1_400].into_iter()), 2);
        assert!(joins.is_refusal(1_400, &error(libc::EIO)));
        assert_eq!(joins.count([1, 1].into_iter()), 1);
    }
}
