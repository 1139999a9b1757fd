//! Reads numbers and vectors off the front of bytes.

/// Bytes left to read; every step returns `None` if there are too few.
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|b| u16::from_be_bytes(*b))
    }

    pub(crate) fn vec8(&mut self) -> Option<&'b [u8]> {
        let n = self.u8()?;
        self.take(n.into())
    }

    pub(crate) fn vec16(&mut self) -> Option<&'b [u8]> {
        let n = self.u16()?;
        self.take(n.into())
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|b| u32::from_be_bytes(*b))
    }

    /// Takes a number of QUIC, whose first two bits say how long it is (RFC 9000 §16).
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let first = *self.0.first()?;
        let bytes = self.take(1 << (first >> 6))?;
        let joined = bytes.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b));
        // The two bits stand in front of 6, 14, 30 or 62 others.
        Some(joined & (u64::MAX >> (66 - 8 * bytes.len())))
    }

    /// Takes so many bytes, if there are.
    pub(crate) fn take_long(&mut self, n: u64) -> Option<&'b [u8]> {
        self.take(usize::try_from(n).ok()?)
    }
}
