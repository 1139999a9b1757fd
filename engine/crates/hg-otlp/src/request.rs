//! The bytes around the items of an export.

use crate::attributes::attribute;
use crate::wire;

/// Returns what comes before items of so many bytes, each with its tag as field 2 of its scope, so
/// that both are an `ExportTraceServiceRequest` or an `ExportLogsServiceRequest`: these have the same
/// fields.
pub(crate) fn request_head(service: &str, items: usize) -> Vec<u8> {
    let mut scope = Vec::new();
    wire::nested(&mut scope, 1, |out| {
        wire::bytes(out, 1, b"headgate");
        wire::bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
    });
    let mut resource = Vec::new();
    wire::nested(&mut resource, 1, |out| {
        let one = |out: &mut Vec<u8>| {
            attribute(out, "service.name", |out| wire::bytes(out, 1, service.as_bytes()))
        };
        wire::nested(out, 1, one);
    });
    wire::head(&mut resource, 2, scope.len() + items);
    resource.extend_from_slice(&scope);
    let mut out = Vec::new();
    wire::head(&mut out, 1, resource.len() + items);
    out.extend_from_slice(&resource);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the tag and the length of a field off; returns the tag and the length.
    fn begin(bytes: &mut &[u8]) -> (u8, usize) {
        let (tag, mut length) = (bytes.first().copied().unwrap_or(0), 0);
        for (at, byte) in bytes.iter().enumerate().skip(1) {
            length |= usize::from(byte & 0x7f) << (7 * (at - 1));
            if byte & 0x80 == 0 {
                *bytes = bytes.get(at + 1..).unwrap_or_default();
                break;
            }
        }
        (tag, length)
    }

    #[test]
    fn each_length_takes_the_items_in() {
        for items in [0, 1, 200, 100_000] {
            let head = request_head("edge", items);
            let mut rest = &head[..];
            assert_eq!(begin(&mut rest), (0x0a, rest.len() + items), "the resource and its scopes");
            let (tag, resource) = begin(&mut rest);
            assert_eq!(tag, 0x0a);
            let (about, mut rest) = rest.split_at(resource);
            assert!(about.windows(4).any(|part| part == b"edge"));
            assert_eq!(begin(&mut rest), (0x12, rest.len() + items), "the scope and its items");
            let (tag, scope) = begin(&mut rest);
            assert_eq!((tag, scope), (0x0a, rest.len()), "nothing comes between it and the items");
        }
    }
}
