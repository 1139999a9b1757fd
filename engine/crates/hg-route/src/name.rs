//! Host names; short ones are stored in place.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Bytes stored in place: as many as leave a [`crate::bucket::Bucket`] one cache line.
const IN_PLACE: usize = 30;

/// A host (`a.example`, `*.example`, `*`). Comparing a short one follows no pointer.
#[derive(Clone)]
pub(crate) enum Name {
    /// The length, and the text padded with zeros.
    Short(u8, [u8; IN_PLACE]),
    /// A text that does not fit in place.
    Long(Arc<str>),
}

impl Name {
    /// Makes the name of a host.
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = [0; IN_PLACE];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short(text.len() as u8, bytes)
            }
            None => Self::Long(text.into()),
        }
    }

    /// Returns its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(text) => text.as_bytes(),
        }
    }

    /// Returns its text. Checks a short one for UTF-8 first, so it is not for the request path.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short(..) => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }

    /// Reports whether it is `*`.
    pub(crate) fn is_any(&self) -> bool {
        self.as_bytes() == b"*"
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_its_text_in_place_or_not(a in "[a-cä.]{0,40}", b in "[a-cä.]{0,40}") {
            let (x, y) = (Name::new(&a), Name::new(&b));
            prop_assert_eq!(matches!(x, Name::Short(..)), a.len() <= IN_PLACE);
            prop_assert_eq!(x.as_str(), a.as_str());
            prop_assert_eq!(x.as_bytes(), a.as_bytes());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
        }
    }
}
