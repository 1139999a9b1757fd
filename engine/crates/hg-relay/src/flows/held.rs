//! Datagrams of a new flow that wait until its route is known.

/// Most datagrams of one flow: a hello of two or three, and data that was sent before it was answered.
const DATAGRAMS: usize = 8;
/// Most bytes of them.
const BYTES: usize = 16 * 1024;

/// The datagrams of one flow, in their order.
#[derive(Debug, Default)]
pub struct Held {
    bytes: Vec<u8>,
    /// The end of each of them.
    ends: Vec<usize>,
}

impl Held {
    /// Appends a datagram, if there is room. Reports whether there was.
    pub fn push(&mut self, datagram: &[u8]) -> bool {
        let has_room = self.len() < DATAGRAMS && self.bytes.len() + datagram.len() <= BYTES;
        if has_room {
            self.bytes.extend_from_slice(datagram);
            self.ends.push(self.bytes.len());
        }
        has_room
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Reports whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns one of them; nothing if there are not so many.
    pub fn get(&self, at: usize) -> &[u8] {
        let from = at.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let range = from.zip(self.ends.get(at).copied());
        range.and_then(|(from, to)| self.bytes.get(from..to)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_keep_their_order_and_are_bounded() {
        let mut held = Held::default();
        assert!(held.is_empty() && held.push(b"one") && held.push(b"") && held.push(b"three"));
        assert_eq!([held.get(0), held.get(1), held.get(2)], [&b"one"[..], b"", b"three"]);
        assert_eq!((held.get(3), held.len()), (&b""[..], 3));
        assert!(!held.push(&[0; BYTES]) && held.push(&[7; BYTES - 8]) && !held.push(b"x"));
        let mut many = Held::default();
        assert_eq!((0..9).filter(|_| many.push(b"")).count(), DATAGRAMS);
    }
}
