//! Config text.

use hg_text::{Document, Format, Spans, Which, locate, parse};

/// Text read as TOML, YAML and JSON: both passes agree on what is a mistake and where, and on every
/// value, and no document differs from itself. The pass with positions never reads by comparison
/// with an earlier text.
pub fn text(data: &[u8]) {
    for format in Format::ALL {
        let value = parse(data, format);
        match (&value, Spans::of(data, format)) {
            (Ok(value), Ok(spans)) => {
                assert!(spans.are_of(value), "{format:?}: {value:?}");
                assert!(spans.locate(&[], Which::Value).is_some());
                assert!(locate(data, format, &[], Which::Key).is_some());
            }
            (Err(first), Err(second)) => assert_eq!(first, &second),
            (first, second) => panic!("{format:?}: {first:?}, with positions {:?}", second.err()),
        }
        if let Ok(document) = Document::read(data, format) {
            assert_eq!(document.changes(&document), (Vec::new(), Vec::new()));
            assert_eq!(document.entries().count(), document.hashes().count());
        }
    }
}
