//! Canonical bytes with placeholders: one object stands for many that differ in a few texts.

/// Canonical bytes in which some strings are placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The bytes before each placeholder, and the index of its text.
    pieces: Vec<(Vec<u8>, usize)>,
    /// The bytes after the last placeholder.
    end: Vec<u8>,
}

impl Pattern {
    /// Makes the pattern of an object with these markers. Each marker must be the whole of one
    /// string value, or a number in digits that is the whole of a value, and occur nowhere else;
    /// returns `None` if one does not.
    ///
    /// Markers must need no escape in JSON, and none may be part of another.
    pub fn new(canonical: &[u8], markers: &[impl AsRef<str>]) -> Option<Pattern> {
        let text = std::str::from_utf8(canonical).ok()?;
        let mut places = Vec::with_capacity(markers.len());
        for (at, marker) in markers.iter().enumerate() {
            let marker = marker.as_ref();
            let mut found = text.match_indices(marker);
            let (start, _) = found.next().filter(|_| !marker.is_empty())?;
            let end = start + marker.len();
            let (before, after) = (text.get(..start)?, text.get(end..)?);
            let is_text =
                before.ends_with('"') && after.starts_with('"') && !after.starts_with("\":");
            let is_number = marker.bytes().all(|b| b.is_ascii_digit())
                && before.ends_with([':', ',', '['])
                && after.starts_with([',', ']', '}']);
            if found.next().is_some() || !(is_text || is_number) {
                return None;
            }
            places.push((start, end, at));
        }
        places.sort_unstable();
        let mut from = 0;
        let mut pieces = Vec::with_capacity(places.len());
        for (start, end, at) in places {
            pieces.push((canonical.get(from..start)?.to_vec(), at));
            from = end;
        }
        Some(Pattern { pieces, end: canonical.get(from..)?.to_vec() })
    }

    /// Returns the canonical bytes of the object with these texts, in the order of the markers. The
    /// texts must need no escape in JSON. A missing text counts as empty.
    pub fn with(&self, texts: &[impl AsRef<str>]) -> Vec<u8> {
        let text = |at: &usize| texts.get(*at).map_or("", AsRef::as_ref).as_bytes();
        let size = self.end.len()
            + self.pieces.iter().map(|(before, at)| before.len() + text(at).len()).sum::<usize>();
        let mut out = Vec::with_capacity(size);
        for (before, at) in &self.pieces {
            out.extend_from_slice(before);
            out.extend_from_slice(text(at));
        }
        out.extend_from_slice(&self.end);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &[u8] = br#"{"action":{"upstream":"UP"},"hosts":["HOST"],"listeners":["x"]}"#;

    #[test]
    fn texts_take_the_places_of_markers_in_their_own_order() {
        let pattern = Pattern::new(OBJECT, &["HOST", "UP"]).unwrap();
        assert_eq!(pattern.with(&["HOST", "UP"]), OBJECT);
        let made = pattern.with(&["a.example", "app"]);
        let expected = r#"{"action":{"upstream":"app"},"hosts":["a.example"],"listeners":["x"]}"#;
        assert_eq!(made, expected.as_bytes());
    }

    #[test]
    fn numbers_are_values_of_their_own() {
        let object = br#"{"a":[91,{"b":92}],"c":93,"d":"x94x"}"#;
        let pattern = Pattern::new(object, &["91", "92", "93"]).unwrap();
        let made = pattern.with(&["1", "2", "3"]);
        assert_eq!(made, br#"{"a":[1,{"b":2}],"c":3,"d":"x94x"}"#);
        assert_eq!(Pattern::new(object, &["94"]), None);
        assert_eq!(Pattern::new(br#"{"a":191}"#, &["91"]), None);
    }

    #[test]
    fn without_markers_it_is_what_it_is() {
        let none: [&str; 0] = [];
        assert_eq!(Pattern::new(OBJECT, &none).unwrap().with(&none), OBJECT);
    }

    #[test]
    fn a_marker_that_is_not_one_whole_string_value_is_none() {
        for marker in ["gone", "", "hosts", "x\"]", "OST", "s"] {
            assert_eq!(Pattern::new(OBJECT, &[marker]), None, "{marker}");
        }
        assert_eq!(Pattern::new(br#"{"a":"M","b":"M"}"#, &["M"]), None);
    }
}
