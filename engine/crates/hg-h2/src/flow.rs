//! Windows of flow control (RFC 9113 §5.2, §6.9).

use crate::settings::MOST_WINDOW;

/// The window would be larger than 2^31 - 1, or an increment is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// The bytes that we may send; below 0 after the peer made its initial window smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWindow(i64);

impl SendWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// Returns the bytes that may be sent now.
    pub(crate) fn open(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Adds the increment of a WINDOW_UPDATE or the change of the initial window.
    pub(crate) fn add(&mut self, change: i64) -> Result<(), Overflow> {
        let sum = self.0 + change;
        if sum > i64::from(MOST_WINDOW) {
            return Err(Overflow);
        }
        self.0 = sum;
        Ok(())
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }
}

/// The bytes that the peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    /// The size that the window returns to.
    size: u32,
    /// The bytes that the peer may still send; below 0 after it took over a smaller initial window.
    left: i64,
    /// Credit that the peer was not told of yet.
    owed: u32,
    /// The bytes by which the size grew.
    grown: u32,
}

impl RecvWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self { size, left: i64::from(size), owed: 0, grown: 0 }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Returns what the size grew by.
    pub(crate) fn grown(&self) -> u32 {
        self.grown
    }

    /// Reports whether so many bytes may come without more credit.
    pub(crate) fn takes(&self, bytes: u64) -> bool {
        u64::try_from(self.left).is_ok_and(|left| bytes <= left)
    }

    /// Reports whether the peer has used three quarters of the window and more.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left <= i64::from(self.size / 4)
    }

    /// Returns the size without what the peer still may use and what it is owed: the bytes that the
    /// owner holds.
    pub(crate) fn held(&self) -> u64 {
        u64::try_from(i64::from(self.size) - self.left - i64::from(self.owed)).unwrap_or(0)
    }

    /// Counts bytes that came.
    ///
    /// # Errors
    /// They are more than the window.
    #[inline]
    pub(crate) fn receive(&mut self, bytes: u32) -> Result<(), Overflow> {
        // An end without bytes needs no window.
        if bytes > 0 && i64::from(bytes) > self.left {
            return Err(Overflow);
        }
        self.left -= i64::from(bytes);
        Ok(())
    }

    /// Gives credit back, never more than what is held. Returns the increment to announce once it
    /// is half of the window.
    #[inline]
    pub(crate) fn credit(&mut self, bytes: u32) -> Option<u32> {
        let held = u32::try_from(self.held()).unwrap_or(u32::MAX);
        self.owed += bytes.min(held);
        (self.owed > 0 && self.owed >= self.size / 2).then(|| self.announce())
    }

    /// Makes the window larger; returns the increment to announce.
    pub(crate) fn grow(&mut self, size: u32) -> Option<u32> {
        let more = size.min(MOST_WINDOW).checked_sub(self.size).filter(|more| *more > 0)?;
        self.size += more;
        self.grown += more;
        self.owed += more;
        Some(self.announce())
    }

    /// Makes the window smaller, as the peer has done by itself. Returns the increment to announce if
    /// what it is owed is half of the window now.
    pub(crate) fn shrink(&mut self, less: u32) -> Option<u32> {
        self.size = self.size.saturating_sub(less);
        self.left -= i64::from(less);
        (self.owed > 0 && self.owed >= self.size / 2).then(|| self.announce())
    }

    fn announce(&mut self) -> u32 {
        self.left += i64::from(self.owed);
        std::mem::take(&mut self.owed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_send_window_goes_below_zero_and_never_above_its_end() {
        let mut window = SendWindow::new(100);
        window.take(80);
        window.add(-60).unwrap();
        assert_eq!(window.open(), 0);
        window.add(41).unwrap();
        assert_eq!(window.open(), 1);
        assert_eq!(window.add(i64::from(MOST_WINDOW)), Err(Overflow));
        window.add(i64::from(MOST_WINDOW) - 1).unwrap();
        assert_eq!(window.add(1), Err(Overflow));
    }

    #[test]
    fn credit_is_announced_in_halves() {
        let mut window = RecvWindow::new(100);
        window.receive(100).unwrap();
        assert_eq!(window.receive(1), Err(Overflow));
        assert_eq!((window.credit(49), window.held()), (None, 51));
        assert_eq!(window.credit(1), Some(50));
        assert_eq!(window.credit(1000), Some(50), "never more than what came");
        assert_eq!((window.grow(100), window.grow(150)), (None, Some(50)));
        window.receive(150).unwrap();
    }

    proptest! {
        #[test]
        fn no_credit_is_lost(steps: Vec<(u16, u16)>) {
            let mut window = RecvWindow::new(65_535);
            let (mut peer, mut held) = (65_535_u32, 0_u32);
            for (bytes, taken) in steps {
                let bytes = u32::from(bytes);
                prop_assert_eq!(window.receive(bytes).is_ok(), bytes <= peer);
                if bytes <= peer {
                    peer -= bytes;
                    held += bytes;
                }
                let taken = u32::from(taken).min(held);
                held -= taken;
                peer += window.credit(taken).unwrap_or(0);
                prop_assert_eq!(window.held(), u64::from(held));
                prop_assert!(peer + held <= 65_535);
            }
            peer += window.credit(held).unwrap_or(0);
            prop_assert!(peer > 65_535 / 2);
        }
    }
}
