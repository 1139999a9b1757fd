//! What stands around the items of an export.

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
